/* SPDX-License-Identifier: Apache-2.0 */
/* All dialects, and what of a context one of them keeps: see context/dialects.h. */
#include "context/dialects.h"

#include "context/fields.h"

/* In the order in which --help names them. */
const struct context_dialect *const context_dialects[] = {
	&dialect_yaml,      &dialect_opennebula, &dialect_nocloud,
	&dialect_openstack, &dialect_ovf,        &dialect_ec2,
	&dialect_gce,       &dialect_cloudstack, NULL,
};

const struct context_dialect *context_dialect(const char *name)
{
	for (size_t i = 0; context_dialects[i]; i++)
		if (!strcmp(context_dialects[i]->name, name))
			return context_dialects[i];
	return NULL;
}

/* "nics[0].mtu" and "tags.Name" to "nics.mtu" and "tags.Name". */
static void plain_path(const char *path, char out[128])
{
	size_t n = 0;
	bool inside = false;

	for (; *path && n < 127; path++) {
		inside |= *path == '[';
		if (!inside)
			out[n++] = *path;
		inside &= *path != ']';
	}
	out[n] = '\0';
}

bool dialect_keeps(const struct context_dialect *d, const char *path)
{
	char plain[128];

	plain_path(path, plain);
	for (size_t i = 0; d->fields[i]; i++) {
		size_t len = strlen(d->fields[i]);

		if (!len)
			return true;
		if (!strncmp(plain, d->fields[i], len) && (!plain[len] || plain[len] == '.'))
			return true;
	}
	return false;
}

int dialect_write(const struct context_dialect *d, const struct context *c, struct tree **ret,
		  struct err *e)
{
	AUTO(tree_free) struct tree *docs = NULL;
	int rc = tree_new(&docs, e);

	rc = rc ? rc : d->write(c, docs, e);
	rc = rc ? rc : tree_seal(docs, e);
	if (rc)
		return err_wrap(e, "%s", d->name);
	*ret = STEAL(docs);
	return 0;
}

int dialect_read(const struct context_dialect *d, const struct tree *docs, const char *source,
		 struct strlist *notes, struct context **ret, struct err *e)
{
	AUTO(context_free) struct context *c = NULL;
	int rc = d->read(docs, source, notes, &c, e);

	if (!rc)
		rc = context_validate(c, e);
	if (rc)
		return err_wrap(e, "%s", d->name);
	*ret = STEAL(c);
	return 0;
}

static int add_lost(void *arg, const char *path, enum field_difference how)
{
	return how == DIFF_ADDED ? 0 : strlist_add(arg, path);
}

int dialect_lost(const struct context_dialect *d, const struct context *c, const struct tree *docs,
		 struct strlist *ret, struct err *e)
{
	AUTO(context_free) struct context *back = NULL;
	int rc = dialect_read(d, docs, d->name, NULL, &back, e);

	if (rc)
		return rc;
	return context_compare(c, back, add_lost, ret) ? err_nomem(e) : 0;
}
