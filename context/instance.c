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
	free(in->identify.interface);
	free(in->identify.address);
	if (in->ec2)
		tree_free(in->ec2);
	free(in);
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
