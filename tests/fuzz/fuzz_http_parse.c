/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests. The first byte says how the rest is cut: however it comes in, the outcome is the same,
 * and what is taken lies within the input and keeps the rules.
 */
#include "lib/http_parse.h"

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_slice(struct http_slice s, const char *data, size_t len)
{
	check(s.p >= data && s.len <= len && (size_t)(s.p - data) <= len - s.len);
	for (size_t i = 0; i < s.len; i++)
		check(s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0');
}

static void check_request(const struct http_request *rq, const struct http_parser *p,
			  const char *data)
{
	size_t n;

	check(p->head_len >= 16 && !memcmp(data + p->head_len - 4, "\r\n\r\n", 4));
	check_slice(rq->method, data, p->head_len);
	check_slice(rq->target, data, p->head_len);
	check(rq->method.len && rq->target.len && rq->target.p[0] == '/');
	check(!memchr(rq->target.p, ' ', rq->target.len));
	check(rq->n_fields <= HTTP_MAX_FIELDS && rq->content_length <= p->limits.body);
	for (size_t i = 0; i < rq->n_fields; i++) {
		check_slice(rq->fields[i].name, data, p->head_len);
		check_slice(rq->fields[i].value, data, p->head_len);
	}
	http_field_find(rq, "Host", &n);
	check(n <= 1 && (n || !rq->minor));
	http_field_find(rq, "Content-Length", &n);
	check(n <= 1);
	check(!http_field_find(rq, "Transfer-Encoding", NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	const char *data = (const char *)input + 1;
	struct http_request whole, cut;
	struct http_parser p, q;
	enum http_parse a, b = HTTP_MORE;
	size_t len, step;

	if (size < 2)
		return 0;
	len = size - 1;
	step = input[0] + 1u;
	http_parser_init(&p, &limits);
	a = http_parse(&p, data, len, &whole);
	http_parser_init(&q, &limits);
	for (size_t n = MIN(step, len); b == HTTP_MORE; n = MIN(n + step, len)) {
		b = http_parse(&q, data, n, &cut);
		if (n == len)
			break;
	}
	check(a == b);
	if (a == HTTP_BAD)
		check(p.status == q.status && p.status >= 400 && p.status < 600 && p.reason);
	if (a != HTTP_DONE)
		return 0;
	check(p.head_len == q.head_len && whole.n_fields == cut.n_fields &&
	      whole.content_length == cut.content_length && whole.target.p == cut.target.p);
	check_request(&whole, &p, data);
	return 0;
}
