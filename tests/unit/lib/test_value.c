/* SPDX-License-Identifier: Apache-2.0 */
/* lib/value: look-ups, getters, and the strict binder with its places. */
#include "tests/unit/cmocka.h"

#include "lib/json.h"
#include "lib/value.h"
#include "lib/yaml.h"

static struct value *parse(const char *text)
{
	struct value *v = NULL;
	struct err e;

	if (yaml_parse("t.yaml", text, strlen(text), NULL, &v, &e) < 0)
		fail_msg("%s", e.msg);
	return v;
}

static void paths_reach_down_and_stop_at_nothing(void **state)
{
	AUTO(value_free) struct value *v = parse("nics:\n- {mac: a}\n- {mac: b}\nname: x\n");

	(void)state;
	assert_string_equal(value_path(v, "nics/1/mac")->text, "b");
	assert_ptr_equal(value_path(v, ""), v);
	assert_null(value_path(v, "nics/2/mac"));
	assert_null(value_path(v, "nics/x/mac"));
	assert_null(value_path(v, "name/0"));
	assert_null(value_path(NULL, "name"));
	assert_null(value_get(value_get(v, "no"), "where"));
	assert_null(value_next(v));
}

static void a_walk_visits_members_in_order_and_can_be_left(void **state)
{
	AUTO(value_free) struct value *v = parse("{z: 1, a: 2, m: 3}");
	AUTO_BUF seen = BUF_INIT;

	(void)state;
	value_foreach (item, v) {
		if (item->integer == 3)
			break;
		assert_int_equal(buf_adds(&seen, item->key), 0);
	}
	assert_string_equal(buf_str(&seen), "za");
	value_foreach (none, value_get(v, "z")) {
		fail_msg("a scalar has no member %s", none->key);
	}
}

static void errors_name_file_line_column_and_path(void **state)
{
	AUTO(value_free) struct value *v = parse("nics:\n  - mtu: 1500\n  - mtu: big\n");
	uint64_t n = 7;
	struct err e;

	(void)state;
	assert_int_equal(value_u64(value_path(v, "nics/1/mtu"), 1, 2, &n, &e), -EBADMSG);
	assert_string_equal(e.msg,
			    "t.yaml:3:5: 'nics[1].mtu': must be a whole number, not a string");
	assert_int_equal(value_u64(value_path(v, "nics/0/mtu"), 1, 2, &n, &e), -ERANGE);
	assert_string_equal(e.msg, "t.yaml:2:5: 'nics[0].mtu': must be from 1 to 2");
	assert_int_equal(n, 7);
}

static void getters_are_strict_about_kinds(void **state)
{
	AUTO(value_free)
	struct value *v =
		parse("{i: 12, s: '12', b: true, n: null, z: \"a\\0b\", neg: -1, sz: 10G, r: 1.5}");
	const char *s = NULL;
	uint64_t u = 0;
	int64_t i = 0;
	bool b = false;

	(void)state;
	assert_int_equal(value_string(value_get(v, "i"), &s, NULL), -EBADMSG);
	assert_int_equal(value_string(value_get(v, "z"), &s, NULL), -EBADMSG);
	assert_int_equal(value_string(value_get(v, "n"), &s, NULL), -EBADMSG);
	assert_int_equal(value_text(value_get(v, "n"), &s, NULL), -EBADMSG);
	assert_int_equal(value_text(value_get(v, "i"), &s, NULL), 0);
	assert_string_equal(s, "12");
	assert_int_equal(value_u64(value_get(v, "neg"), 0, 9, &u, NULL), -ERANGE);
	assert_int_equal(value_i64(value_get(v, "neg"), -5, 9, &i, NULL), 0);
	assert_int_equal(i, -1);
	assert_int_equal(value_i64(value_get(v, "r"), -5, 9, &i, NULL), -EBADMSG);
	assert_int_equal(value_bool(value_get(v, "b"), &b, NULL), 0);
	assert_true(b);
	assert_int_equal(value_bool(value_get(v, "i"), &b, NULL), -EBADMSG);
	assert_int_equal(value_size(value_get(v, "sz"), &u, NULL), 0);
	assert_int_equal(u, 10 * GIB);
	assert_int_equal(value_size(value_get(v, "i"), &u, NULL), 0);
	assert_int_equal(u, 12);
	assert_int_equal(value_size(value_get(v, "neg"), &u, NULL), -ERANGE);
	assert_int_equal(value_size(value_get(v, "z"), &u, NULL), -EBADMSG);
}

