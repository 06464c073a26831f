/* SPDX-License-Identifier: Apache-2.0 */
/* Signature Version 4: AWS's published examples, and what cannot be signed. */
#include "tests/unit/cmocka.h"

#include <time.h>

#include "lib/aws.h"
#include "lib/str.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* The credentials of AWS's own documentation. */
static const struct aws_credentials documented = {
	.access_key = (char *)"AKIAIOSFODNN7EXAMPLE",
	.secret_key = (char *)"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};

static int64_t at(const char *date)
{
	struct tm tm = {0};

	assert_non_null(strptime(date, "%Y%m%dT%H%M%SZ", &tm));
	return timegm(&tm);
}

static void assert_signature(const struct aws_signing *in, const char *expected)
{
	AUTO(aws_signature_release) struct aws_signature s = {.date = ""};
	struct err e;

	if (aws_sign(in, &s, &e) < 0)
		fail_msg("%s", e.msg);
	if (!str_has_suffix(s.authorization, expected))
		fail_msg("%s\n%s\n%s", s.authorization, s.canonical_request, s.string_to_sign);
}

/* Amazon S3 API Reference, "Signature Calculations for the Authorization Header", examples. */
static void the_examples_of_the_s3_reference_match(void **state)
{
	static const struct httpc_header range[] = {{"Range", "bytes=0-9"}};
	static const struct httpc_header put[] = {
		{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
		{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
	};
	static const struct aws_param lifecycle[] = {{"lifecycle", NULL}};
	static const struct aws_param list[] = {{"prefix", "J"}, {"max-keys", "2"}};
	struct aws_signing in = {
		.credentials = &documented,
		.region = "us-east-1",
		.service = "s3",
		.method = "GET",
		.host = "examplebucket.s3.amazonaws.com",
		.path = "/test.txt",
		.headers = range,
		.n_headers = 1,
		.payload_hash = EMPTY_HASH,
		.now = at("20130524T000000Z"),
	};

	(void)state;
	assert_signature(&in, "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature="
			      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	in.headers = NULL;
	in.n_headers = 0;
	in.path = "/";
	in.query = lifecycle;
	in.n_query = 1;
	assert_signature(&in, "Signature="
			      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	in.query = list;
	in.n_query = 2;
	assert_signature(&in, "Signature="
			      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
	in.method = "PUT";
	in.path = "/test$file.text";
	in.n_query = 0;
	in.headers = put;
	in.n_headers = 2;
	in.payload_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
	assert_signature(&in, "Signature="
			      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

/* AWS General Reference, the IAM ListUsers example. */
static void the_example_of_the_general_reference_matches(void **state)
{
	static const struct httpc_header type[] = {
		{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
	static const struct aws_param query[] = {{"Version", "2010-05-08"},
						 {"Action", "ListUsers"}};
	static const struct aws_credentials c = {
		.access_key = (char *)"AKIDEXAMPLE",
		.secret_key = (char *)"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
	};
	struct aws_signing in = {
		.credentials = &c,
		.region = "us-east-1",
		.service = "iam",
		.method = "GET",
		.host = "iam.amazonaws.com",
		.path = "/",
		.query = query,
		.n_query = 2,
		.headers = type,
		.n_headers = 1,
		.payload_hash = EMPTY_HASH,
		.now = at("20150830T123600Z"),
	};

	(void)state;
	assert_signature(&in, "Signature="
			      "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void what_cannot_be_signed_is_refused(void **state)
{
	static const struct httpc_header twice[] = {{"A", "1"}, {"a", "2"}};
	static const struct aws_credentials none = {0};
	struct aws_signing in = {
		.credentials = &documented,
		.region = "r",
		.service = "ec2",
		.method = "GET",
		.host = "h",
		.path = "/",
		.headers = twice,
		.n_headers = 2,
		.payload_hash = EMPTY_HASH,
	};
	struct aws_signature s = {.date = ""};
	struct err e;

	(void)state;
	assert_int_equal(aws_sign(&in, &s, &e), -EINVAL);
	assert_string_equal(e.msg, "the header 'a' is there twice");
	in.n_headers = 0;
	in.path = "x";
	assert_int_equal(aws_sign(&in, &s, &e), -EINVAL);
	in.path = "/";
	in.now = INT64_MAX;
	assert_int_equal(aws_sign(&in, &s, &e), -EINVAL);
	in.now = 0;
	in.credentials = &none;
	assert_int_equal(aws_sign(&in, &s, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_s3_reference_match),
		cmocka_unit_test(the_example_of_the_general_reference_matches),
		cmocka_unit_test(what_cannot_be_signed_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
