/* SPDX-License-Identifier: Apache-2.0 */
/* URLs of S3. The requests are tested against a server: tests/integration/bundle/s3_slow.bats. */
#include "lib/s3.h"

#include <stdio.h>

#include "tests/unit/cmocka.h"

static void parses(const char *text, const char *bucket, const char *key)
{
	AUTO(s3_url_release) struct s3_url u = {0};
	struct err e = {0};

	assert_int_equal(s3_url_parse(text, &u, &e), 0);
	assert_string_equal(u.bucket, bucket);
	assert_string_equal(u.key, key);
}

static void takes_a_url_apart(void **state)
{
	(void)state;
	parses("s3://bucket", "bucket", "");
	parses("s3://bucket/", "bucket", "");
	parses("s3://bucket/a", "bucket", "a");
	parses("s3://bucket/a/b c/", "bucket", "a/b c/");
	parses("s3://bucket//a", "bucket", "/a");
}

static void refuses(const char *text)
{
	AUTO(s3_url_release) struct s3_url u = {0};
	struct err e = {0};

	assert_int_equal(s3_url_parse(text, &u, &e), -EINVAL);
	assert_true(*e.msg != '\0');
	assert_null(u.bucket);
}

static void refuses_what_is_none(void **state)
{
	char long_key[1100] = "s3://b/";

	(void)state;
	refuses("");
	refuses("bucket/key");
	refuses("S3://bucket/key");
	refuses("s3://");
	refuses("s3:///key");
	memset(long_key + 7, 'k', 1025);
	refuses(long_key);
}

/* By whoever else has it: nothing is sent then, so no server is asked. */
static void a_file_that_became_shorter_is_an_error(void **state)
{
	FILE *f = tmpfile();
	struct err e = {0};

	(void)state;
	assert_non_null(f);
	assert_true(fputs("short", f) >= 0 && fflush(f) == 0);
	assert_int_equal(
		s3_put_file(NULL, NULL, "bucket", "key", NULL, NULL, fileno(f), 6, 0, NULL, &e),
		-EBADMSG);
	assert_non_null(strstr(e.msg, "s3://bucket/key"));
	assert_non_null(strstr(e.msg, "the file ends at 0x5"));
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_url_apart),
		cmocka_unit_test(refuses_what_is_none),
		cmocka_unit_test(a_file_that_became_shorter_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