/* ---- binder --------------------------------------------------------------------------------- */

struct inner {
	unsigned hops;
};

struct thing {
	char *name, *id;
	struct buf data;
	struct value_strings keys;
	uint64_t size;
	int64_t level;
	uint64_t count;
	bool on;
	int mode;
	struct inner inner;
	const struct value *raw;
	int custom;
};

static void thing_release(struct thing *t)
{
	free(t->name);
	free(t->id);
	buf_release(&t->data);
	value_strings_release(&t->keys);
}
DEFINE_AUTO_STRUCT(struct thing, thing_release);

static int custom(const struct value *v, void *object, struct err *e)
{
	struct thing *t = object;

	if (v->kind != VALUE_LIST)
		return value_err(v, e, EBADMSG, "must be my list");
	t->custom = (int)v->n_items;
	return 0;
}

static const char *const modes[] = {"slow", "fast", NULL};
static const struct value_field inner_fields[] = {
	{.key = "hop-limit", FIELD_UNSIGNED, offsetof(struct inner, hops), .min = 1, .max = 64},
	{0},
};
static const struct value_field fields[] = {
	{.key = "name",
	 FIELD_STRING,
	 offsetof(struct thing, name),
	 .required = true,
	 .min = 1,
	 .max = 8},
	{.key = "id", FIELD_TEXT, offsetof(struct thing, id)},
	{.key = "data", FIELD_BYTES, offsetof(struct thing, data)},
	{.key = "keys", FIELD_STRINGS, offsetof(struct thing, keys), .min = 1, .max = 2},
	{.key = "size", FIELD_SIZE, offsetof(struct thing, size), .min = 512, .max = 1 << 30},
	{.key = "level", FIELD_I64, offsetof(struct thing, level)},
	{.key = "count", FIELD_U64, offsetof(struct thing, count)},
	{.key = "on", FIELD_BOOL, offsetof(struct thing, on)},
	{.key = "mode", FIELD_ENUM, offsetof(struct thing, mode), .names = modes},
	{.key = "inner", FIELD_MAP, offsetof(struct thing, inner), .fields = inner_fields},
	{.key = "raw", FIELD_VALUE, offsetof(struct thing, raw)},
	{.key = "custom", FIELD_CUSTOM, .handler = custom},
	{0},
};

static void a_map_fills_a_struct(void **state)
{
	AUTO(value_free)
	struct value *v =
		parse("name: n\nid: 007\ndata: \"a\\0\"\nkeys: [x, y]\nsize: 4K\nlevel: -3\n"
		      "count: 5\non: true\nmode: fast\ninner: {hop-limit: 2}\nraw: {a: 1}\n"
		      "custom: [1, 2, 3]\n");
	AUTO(thing_release) struct thing t = {0};
	struct err e = {.msg = ""};

	(void)state;
	assert_int_equal(value_bind(v, fields, &t, &e), 0);
	assert_string_equal(t.name, "n");
	assert_string_equal(t.id, "007");
	assert_int_equal(t.data.len, 2);
	assert_int_equal(t.keys.n_items, 2);
	assert_string_equal(t.keys.items[1], "y");
	assert_int_equal(t.size, 4096);
	assert_int_equal(t.level, -3);
	assert_int_equal(t.count, 5);
	assert_true(t.on);
	assert_int_equal(t.mode, 1);
	assert_int_equal(t.inner.hops, 2);
	assert_int_equal(value_get(t.raw, "a")->integer, 1);
	assert_int_equal(t.custom, 3);
}

