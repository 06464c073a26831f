/* SPDX-License-Identifier: Apache-2.0 */
/* lib/json: strict reading with places, and a writer whose output is always JSON. */
#include "tests/unit/cmocka.h"

#include "lib/json.h"

static void values_keep_order_place_and_text(void **state)
{
	static const char text[] = "{\"z\": 1,\n \"é\\\"]\": [true, null, -1.50, \"x\\ny\"],\n"
				   " \"m\" : { } , \"n\":[]}\n";
	AUTO(value_free) struct value *v = NULL;
	const struct value *list;
	struct err e;

	(void)state;
	assert_int_equal(json_parse("t.json", text, strlen(text), NULL, &v, &e), 0);
	assert_string_equal(value_at(v, 0)->key, "z");
	list = value_at(v, 1);
	assert_string_equal(list->key, "é\"]");
	assert_int_equal(list->line, 2);
	assert_int_equal(list->column, 2);
	assert_int_equal(value_at(list, 0)->column, 11);
	assert_true(value_at(list, 0)->boolean);
	assert_int_equal(value_at(list, 1)->kind, VALUE_NULL);
	assert_string_equal(value_at(list, 2)->text, "-1.50");
	assert_true(value_at(list, 2)->real == -1.5);
	assert_string_equal(value_at(list, 3)->text, "x\ny");
	assert_int_equal(value_get(v, "m")->line, 3);
	assert_int_equal(value_get(v, "n")->column, 14);
	assert_int_equal(value_get(v, "z")->integer, 1);
}

static void bad_texts_are_refused(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
		{"", -EBADMSG},
		{"{", -EBADMSG},
		{"[1,]", -EBADMSG},
		{"{\"a\":1,}", -EBADMSG},
		{"01", -EBADMSG},
		{"+1", -EBADMSG},
		{".5", -EBADMSG},
		{"nul", -EBADMSG},
		{"1 2", -EBADMSG},
		{"{\"a\":1,\"a\":2}", -EBADMSG},
		{"'a'", -EBADMSG},
		{"\"\\u0000\"", -EBADMSG},
		{"\"\xff\"", -EBADMSG},
		{"\"\\ud800\"", -EBADMSG},
		{"9223372036854775808", -EBADMSG},
		{"1e999", -EBADMSG},
		{"NaN", -EBADMSG},
		{"// c\n1", -EBADMSG},
		{"\"a\nb\"", -EBADMSG},
		{"\xef\xbb\xbf"
		 "1",
		 -EBADMSG},
		{"[[[[[1]]]]]", -EFBIG},
		{"[1,2,3,4,5,6,7,8,9]", -EFBIG},
		{"[[],[],[],[],[],[],[],[]]", -EFBIG},
		{"{\"a\\", -EBADMSG},
	};
	static const struct value_limits few = {.depth = 4, .nodes = 8};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct value *v = NULL;
		struct err e = {.msg = ""};
		int rc = json_parse("t.json", cases[i].text, strlen(cases[i].text), &few, &v, &e);

		if (rc != cases[i].rc || strncmp(e.msg, "t.json", 6) != 0)
			fail_msg("%s: %d %s", cases[i].text, rc, e.msg);
	}
}

static void scalars_stand_alone(void **state)
{
	AUTO(value_free) struct value *v = NULL;

	(void)state;
	assert_int_equal(json_parse("t", " -9223372036854775808 ", 22, NULL, &v, NULL), 0);
	assert_true(v->integer == INT64_MIN);
}

static void a_long_line_takes_linear_time(void **state)
{
	AUTO(value_free) struct value *v = NULL;
	AUTO_BUF text = BUF_INIT;

	(void)state;
	assert_int_equal(buf_addc(&text, '['), 0);
	for (int i = 0; i < 150000; i++)
		assert_int_equal(buf_adds(&text, "\"0123456789\","), 0);
	assert_int_equal(buf_adds(&text, "0]"), 0);
	assert_int_equal(json_parse("t", text.data, text.len, NULL, &v, NULL), 0);
	assert_int_equal(value_at(v, 150000)->column, 150000 * 13 + 2);
}

