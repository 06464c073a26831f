/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML by libyaml's event parser: see lib/yaml.h.
 *
 * libyaml follows YAML 1.1 in its syntax; what differs from 1.2 in a way that changes bytes
 * (U+0085, U+2028 and U+2029 as line breaks) is refused. Scalars are resolved here, by YAML 1.2,
 * section 10.3.2.
 */
#include "lib/yaml.h"

#include <math.h>
#include <yaml.h>

#include "lib/fs.h"
#include "lib/str.h"

#define TAG_PREFIX "tag:yaml.org,2002:"

struct loader {
	yaml_parser_t parser;
	struct value_doc *doc;
	struct value *open; /* the innermost list or map, NULL outside */
	struct buf key;     /* of the map member whose value comes next */
	bool has_key;
	unsigned key_line, key_column;
	bool seen_document;
};

static void loader_release(struct loader *l)
{
	yaml_parser_delete(&l->parser);
	value_doc_free(l->doc);
	buf_release(&l->key);
}
DEFINE_AUTO_STRUCT(struct loader, loader_release);

static unsigned mark_line(const yaml_event_t *ev)
{
	return (unsigned)ev->start_mark.line + 1;
}

static unsigned mark_column(const yaml_event_t *ev)
{
	return (unsigned)ev->start_mark.column + 1;
}

#define EVENT_ERR(l, ev, e, code, ...)                                                             \
	value_doc_err((l)->doc, mark_line(ev), mark_column(ev), (e), (code), __VA_ARGS__)

/* ---- scalars -------------------------------------------------------------------------------- */

static bool one_of(const char *s, const char *const *words)
{
	while (*words && strcmp(s, *words) != 0)
		words++;
	return *words;
}

static size_t digits(const char *s)
{
	return strspn(s, "0123456789");
}

/* [-+]?[0-9]+ | 0o[0-7]+ | 0x[0-9a-fA-F]+ : the base, 0 if s is no integer. */
static int integer_base(const char *s)
{
	if (s[0] == '0' && s[1] == 'o' && s[2])
		return s[2 + strspn(s + 2, "01234567")] ? 0 : 8;
	if (s[0] == '0' && s[1] == 'x' && s[2])
		return s[2 + strspn(s + 2, "0123456789abcdefABCDEF")] ? 0 : 16;
	s += *s == '-' || *s == '+';
	return *s && !s[digits(s)] ? 10 : 0;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_real(const char *s)
{
	size_t n;

	s += *s == '-' || *s == '+';
	n = digits(s);
	s += n;
	if (*s == '.') {
		size_t fraction = digits(s + 1);

		if (!n && !fraction)
			return false;
		s += 1 + fraction;
	} else if (!n) {
		return false;
	}
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		n = digits(s);
		if (!n)
			return false;
		s += n;
	}
	return !*s;
}

static bool special_real(const char *s, double *ret)
{
	static const char *const infinite[] = {".inf", ".Inf", ".INF", NULL};
	static const char *const no_number[] = {".nan", ".NaN", ".NAN", NULL};
	bool negative = *s == '-';

	if (one_of(s, no_number)) {
		*ret = NAN;
		return true;
	}
	if (one_of(s + (*s == '-' || *s == '+'), infinite)) {
		*ret = negative ? -INFINITY : INFINITY;
		return true;
	}
	return false;
}