static void what_is_not_said_keeps_its_default(void **state)
{
	AUTO(value_free) struct value *v = parse("name: n");
	AUTO(thing_release) struct thing t = {.mode = 9, .inner.hops = 3};

	(void)state;
	assert_int_equal(value_bind(v, fields, &t, NULL), 0);
	assert_int_equal(t.mode, 9);
	assert_int_equal(t.inner.hops, 3);
	assert_null(t.id);
}

static void bad_maps_are_refused_with_one_line(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"nam: x", "t.yaml:1:1: 'nam': unknown key (did you mean 'name'?)"},
		{"zzzzzz: x", "t.yaml:1:1: 'zzzzzz': unknown key"},
		{"id: x", "t.yaml:1:1: the key 'name' is missing"},
		{"[1]", "t.yaml:1:1: must be a map, not a list"},
		{"name: 5",
		 "t.yaml:1:1: 'name': must be a string, not a number (put it in quotes)"},
		{"name: ''", "t.yaml:1:1: 'name': must not be empty"},
		{"name:", "t.yaml:1:1: 'name': must be a string, not nothing"},
		{"name: x\nkeys: []", "t.yaml:2:1: 'keys': must not be empty"},
		{"name: x\nkeys: [a, 1]",
		 "t.yaml:2:11: 'keys[1]': must be a string, not a number (put it in quotes)"},
		{"name: x\ninner: {hop-limit: 65}",
		 "t.yaml:2:9: 'inner.hop-limit': must be from 1 to 64"},
		{"name: x\ninner: {hops: 65}", "t.yaml:2:9: 'inner.hops': unknown key"},
		{"name: x\nmode: f", "t.yaml:2:1: 'mode': must be one of: slow, fast"},
		{"name: x\nsize: 1", "t.yaml:2:1: 'size': must be from 512 to 1073741824 bytes"},
		{"name: x\non: yes", "t.yaml:2:1: 'on': must be true or false, not a string"},
		{"name: x\ncount: -1",
		 "t.yaml:2:1: 'count': must be from 0 to 9223372036854775807"},
		{"name: x\ncustom: 1", "t.yaml:2:1: 'custom': must be my list"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(value_free) struct value *v = parse(cases[i].text);
		AUTO(thing_release) struct thing t = {0};
		struct err e = {.msg = ""};

		assert_true(value_bind(v, fields, &t, &e) < 0);
		assert_string_equal(e.msg, cases[i].message);
	}
}

static void a_long_path_is_cut_in_front(void **state)
{
	AUTO_BUF text = BUF_INIT;
	AUTO(value_free) struct value *v = NULL;
	const struct value *leaf;
	struct err e;

	(void)state;
	for (int i = 0; i < 60; i++)
		assert_int_equal(buf_addf(&text, "{a%040d: ", i), 0);
	assert_int_equal(buf_adds(&text, "x"), 0);
	for (int i = 0; i < 60; i++)
		assert_int_equal(buf_adds(&text, "}"), 0);
	v = parse(buf_str(&text));
	for (leaf = v; leaf->n_items; leaf = value_at(leaf, 0))
		;
	value_err(leaf, &e, EINVAL, "rule");
	assert_non_null(strstr(e.msg, "'...."));
	assert_non_null(strstr(e.msg, "59': rule"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_reach_down_and_stop_at_nothing),
		cmocka_unit_test(a_walk_visits_members_in_order_and_can_be_left),
		cmocka_unit_test(errors_name_file_line_column_and_path),
		cmocka_unit_test(getters_are_strict_about_kinds),
		cmocka_unit_test(a_map_fills_a_struct),
		cmocka_unit_test(what_is_not_said_keeps_its_default),
		cmocka_unit_test(bad_maps_are_refused_with_one_line),
		cmocka_unit_test(a_long_path_is_cut_in_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
