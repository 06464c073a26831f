/* SPDX-License-Identifier: Apache-2.0 */
/* An instance: a context, by what its guest is known, how it is answered, and the trees made of it.
 */
#include "context/imds.h"

int instance_new(const char *name, struct context **context, struct instance **ret, struct err *e)
{
	AUTO(instance_free) struct instance *in = calloc(1, sizeof(*in));

	if (!in)
		return err_nomem(e);
	in->name = strdup(name);
	if (!in->name)
		return err_nomem(e);
	in->imds = IMDS_POLICY_DEFAULT;
	in->context = STEAL(*context);
	*ret = STEAL(in);
	return 0;
}

struct instance *instance_ref(struct instance *in)
{
	in->refs++;
	return in;
}

static void drop_kept(struct instance *in)
{
	if (in->kept && in->free_kept)
		in->free_kept(in->kept);
	in->kept = NULL;
}

void instance_free(struct instance *in)
{
	if (in->refs) {
		in->refs--;
		return;
	}
	drop_kept(in);
	if (in->base)
		instance_free(in->base);
	free(in->name);
	free(in->file);
	if (in->context)
		context_free(in->context);
	free(in->identify.netns);
	free(in->identify.interface);
	free(in->identify.address);
	if (in->ec2)
		tree_free(in->ec2);
	free(in);
}

const char *instance_dialect_name(size_t i, unsigned *bit)
{
	static const struct {
		const char *name;
		enum instance_dialect bit;
	} names[] = {
		{"ec2", DIALECT_EC2},         {"openstack", DIALECT_OPENSTACK},
		{"nocloud", DIALECT_NOCLOUD}, {"cloudstack", DIALECT_CLOUDSTACK},
		{"gce", DIALECT_GCE},
	};

	if (i >= ARRAY_SIZE(names))
		return NULL;
	*bit = names[i].bit;
	return names[i].name;
}

int instance_dialect_bit(const char *name, unsigned *bit)
{
	const char *s;

	for (size_t i = 0; (s = instance_dialect_name(i, bit)); i++)
		if (!strcmp(s, name))
			return 0;
	return -ENOENT;
}

unsigned instance_dialects(const struct instance *in)
{
	if (in->dialects)
		return in->dialects;
	return in->imds.tokens == IMDS_TOKENS_REQUIRED ? DIALECT_EC2 | DIALECT_GCE : UINT32_MAX;
}

int instance_render(struct instance *in, struct err *e)
{
	struct tree *t;
	int rc = ec2_render(in->context, in->imds.instance_tags, &t, e);

	if (rc)
		return rc;
	if (in->ec2)
		tree_free(in->ec2);
	in->ec2 = t;
	drop_kept(in);
	return 0;
}
