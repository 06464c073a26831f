/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of lib/aws for s3.bats: s3keys COMMAND BUCKET, against the cloud that the environment
 * names. Ends with 0, or with one line on stderr and 1.
 *
 *	roundtrip  puts, heads, gets, lists and prints objects of odd names, one name a line in hex
 *	secret     asks with a wrong secret key
 *	skewed     asks with a clock that is an hour off
 *	region     asks with another region's name in the signature
 */
#include <stdio.h>
#include <time.h>

#include "lib/aws.h"
#include "lib/str.h"

static const char *const keys[] = {
	"plain",
	"a=b x*y c:d e@f h,i j;k p(1) q'q",
	"a%20b%2Fc",
	"a+b",
	"t~u.-_v",
	"deep/er/key",
	"//two",
	"dot/../dot/./dot",
	"..",
	"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
	"#frag?query=1&x=y",
	"\"<>\\^`{|}",
	"$&+,/:;=?@",
	"trailing/",
	" blank ",
	"tab\there",
	"[0]",
	"!*'()",
};

static int64_t an_hour_late(void)
{
	return time(NULL) - 3600;
}

static int put_and_get(struct aws *a, struct httpc *c, const char *bucket, const char *key,
		       struct err *e)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_FREE char *path = str_format("/%s", key);
	AUTO_FREE char *body = str_format("the object %s", key);
	const struct httpc_header meta[] = {{"x-amz-meta-odd", "  a   b  "}};
	struct aws_request req = {
		.method = HTTPC_PUT,
		.service = "s3",
		.bucket = bucket,
		.path = path,
		.headers = meta,
		.n_headers = 1,
		.body = body,
		.body_len = strlen(body),
	};
	int rc = aws_send(a, c, &req, &r, NULL, e);

	if (rc < 0)
		return rc;
	req = (struct aws_request){
		.method = HTTPC_HEAD, .service = "s3", .bucket = bucket, .path = path};
	rc = aws_send(a, c, &req, &r, NULL, e);
	if (rc < 0)
		return rc;
	req.method = HTTPC_GET;
	rc = aws_send(a, c, &req, &r, NULL, e);
	if (rc < 0)
		return rc;
	if (r.body.len != strlen(body) || memcmp(r.body.data, body, r.body.len) != 0)
		return err_set(e, EBADMSG, "'%s' came back as '%s'", key, buf_str(&r.body));
	return 0;
}

/* A listing whose prefix is the key holds it: the query is signed as the server reads it. */
static int list(struct aws *a, struct httpc *c, const char *bucket, const char *key, struct err *e)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO(xml_free) struct xml_node *root = NULL;
	const struct aws_param query[] = {
		{"prefix", key}, {"list-type", "2"}, {"max-keys", "1"}, {"delimiter", NULL}};
	struct aws_request req = {.service = "s3", .bucket = bucket, .query = query, .n_query = 4};
	const char *found;
	int rc = aws_send(a, c, &req, &r, NULL, e);

	if (rc == 0)
		rc = xml_parse("listing", r.body.data, r.body.len, NULL, &root, e);
	if (rc < 0)
		return rc;
	found = xml_child_text(xml_child(root, "Contents"), "Key", "");
	if (!str_has_prefix(found, key))
		return err_set(e, EBADMSG, "the listing of '%s' begins with '%s'", key, found);
	return 0;
}

static int roundtrip(struct aws *a, struct httpc *c, const char *bucket, struct err *e)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct aws_request make = {.method = HTTPC_PUT, .service = "s3", .bucket = bucket};
	int rc = aws_send(a, c, &make, &r, NULL, e);

	for (size_t i = 0; i < ARRAY_SIZE(keys) && rc == 0; i++) {
		char hex[512];

		rc = put_and_get(a, c, bucket, keys[i], e);
		if (rc == 0)
			rc = list(a, c, bucket, keys[i], e);
		hex_encode(keys[i], strlen(keys[i]), hex);
		if (rc == 0)
			puts(hex);
	}
	return rc;
}

static int one_get(struct aws *a, struct httpc *c, const char *bucket, const char *region,
		   struct err *e)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct aws_request req = {
		.service = "s3", .bucket = bucket, .path = "/plain", .region = region};

	return aws_send(a, c, &req, &r, NULL, e);
}

int main(int argc, char **argv)
{
	static const struct httpc_retry quick = {.max_attempts = 3, .base_ms = 50};
	struct aws_options o = {.retry = &quick};
	AUTO(aws_free) struct aws *a = NULL;
	AUTO(httpc_free) struct httpc *c = NULL;
	const char *command = argc == 3 ? argv[1] : "";
	struct err e;
	int rc;

	if (!strcmp(command, "secret"))
		setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1);
	if (!strcmp(command, "skewed"))
		o.now = an_hour_late;
	rc = aws_open(&o, &a, &e);
	if (rc == 0)
		rc = aws_http_client(a, &c, &e);
	if (rc == 0 && !strcmp(command, "roundtrip"))
		rc = roundtrip(a, c, argv[2], &e);
	else if (rc == 0)
		rc = one_get(a, c, argc == 3 ? argv[2] : "",
			     !strcmp(command, "region") ? "eu-central-1" : NULL, &e);
	if (rc < 0)
		fprintf(stderr, "%s\n", e.msg);
	return rc < 0;
}
