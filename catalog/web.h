/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents and files of servers that want no signature, with redirects followed: at most
 * WEB_REDIRECTS of them, never from https to http. What is secret in the headers goes to the first
 * host alone, and so does a body.
 */
#ifndef CATALOG_WEB_H
#define CATALOG_WEB_H

#include "catalog/source.h"

#define WEB_REDIRECTS 10

struct web_request {
	enum httpc_method method;
	const char *url;
	const struct httpc_header *headers; /* n_headers */
	size_t n_headers;
	const char *secret; /* one more header, "Name: value", for the first host alone; NULL */
	const void *body;
	size_t body_len;
	size_t max_body;
	const struct httpc_sink *sink;
	uint64_t max_sink;
	uint64_t first, length; /* as in struct httpc_call */
	const char *if_match;
	unsigned total_timeout_ms;
};

/*
 * Sends it, with the session's retries. Status 304 is success too. ret_url (may be NULL): where the
 * answer came from, the caller's. Errors: ENOENT (404, 410), EACCES (401, 403), EINVAL (other 4xx),
 * EIO (5xx), ELOOP too many redirects; those of httpc_call.
 */
int web_send(struct session *s, struct httpc *http, const struct web_request *q,
	     struct httpc_response *r, char **ret_url, struct err *e);

/*
 * The body of a document, by the session's freshness out of the cache or from the server, which is
 * asked by ETag whether it has changed. Where the server cannot be reached and the document is in
 * the cache, that is taken and a warning says so. limit: of bytes.
 * Errors: ENOENT offline and not in the cache; EFBIG; as web_send.
 */
int web_document(struct session *s, const char *url, const char *secret, size_t limit,
		 struct buf *ret, struct err *e);

/* A reference seen from a URL, made absolute; the caller's. Errors: EINVAL no http or https URL. */
int web_join(const char *base, const char *ref, char **ret, struct err *e);
/* Whether two URLs are of one scheme, host and port. */
bool web_same_origin(const char *a, const char *b);
/* How much of a URL may be shown or kept: what is behind "?" may be a token. For "%.*s". */
static inline int web_shown(const char *url)
{
	return (int)strcspn(url, "?");
}

#endif
