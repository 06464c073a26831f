/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The snapshot of instances: an array sorted by name, and a hash of what they are known by.
 *
 * An instance is known by (interface, address), (interface, any) or (any, address) in a network
 * namespace, so a guest can match in three buckets. Instances that differ in MAC alone share one.
 */
#include "metadata-server/store/store.h"

#include <stdio.h>

struct store {
	struct instance **v; /* n, sorted by name */
	size_t n;
	uint32_t *buckets; /* mask + 1 heads of chains: index in v, plus one; 0: empty */
	uint32_t *next;    /* n */
	size_t mask;
};

int instance_list_add(struct instance_list *l, struct instance **in, struct err *e)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;
		struct instance **v = reallocarray(l->v, cap, sizeof(struct instance *));

		if (!v)
			return err_nomem(e);
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = STEAL(*in);
	return 0;
}

void instance_list_release(struct instance_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		instance_free(l->v[i]);
	free(l->v);
	*l = (struct instance_list){0};
}

void store_free(struct store *s)
{
	for (size_t i = 0; i < s->n; i++)
		instance_free(s->v[i]);
	free(s->v);
	free(s->buckets);
	free(s->next);
	free(s);
}

size_t store_count(const struct store *s)
{
	return s->n;
}

const struct instance *store_at(const struct store *s, size_t i)
{
	return s->v[i];
}

