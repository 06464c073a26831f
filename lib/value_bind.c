/* SPDX-License-Identifier: Apache-2.0 */
/* The strict binder from a map to a struct: see lib/value.h. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "lib/value.h"

void value_strings_release(struct value_strings *s)
{
	for (size_t i = 0; i < s->n_items; i++)
		free(s->items[i]);
	free(s->items);
	*s = (struct value_strings){0};
}

/* The distance of two words in single edits, at most `far`: for "did you mean". */
static unsigned edit_distance(const char *a, const char *b, unsigned far)
{
	unsigned row[33];
	size_t n = strlen(b), m = strlen(a);

	if (n >= ARRAY_SIZE(row) || m >= ARRAY_SIZE(row))
		return far;
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= m; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n; j++) {
			unsigned above = row[j];

			row[j] =
				MIN(MIN(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return MIN(row[n], far);
}

static int unknown_key(const struct value *v, const struct value_field *fields, struct err *e)
{
	const struct value_field *best = NULL;
	unsigned least = 3;

	for (const struct value_field *f = fields; f->key; f++) {
		unsigned d = edit_distance(v->key, f->key, least);

		if (d < least && d < strlen(f->key)) {
			least = d;
			best = f;
		}
	}
	if (best)
		return value_err(v, e, EBADMSG, "unknown key (did you mean '%s'?)", best->key);
	return value_err(v, e, EBADMSG, "unknown key");
}

/* A string's copy into *ret, which must not hold one yet. */
static int set_string(char **ret, const char *s, struct err *e)
{
	char *copy = strdup(s);

	if (!copy)
		return err_nomem(e);
	free(*ret);
	*ret = copy;
	return 0;
}

static bool has_range(const struct value_field *f)
{
	return f->min || f->max;
}

static int check_count(const struct value *v, const struct value_field *f, size_t n,
		       const char *unit, struct err *e)
{
	if (!has_range(f) || ((int64_t)n >= f->min && (int64_t)n <= f->max))
		return 0;
	if (f->min == 1 && n == 0)
		return value_err(v, e, ERANGE, "must not be empty");
	return value_err(v, e, ERANGE, "must have from %" PRId64 " to %" PRId64 " %s, not %zu",
			 f->min, f->max, unit, n);
}

static int bind_strings(const struct value *v, const struct value_field *f,
			struct value_strings *ret, struct err *e)
{
	int rc = value_expect(v, VALUE_LIST, e);

	if (rc == 0)
		rc = check_count(v, f, v->n_items, "members", e);
	if (rc < 0 || !v->n_items)
		return rc;
	value_strings_release(ret);
	ret->items = calloc(v->n_items, sizeof(*ret->items));
	if (!ret->items)
		return err_nomem(e);
	value_foreach (item, v) {
		const char *s;

		rc = value_string(item, &s, e);
		if (rc == 0)
			rc = set_string(&ret->items[ret->n_items], s, e);
		if (rc < 0)
			return rc;
		ret->n_items++;
	}
	return 0;
}

static int bind_enum(const struct value *v, const struct value_field *f, int *ret, struct err *e)
{
	AUTO_BUF all = BUF_INIT;
	const char *s;
	int rc = value_string(v, &s, e);

	if (rc < 0)
		return rc;
	for (int i = 0; f->names[i]; i++) {
		if (!strcmp(f->names[i], s)) {
			*ret = i;
			return 0;
		}
		if (buf_addf(&all, "%s%s", i ? ", " : "", f->names[i]) < 0)
			return err_nomem(e);
	}
	return value_err(v, e, EBADMSG, "must be one of: %s", buf_str(&all));
}

static int bind_number(const struct value *v, const struct value_field *f, void *at, struct err *e)
{
	int64_t min = has_range(f) ? f->min : f->type == FIELD_I64 ? INT64_MIN : 0;
	int64_t max = has_range(f) ? f->max : f->type == FIELD_UNSIGNED ? UINT_MAX : INT64_MAX;
	int64_t n;
	int rc = value_i64(v, min, max, &n, e);

	if (rc < 0)
		return rc;
	if (f->type == FIELD_I64)
		*(int64_t *)at = n;
	else if (f->type == FIELD_U64)
		*(uint64_t *)at = (uint64_t)n;
	else
		*(unsigned *)at = (unsigned)n;
	return 0;
}

static int bind_size(const struct value *v, const struct value_field *f, uint64_t *ret,
		     struct err *e)
{
	uint64_t n;
	int rc = value_size(v, &n, e);

	if (rc < 0)
		return rc;
	if (has_range(f) && (n < (uint64_t)f->min || n > (uint64_t)f->max))
		return value_err(v, e, ERANGE, "must be from %" PRId64 " to %" PRId64 " bytes",
				 f->min, f->max);
	*ret = n;
	return 0;
}

static int bind_text(const struct value *v, const struct value_field *f, char **ret, struct err *e)
{
	const char *s;
	int rc = f->type == FIELD_TEXT ? value_text(v, &s, e) : value_string(v, &s, e);

	if (rc == 0)
		rc = check_count(v, f, strlen(s), "bytes", e);
	return rc < 0 ? rc : set_string(ret, s, e);
}

static int bind_bytes(const struct value *v, const struct value_field *f, struct buf *ret,
		      struct err *e)
{
	const void *data;
	size_t len;
	int rc = value_bytes(v, &data, &len, e);

	if (rc == 0)
		rc = check_count(v, f, len, "bytes", e);
	if (rc < 0)
		return rc;
	buf_clear(ret);
	return buf_add(ret, data, len) < 0 ? err_nomem(e) : 0;
}

static int bind_field(const struct value *v, const struct value_field *f, void *object,
		      struct err *e)
{
	void *at = (char *)object + f->offset;

	switch (f->type) {
	case FIELD_BOOL:
		return value_bool(v, at, e);
	case FIELD_I64:
	case FIELD_U64:
	case FIELD_UNSIGNED:
		return bind_number(v, f, at, e);
	case FIELD_SIZE:
		return bind_size(v, f, at, e);
	case FIELD_STRING:
	case FIELD_TEXT:
		return bind_text(v, f, at, e);
	case FIELD_BYTES:
		return bind_bytes(v, f, at, e);
	case FIELD_STRINGS:
		return bind_strings(v, f, at, e);
	case FIELD_ENUM:
		return bind_enum(v, f, at, e);
	case FIELD_MAP:
		return value_bind(v, f->fields, at, e);
	case FIELD_VALUE:
		*(const struct value **)at = v;
		return 0;
	case FIELD_CUSTOM:
		return f->handler(v, object, e);
	}
	return err_set(e, EINVAL, "the table's row '%s' has no type", f->key);
}

int value_bind_all(const struct value *map, const struct value_field *fields, void *object,
		   value_report_fn *report, void *arg)
{
	struct err e = {0};
	int first = value_expect(map, VALUE_MAP, &e);

	if (first < 0) {
		report(arg, &e);
		return first;
	}
	value_foreach (item, map) {
		const struct value_field *f = fields;
		int rc;

		while (f->key && strcmp(f->key, item->key) != 0)
			f++;
		rc = f->key ? bind_field(item, f, object, &e) : unknown_key(item, fields, &e);
		if (rc < 0) {
			report(arg, &e);
			first = first ? first : rc;
		}
	}
	for (const struct value_field *f = fields; f->key; f++) {
		if (!f->required || value_get(map, f->key))
			continue;
		value_err(map, &e, EBADMSG, "the key '%s' is missing", f->key);
		report(arg, &e);
		first = first ? first : -EBADMSG;
	}
	return first;
}

int value_bind(const struct value *map, const struct value_field *fields, void *object,
	       struct err *e)
{
	int rc = value_expect(map, VALUE_MAP, e);

	if (rc < 0)
		return rc;
	value_foreach (item, map) {
		const struct value_field *f = fields;

		while (f->key && strcmp(f->key, item->key) != 0)
			f++;
		rc = f->key ? bind_field(item, f, object, e) : unknown_key(item, fields, e);
		if (rc < 0)
			return rc;
	}
	for (const struct value_field *f = fields; f->key; f++) {
		if (f->required && !value_get(map, f->key))
			return value_err(map, e, EBADMSG, "the key '%s' is missing", f->key);
	}
	return 0;
}
