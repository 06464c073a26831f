/* SPDX-License-Identifier: Apache-2.0 */
/* A table by name: see metadata-server/kept.h. */
#include "metadata-server/kept.h"

int kept_init(struct kept *k, const char *name, const char *instance_id, struct err *e)
{
	k->name = strdup(name);
	k->instance_id = strdup(instance_id);
	return k->name && k->instance_id ? 0 : err_nomem(e);
}

void kept_release(struct kept *k)
{
	free(k->name);
	free(k->instance_id);
}

/* Where name is, or would be. */
static size_t place(const struct kept_table *t, const char *name, bool *there)
{
	size_t lo = 0;
	size_t hi = t->n;

	*there = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = strcmp(t->v[mid]->name, name);

		if (!order) {
			*there = true;
			return mid;
		}
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct kept *kept_named(const struct kept_table *t, const char *name)
{
	bool there;
	size_t at = place(t, name, &there);

	return there ? t->v[at] : NULL;
}

struct kept *kept_find(const struct kept_table *t, const struct instance *in)
{
	const char *id = in->context->instance_id;
	struct kept *k = kept_named(t, in->name);

	return k && id && !strcmp(k->instance_id, id) ? k : NULL;
}

int kept_put(struct kept_table *t, struct kept *k, struct kept **before, struct err *e)
{
	bool there;
	size_t at = place(t, k->name, &there);
	struct kept **v;

	*before = there ? t->v[at] : NULL;
	if (!there) {
		v = reallocarray(t->v, t->n + 1, sizeof(*v));
		if (!v)
			return err_nomem(e);
		t->v = v;
		memmove(v + at + 1, v + at, (t->n - at) * sizeof(*v));
		t->n++;
	}
	t->v[at] = k;
	return 0;
}

struct kept *kept_take(struct kept_table *t, const char *name)
{
	bool there;
	size_t at = place(t, name, &there);
	struct kept *k;

	if (!there)
		return NULL;
	k = t->v[at];
	t->n--;
	memmove(t->v + at, t->v + at + 1, (t->n - at) * sizeof(*t->v));
	return k;
}
