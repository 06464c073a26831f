/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON writer: see lib/json.h. Apart from the reader, so that a program that only writes needs
 * no jansson. */
#include <inttypes.h>
#include <math.h>

#include "lib/json.h"
#include "lib/str.h"

static void keep(struct jsonw *w, int rc)
{
	if (rc < 0 && w->rc == 0)
		w->rc = rc;
}

static void indent(struct jsonw *w)
{
	if (w->pretty) {
		keep(w, buf_addc(w->out, '\n'));
		for (unsigned i = 0; i < w->depth; i++)
			keep(w, buf_adds(w->out, "  "));
	}
}

/*
 * The code of a character of two or three bytes that YAML does not let stand as it is (1.2 section
 * 5.1: C1 controls, line and paragraph separators, byte order mark, U+FFFE, U+FFFF), else 0.
 * Escaped, what is written can be read as YAML too.
 */
static unsigned not_for_yaml(const unsigned char *s, size_t n)
{
	unsigned c = 0;

	if (n == 2)
		c = (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
	else if (n == 3)
		c = (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
	return (c >= 0x80 && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff || c >= 0xfffe
		       ? c
		       : 0;
}

static void put_string(struct jsonw *w, const void *data, size_t len)
{
	static const char named[] = "btn?fr"; /* for \b .. \r, 0x08 .. 0x0d */
	const unsigned char *s = data;

	keep(w, buf_addc(w->out, '"'));
	for (size_t i = 0; i < len;) {
		size_t n = utf8_char(s + i, len - i);

		if (!n) {
			keep(w, buf_adds(w->out, "\\ufffd"));
			n = 1;
		} else if (s[i] == '"' || s[i] == '\\') {
			keep(w, buf_addf(w->out, "\\%c", s[i]));
		} else if (s[i] >= 0x08 && s[i] <= 0x0d && s[i] != 0x0b) {
			keep(w, buf_addf(w->out, "\\%c", named[s[i] - 0x08]));
		} else if (s[i] < 0x20 || s[i] == 0x7f) {
			keep(w, buf_addf(w->out, "\\u%04x", s[i]));
		} else if (not_for_yaml(s + i, n)) {
			keep(w, buf_addf(w->out, "\\u%04x", not_for_yaml(s + i, n)));
		} else {
			keep(w, buf_add(w->out, s + i, n));
		}
		i += n;
	}
	keep(w, buf_addc(w->out, '"'));
}

/* What stands before a value: comma, line, key. */
static void start_value(struct jsonw *w, const char *key)
{
	if (w->level[w->depth].is_object != (key != NULL) || (!w->depth && w->level[0].has_members))
		keep(w, -EINVAL);
	if (w->level[w->depth].has_members)
		keep(w, buf_addc(w->out, ','));
	w->level[w->depth].has_members = true;
	if (w->depth)
		indent(w);
	if (key) {
		put_string(w, key, strlen(key));
		keep(w, buf_adds(w->out, w->pretty ? ": " : ":"));
	}
}

static void start_container(struct jsonw *w, const char *key, bool is_object)
{
	start_value(w, key);
	if (w->depth >= JSONW_DEPTH) {
		keep(w, -EINVAL);
		return;
	}
	keep(w, buf_addc(w->out, is_object ? '{' : '['));
	w->depth++;
	w->level[w->depth].is_object = is_object;
	w->level[w->depth].has_members = false;
}

void jsonw_begin(struct jsonw *w, struct buf *out, bool pretty)
{
	*w = (struct jsonw){.out = out, .pretty = pretty};
}

void jsonw_object(struct jsonw *w, const char *key)
{
	start_container(w, key, true);
}

void jsonw_array(struct jsonw *w, const char *key)
{
	start_container(w, key, false);
}

void jsonw_close(struct jsonw *w)
{
	bool is_object = w->level[w->depth].is_object;
	bool has_members = w->level[w->depth].has_members;

	if (!w->depth) {
		keep(w, -EINVAL);
		return;
	}
	w->depth--;
	if (has_members)
		indent(w);
	keep(w, buf_addc(w->out, is_object ? '}' : ']'));
}

void jsonw_string_n(struct jsonw *w, const char *key, const void *s, size_t len)
{
	start_value(w, key);
	put_string(w, s, len);
}

void jsonw_string(struct jsonw *w, const char *key, const char *s)
{
	if (s)
		jsonw_string_n(w, key, s, strlen(s));
	else
		jsonw_null(w, key);
}

void jsonw_u64(struct jsonw *w, const char *key, uint64_t v)
{
	start_value(w, key);
	keep(w, buf_addf(w->out, "%" PRIu64, v));
}

void jsonw_i64(struct jsonw *w, const char *key, int64_t v)
{
	start_value(w, key);
	keep(w, buf_addf(w->out, "%" PRId64, v));
}

void jsonw_bool(struct jsonw *w, const char *key, bool v)
{
	start_value(w, key);
	keep(w, buf_adds(w->out, v ? "true" : "false"));
}

void jsonw_null(struct jsonw *w, const char *key)
{
	start_value(w, key);
	keep(w, buf_adds(w->out, "null"));
}

static void put_scalar(struct jsonw *w, const struct value *v)
{
	switch (v->kind) {
	case VALUE_BOOL:
		jsonw_bool(w, v->key, v->boolean);
		break;
	case VALUE_INT:
		jsonw_i64(w, v->key, v->integer);
		break;
	case VALUE_REAL:
		if (isfinite(v->real)) {
			start_value(w, v->key);
			keep(w, buf_addf(w->out, "%.17g", v->real));
			break;
		}
		jsonw_null(w, v->key);
		break;
	case VALUE_STRING:
		jsonw_string_n(w, v->key, v->text, v->text_len);
		break;
	default:
		jsonw_null(w, v->key);
	}
}

void jsonw_value(struct jsonw *w, const struct value *v)
{
	if (v->kind != VALUE_MAP && v->kind != VALUE_LIST) {
		put_scalar(w, v);
		return;
	}
	if (v->kind == VALUE_MAP)
		jsonw_object(w, v->key);
	else
		jsonw_array(w, v->key);
	value_foreach (item, v)
		jsonw_value(w, item);
	jsonw_close(w);
}

int jsonw_end(struct jsonw *w, struct err *e)
{
	if (w->depth || !w->level[0].has_members)
		keep(w, -EINVAL);
	if (w->pretty)
		keep(w, buf_addc(w->out, '\n'));
	if (w->rc == -EINVAL)
		return err_set(e, EINVAL, "JSON: keys, beginnings and ends do not match");
	return w->rc < 0 ? err_nomem(e) : 0;
}
