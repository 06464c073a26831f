/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON by jansson into a value tree: see lib/json.h.
 *
 * jansson keeps no places, but it keeps the order of members and accepts nothing but JSON: so the
 * text, once accepted, is walked again beside jansson's tree to give each value its line, its
 * column and its number as written.
 */
#include "lib/json.h"

#include <jansson.h>
#include <limits.h>

/* Where the walk beside the tree is. */
struct walk {
	const char *p, *end;
	const char *line_start;
	const char *counted; /* column is that of this place */
	unsigned line, column;
	struct value_doc *doc;
};

/* ---- before jansson: bounds ----------------------------------------------------------------- */

/*
 * jansson builds everything before it can be counted, at some 100 bytes a value; so count first.
 * Every value but the outermost stands behind '[', '{' or ',' (with a key between) outside strings;
 * an empty container makes the count one too high, which the factor 2 allows for.
 */
static int check_bounds(const char *name, const char *p, size_t len, const struct value_limits *max,
			struct err *e)
{
	const char *end = p + len;
	size_t values = 1;
	unsigned depth = 0;
	bool in_string = false;

	if (len > max->bytes)
		return err_set(e, EFBIG, "%s: more than %zu bytes", name, max->bytes);
	for (; p < end; p++) {
		if (in_string) {
			if (*p == '\\' && p + 1 < end)
				p++;
			else if (*p == '"')
				in_string = false;
			continue;
		}
		in_string = *p == '"';
		if (*p == '[' || *p == '{')
			depth++;
		if ((*p == ']' || *p == '}') && depth)
			depth--;
		values += *p == '[' || *p == '{' || *p == ',';
		if (depth > max->depth)
			return err_set(e, EFBIG, "%s: nested more than %u levels deep", name,
				       max->depth);
		if (values / 2 > max->nodes)
			return err_set(e, EFBIG, "%s: more than %zu values", name, max->nodes);
	}
	return 0;
}

/* ---- after jansson: the walk ---------------------------------------------------------------- */

/* To the first character of the next key or value, over blanks, ',' and ':'. */
static void skip_to_token(struct walk *w)
{
	for (; w->p < w->end; w->p++) {
		if (*w->p == '\n') {
			w->line++;
			w->line_start = w->p + 1;
		} else if (!strchr(" \t\r,:", *w->p)) {
			return;
		}
	}
}

/* Over a string, a number or a word; a bracket is one character. */
static void skip_token(struct walk *w)
{
	if (w->p >= w->end)
		return;
	if (*w->p == '"') {
		for (w->p++; w->p < w->end && *w->p != '"'; w->p++)
			w->p += *w->p == '\\';
		w->p++;
	} else if (strchr("[]{}", *w->p)) {
		w->p++;
	} else {
		while (w->p < w->end && !strchr(" \t\r\n,:]}", *w->p))
			w->p++;
	}
}

/* In characters, as editors count; counts on from where it was asked last. */
static unsigned walk_column(struct walk *w)
{
	if (w->counted < w->line_start) {
		w->counted = w->line_start;
		w->column = 1;
	}
	for (; w->counted < w->p; w->counted++)
		w->column += ((unsigned char)*w->counted & 0xc0) != 0x80;
	return w->column;
}

static int set_scalar(struct value *v, const json_t *j, const char *text, size_t len, struct err *e)
{
	switch (json_typeof(j)) {
	case JSON_STRING:
		return value_set_text(v, json_string_value(j), json_string_length(j), e);
	case JSON_INTEGER:
		v->integer = json_integer_value(j);
		v->real = (double)v->integer;
		break;
	case JSON_REAL:
		v->real = json_real_value(j);
		break;
	case JSON_TRUE:
		v->boolean = true;
		break;
	default:
		break;
	}
	return value_set_text(v, text, len, e);
}

static int convert(struct walk *w, json_t *j, struct value *parent, const char *key, struct err *e);

static int convert_members(struct walk *w, json_t *j, struct value *v, struct err *e)
{
	const char *key;
	json_t *member;
	size_t i;
	int rc;

	skip_token(w);
	if (json_is_array(j)) {
		json_array_foreach(j, i, member)
		{
			rc = convert(w, member, v, NULL, e);
			if (rc < 0)
				return rc;
		}
	} else {
		json_object_foreach(j, key, member)
		{
			rc = convert(w, member, v, key, e);
			if (rc < 0)
				return rc;
		}
	}
	skip_to_token(w);
	skip_token(w);
	return value_close(v, e);
}

/* Bounded recursion: check_bounds has looked at the depth. */
static int convert(struct walk *w, json_t *j, struct value *parent, const char *key, struct err *e)
{
	static const enum value_kind kinds[] = {
		[JSON_OBJECT] = VALUE_MAP,  [JSON_ARRAY] = VALUE_LIST, [JSON_STRING] = VALUE_STRING,
		[JSON_INTEGER] = VALUE_INT, [JSON_REAL] = VALUE_REAL,  [JSON_TRUE] = VALUE_BOOL,
		[JSON_FALSE] = VALUE_BOOL,  [JSON_NULL] = VALUE_NULL,
	};
	unsigned line, column;
	const char *text;
	struct value *v;
	int rc;

	skip_to_token(w);
	line = w->line;
	column = walk_column(w);
	if (key) {
		skip_token(w);
		skip_to_token(w);
	}
	rc = value_new(w->doc, parent, key, key ? strlen(key) : 0, kinds[json_typeof(j)], line,
		       column, &v, e);
	if (rc < 0)
		return rc;
	if (json_is_array(j) || json_is_object(j))
		return convert_members(w, j, v, e);
	text = w->p;
	skip_token(w);
	return set_scalar(v, j, text, (size_t)(w->p - text), e);
}

static void free_json(json_t *j)
{
	json_decref(j);
}
DEFINE_AUTO(json_t *, free_json);

int json_parse(const char *name, const void *data, size_t len, const struct value_limits *limits,
	       struct value **ret, struct err *e)
{
	struct value_limits max = value_limits_or_default(limits);
	AUTO(value_doc_free) struct value_doc *doc = NULL;
	AUTO(free_json) json_t *j = NULL;
	json_error_t error;
	struct walk w;
	int rc;

	data = data ? data : "";
	max.depth = MIN(max.depth, JSON_PARSER_MAX_DEPTH);
	rc = check_bounds(name, data, len, &max, e);
	if (rc < 0)
		return rc;
	rc = value_doc_new(name, &max, &doc, e);
	if (rc < 0)
		return rc;
	j = json_loadb(data, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!j && json_error_code(&error) == json_error_out_of_memory)
		return err_nomem(e);
	if (!j)
		return value_doc_err(doc, error.line > 0 ? (unsigned)error.line : 0,
				     error.column > 0 ? (unsigned)error.column : 0, e, EBADMSG,
				     "%s", error.text);
	w = (struct walk){.p = data, .end = (const char *)data + len, .line = 1, .column = 1};
	w.line_start = w.counted = data;
	w.doc = doc;
	rc = convert(&w, j, NULL, NULL, e);
	if (rc == 0)
		*ret = value_doc_take_root(&doc);
	return rc;
}
