/* SPDX-License-Identifier: Apache-2.0 */
/* Requests are taken strictly or refused, however their bytes come in; responses, dates. */
#include "tests/unit/cmocka.h"

#include <stdio.h>

#include "lib/http_parse.h"
#include "lib/http_response.h"

static enum http_parse parse(const char *text, struct http_parser *p, struct http_request *rq)
{
	struct http_limits limits = HTTP_LIMITS_DEFAULT;

	http_parser_init(p, &limits);
	return http_parse(p, text, strlen(text), rq);
}

static void assert_slice(struct http_slice s, const char *text)
{
	assert_int_equal(s.len, strlen(text));
	assert_memory_equal(s.p, text, s.len);
}

static void parses_a_request(void **state)
{
	const char *text = "PUT /latest/api/token?x=1 HTTP/1.1\r\nHost: 169.254.169.254\r\n"
			   "X-Ttl:\t 60 \r\nEmpty:\r\n\r\nGET ";
	struct http_parser p;
	struct http_request rq;

	(void)state;
	assert_int_equal(parse(text, &p, &rq), HTTP_DONE);
	assert_int_equal(p.head_len, strlen(text) - 4);
	assert_slice(rq.method, "PUT");
	assert_slice(rq.target, "/latest/api/token?x=1");
	assert_int_equal(rq.minor, 1);
	assert_int_equal(rq.n_fields, 3);
	assert_slice(rq.fields[1].name, "X-Ttl");
	assert_slice(rq.fields[1].value, "60");
	assert_slice(rq.fields[2].value, "");
	assert_true(rq.keep_alive);
	assert_int_equal(rq.content_length, 0);
}

static void gives_the_same_for_every_way_to_cut_the_bytes(void **state)
{
	const char *text = "\r\nPUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz";
	size_t len = strlen(text);

	(void)state;
	for (size_t first = 0; first <= len; first++) {
		struct http_limits limits = HTTP_LIMITS_DEFAULT;
		struct http_parser p;
		struct http_request rq;
		enum http_parse rc = HTTP_MORE;

		http_parser_init(&p, &limits);
		for (size_t n = first; n <= len && rc == HTTP_MORE; n++) {
			char *exact = malloc(n ? n : 1); /* moves, and ends where it ends */

			memcpy(exact, text, n);
			rc = http_parse(&p, exact, n, &rq);
			assert_true(rc != HTTP_DONE || n >= len - 3);
			free(exact);
		}
		assert_int_equal(rc, HTTP_DONE);
		assert_int_equal(p.head_len, len - 3);
		assert_int_equal(rq.content_length, 3);
	}
}

static void knows_when_to_keep_a_connection(void **state)
{
	static const struct {
		const char *text;
		bool keep;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n", false},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true},
		{"GET / HTTP/1.0\r\n\r\n", false},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_parser p;
		struct http_request rq;

		assert_int_equal(parse(cases[i].text, &p, &rq), HTTP_DONE);
		assert_int_equal(rq.keep_alive, cases[i].keep);
	}
}

