/* SPDX-License-Identifier: Apache-2.0 */
/* lib/ini: profile files as people write them. */
#include "tests/unit/cmocka.h"

#include "lib/ini.h"

static void profiles_are_read_as_the_aws_tools_do(void **state)
{
	static const char text[] =
		"# top\n\n[default]\nregion=eu-central-1\r\n"
		"aws_access_key_id = AKID \n  ; indented comment\n"
		"s3 =\n  max_concurrent_requests = 20\n  endpoint_url = http://x\n"
		"output = json\n    continued\n"
		"[ profile dev ]\n AWS_SECRET = ignored, it is indented\n"
		"Region = a = b # c\n"
		"[default]\nregion = us-east-1\nempty =\n";
	AUTO(ini_free) struct ini *ini = NULL;
	struct err e;

	(void)state;
	assert_int_equal(ini_parse("c", text, strlen(text), &ini, &e), 0);
	assert_true(ini_has_section(ini, "default"));
	assert_true(ini_has_section(ini, "profile dev"));
	assert_false(ini_has_section(ini, "dev"));
	assert_string_equal(ini_get(ini, "default", "region"), "us-east-1");
	assert_string_equal(ini_get(ini, "default", "AWS_ACCESS_KEY_ID"), "AKID");
	assert_string_equal(ini_get(ini, "default", "s3.endpoint_url"), "http://x");
	assert_string_equal(ini_get(ini, "default", "output"), "json");
	assert_string_equal(ini_get(ini, "default", "empty"), "");
	assert_string_equal(ini_get(ini, "profile dev", "region"), "a = b # c");
	assert_null(ini_get(ini, "profile dev", "aws_secret"));
	assert_null(ini_get(NULL, "x", "y"));
}

static void broken_files_are_refused_without_showing_them(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *message;
	} cases[] = {
		{"a = SECRET", 10, "f:1: a key before the first [section]"},
		{"[x]\nSECRET\n", 11, "f:2: neither [section] nor key = value"},
		{"[x\n", 3, "f:1: '[' without ']'"},
		{"[x]\n= SECRET\n", 13, "f:2: '=' without a key"},
		{"[x]\na=SEC\0RET\n", 14, "f:2: a NUL character"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ini *ini = NULL;
		struct err e;

		assert_int_equal(ini_parse("f", cases[i].text, cases[i].len, &ini, &e), -EBADMSG);
		assert_string_equal(e.msg, cases[i].message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(profiles_are_read_as_the_aws_tools_do),
		cmocka_unit_test(broken_files_are_refused_without_showing_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
