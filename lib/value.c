/* SPDX-License-Identifier: Apache-2.0 */
/* The tree that YAML and JSON parse into: building, look-ups, typed getters. See lib/value.h. */
#include "lib/value.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/str.h"

#define DEFAULT_BYTES (8u << 20)
#define DEFAULT_DEPTH 64
#define DEFAULT_NODES 200000

struct value_doc {
	char *name;
	struct value_limits limits;
	size_t nodes;
	struct value *root;
	struct value *all; /* every node, the latest first */
};

struct value_limits value_limits_or_default(const struct value_limits *limits)
{
	struct value_limits l = limits ? *limits : (struct value_limits){0};

	if (!l.bytes)
		l.bytes = DEFAULT_BYTES;
	if (!l.depth)
		l.depth = DEFAULT_DEPTH;
	if (!l.nodes)
		l.nodes = DEFAULT_NODES;
	return l;
}

/* ---- building ------------------------------------------------------------------------------- */

int value_doc_new(const char *name, const struct value_limits *limits, struct value_doc **ret,
		  struct err *e)
{
	struct value_doc *doc = calloc(1, sizeof(*doc));

	if (!doc)
		return err_nomem(e);
	doc->name = strdup(name);
	if (!doc->name) {
		free(doc);
		return err_nomem(e);
	}
	doc->limits = value_limits_or_default(limits);
	*ret = doc;
	return 0;
}

void value_doc_free(struct value_doc *doc)
{
	struct value *v, *before;

	if (!doc)
		return;
	for (v = doc->all; v; v = before) {
		before = v->all;
		free(v->items);
		free(v->sorted);
		free((char *)v->text);
		free((char *)v->key);
		free(v);
	}
	free(doc->name);
	free(doc);
}

void value_free(struct value *root)
{
	if (root)
		value_doc_free(root->doc);
}

struct value *value_doc_take_root(struct value_doc **doc)
{
	struct value *root = (*doc)->root;

	if (root)
		*doc = NULL;
	return root;
}