static void refuses_what_can_be_read_in_two_ways(void **state)
{
	static const struct {
		int status;
		const char *text;
	} cases[] = {
		{400, "GET /\r\n"},                           /* HTTP/0.9 */
		{400, "GET / HTTP/1.1\nHost: a\n\n"},         /* LF alone */
		{400, "GET / HTTP/1.1\r\nHost: a\n\r\n"},     /* LF alone in a field */
		{400, "GET / HTTP/1.1\rHost: a\r\n\r\n"},     /* CR alone */
		{400, "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"}, /* CR twice */
		{400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
		{400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.11\r\nHost: a\r\n\r\n"},
		{505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
		{505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{400, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\n\r\n"}, /* no Host */
		{400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n"}, /* obs-fold */
		{400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nA\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nA\x0b: b\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nA: \x01\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nA: \x7f\r\n\r\n"},
		{400,
		 "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
		{413, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4097\r\n\r\n"},
		{413, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n"},
		{413,
		 "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
		      "Transfer-Encoding: chunked\r\n\r\n"},
		{411, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{501, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
		{501, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
		      "Transfer-Encoding: identity\r\n\r\n"},
		{400, "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{417, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n"},
		{400, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "\x16\x03\x01\x02\x01\x01"}, /* TLS */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_parser p;
		struct http_request rq;

		if (parse(cases[i].text, &p, &rq) != HTTP_BAD || p.status != cases[i].status)
			fail_msg("case %zu: %d %s", i, p.status, p.reason ? p.reason : "taken");
	}
}

static void refuses_nul_bytes(void **state)
{
	static const char text[] = "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n";
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	struct http_parser p;
	struct http_request rq;

	(void)state;
	http_parser_init(&p, &limits);
	assert_int_equal(http_parse(&p, text, sizeof(text) - 1, &rq), HTTP_BAD);
	assert_int_equal(p.status, 400);
}

/* n bytes of request that never end, fed in one go; returns the status, 0 if it waits for more. */
static int feed(const char *begin, char fill, size_t n)
{
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	struct http_parser p;
	struct http_request rq;
	char *text = malloc(strlen(begin) + n);
	enum http_parse rc;

	memcpy(text, begin, strlen(begin));
	memset(text + strlen(begin), fill, n);
	http_parser_init(&p, &limits);
	rc = http_parse(&p, text, strlen(begin) + n, &rq);
	free(text);
	return rc == HTTP_BAD ? p.status : 0;
}

static void keeps_its_limits(void **state)
{
	char text[HTTP_MAX_FIELDS * 8 + 64] = "GET / HTTP/1.1\r\nHost: a\r\n";
	struct http_parser p;
	struct http_request rq;

	(void)state;
	assert_int_equal(feed("GET /", 'a', 2000), 0);
	assert_int_equal(feed("GET /", 'a', 2100), 414);
	assert_int_equal(feed("GET /", 'a', 1000000), 414);
	assert_int_equal(feed("", 'A', 1000000), 414);
	assert_int_equal(feed("GET / HTTP/1.1\r\nA: ", 'a', 8000), 0);
	assert_int_equal(feed("GET / HTTP/1.1\r\nA: ", 'a', 9000), 431);

	for (size_t i = 1; i < HTTP_MAX_FIELDS; i++)
		strcat(text, "A: b\r\n");
	strcat(text, "\r\n");
	assert_int_equal(parse(text, &p, &rq), HTTP_DONE);
	text[strlen(text) - 2] = '\0';
	strcat(text, "A: b\r\n\r\n");
	assert_int_equal(parse(text, &p, &rq), HTTP_BAD);
	assert_int_equal(p.status, 431);
}

static void finds_fields_without_regard_to_case(void **state)
{
	struct http_parser p;
	struct http_request rq;
	size_t n;

	(void)state;
	assert_int_equal(parse("GET / HTTP/1.1\r\nhost: a\r\nX-A: 1\r\nx-a: 2\r\n\r\n", &p, &rq),
			 HTTP_DONE);
	assert_slice(http_field_find(&rq, "x-A", &n)->value, "1");
	assert_int_equal(n, 2);
	assert_null(http_field_find(&rq, "X-", &n));
	assert_int_equal(n, 0);
}

static void writes_dates(void **state)
{
	static const struct {
		uint64_t t;
		const char *text;
	} cases[] = {
		{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
		{784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
		{951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
		{4107542399, "Sun, 28 Feb 2100 23:59:59 GMT"},
		{4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
		{UINT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
	};
	char text[HTTP_DATE_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		http_date(cases[i].t, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void a_header_cannot_break_its_line(void **state)
{
	AUTO(http_response_release) struct http_response r = HTTP_RESPONSE_INIT;

	(void)state;
	assert_int_equal(http_response_header(&r, "A", "b"), 0);
	assert_int_equal(http_response_header(&r, "A", "b\r\nC: d"), -EINVAL);
	assert_int_equal(http_response_header(&r, "A:", "b"), -EINVAL);
	assert_int_equal(http_response_header(&r, "", "b"), -EINVAL);
	assert_string_equal(r.headers.data, "A: b\r\n");
	assert_int_equal(http_response_error(&r, 404), 0);
	assert_int_equal(r.status, 404);
	assert_string_equal(r.headers.data, "Content-Type: text/html\r\n");
	assert_non_null(strstr(r.body.data, "<title>404 - Not Found</title>"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_a_request),
		cmocka_unit_test(gives_the_same_for_every_way_to_cut_the_bytes),
		cmocka_unit_test(knows_when_to_keep_a_connection),
		cmocka_unit_test(refuses_what_can_be_read_in_two_ways),
		cmocka_unit_test(refuses_nul_bytes),
		cmocka_unit_test(keeps_its_limits),
		cmocka_unit_test(finds_fields_without_regard_to_case),
		cmocka_unit_test(writes_dates),
		cmocka_unit_test(a_header_cannot_break_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
