/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP/1.1 client for metadata services: plain HTTP to literal addresses, one exchange a
 * connection, within a time, up to a size. No names are looked up, no redirection is followed, no
 * proxy is used: a metadata service needs none of these, and each would lead elsewhere.
 */
#ifndef CTXD_HTTP_CLIENT_H
#define CTXD_HTTP_CLIENT_H

#include "lib/buf.h"
#include "lib/err.h"

struct http_url {
	char address[46]; /* numeric */
	unsigned zone;    /* interface of a link-local IPv6 address; 0: none */
	unsigned port;
	char *path; /* begins with '/' */
};
void http_url_release(struct http_url *u);
DEFINE_AUTO_STRUCT(struct http_url, http_url_release);

/*
 * "http://169.254.169.254/x", "http://[fe80::a9fe:a9fe%eth0]:80/". Errors: EINVAL: not such a URL
 * (https, a name, a user, a fragment, control characters).
 */
int http_url_parse(const char *url, struct http_url *ret, struct err *e);

struct http_exchange {
	const char *method;         /* NULL: GET */
	const char *const *headers; /* NULL-ended "Name: value"; NULL: none */
	const void *body;           /* body_len */
	size_t body_len;
	unsigned timeout_ms; /* of all of it */
	size_t limit;        /* bytes of the answer's body */
};

/*
 * path: relative to u's ("meta-data"), or "/..." in its place; NULL: u's own. Returns the status
 * (200, 404 ...) with the body appended to out, or an error: ETIMEDOUT, ECONNREFUSED and the like,
 * EBADMSG no HTTP, EFBIG.
 */
int http_ask(const struct http_url *u, const char *path, const struct http_exchange *x,
	     struct buf *out, struct err *e);

/* Whether the kernel knows a way there. Nothing is sent. */
bool http_has_route(const struct http_url *u);

/* The answer's bytes, complete, into status and body (appended to out). For http_ask and tests. */
int http_answer_parse(const char *data, size_t len, size_t limit, struct buf *out, struct err *e);

#endif
