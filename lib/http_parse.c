/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict parser of an HTTP/1.x request's head (RFC 9110 section 5, RFC 9112 sections 2 to 6).
 *
 *	method SP origin-form SP HTTP/1.0|1.1 CRLF
 *	*( token ":" OWS value OWS CRLF )
 *	CRLF
 *
 * Refused, because two programs could read it in two ways, or because nobody honest sends it:
 *   a line that ends in LF alone, CR elsewhere, NUL and other control characters
 *   HTTP/0.9; more than one blank in the request line; any version but 1.0 and 1.1
 *   absolute-form, authority-form and asterisk-form targets, '#', bytes outside ASCII in a target
 *   blanks before a field's colon, lines that continue a field (obs-fold)
 *   Host missing in HTTP/1.1, twice, or with bytes that no host has
 *   Content-Length twice or not plain digits, Transfer-Encoding together with Content-Length
 *   Transfer-Encoding by itself: not supported (411 for chunked, 501 for others)
 *   any Expect but 100-continue
 * One empty line before the request line is skipped (RFC 9112 section 2.2).
 */
#include "lib/http_parse.h"

#include <strings.h>

/* tchar of RFC 9110 section 5.6.2, besides letters and digits. */
static bool is_tchar(unsigned char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		return true;
	return c && strchr("!#$%&'*+-.^_`|~", c);
}

static bool is_token(struct http_slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_tchar((unsigned char)s.p[i]))
			return false;
	return s.len > 0;
}