int value_doc_err(const struct value_doc *doc, unsigned line, unsigned column, struct err *e,
		  int code, const char *fmt, ...)
{
	char text[sizeof(e->msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (line)
		return err_set(e, code, "%s:%u:%u: %s", doc->name, line, column, text);
	return err_set(e, code, "%s: %s", doc->name, text);
}

/* Makes room for one more member. */
static int grow_items(struct value *parent)
{
	size_t cap = parent->items_cap ? parent->items_cap * 2 : 4;
	struct value **items;

	if (parent->n_items < parent->items_cap)
		return 0;
	items = reallocarray(parent->items, cap, sizeof(struct value *));
	if (!items)
		return -ENOMEM;
	parent->items = items;
	parent->items_cap = cap;
	return 0;
}

static char *copy_bytes(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy) {
		if (len)
			memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

int value_new(struct value_doc *doc, struct value *parent, const char *key, size_t key_len,
	      enum value_kind kind, unsigned line, unsigned column, struct value **ret,
	      struct err *e)
{
	bool nested = kind == VALUE_LIST || kind == VALUE_MAP;
	unsigned depth = (parent ? parent->depth : 0) + nested;
	struct value *v;

	if (doc->nodes >= doc->limits.nodes)
		return value_doc_err(doc, line, column, e, EFBIG, "more than %zu values",
				     doc->limits.nodes);
	if (depth > doc->limits.depth)
		return value_doc_err(doc, line, column, e, EFBIG, "nested more than %u levels deep",
				     doc->limits.depth);
	if (key && memchr(key, '\0', key_len))
		return value_doc_err(doc, line, column, e, EBADMSG, "a key holds a NUL character");
	v = calloc(1, sizeof(*v));
	if (!v || (parent && grow_items(parent) < 0) ||
	    (key && !(v->key = copy_bytes(key, key_len)))) {
		free(v);
		return err_nomem(e);
	}
	v->kind = kind;
	v->line = line;
	v->column = column;
	v->depth = depth;
	v->parent = parent;
	v->doc = doc;
	v->all = doc->all;
	doc->all = v;
	doc->nodes++;
	if (parent) {
		v->index = parent->n_items;
		parent->items[parent->n_items++] = v;
	} else {
		doc->root = v;
	}
	*ret = v;
	return 0;
}

int value_set_text(struct value *v, const char *text, size_t len, struct err *e)
{
	char *copy = copy_bytes(text, len);

	if (!copy)
		return err_nomem(e);
	free((char *)v->text);
	v->text = copy;
	v->text_len = len;
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct value *x = *(struct value *const *)a, *y = *(struct value *const *)b;
	int order = strcmp(x->key, y->key);

	return order ? order : (x->index > y->index) - (x->index < y->index);
}

int value_close(struct value *v, struct err *e)
{
	if (v->kind != VALUE_MAP || !v->n_items)
		return 0;
	v->sorted = reallocarray(NULL, v->n_items, sizeof(struct value *));
	if (!v->sorted)
		return err_nomem(e);
	memcpy(v->sorted, v->items, v->n_items * sizeof(struct value *));
	qsort(v->sorted, v->n_items, sizeof(struct value *), by_key);
	for (size_t i = 1; i < v->n_items; i++) {
		if (!strcmp(v->sorted[i - 1]->key, v->sorted[i]->key))
			return value_err(v->sorted[i], e, EBADMSG, "the key is there twice");
	}
	return 0;
}

/* ---- look-ups ------------------------------------------------------------------------------- */

const char *value_kind_name(enum value_kind kind)
{
	static const char *const names[] = {
		[VALUE_NULL] = "nothing",    [VALUE_BOOL] = "a boolean",
		[VALUE_INT] = "a number",    [VALUE_REAL] = "a real number",
		[VALUE_STRING] = "a string", [VALUE_LIST] = "a list",
		[VALUE_MAP] = "a map",
	};

	return names[kind];
}

static int key_against(const void *key, const void *member)
{
	return strcmp(key, (*(struct value *const *)member)->key);
}

const struct value *value_get(const struct value *v, const char *key)
{
	struct value **found;

	if (!v || v->kind != VALUE_MAP || !v->sorted)
		return NULL;
	found = bsearch(key, v->sorted, v->n_items, sizeof(struct value *), key_against);
	return found ? *found : NULL;
}

const struct value *value_at(const struct value *v, size_t i)
{
	return v && i < v->n_items ? v->items[i] : NULL;
}

const struct value *value_next(const struct value *v)
{
	return v && v->parent ? value_at(v->parent, v->index + 1) : NULL;
}

const struct value *value_path(const struct value *v, const char *path)
{
	while (v && *path) {
		size_t len = strcspn(path, "/");
		char step[256];
		uint64_t i;

		if (len >= sizeof(step))
			return NULL;
		memcpy(step, path, len);
		step[len] = '\0';
		if (v->kind == VALUE_LIST)
			v = str_to_u64(step, 0, SIZE_MAX, &i, NULL) == 0 ? value_at(v, i) : NULL;
		else
			v = value_get(v, step);
		path += len + (path[len] == '/');
	}
	return v;
}

/* ---- messages ------------------------------------------------------------------------------- */

/* "nics[0].mac" into the end of buf; where it does not fit, "..." and its last steps. */
static const char *path_text(const struct value *v, char *buf, size_t cap)
{
	size_t at = cap - 1;
	char step[300];

	buf[at] = '\0';
	for (; v->parent; v = v->parent) {
		size_t len;

		if (v->key)
			snprintf(step, sizeof(step), "%s%s", v->parent->parent ? "." : "", v->key);
		else
			snprintf(step, sizeof(step), "[%zu]", v->index);
		len = strlen(step);
		if (len + 3 > at) {
			at -= 3;
			memcpy(buf + at, "...", 3);
			break;
		}
		at -= len;
		memcpy(buf + at, step, len);
	}
	return buf + at;
}

int value_err(const struct value *v, struct err *e, int code, const char *fmt, ...)
{
	char text[sizeof(e->msg)];
	char path[400];
	const char *at;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	at = path_text(v, path, sizeof(path));
	if (!*at)
		return value_doc_err(v->doc, v->line, v->column, e, code, "%s", text);
	return value_doc_err(v->doc, v->line, v->column, e, code, "'%s': %s", at, text);
}

/* ---- typed getters -------------------------------------------------------------------------- */

int value_expect(const struct value *v, enum value_kind kind, struct err *e)
{
	if (v->kind == kind)
		return 0;
	if (kind == VALUE_STRING && v->text && v->kind != VALUE_NULL)
		return value_err(v, e, EBADMSG, "must be a string, not %s (put it in quotes)",
				 value_kind_name(v->kind));
	return value_err(v, e, EBADMSG, "must be %s, not %s", value_kind_name(kind),
			 value_kind_name(v->kind));
}

int value_bytes(const struct value *v, const void **ret, size_t *ret_len, struct err *e)
{
	int rc = value_expect(v, VALUE_STRING, e);

	if (rc < 0)
		return rc;
	*ret = v->text;
	*ret_len = v->text_len;
	return 0;
}

static int check_no_nul(const struct value *v, struct err *e)
{
	if (memchr(v->text, '\0', v->text_len))
		return value_err(v, e, EBADMSG, "must not hold a NUL character");
	return 0;
}

int value_string(const struct value *v, const char **ret, struct err *e)
{
	int rc = value_expect(v, VALUE_STRING, e);

	if (rc == 0)
		rc = check_no_nul(v, e);
	if (rc == 0)
		*ret = v->text;
	return rc;
}

int value_text(const struct value *v, const char **ret, struct err *e)
{
	int rc;

	if (!v->text || v->kind == VALUE_NULL)
		return value_expect(v, VALUE_STRING, e);
	rc = check_no_nul(v, e);
	if (rc == 0)
		*ret = v->text;
	return rc;
}

const char *value_text_of(const struct value *v)
{
	const char *s = NULL;

	return v && !value_text(v, &s, NULL) ? s : NULL;
}

int value_bool(const struct value *v, bool *ret, struct err *e)
{
	if (v->kind != VALUE_BOOL)
		return value_err(v, e, EBADMSG, "must be true or false, not %s",
				 value_kind_name(v->kind));
	*ret = v->boolean;
	return 0;
}

int value_i64(const struct value *v, int64_t min, int64_t max, int64_t *ret, struct err *e)
{
	if (v->kind != VALUE_INT)
		return value_err(v, e, EBADMSG, "must be a whole number, not %s",
				 value_kind_name(v->kind));
	if (v->integer < min || v->integer > max)
		return value_err(v, e, ERANGE, "must be from %" PRId64 " to %" PRId64, min, max);
	*ret = v->integer;
	return 0;
}

int value_u64(const struct value *v, uint64_t min, uint64_t max, uint64_t *ret, struct err *e)
{
	if (v->kind != VALUE_INT)
		return value_err(v, e, EBADMSG, "must be a whole number, not %s",
				 value_kind_name(v->kind));
	if (v->integer < 0 || (uint64_t)v->integer < min || (uint64_t)v->integer > max)
		return value_err(v, e, ERANGE, "must be from %" PRIu64 " to %" PRIu64, min, max);
	*ret = (uint64_t)v->integer;
	return 0;
}

int value_size(const struct value *v, uint64_t *ret, struct err *e)
{
	struct err inner;
	int rc;

	if (v->kind == VALUE_INT)
		return value_u64(v, 0, INT64_MAX, ret, e);
	if (v->kind != VALUE_STRING || memchr(v->text, 0, v->text_len))
		return value_err(v, e, EBADMSG, "must be a size such as 4096, 512M or 10G, not %s",
				 value_kind_name(v->kind));
	rc = str_to_size(v->text, ret, &inner);
	return rc < 0 ? value_err(v, e, -rc, "%s", inner.msg) : 0;
}