/* Sets kind and number of a scalar by its text, as an untagged plain scalar is read. */
static int resolve_plain(struct value *v, struct err *e)
{
	static const char *const nothing[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const yes[] = {"true", "True", "TRUE", NULL};
	static const char *const no[] = {"false", "False", "FALSE", NULL};
	const char *s = v->text;
	int base = integer_base(s);

	if (one_of(s, nothing)) {
		v->kind = VALUE_NULL;
	} else if (one_of(s, yes) || one_of(s, no)) {
		v->kind = VALUE_BOOL;
		v->boolean = one_of(s, yes);
	} else if (base) {
		errno = 0;
		v->integer = strtoll(base == 10 ? s : s + 2, NULL, base);
		if (errno)
			return value_err(v, e, ERANGE,
					 "the number does not fit 64 bits (a name goes in quotes)");
		v->real = (double)v->integer;
		v->kind = VALUE_INT;
	} else if (special_real(s, &v->real)) {
		v->kind = VALUE_REAL;
	} else if (is_real(s)) {
		v->real = strtod(s, NULL);
		if (isinf(v->real))
			return value_err(v, e, ERANGE, "the number is too large");
		v->kind = VALUE_REAL;
	}
	return 0;
}

/* !!int and the like: the text must read as that kind. */
static int resolve_as(struct value *v, enum value_kind kind, struct err *e)
{
	int rc = resolve_plain(v, e);

	if (rc < 0)
		return rc;
	if (kind == VALUE_REAL && v->kind == VALUE_INT)
		v->kind = VALUE_REAL;
	if (v->kind != kind)
		return value_err(v, e, EBADMSG, "the tag says %s, the text does not",
				 value_kind_name(kind));
	return 0;
}

static int decode_binary(struct value *v, struct err *e)
{
	AUTO_BUF bytes = BUF_INIT;
	struct err inner;
	int rc = base64_decode(v->text, v->text_len, &bytes, &inner);

	if (rc < 0)
		return value_err(v, e, -rc, "!!binary: %s", inner.msg);
	return value_set_text(v, buf_str(&bytes), bytes.len, e);
}

static int resolve_tagged(struct loader *l, const yaml_event_t *ev, struct value *v, struct err *e)
{
	const char *tag = (const char *)ev->data.scalar.tag;
	const char *core = str_has_prefix(tag, TAG_PREFIX) ? tag + strlen(TAG_PREFIX) : NULL;

	if (!strcmp(tag, "!") || (core && !strcmp(core, "str")))
		return 0;
	if (core && !strcmp(core, "int"))
		return resolve_as(v, VALUE_INT, e);
	if (core && !strcmp(core, "float"))
		return resolve_as(v, VALUE_REAL, e);
	if (core && !strcmp(core, "bool"))
		return resolve_as(v, VALUE_BOOL, e);
	if (core && !strcmp(core, "null"))
		return resolve_as(v, VALUE_NULL, e);
	if (core && !strcmp(core, "binary"))
		return decode_binary(v, e);
	return EVENT_ERR(l, ev, e, ENOTSUP, "the tag '%.64s' is not supported here", tag);
}

/* ---- events --------------------------------------------------------------------------------- */

static bool wants_key(const struct loader *l)
{
	return l->open && l->open->kind == VALUE_MAP && !l->has_key;
}

static int add_node(struct loader *l, const yaml_event_t *ev, enum value_kind kind,
		    struct value **ret, struct err *e)
{
	bool keyed = l->has_key;

	l->has_key = false;
	return value_new(l->doc, l->open, keyed ? buf_str(&l->key) : NULL, l->key.len, kind,
			 keyed ? l->key_line : mark_line(ev),
			 keyed ? l->key_column : mark_column(ev), ret, e);
}

static int on_key(struct loader *l, const yaml_event_t *ev, struct err *e)
{
	const char *text = (const char *)ev->data.scalar.value;
	const char *tag = (const char *)ev->data.scalar.tag;

	if (tag && strcmp(tag, "!") != 0 && strcmp(tag, TAG_PREFIX "str") != 0)
		return EVENT_ERR(l, ev, e, ENOTSUP, "a key must not have the tag '%.64s'", tag);
	if (!strcmp(text, "<<") && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		return EVENT_ERR(l, ev, e, ENOTSUP, "merge keys (<<) are not supported");
	buf_clear(&l->key);
	if (buf_add(&l->key, text, ev->data.scalar.length) < 0)
		return err_nomem(e);
	l->has_key = true;
	l->key_line = mark_line(ev);
	l->key_column = mark_column(ev);
	return 0;
}

static int on_scalar(struct loader *l, const yaml_event_t *ev, struct err *e)
{
	const char *text = (const char *)ev->data.scalar.value;
	struct value *v;
	int rc;

	if (ev->data.scalar.anchor)
		return EVENT_ERR(l, ev, e, ENOTSUP, "anchors are not supported");
	if (wants_key(l))
		return on_key(l, ev, e);
	rc = add_node(l, ev, VALUE_STRING, &v, e);
	if (rc == 0)
		rc = value_set_text(v, text, ev->data.scalar.length, e);
	if (rc < 0)
		return rc;
	if (ev->data.scalar.tag)
		return resolve_tagged(l, ev, v, e);
	return ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? resolve_plain(v, e) : 0;
}

static int on_open(struct loader *l, const yaml_event_t *ev, enum value_kind kind,
		   const yaml_char_t *anchor, const yaml_char_t *tag, const char *own_tag,
		   struct err *e)
{
	struct value *v;
	int rc;

	if (anchor)
		return EVENT_ERR(l, ev, e, ENOTSUP, "anchors are not supported");
	if (tag && strcmp((const char *)tag, own_tag) != 0)
		return EVENT_ERR(l, ev, e, ENOTSUP, "the tag '%.64s' is not supported here", tag);
	if (wants_key(l))
		return EVENT_ERR(l, ev, e, ENOTSUP, "a key must be a scalar, not %s",
				 value_kind_name(kind));
	rc = add_node(l, ev, kind, &v, e);
	if (rc == 0)
		l->open = v;
	return rc;
}

static int on_close(struct loader *l, struct err *e)
{
	int rc = value_close(l->open, e);

	l->open = (struct value *)l->open->parent;
	return rc;
}

static int on_event(struct loader *l, const yaml_event_t *ev, struct err *e)
{
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (l->seen_document)
			return EVENT_ERR(l, ev, e, ENOTSUP, "a second document begins here");
		l->seen_document = true;
		return 0;
	case YAML_SCALAR_EVENT:
		return on_scalar(l, ev, e);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(l, ev, VALUE_LIST, ev->data.sequence_start.anchor,
			       ev->data.sequence_start.tag, TAG_PREFIX "seq", e);
	case YAML_MAPPING_START_EVENT:
		return on_open(l, ev, VALUE_MAP, ev->data.mapping_start.anchor,
			       ev->data.mapping_start.tag, TAG_PREFIX "map", e);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_close(l, e);
	case YAML_ALIAS_EVENT:
		return EVENT_ERR(l, ev, e, ENOTSUP, "aliases are not supported");
	default:
		return 0;
	}
}

/* ---- the document --------------------------------------------------------------------------- */

static int parser_error(const struct loader *l, struct err *e)
{
	const yaml_parser_t *p = &l->parser;
	unsigned line = (unsigned)p->problem_mark.line + 1;
	unsigned column = (unsigned)p->problem_mark.column + 1;

	if (p->error == YAML_MEMORY_ERROR)
		return err_nomem(e);
	if (p->error == YAML_READER_ERROR)
		return value_doc_err(l->doc, 0, 0, e, EILSEQ, "byte %zu: %s", p->problem_offset,
				     p->problem);
	if (p->context)
		return value_doc_err(l->doc, line, column, e, EBADMSG, "%s, %s", p->context,
				     p->problem);
	return value_doc_err(l->doc, line, column, e, EBADMSG, "%s",
			     p->problem ? p->problem : "malformed");
}

/* Line breaks of YAML 1.1 that are ordinary characters in 1.2. */
static int refuse_old_breaks(const struct loader *l, const char *data, size_t len, struct err *e)
{
	static const char *const breaks[] = {"\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
	static const char *const names[] = {"U+0085 (write \\N)", "U+2028 (write \\L)",
					    "U+2029 (write \\P)"};

	for (size_t i = 0; i < ARRAY_SIZE(breaks); i++) {
		const char *at = memmem(data, len, breaks[i], strlen(breaks[i]));

		if (at)
			return value_doc_err(l->doc, 0, 0, e, ENOTSUP,
					     "byte %zu: the character %s is not supported",
					     (size_t)(at - data), names[i]);
	}
	return 0;
}

static int load(struct loader *l, struct err *e)
{
	struct value *root;
	bool end = false;

	while (!end) {
		yaml_event_t ev;
		int rc;

		if (!yaml_parser_parse(&l->parser, &ev))
			return parser_error(l, e);
		rc = on_event(l, &ev, e);
		end = ev.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&ev);
		if (rc < 0)
			return rc;
	}
	if (l->seen_document)
		return 0;
	return value_new(l->doc, NULL, NULL, 0, VALUE_NULL, 1, 1, &root, e);
}

int yaml_parse(const char *name, const void *data, size_t len, const struct value_limits *limits,
	       struct value **ret, struct err *e)
{
	size_t max = value_limits_or_default(limits).bytes;
	int rc;

	if (len > max)
		return err_set(e, EFBIG, "%s: more than %zu bytes", name, max);

	AUTO(loader_release) struct loader l = {0};

	if (!yaml_parser_initialize(&l.parser))
		return err_nomem(e);
	rc = value_doc_new(name, limits, &l.doc, e);
	if (rc < 0)
		return rc;
	rc = refuse_old_breaks(&l, data, len, e);
	if (rc < 0)
		return rc;
	yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&l.parser, data ? data : (const void *)"", len);
	rc = load(&l, e);
	if (rc == 0)
		*ret = value_doc_take_root(&l.doc);
	return rc;
}

int yaml_load(const char *path, const struct value_limits *limits, struct value **ret,
	      struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc = fs_read_file(path, value_limits_or_default(limits).bytes, &text, e);

	if (rc < 0)
		return rc;
	return yaml_parse(path, buf_str(&text), text.len, limits, ret, e);
}
