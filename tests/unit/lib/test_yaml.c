/* SPDX-License-Identifier: Apache-2.0 */
/* lib/yaml: the core schema, block scalars, and what is refused. */
#include "tests/unit/cmocka.h"

#include <math.h>
#include <stdio.h>

#include "lib/yaml.h"

static struct value *parse_n(const char *text, size_t len)
{
	struct value *v = NULL;
	struct err e;

	if (yaml_parse("t.yaml", text, len, NULL, &v, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	return v;
}

static struct value *parse(const char *text)
{
	return parse_n(text, strlen(text));
}

static void plain_scalars_follow_the_core_schema(void **state)
{
	static const struct {
		const char *text;
		enum value_kind kind;
	} cases[] = {
		{"null", VALUE_NULL},
		{"~", VALUE_NULL},
		{"NULL", VALUE_NULL},
		{"nULL", VALUE_STRING},
		{"true", VALUE_BOOL},
		{"False", VALUE_BOOL},
		{"tRUE", VALUE_STRING},
		{"yes", VALUE_STRING},
		{"no", VALUE_STRING},
		{"on", VALUE_STRING},
		{"off", VALUE_STRING},
		{"y", VALUE_STRING},
		{"0", VALUE_INT},
		{"-12", VALUE_INT},
		{"+12", VALUE_INT},
		{"010", VALUE_INT},
		{"0o17", VALUE_INT},
		{"0x1F", VALUE_INT},
		{"-0x1F", VALUE_STRING},
		{"0o18", VALUE_STRING},
		{"0x", VALUE_STRING},
		{"0b11", VALUE_STRING},
		{"1_000", VALUE_STRING},
		{"1,000", VALUE_STRING},
		{"12:30", VALUE_STRING},
		{"02:00:c0:a8:00:05", VALUE_STRING},
		{"10:20:30:40:50:10", VALUE_STRING},
		{"192.168.0.5/24", VALUE_STRING},
		{"1.2.3", VALUE_STRING},
		{"2024-01-01", VALUE_STRING},
		{"1.5", VALUE_REAL},
		{"1.", VALUE_REAL},
		{".5", VALUE_REAL},
		{"-.5e3", VALUE_REAL},
		{"1e5", VALUE_REAL},
		{"1e", VALUE_STRING},
		{"e5", VALUE_STRING},
		{".", VALUE_STRING},
		{"-", VALUE_LIST},
		{"+", VALUE_STRING},
		{".inf", VALUE_REAL},
		{"-.INF", VALUE_REAL},
		{".nan", VALUE_REAL},
		{"+.nan", VALUE_STRING},
		{".iNF", VALUE_STRING},
		{"inf", VALUE_STRING},
		{"0x1p3", VALUE_STRING},
		{"'12'", VALUE_STRING},
		{"\"true\"", VALUE_STRING},
		{"''", VALUE_STRING},
		{"|\n  12", VALUE_STRING},
		{">\n  null", VALUE_STRING},
		{"i-0a1b2c3d4e5f60718", VALUE_STRING},
		{"", VALUE_NULL},
		{"---", VALUE_NULL},
		{"!!str 12", VALUE_STRING},
		{"! 12", VALUE_STRING},
		{"!!int '12'", VALUE_INT},
		{"!!float 12", VALUE_REAL},
		{"!!null ''", VALUE_NULL},
		{"!!bool 'true'", VALUE_BOOL},
		{"!!map {}", VALUE_MAP},
		{"!!seq []", VALUE_LIST},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(value_free) struct value *v = parse(cases[i].text);

		if (v->kind != cases[i].kind)
			fail_msg("'%s' is %s", cases[i].text, value_kind_name(v->kind));
	}
}

static void numbers_have_their_value(void **state)
{
	AUTO(value_free)
	struct value *v =
		parse("[010, 0o17, 0x1F, -9223372036854775808, 9223372036854775807, 1.5e2, -.inf]");

	(void)state;
	assert_int_equal(value_at(v, 0)->integer, 10);
	assert_string_equal(value_at(v, 0)->text, "010");
	assert_int_equal(value_at(v, 1)->integer, 15);
	assert_int_equal(value_at(v, 2)->integer, 31);
	assert_true(value_at(v, 3)->integer == INT64_MIN);
	assert_true(value_at(v, 4)->integer == INT64_MAX);
	assert_true(value_at(v, 5)->real == 150.0);
	assert_true(isinf(value_at(v, 6)->real) && value_at(v, 6)->real < 0);
}

static void block_scalars_keep_every_byte(void **state)
{
	AUTO(value_free)
	struct value *v =
		parse("user-data: |\n  #!/bin/sh\n  \techo \"a: b\" # no comment\n\n   indented\n"
		      "keep: |+\n  x\n\n\nstrip: |-\n  y\n\nesc: \"\\x00\\xff\\u00e9\"\n");

	(void)state;
	assert_string_equal(value_get(v, "user-data")->text,
			    "#!/bin/sh\n\techo \"a: b\" # no comment\n\n indented\n");
	assert_string_equal(value_get(v, "keep")->text, "x\n\n\n");
	assert_string_equal(value_get(v, "strip")->text, "y");
	assert_int_equal(value_get(v, "esc")->text_len, 5);
	assert_memory_equal(value_get(v, "esc")->text, "\0\xc3\xbf\xc3\xa9", 5);
}

static void binary_tags_give_bytes(void **state)
{
	AUTO(value_free) struct value *v = parse("!!binary |\n  AAH/\n  gA==\n");

	(void)state;
	assert_int_equal(v->kind, VALUE_STRING);
	assert_int_equal(v->text_len, 4);
	assert_memory_equal(v->text, "\x00\x01\xff\x80", 4);
}

static void places_are_those_of_keys(void **state)
{
	AUTO(value_free) struct value *v = parse("a: 1\nb:\n  - x\n  - c:\n      d\n");
	const struct value *d = value_path(v, "b/1/c");

	(void)state;
	assert_int_equal(value_get(v, "b")->line, 2);
	assert_int_equal(value_get(v, "b")->column, 1);
	assert_int_equal(value_path(v, "b/0")->line, 3);
	assert_int_equal(value_path(v, "b/0")->column, 5);
	assert_int_equal(d->line, 4);
	assert_int_equal(d->column, 5);
}

static void a_byte_order_mark_is_skipped(void **state)
{
	AUTO(value_free)
	struct value *v = parse("\xef\xbb\xbf"
				"a: 1\n");

	(void)state;
	assert_int_equal(value_get(v, "a")->integer, 1);
}

static void bad_documents_are_refused_with_their_place(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *message; /* a part of it */
	} cases[] = {
		{"a: &x 1\nb: *x", -ENOTSUP, "t.yaml:1:4: anchors"},
		{"a: &a [*a]", -ENOTSUP, "t.yaml:1:4: anchors"},
		{"&a {}", -ENOTSUP, "t.yaml:1:1: anchors"},
		{"b: *x", -ENOTSUP, "t.yaml:1:4: aliases"},
		{"a: 1\nb: 2\na: 3", -EBADMSG, "t.yaml:3:1: 'a': the key is there twice"},
		{"x: {a: 1, 'a': 2}", -EBADMSG, "'x.a': the key is there twice"},
		{"a: 1\n---\nb: 2", -ENOTSUP, "t.yaml:2:1: a second document"},
		{"<<: {a: 1}", -ENOTSUP, "merge keys"},
		{"{[1, 2]: 3}", -ENOTSUP, "a key must be a scalar, not a list"},
		{"? {a: b}\n: c", -ENOTSUP, "a key must be a scalar, not a map"},
		{"!ruby/object {}", -ENOTSUP, "t.yaml:1:1: the tag '!ruby/object'"},
		{"!!python/object:os.system x", -ENOTSUP, "tag"},
		{"!!set {a}", -ENOTSUP, "tag"},
		{"!!int x", -EBADMSG, "the tag says a number"},
		{"!!binary '*'", -EBADMSG, "!!binary"},
		{"a: 9223372036854775808", -ERANGE, "'a': the number does not fit"},
		{"a: 0x8000000000000000", -ERANGE, "does not fit"},
		{"a: 1e999", -ERANGE, "too large"},
		{"a: 'x", -EBADMSG, "t.yaml:"},
		{"a: b: c", -EBADMSG, "t.yaml:1:5"},
		{"a:\n\t- x", -EBADMSG, "t.yaml:2"},
		{"[1, 2", -EBADMSG, "t.yaml:"},
		{"%YAML 2.0\n---\na", -EBADMSG, "incompatible"},
		{"a: \x01", -EILSEQ, "control characters"},
		{"a: \xff", -EILSEQ, "t.yaml: byte 3"},
		{"a: \xc2\x85", -ENOTSUP, "U+0085"},
		{"\"a\\0b\": 1", -EBADMSG, "NUL"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct value *v = NULL;
		struct err e = {.msg = ""};
		int rc = yaml_parse("t.yaml", cases[i].text, strlen(cases[i].text), NULL, &v, &e);

		if (rc != cases[i].rc || !strstr(e.msg, cases[i].message))
			fail_msg("%s: %d %s", cases[i].text, rc, e.msg);
		assert_null(v);
	}
}

static void limits_hold(void **state)
{
	static const struct value_limits few = {.bytes = 100, .depth = 3, .nodes = 5};
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
		{"[[[1]]]", 0},          {"[[[[1]]]]", -EFBIG},   {"[1, 2, 3, 4]", 0},
		{"[1,2,3,4,5]", -EFBIG}, {"{a: {b: {c: 1}}}", 0},
	};
	char big[101];
	struct err e;
	struct value *none;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(value_free) struct value *v = NULL;

		assert_int_equal(
			yaml_parse("t", cases[i].text, strlen(cases[i].text), &few, &v, &e),
			cases[i].rc);
	}
	memset(big, ' ', sizeof(big));
	assert_int_equal(yaml_parse("t", big, sizeof(big), &few, &none, &e), -EFBIG);
}

static void thousands_of_keys_are_found(void **state)
{
	AUTO_BUF text = BUF_INIT;
	AUTO(value_free) struct value *v = NULL;
	char key[16];

	(void)state;
	for (int i = 0; i < 20000; i++)
		assert_int_equal(buf_addf(&text, "k%d: %d\n", i * 7919 % 20000, i), 0);
	v = parse(buf_str(&text));
	for (int i = 0; i < 20000; i++) {
		snprintf(key, sizeof(key), "k%d", i * 7919 % 20000);
		assert_int_equal(value_get(v, key)->integer, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_scalars_follow_the_core_schema),
		cmocka_unit_test(numbers_have_their_value),
		cmocka_unit_test(block_scalars_keep_every_byte),
		cmocka_unit_test(binary_tags_give_bytes),
		cmocka_unit_test(places_are_those_of_keys),
		cmocka_unit_test(a_byte_order_mark_is_skipped),
		cmocka_unit_test(bad_documents_are_refused_with_their_place),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(thousands_of_keys_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
