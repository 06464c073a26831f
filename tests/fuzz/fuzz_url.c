/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs as users and environments give them, and the canonicaliser of signatures: what is signed
 * holds unreserved characters and %XX alone, and the parts of a URL make it again.
 */
#include "lib/aws.h"
#include "lib/str.h"

static void check_url(const char *text)
{
	AUTO(httpc_url_release) struct httpc_url u = {0}, v = {0};
	AUTO_FREE char *again = NULL;
	struct err e;

	if (httpc_url_parse(text, &u, &e) < 0)
		return;
	again = str_format("%s://%s%s%s%s", u.scheme, u.authority, u.path, *u.query ? "?" : "",
			   u.query);
	if (!again)
		return;
	if (httpc_url_parse(again, &v, &e) < 0 || strcmp(u.authority, v.authority) != 0 ||
	    strcmp(u.path, v.path) != 0 || strcmp(u.query, v.query) != 0 || u.port != v.port)
		abort();
}

static void check_canonical(const char *text, const char *allowed)
{
	if (text[strspn(text, allowed)] != '\0')
		abort();
}

static void check_signing(const char *text)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~%";
	static const struct aws_credentials c = {.access_key = (char *)"AK",
						 .secret_key = (char *)"SK"};
	AUTO(aws_signature_release) struct aws_signature s = {.date = ""};
	AUTO_FREE char *path = str_format("/%s", text);
	AUTO_BUF query = BUF_INIT, allowed = BUF_INIT;
	const struct aws_param params[] = {{text, text}, {"b", NULL}, {"a", text}};
	struct aws_signing in = {
		.credentials = &c,
		.region = "r",
		.service = *text % 2 ? "s3" : "ec2",
		.method = "GET",
		.host = "h",
		.path = path,
		.query = params,
		.n_query = 3,
		.payload_hash = AWS_UNSIGNED_PAYLOAD,
	};
	struct err e;
	char *line;

	if (!path || aws_sign(&in, &s, &e) < 0 || aws_query_encode(params, 3, &query) < 0)
		return;
	if (buf_addf(&allowed, "%s&=", unreserved) < 0)
		return;
	check_canonical(buf_str(&query), buf_str(&allowed));
	buf_clear(&allowed);
	if (buf_addf(&allowed, "%s/", unreserved) < 0)
		return;
	line = strchr(s.canonical_request, '\n') + 1;
	*strchr(line, '\n') = '\0';
	check_canonical(line, buf_str(&allowed));
	if (strstr(in.service, "ec2") && (strstr(line, "//") || strstr(line, "/../")))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = strndup((const char *)data, size);

	if (!text)
		return 0;
	check_url(text);
	check_signing(text);
	httpc_date(text);
	return 0;
}
