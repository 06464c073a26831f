/* SPDX-License-Identifier: Apache-2.0 */
/* Signature Version 4 as botocore makes it, of hundreds of odd requests. */
#include "tests/unit/cmocka.h"

#include "lib/aws.h"
#include "lib/digest.h"
#include "lib/json.h"
#include "lib/proc.h"
#include "lib/str.h"

#define CASES "600"

static const char *text_of(const struct value *v, const char *key)
{
	const char *s = NULL;

	assert_int_equal(value_string(value_get(v, key), &s, NULL), 0);
	return s;
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

static void compare(const struct value *v)
{
	struct aws_param query[8];
	struct httpc_header headers[8];
	uint8_t digest[DIGEST_MAX];
	char hash[2 * DIGEST_MAX + 1];
	const struct value *token = value_get(v, "token");
	struct aws_credentials c = {
		.access_key = (char *)text_of(v, "access"),
		.secret_key = (char *)text_of(v, "secret"),
		.session_token = token->kind == VALUE_STRING ? (char *)token->text : NULL,
	};
	struct aws_signing in = {
		.credentials = &c,
		.region = text_of(v, "region"),
		.service = text_of(v, "service"),
		.method = text_of(v, "method"),
		.host = text_of(v, "host"),
		.path = text_of(v, "path"),
		.query = query,
		.headers = headers,
		.now = value_get(v, "time")->integer,
	};

	value_foreach (pair, value_get(v, "query")) {
		query[in.n_query++] =
			(struct aws_param){value_at(pair, 0)->text, value_at(pair, 1)->text};
	}
	value_foreach (h, value_get(v, "headers")) {
		headers[in.n_headers++] = (struct httpc_header){h->key, h->text};
	}
	digest_of(DIGEST_SHA256, value_get(v, "body")->text, value_get(v, "body")->text_len,
		  digest);
	hex_encode(digest, 32, hash);
	in.payload_hash = value_get(v, "unsigned")->boolean ? AWS_UNSIGNED_PAYLOAD : hash;
	assert_signature(&in, text_of(v, "authorization"));
}

static void botocore_signs_odd_requests_the_same(void **state)
{
	static const char *const argv[] = {"tests/unit/lib/botocore_oracle.py", CASES, NULL};
	AUTO_BUF out = BUF_INIT;
	struct err e;
	size_t n = 0;

	(void)state;
	if (proc_run(argv, NULL, 0, &out, 64u << 20, 600, &e) < 0) {
		if (strstr(e.msg, "77"))
			skip();
		fail_msg("%s", e.msg);
	}
	for (char *line = out.data, *end; (end = strchr(line, '\n')); line = end + 1, n++) {
		AUTO(value_free) struct value *v = NULL;

		assert_int_equal(json_parse("oracle", line, (size_t)(end - line), NULL, &v, &e), 0);
		compare(v);
	}
	assert_int_equal(n, 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(botocore_signs_odd_requests_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
