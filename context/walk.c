/* SPDX-License-Identifier: Apache-2.0 */
/* What treats all members of the model alike, by their rows: see context/fields.h. */
#include "context/fields.h"

#include <stdio.h>

#define AT(type, object, at) ((type *)((char *)(object) + (at)))
#define CONST_AT(type, object, at) ((const type *)((const char *)(object) + (at)))

/* ---- memory ---------------------------------------------------------------------------------- */

static void pairs_free(struct context_pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(pairs[i].key);
		free(pairs[i].value);
	}
	free(pairs);
}

/* Of an array: its members' memory, and its own. */
static void release_array(const struct context_field *f, void *object)
{
	void **v = AT(void *, object, f->offset);
	size_t *n = AT(size_t, object, f->offset_n);

	if (f->kind == CTX_PAIRS)
		pairs_free(*v, *n);
	for (size_t i = 0; f->kind == CTX_STRUCTS && i < *n; i++)
		context_fields_release(f->fields, (char *)*v + i * f->size);
	if (f->kind == CTX_STRUCTS)
		free(*v);
	*v = NULL;
	*n = 0;
}

static void release_field(const struct context_field *f, void *object)
{
	switch (f->kind) {
	case CTX_TEXT:
		free(*AT(char *, object, f->offset));
		*AT(char *, object, f->offset) = NULL;
		break;
	case CTX_MAC:
		*AT(char, object, f->offset) = '\0';
		break;
	case CTX_U32:
	case CTX_MODE:
		*AT(uint32_t, object, f->offset) = 0;
		break;
	case CTX_SIZE:
	case CTX_TIME:
		*AT(uint64_t, object, f->offset) = 0;
		break;
	case CTX_CHOICE:
		*AT(enum context_choice, object, f->offset) = CHOICE_OPEN;
		break;
	case CTX_METHOD:
		*AT(enum nic_method, object, f->offset) = NIC_STATIC;
		break;
	case CTX_LIST:
		strlist_release(AT(struct strlist, object, f->offset));
		break;
	case CTX_BYTES:
		buf_release(AT(struct buf, object, f->offset));
		if (f->offset_n)
			*AT(bool, object, f->offset_n) = false;
		break;
	case CTX_STRUCT:
		context_fields_release(f->fields, AT(char, object, f->offset));
		break;
	case CTX_PAIRS:
	case CTX_STRUCTS:
		release_array(f, object);
		break;
	case CTX_END:
		break;
	}
}

void context_fields_release(const struct context_field *table, void *object)
{
	for (const struct context_field *f = table; f->name; f++)
		release_field(f, object);
}

void *context_field_append(const struct context_field *f, void *object)
{
	char **v = AT(char *, object, f->offset);
	size_t *n = AT(size_t, object, f->offset_n);
	char *grown = reallocarray(*v, *n + 1, f->size);

	if (!grown)
		return NULL;
	*v = grown;
	memset(grown + *n * f->size, 0, f->size);
	return grown + (*n)++ * f->size;
}

static bool struct_given(const struct context_field *table, const void *object)
{
	for (const struct context_field *f = table; f->name; f++)
		if (context_field_given(f, object))
			return true;
	return false;
}

bool context_field_given(const struct context_field *f, const void *object)
{
	const char *at = CONST_AT(char, object, f->offset);

	switch (f->kind) {
	case CTX_TEXT:
		return *(char *const *)at;
	case CTX_MAC:
		return *at;
	case CTX_U32:
	case CTX_MODE:
		return *(const uint32_t *)at;
	case CTX_SIZE:
	case CTX_TIME:
		return *(const uint64_t *)at;
	case CTX_CHOICE:
		return *(const enum context_choice *)at != CHOICE_OPEN;
	case CTX_METHOD:
		return true;
	case CTX_LIST:
		return ((const struct strlist *)at)->n;
	case CTX_BYTES:
		return f->offset_n ? *CONST_AT(bool, object, f->offset_n)
				   : ((const struct buf *)at)->len;
	case CTX_PAIRS:
	case CTX_STRUCTS:
		return *CONST_AT(size_t, object, f->offset_n);
	case CTX_STRUCT:
		return struct_given(f->fields, at);
	case CTX_END:
		break;
	}
	return false;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static int check_list(const struct context_field *f, const struct strlist *l, struct err *e)
{
	for (size_t i = 0; i < l->n && f->check; i++)
		if (f->check(l->v[i], e))
			return err_wrap(e, "%s[%zu]", f->name, i);
	return 0;
}

static int check_pairs(const struct context_field *f, const struct context_pair *p, size_t n,
		       struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if ((f->check_key && f->check_key(p[i].key, e)) ||
		    (f->check && f->check(p[i].value, e)))
			return err_wrap(e, "%s[%zu]", f->name, i);
	return 0;
}

static int check_mac(const char *s, struct err *e)
{
	char mac[18];

	if (*s && (context_parse_mac(s, mac, e) || strcmp(mac, s)))
		return err_set(e, EBADMSG, "is not a MAC address in lower case");
	return 0;
}

static int check_number(const struct context_field *f, uint64_t n, struct err *e)
{
	if (n && f->max && (n < f->min || n > f->max))
		return err_set(e, EBADMSG, "%s: is not in %llu to %llu", f->name,
			       (unsigned long long)f->min, (unsigned long long)f->max);
	return 0;
}

static int check_field(const struct context_field *f, const void *object, struct err *e)
{
	const char *at = CONST_AT(char, object, f->offset);
	const char *text;

	switch (f->kind) {
	case CTX_TEXT:
		text = *(char *const *)at;
		if (!text && f->required)
			return err_set(e, EBADMSG, "%s: is missing", f->name);
		return text && f->check && f->check(text, e) ? err_wrap(e, "%s", f->name) : 0;
	case CTX_MAC:
		return check_mac(at, e) ? err_wrap(e, "%s", f->name) : 0;
	case CTX_U32:
	case CTX_MODE:
		return check_number(f, *(const uint32_t *)at, e);
	case CTX_SIZE:
		return check_number(f, *(const uint64_t *)at, e);
	case CTX_LIST:
		return check_list(f, (const struct strlist *)at, e);
	case CTX_PAIRS:
		return check_pairs(f, *(struct context_pair *const *)at,
				   *CONST_AT(size_t, object, f->offset_n), e);
	case CTX_STRUCT:
		return context_fields_check(f->fields, at, e) ? err_wrap(e, "%s", f->name) : 0;
	case CTX_STRUCTS:
		for (size_t i = 0; i < *CONST_AT(size_t, object, f->offset_n); i++)
			if (context_fields_check(f->fields, *(char *const *)at + i * f->size, e))
				return err_wrap(e, "%s[%zu]", f->name, i);
		return 0;
	default:
		return 0;
	}
}

int context_fields_check(const struct context_field *table, const void *object, struct err *e)
{
	for (const struct context_field *f = table; f->name; f++)
		if (check_field(f, object, e))
			return -EBADMSG;
	return 0;
}

/* ---- comparison ------------------------------------------------------------------------------ */

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