static int by_name(const void *a, const void *b)
{
	const struct instance *const *x = a;
	const struct instance *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int by_id(const void *a, const void *b)
{
	const struct instance *const *x = a;
	const struct instance *const *y = b;
	int order = strcmp((*x)->context->instance_id, (*y)->context->instance_id);

	return order ? order : by_name(a, b);
}

const struct instance *store_find(const struct store *s, const char *name)
{
	size_t lo = 0;
	size_t hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = strcmp(s->v[mid]->name, name);

		if (!order)
			return s->v[mid];
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

int store_replace(struct store *s, struct instance **in, struct err *e)
{
	for (size_t lo = 0, hi = s->n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;
		int order = strcmp(s->v[mid]->name, (*in)->name);

		if (!order) {
			instance_free(s->v[mid]);
			s->v[mid] = STEAL(*in);
			return 0;
		}
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return err_set(e, ENOENT, "no instance '%s'", (*in)->name);
}

/* ---- who asks ------------------------------------------------------------------------------ */

/* FNV-1a; NULL stands for any. The names are the administrator's, not a guest's. */
static size_t bucket_of(const struct store *s, const char *netns, const char *interface,
			const char *address)
{
	uint32_t h = 2166136261u;

	for (const char *p = netns ? netns : ""; *p; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	h = (h ^ '/') * 16777619u;
	for (const char *p = interface ? interface : ""; *p; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	h = (h ^ '/') * 16777619u;
	for (const char *p = address ? address : ""; *p; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	return (h ^ h >> 15) & s->mask;
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* The next instance known by exactly that; from: 0 for the first, else the one before, plus one. */
static uint32_t next_known_by(const struct store *s, const char *netns, const char *interface,
			      const char *address, uint32_t from)
{
	uint32_t i = from ? s->next[from - 1] : s->buckets[bucket_of(s, netns, interface, address)];

	while (i && !(same(s->v[i - 1]->identify.netns, netns) &&
		      same(s->v[i - 1]->identify.interface, interface) &&
		      same(s->v[i - 1]->identify.address, address)))
		i = s->next[i - 1];
	return i;
}

size_t store_identify(const struct store *s, const char *netns, const char *interface,
		      const char *address, bool (*mac_of)(void *arg, char out[18]), void *arg,
		      const struct instance **ret)
{
	const struct {
		const char *interface, *address;
	} ways[] = {{interface, address}, {interface, NULL}, {NULL, address}};
	bool asked = false;
	bool known = false;
	size_t n = 0;
	char mac[18];

	for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
		uint32_t i = 0;

		if (!ways[w].interface && !ways[w].address)
			continue;
		while ((i = next_known_by(s, netns, ways[w].interface, ways[w].address, i))) {
			const struct instance *in = s->v[i - 1];

			if (in->identify.mac[0] && !asked) {
				known = mac_of(arg, mac);
				asked = true;
			}
			if (in->identify.mac[0] && (!known || strcmp(in->identify.mac, mac)))
				continue;
			*ret = in;
			n++;
		}
	}
	return n;
}

/* ---- making one ---------------------------------------------------------------------------- */

struct faults {
	instance_report_fn *report;
	void *arg;
	struct err *first;
	int rc;
};

static void PRINTF_LIKE(4, 5) fault(struct faults *f, const struct instance *in,
				    const struct source_place *place, const char *fmt, ...)
{
	struct err e = {0};
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(&e, EEXIST, "%s:%u:%u: %s", in->file, place->line, place->column, text);
	if (f->report)
		f->report(f->arg, &e);
	if (!f->rc) {
		f->rc = -EEXIST;
		if (f->first)
			*f->first = e;
	}
}

/* Could one guest be both? */
static bool macs_overlap(const struct instance *a, const struct instance *b)
{
	return !a->identify.mac[0] || !b->identify.mac[0] ||
	       !strcmp(a->identify.mac, b->identify.mac);
}

/*
 * Faults where a guest could be in, and another instance known by (interface, address), which is
 * as much as in is known by, or less.
 */
static void check_overlap(const struct store *s, const struct instance *in, const char *interface,
			  const char *address, struct faults *f)
{
	uint32_t i = 0;

	while ((i = next_known_by(s, in->identify.netns, interface, address, i))) {
		const struct instance *other = s->v[i - 1];

		/* two that are known by the same are told once */
		if (other == in || !macs_overlap(in, other) ||
		    (same(in->identify.interface, interface) &&
		     same(in->identify.address, address) && strcmp(in->name, other->name) < 0))
			continue;
		fault(f, in, &in->identify.place, "'identify': a guest could be this or '%s' (%s)",
		      other->name, other->file);
	}
}

static int check_identities(const struct store *s, struct faults *f, struct err *e)
{
	AUTO_FREE struct instance **ids = reallocarray(NULL, s->n ? s->n : 1, sizeof(*ids));

	if (!ids)
		return err_nomem(e);
	for (size_t i = 0; i < s->n; i++)
		ids[i] = s->v[i];
	qsort(ids, s->n, sizeof(*ids), by_id);
	for (size_t i = 1; i < s->n; i++)
		if (!strcmp(ids[i]->context->instance_id, ids[i - 1]->context->instance_id))
			fault(f, ids[i], &ids[i]->id_place,
			      "'instance-id': is that of '%s' too (%s)", ids[i - 1]->name,
			      ids[i - 1]->file);
	for (size_t i = 0; i < s->n; i++) {
		const struct instance_identify *id = &s->v[i]->identify;

		if (!id->given)
			continue;
		check_overlap(s, s->v[i], id->interface, id->address, f);
		if (id->interface && id->address) {
			check_overlap(s, s->v[i], id->interface, NULL, f);
			check_overlap(s, s->v[i], NULL, id->address, f);
		}
	}
	return 0;
}

static int build_index(struct store *s, struct err *e)
{
	size_t size = 16;

	while (size < 2 * s->n)
		size *= 2;
	s->mask = size - 1;
	s->buckets = calloc(size, sizeof(*s->buckets));
	s->next = calloc(s->n ? s->n : 1, sizeof(*s->next));
	if (!s->buckets || !s->next)
		return err_nomem(e);
	for (size_t i = s->n; i-- > 0;) {
		const struct instance_identify *id = &s->v[i]->identify;
		uint32_t *head;

		if (!id->given)
			continue;
		head = &s->buckets[bucket_of(s, id->netns, id->interface, id->address)];
		s->next[i] = *head;
		*head = (uint32_t)i + 1;
	}
	return 0;
}

int store_new(struct instance_list *l, instance_report_fn *report, void *arg, struct store **ret,
	      struct err *e)
{
	AUTO(store_free) struct store *s = calloc(1, sizeof(*s));
	struct faults f = {.report = report, .arg = arg, .first = e};

	if (!s)
		return err_nomem(e);
	s->v = STEAL(l->v);
	s->n = l->n;
	*l = (struct instance_list){0};
	if (s->n)
		qsort(s->v, s->n, sizeof(struct instance *), by_name);
	if (build_index(s, e) || check_identities(s, &f, e))
		return -ENOMEM;
	for (size_t i = 1; i < s->n; i++)
		if (!strcmp(s->v[i]->name, s->v[i - 1]->name))
			fault(&f, s->v[i], &s->v[i]->id_place, "has the name of %s",
			      s->v[i - 1]->file);
	if (f.rc)
		return f.rc;
	*ret = STEAL(s);
	return 0;
}
