/* SPDX-License-Identifier: Apache-2.0 */
/* For the fuzzers of lib/yaml and lib/json: a tree written as JSON must read back the same. */
#ifndef TESTS_FUZZ_VALUE_JSON_H
#define TESTS_FUZZ_VALUE_JSON_H

#include "lib/json.h"
#include "lib/str.h"

static inline void value_write(struct jsonw *w, const struct value *v)
{
	switch (v->kind) {
	case VALUE_MAP:
		jsonw_object(w, v->key);
		break;
	case VALUE_LIST:
		jsonw_array(w, v->key);
		break;
	case VALUE_BOOL:
		jsonw_bool(w, v->key, v->boolean);
		return;
	case VALUE_INT:
		jsonw_i64(w, v->key, v->integer);
		return;
	case VALUE_STRING:
		jsonw_string_n(w, v->key, v->text, v->text_len);
		return;
	default: /* reals have no writer */
		jsonw_null(w, v->key);
		return;
	}
	value_foreach (item, v) {
		value_write(w, item);
	}
	jsonw_close(w);
}

/* What JSON cannot say: bytes that are not UTF-8, NUL; two keys that differ in such alone. */
static inline bool value_fits_json(const struct value *v)
{
	if (v->kind == VALUE_STRING && !utf8_valid(v->text, v->text_len))
		return false;
	value_foreach (item, v) {
		if (!value_fits_json(item) || value_get(v, item->key ? item->key : "") !=
						      (v->kind == VALUE_MAP ? item : NULL))
			return false;
	}
	return true;
}

static inline void value_assert_same(const struct value *a, const struct value *b)
{
	enum value_kind kind = a->kind == VALUE_REAL ? VALUE_NULL : a->kind;

	if (kind != b->kind || a->n_items != b->n_items || !a->key != !b->key ||
	    (a->key && strcmp(a->key, b->key) != 0))
		abort();
	if (kind == VALUE_STRING &&
	    (a->text_len != b->text_len || memcmp(a->text, b->text, a->text_len) != 0))
		abort();
	if (kind == VALUE_INT && a->integer != b->integer)
		abort();
	if (kind == VALUE_BOOL && a->boolean != b->boolean)
		abort();
	for (size_t i = 0; i < a->n_items; i++)
		value_assert_same(a->items[i], b->items[i]);
}

static inline void value_check(const struct value *v)
{
	static const struct value_limits wide = {
		.bytes = 64u << 20, .depth = 100, .nodes = 1u << 20};
	AUTO(value_free) struct value *again = NULL;
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	struct err e;

	jsonw_begin(&w, &out, v->n_items % 2);
	value_write(&w, v);
	if (jsonw_end(&w, &e) < 0)
		abort();
	if (json_parse("again", out.data, out.len, &wide, &again, &e) < 0) {
		/* Only keys that became the same by escaping can be wrong. */
		if (value_fits_json(v))
			abort();
		return;
	}
	if (value_fits_json(v))
		value_assert_same(v, again);
}

#endif