bool http_slice_is(struct http_slice s, const char *text)
{
	return s.len == strlen(text) && !memcmp(s.p, text, s.len);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool http_slice_is_nocase(struct http_slice s, const char *text)
{
	if (s.len != strlen(text))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (lower(s.p[i]) != lower(text[i]))
			return false;
	return true;
}

const struct http_field *http_field_find(const struct http_request *rq, const char *name, size_t *n)
{
	const struct http_field *first = NULL;
	size_t count = 0;

	for (size_t i = 0; i < rq->n_fields; i++) {
		if (!http_slice_is_nocase(rq->fields[i].name, name))
			continue;
		if (!first)
			first = &rq->fields[i];
		count++;
	}
	if (n)
		*n = count;
	return first;
}

void http_parser_init(struct http_parser *p, const struct http_limits *limits)
{
	*p = (struct http_parser){.limits = *limits};
}

static enum http_parse bad(struct http_parser *p, int status, const char *reason)
{
	p->status = status;
	p->reason = reason;
	return HTTP_BAD;
}

static enum http_parse check_target(struct http_parser *p, struct http_slice t)
{
	if (t.len > p->limits.target)
		return bad(p, 414, "target is too long");
	if (!t.len || t.p[0] != '/')
		return bad(p, 400, "target is not a path");
	for (size_t i = 0; i < t.len; i++) {
		unsigned char c = (unsigned char)t.p[i];

		if (c <= 0x20 || c >= 0x7f || c == '#')
			return bad(p, 400, "target holds a character that is not allowed");
	}
	return HTTP_DONE;
}

static enum http_parse check_version(struct http_parser *p, struct http_slice v,
				     struct http_request *ret)
{
	if (http_slice_is(v, "HTTP/1.1"))
		ret->minor = 1;
	else if (http_slice_is(v, "HTTP/1.0"))
		ret->minor = 0;
	else if (v.len == 8 && !memcmp(v.p, "HTTP/", 5) && v.p[5] >= '0' && v.p[5] <= '9' &&
		 v.p[6] == '.' && v.p[7] >= '0' && v.p[7] <= '9')
		return bad(p, 505, "not HTTP/1.0 or HTTP/1.1");
	else
		return bad(p, 400, "request line without a version");
	return HTTP_DONE;
}

static enum http_parse parse_request_line(struct http_parser *p, const char *line, size_t len,
					  struct http_request *ret)
{
	const char *sp1 = memchr(line, ' ', len);
	const char *sp2 = sp1 ? memchr(sp1 + 1, ' ', len - (size_t)(sp1 + 1 - line)) : NULL;
	enum http_parse rc;

	if (!sp1)
		return bad(p, 400, "request line is not METHOD TARGET VERSION");
	ret->method = (struct http_slice){line, (size_t)(sp1 - line)};
	if (!is_token(ret->method))
		return bad(p, 400, "method is not a token");
	if (!sp2)
		return bad(p, 400, "request line without a version");
	ret->target = (struct http_slice){sp1 + 1, (size_t)(sp2 - sp1 - 1)};
	rc = check_version(p, (struct http_slice){sp2 + 1, len - (size_t)(sp2 + 1 - line)}, ret);
	return rc == HTTP_DONE ? check_target(p, ret->target) : rc;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static enum http_parse parse_field(struct http_parser *p, const char *line, size_t len,
				   struct http_request *ret)
{
	const char *colon = memchr(line, ':', len);
	struct http_field f;

	if (is_blank(line[0]))
		return bad(p, 400, "a line continues the field before it");
	if (!colon)
		return bad(p, 400, "a field without a colon");
	f.name = (struct http_slice){line, (size_t)(colon - line)};
	if (!is_token(f.name))
		return bad(p, 400, "a field's name is not a token");
	f.value = (struct http_slice){colon + 1, len - f.name.len - 1};
	while (f.value.len && is_blank(f.value.p[0])) {
		f.value.p++;
		f.value.len--;
	}
	while (f.value.len && is_blank(f.value.p[f.value.len - 1]))
		f.value.len--;
	if (ret->n_fields == HTTP_MAX_FIELDS)
		return bad(p, 431, "too many fields");
	ret->fields[ret->n_fields++] = f;
	return HTTP_DONE;
}

/* A host and a port, or nothing: what RFC 3986 lets a host be made of. */
static enum http_parse check_host(struct http_parser *p, const struct http_request *rq)
{
	size_t n;
	const struct http_field *host = http_field_find(rq, "Host", &n);

	if (n > 1)
		return bad(p, 400, "Host twice");
	if (!host)
		return rq->minor ? bad(p, 400, "HTTP/1.1 without Host") : HTTP_DONE;
	for (size_t i = 0; i < host->value.len; i++) {
		char c = host->value.p[i];

		if (!is_tchar((unsigned char)c) && !strchr("[]:(),;=", c))
			return bad(p, 400, "Host is not a host");
	}
	return HTTP_DONE;
}

static enum http_parse check_length(struct http_parser *p, struct http_request *rq)
{
	size_t n_cl, n_te;
	const struct http_field *cl = http_field_find(rq, "Content-Length", &n_cl);
	const struct http_field *te = http_field_find(rq, "Transfer-Encoding", &n_te);

	if (cl && te)
		return bad(p, 400, "Content-Length and Transfer-Encoding together");
	if (n_cl > 1)
		return bad(p, 400, "Content-Length twice");
	if (n_te > 1)
		return bad(p, 400, "Transfer-Encoding twice");
	if (te && !rq->minor)
		return bad(p, 400, "Transfer-Encoding in HTTP/1.0");
	if (te && http_slice_is_nocase(te->value, "chunked"))
		return bad(p, 411, "a chunked body");
	if (te)
		return bad(p, 501, "unknown Transfer-Encoding");
	if (!cl)
		return HTTP_DONE;
	if (!cl->value.len)
		return bad(p, 400, "Content-Length is not a number");
	for (size_t i = 0; i < cl->value.len; i++) {
		char c = cl->value.p[i];

		if (c < '0' || c > '9')
			return bad(p, 400, "Content-Length is not a number");
		if (!u64_mul(rq->content_length, 10, &rq->content_length) ||
		    !u64_add(rq->content_length, (uint64_t)(c - '0'), &rq->content_length))
			return bad(p, 413, "Content-Length is too large");
	}
	if (rq->content_length > p->limits.body)
		return bad(p, 413, "body is too large");
	return HTTP_DONE;
}

static enum http_parse check_expect(struct http_parser *p, struct http_request *rq)
{
	const struct http_field *expect = http_field_find(rq, "Expect", NULL);

	if (!expect || !rq->minor) /* RFC 9110 section 10.1.1: ignored in HTTP/1.0 */
		return HTTP_DONE;
	if (!http_slice_is_nocase(expect->value, "100-continue"))
		return bad(p, 417, "unknown Expect");
	rq->expect_continue = true;
	return HTTP_DONE;
}

/* True if a field of that name has the option in its comma-separated list. */
static bool has_option(const struct http_request *rq, const char *name, const char *option)
{
	for (size_t i = 0; i < rq->n_fields; i++) {
		const struct http_slice *v = &rq->fields[i].value;
		size_t from = 0;

		if (!http_slice_is_nocase(rq->fields[i].name, name))
			continue;
		while (from <= v->len) {
			const char *comma = memchr(v->p + from, ',', v->len - from);
			size_t to = comma ? (size_t)(comma - v->p) : v->len;
			struct http_slice o = {v->p + from, to - from};

			from = to + 1;
			while (o.len && is_blank(o.p[0])) {
				o.p++;
				o.len--;
			}
			while (o.len && is_blank(o.p[o.len - 1]))
				o.len--;
			if (http_slice_is_nocase(o, option))
				return true;
		}
	}
	return false;
}

/* data[p->start, end) are the request line and the fields, each line with its CRLF. */
static enum http_parse parse_head(struct http_parser *p, const char *data, size_t end,
				  struct http_request *ret)
{
	size_t from = p->start;
	enum http_parse rc = HTTP_DONE;

	*ret = (struct http_request){0};
	for (size_t i = 0; from < end && rc == HTTP_DONE; i++) {
		const char *lf = memchr(data + from, '\n', end - from);
		size_t len = (size_t)(lf - (data + from)) - 1; /* without CRLF */

		rc = i ? parse_field(p, data + from, len, ret)
		       : parse_request_line(p, data + from, len, ret);
		from += len + 2;
	}
	if (rc == HTTP_DONE)
		rc = check_host(p, ret);
	if (rc == HTTP_DONE)
		rc = check_length(p, ret);
	if (rc == HTTP_DONE)
		rc = check_expect(p, ret);
	if (rc != HTTP_DONE)
		return rc;
	ret->keep_alive = ret->minor ? !has_option(ret, "Connection", "close")
				     : has_option(ret, "Connection", "keep-alive");
	return HTTP_DONE;
}

/* A line is complete: its CR is at i - 1, its LF at i. */
static enum http_parse end_of_line(struct http_parser *p, const char *data, size_t i,
				   struct http_request *ret)
{
	size_t len = i - 1 - p->line;
	size_t line = p->line;
	enum http_parse rc;

	p->line = i + 1;
	if (!len && !p->lines) {
		if (p->start)
			return bad(p, 400, "empty lines before the request");
		p->start = i + 1;
		return HTTP_MORE;
	}
	if (!len) {
		p->head_len = i + 1;
		return parse_head(p, data, line, ret);
	}
	if (p->lines++ == 0) { /* at once, so that HTTP/0.9 and other protocols get an answer */
		*ret = (struct http_request){0};
		rc = parse_request_line(p, data + line, len, ret);
		if (rc == HTTP_BAD)
			return rc;
	}
	return HTTP_MORE;
}

enum http_parse http_parse(struct http_parser *p, const char *data, size_t len,
			   struct http_request *ret)
{
	/* The longest request line whose target is not too long; methods are short. */
	size_t max_first;

	if (!size_add(p->limits.target, sizeof(" HTTP/1.1\r\n") + 32, &max_first))
		max_first = SIZE_MAX;
	for (; p->scanned < len; p->scanned++) {
		size_t i = p->scanned;
		unsigned char c = (unsigned char)data[i];
		bool after_cr = i > p->line && data[i - 1] == '\r';
		enum http_parse rc;

		if (!p->lines && i - p->start >= max_first)
			return bad(p, 414, "request line is too long");
		if (i - p->start >= p->limits.head)
			return bad(p, 431, "head is too long");
		if (c == '\n') {
			if (!after_cr)
				return bad(p, 400, "a line ends without CR");
			rc = end_of_line(p, data, i, ret);
			if (rc != HTTP_MORE) {
				p->scanned++;
				return rc;
			}
		} else if (after_cr) {
			return bad(p, 400, "CR within a line");
		} else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) {
			return bad(p, 400, "a control character");
		}
	}
	return HTTP_MORE;
}
