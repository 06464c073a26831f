/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces of answers: see context/answer.h. */
#include "context/answer.h"

#include <stdio.h>

#include "lib/str.h"

int answer_refuse(struct answer *a, int status, const char *why)
{
	a->why = why;
	return http_response_error(a->res, status) ? err_nomem(a->e) : 0;
}

int answer_header(struct answer *a, const char *name, const char *value)
{
	return http_response_header(a->res, name, value) ? err_nomem(a->e) : 0;
}

int answer_refuse_method(struct answer *a, const char *allow)
{
	int rc = answer_refuse(a, 405, "method is not allowed");

	return rc ? rc : answer_header(a, "Allow", allow);
}

int answer_header_number(struct answer *a, const char *name, unsigned value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	return answer_header(a, name, text);
}

bool answer_is_get(const struct answer *a)
{
	return http_slice_is(a->rq->method, "GET") || http_slice_is(a->rq->method, "HEAD");
}

int answer_bytes(struct answer *a, const char *type, const void *data, size_t len)
{
	a->res->status = 200;
	if (buf_add(&a->res->body, data, len))
		return err_nomem(a->e);
	return answer_header(a, "Content-Type", type);
}

const char *answer_said(const struct answer *a, const char *key)
{
	const struct context_pair *v;
	size_t n;

	if (!a->env->said)
		return NULL;
	v = a->env->said->all(a->env->said->arg, a->in, &n);
	return pairs_get(v, n, key);
}

int answer_say(struct answer *a, const char *key, const void *data, size_t len)
{
	AUTO_FREE char *text = data ? strndup(data, len) : NULL;
	struct err why = {0};
	int rc;

	if (data && !text)
		return err_nomem(a->e);
	if (text && (strlen(text) != len || context_check_text(text, NULL)))
		return answer_refuse(a, 400, "what the guest says is not text");
	rc = a->env->said->set(a->env->said->arg, a->in, key, text, &why);
	switch (rc) {
	case 0:
		a->res->status = 200;
		return 0;
	case -EFBIG:
		return answer_refuse(a, 413, "the guest says too much");
	case -EAGAIN:
		return answer_refuse(a, 429, "the guest says things too often");
	case -ENOMEM:
		return err_nomem(a->e);
	default:
		return err_set(a->e, why.code, "%s", why.msg);
	}
}

/* One value, percent-decoded, '+' a blank. */
static bool decode(const char *p, size_t len, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == '%') {
			if (len - i < 3 || hex_decode(p + i + 1, 2, &c, 1, NULL))
				return false;
			i += 2;
		} else if (c == '+') {
			c = ' ';
		}
		if (!c || n + 1 >= size)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return true;
}

bool answer_query(const struct answer *a, const char *name, char *out, size_t size)
{
	const char *end = a->rq->target.p + a->rq->target.len;
	const char *p = memchr(a->rq->target.p, '?', a->rq->target.len);
	size_t name_len = strlen(name);

	while (p && ++p < end) {
		const char *amp = memchr(p, '&', (size_t)(end - p));
		size_t len = (size_t)((amp ? amp : end) - p);

		if (len >= name_len && !strncmp(p, name, name_len) &&
		    (len == name_len || p[name_len] == '='))
			return decode(p + name_len + (len > name_len),
				      len - name_len - (len > name_len), out, size);
		p = amp;
	}
	return false;
}