static void the_writer_indents(void **state)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;

	(void)state;
	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "name", "a\"b\\c\n\x01");
	jsonw_u64(&w, "max", UINT64_MAX);
	jsonw_i64(&w, "min", INT64_MIN);
	jsonw_array(&w, "list");
	jsonw_bool(&w, NULL, true);
	jsonw_null(&w, NULL);
	jsonw_string(&w, NULL, NULL);
	jsonw_object(&w, NULL);
	jsonw_close(&w);
	jsonw_close(&w);
	jsonw_array(&w, "none");
	jsonw_close(&w);
	jsonw_close(&w);
	assert_int_equal(jsonw_end(&w, NULL), 0);
	assert_string_equal(buf_str(&out),
			    "{\n"
			    "  \"name\": \"a\\\"b\\\\c\\n\\u0001\",\n"
			    "  \"max\": 18446744073709551615,\n"
			    "  \"min\": -9223372036854775808,\n"
			    "  \"list\": [\n    true,\n    null,\n    null,\n    {}\n  ],\n"
			    "  \"none\": []\n"
			    "}\n");
}

static void any_bytes_become_json_that_reads_back(void **state)
{
	AUTO_BUF out = BUF_INIT;
	AUTO(value_free) struct value *v = NULL;
	static const char bytes[] = "\xff"
				    "a\xc3\xa9\xc3\xed\xa0\x80\xf4\x90\x80\x80\xf0\x9f\x98\x80"
				    "\xe2\x82\x7f\x1b\t";
	struct jsonw w;

	(void)state;
	jsonw_begin(&w, &out, false);
	jsonw_object(&w, NULL);
	jsonw_string_n(&w, "k\xfe", bytes, sizeof(bytes) - 1);
	jsonw_close(&w);
	assert_int_equal(jsonw_end(&w, NULL), 0);
	assert_int_equal(json_parse("out", out.data, out.len, NULL, &v, NULL), 0);
	assert_string_equal(value_at(v, 0)->key, "k\xef\xbf\xbd");
	assert_string_equal(value_at(v, 0)->text,
			    "\xef\xbf\xbd"
			    "a\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
			    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80"
			    "\xef\xbf\xbd\xef\xbf\xbd\x7f\x1b\t");
}

static void wrong_calls_are_an_error_not_bad_json(void **state)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;

	(void)state;
	jsonw_begin(&w, &out, false);
	jsonw_object(&w, NULL);
	jsonw_bool(&w, NULL, true);
	jsonw_close(&w);
	assert_int_equal(jsonw_end(&w, NULL), -EINVAL);
	jsonw_begin(&w, &out, false);
	jsonw_array(&w, NULL);
	assert_int_equal(jsonw_end(&w, NULL), -EINVAL);
	jsonw_begin(&w, &out, false);
	jsonw_close(&w);
	assert_int_equal(jsonw_end(&w, NULL), -EINVAL);
	jsonw_begin(&w, &out, false);
	for (int i = 0; i < 100; i++)
		jsonw_array(&w, NULL);
	assert_int_equal(jsonw_end(&w, NULL), -EINVAL);
}

static void a_tree_is_written_as_it_was_read(void **state)
{
	static const char text[] =
		"{\"a\":[1,-2,1.5,true,null,\"x\\n\"],\"b\":{\"c\":{},\"d\":[]}}";
	AUTO(value_free) struct value *root = NULL;
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;

	(void)state;
	assert_int_equal(json_parse("t", text, strlen(text), NULL, &root, NULL), 0);
	jsonw_begin(&w, &out, false);
	jsonw_value(&w, root);
	assert_int_equal(jsonw_end(&w, NULL), 0);
	assert_string_equal(buf_str(&out), text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_keep_order_place_and_text),
		cmocka_unit_test(bad_texts_are_refused),
		cmocka_unit_test(scalars_stand_alone),
		cmocka_unit_test(a_long_line_takes_linear_time),
		cmocka_unit_test(the_writer_indents),
		cmocka_unit_test(any_bytes_become_json_that_reads_back),
		cmocka_unit_test(a_tree_is_written_as_it_was_read),
		cmocka_unit_test(wrong_calls_are_an_error_not_bad_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
