/* SPDX-License-Identifier: Apache-2.0 */
/* In what two contexts differ: see context_compare of context/fields.h. */
#include "context/fields.h"

#include <stdio.h>

#define CONST_AT(type, object, at) ((const type *)((const char *)(object) + (at)))

struct comparison {
	struct buf path;
	context_diff_fn *fn;
	void *arg;
};

/* Tells that the member `name` (behind the path so far) is different. */
static int tell(struct comparison *c, const char *name, bool in_a, bool in_b)
{
	size_t len = c->path.len;
	int rc = buf_adds(&c->path, name);

	if (!rc)
		rc = c->fn(c->arg, c->path.data,
			   !in_b   ? DIFF_MISSING
			   : !in_a ? DIFF_ADDED
				   : DIFF_CHANGED);
	c->path.len = len;
	if (c->path.data)
		c->path.data[len] = '\0';
	return rc;
}

static bool texts_equal(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool lists_equal(const struct strlist *a, const struct strlist *b)
{
	bool equal = a->n == b->n;

	for (size_t i = 0; i < a->n && equal; i++)
		equal = !strcmp(a->v[i], b->v[i]);
	return equal;
}

static bool bufs_equal(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

static int compare_pair(struct comparison *c, const char *name, const char *key, const char *a,
			const char *b)
{
	size_t len = c->path.len;
	int rc = 0;

	if (texts_equal(a, b))
		return 0;
	if (buf_addf(&c->path, "%s.", name))
		return -ENOMEM;
	rc = tell(c, key, a, b);
	c->path.len = len;
	c->path.data[len] = '\0';
	return rc;
}

static int compare_pairs(struct comparison *c, const char *name, const struct context_pair *a,
			 size_t n_a, const struct context_pair *b, size_t n_b)
{
	int rc = 0;

	for (size_t i = 0; i < n_a && !rc; i++)
		rc = compare_pair(c, name, a[i].key, a[i].value, pairs_get(b, n_b, a[i].key));
	for (size_t i = 0; i < n_b && !rc; i++)
		if (!pairs_get(a, n_a, b[i].key))
			rc = compare_pair(c, name, b[i].key, NULL, b[i].value);
	return rc;
}

static int compare_table(struct comparison *c, const struct context_field *table, const void *a,
			 const void *b);

/* A struct inside: its members are told with its name before theirs. */
static int compare_inside(struct comparison *c, const char *prefix,
			  const struct context_field *table, const void *a, const void *b)
{
	size_t len = c->path.len;
	int rc = buf_adds(&c->path, prefix);

	rc = rc ? rc : compare_table(c, table, a, b);
	c->path.len = len;
	if (c->path.data)
		c->path.data[len] = '\0';
	return rc;
}

/*
 * Are these two about the same thing? NICs are known by their MACs, else by their names, files by
 * their paths, else by their names.
 */
static bool same_thing(const struct context_field *f, const void *a, const void *b)
{
	if (f->fields == nic_fields) {
		const struct nic *x = a, *y = b;

		return x->mac[0] ? !strcmp(x->mac, y->mac) : texts_equal(x->name, y->name);
	} else {
		const struct context_file *x = a, *y = b;

		return x->path ? texts_equal(x->path, y->path)
			       : !y->path && texts_equal(x->name, y->name);
	}
}

/* By more than its place? */
static bool is_known_by_more(const struct context_field *f, const void *a)
{
	if (f->fields == nic_fields)
		return ((const struct nic *)a)->mac[0] || ((const struct nic *)a)->name;
	if (f->fields == file_fields)
		return ((const struct context_file *)a)->path ||
		       ((const struct context_file *)a)->name;
	return false;
}

/* The place in b's array of member i of a's, n_b if it is not there. */
static size_t counterpart(const struct context_field *f, const char *a, size_t i, const char *b,
			  size_t n_b)
{
	if (!is_known_by_more(f, a + i * f->size))
		return MIN(i, n_b);
	for (size_t k = 0; k < n_b; k++)
		if (same_thing(f, a + i * f->size, b + k * f->size))
			return k;
	return n_b;
}

static int compare_structs(struct comparison *c, const struct context_field *f, const void *a,
			   const void *b)
{
	size_t n_a = *CONST_AT(size_t, a, f->offset_n), n_b = *CONST_AT(size_t, b, f->offset_n);
	const char *at = *CONST_AT(char *, a, f->offset), *bt = *CONST_AT(char *, b, f->offset);
	char name[64];
	int rc = 0;

	for (size_t i = 0; i < n_a && !rc; i++) {
		size_t k = counterpart(f, at, i, bt, n_b);

		snprintf(name, sizeof(name), "%s[%zu]%s", f->name, i, k < n_b ? "." : "");
		rc = k < n_b ? compare_inside(c, name, f->fields, at + i * f->size,
					      bt + k * f->size)
			     : tell(c, name, true, false);
	}
	for (size_t k = 0; k < n_b && !rc; k++) {
		snprintf(name, sizeof(name), "%s[%zu]", f->name, k);
		if (counterpart(f, bt, k, at, n_a) == n_a)
			rc = tell(c, name, false, true);
	}
	return rc;
}

static bool scalars_equal(const struct context_field *f, const void *a, const void *b)
{
	const char *at = CONST_AT(char, a, f->offset), *bt = CONST_AT(char, b, f->offset);

	switch (f->kind) {
	case CTX_TEXT:
		return texts_equal(*(char *const *)at, *(char *const *)bt);
	case CTX_MAC:
		return !strcmp(at, bt);
	case CTX_U32:
	case CTX_MODE:
		return *(const uint32_t *)at == *(const uint32_t *)bt;
	case CTX_SIZE:
	case CTX_TIME:
		return *(const uint64_t *)at == *(const uint64_t *)bt;
	case CTX_CHOICE:
		return *(const enum context_choice *)at == *(const enum context_choice *)bt;
	case CTX_METHOD:
		return *(const enum nic_method *)at == *(const enum nic_method *)bt;
	case CTX_LIST:
		return lists_equal((const struct strlist *)at, (const struct strlist *)bt);
	case CTX_BYTES:
		return context_field_given(f, a) == context_field_given(f, b) &&
		       bufs_equal((const struct buf *)at, (const struct buf *)bt);
	default:
		return true;
	}
}

/* 0 where there is neither a default route nor a lease that it could be of. */
static uint32_t effective_metric(const struct nic *n, bool ipv6)
{
	uint32_t metric = ipv6 && n->metric6 ? n->metric6 : n->metric;

	return (ipv6 ? n->gateway6 : n->gateway) || nic_effective_method(n, ipv6) == NIC_DHCP
		       ? metric
		       : 0;
}

/* The next address of that family from *i on, NULL behind the last one. */
static const char *next_address(const struct strlist *l, bool ipv6, size_t *i)
{
	for (; *i < l->n; (*i)++)
		if ((strchr(l->v[*i], ':') != NULL) == ipv6)
			return l->v[(*i)++];
	return NULL;
}

/* The order of addresses matters within a family alone. */
static bool same_addresses(const struct strlist *a, const struct strlist *b)
{
	if (a->n != b->n)
		return false;
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		size_t i = 0, k = 0;
		const char *x, *y;

		do {
			x = next_address(a, ipv6, &i);
			y = next_address(b, ipv6, &k);
			if (!texts_equal(x, y))
				return false;
		} while (x);
	}
	return true;
}

/* Members of a NIC that mean the same though they are not. */
static bool nic_means_same(const struct context_field *f, const struct nic *a, const struct nic *b)
{
	bool ipv6 = f->name[strlen(f->name) - 1] == '6';

	if (f->kind == CTX_METHOD)
		return nic_effective_method(a, ipv6) == nic_effective_method(b, ipv6);
	if (f->offset == offsetof(struct nic, metric) || f->offset == offsetof(struct nic, metric6))
		return effective_metric(a, ipv6) == effective_metric(b, ipv6);
	if (f->offset == offsetof(struct nic, addresses))
		return same_addresses(&a->addresses, &b->addresses);
	return false;
}

static int compare_table(struct comparison *c, const struct context_field *table, const void *a,
			 const void *b)
{
	char name[64];
	int rc = 0;

	for (const struct context_field *f = table; f->name && !rc; f++) {
		if (f->kind == CTX_STRUCTS) {
			rc = compare_structs(c, f, a, b);
		} else if (f->kind == CTX_STRUCT) {
			snprintf(name, sizeof(name), "%s.", f->name);
			rc = compare_inside(c, name, f->fields, CONST_AT(char, a, f->offset),
					    CONST_AT(char, b, f->offset));
		} else if (f->kind == CTX_PAIRS) {
			rc = compare_pairs(c, f->name,
					   *CONST_AT(struct context_pair *, a, f->offset),
					   *CONST_AT(size_t, a, f->offset_n),
					   *CONST_AT(struct context_pair *, b, f->offset),
					   *CONST_AT(size_t, b, f->offset_n));
		} else if (!scalars_equal(f, a, b) &&
			   !(table == nic_fields && nic_means_same(f, a, b))) {
			rc = tell(c, f->name, context_field_given(f, a), context_field_given(f, b));
		}
	}
	return rc;
}

int context_compare(const struct context *a, const struct context *b, context_diff_fn *fn,
		    void *arg)
{
	struct comparison c = {.fn = fn, .arg = arg};
	int rc = compare_table(&c, context_fields, a, b);

	buf_release(&c.path);
	return rc;
}
