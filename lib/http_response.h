/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP response on its way to a client, and the few texts that all responses share. */
#ifndef LIB_HTTP_RESPONSE_H
#define LIB_HTTP_RESPONSE_H

#include "lib/buf.h"

/*
 * Starts as HTTP_RESPONSE_INIT; the server adds Content-Length, Date, Connection, and leaves the
 * body out for HEAD.
 */
struct http_response {
	int status;
	struct buf headers; /* whole lines, "Name: value\r\n" each */
	struct buf body;
	bool close;         /* close the connection afterwards */
	unsigned hop_limit; /* 1..255: IP TTL (IPv6 hop limit) from this answer on; 0: leave it */
	/*
	 * Not 0: there is no answer yet. The handler is called again with the same request when
	 * somebody calls httpd_wake with wait_key, at the latest after so many milliseconds from
	 * the first call.
	 */
	unsigned wait_ms;
	uint64_t wait_key;
};
#define HTTP_RESPONSE_INIT ((struct http_response){0})

/* Adds a header line. Errors: EINVAL if name or value would break the line; ENOMEM. */
int http_response_header(struct http_response *r, const char *name, const char *value);
/* As if new; keeps the memory. */
void http_response_clear(struct http_response *r);
void http_response_release(struct http_response *r);
DEFINE_AUTO_STRUCT(struct http_response, http_response_release);

/*
 * Makes r an error: status, the small XHTML page that EC2 sends ("<title>404 - Not Found</title>")
 * and its content type; headers that were set are dropped. Errors: ENOMEM.
 */
int http_response_error(struct http_response *r, int status);

/* "Not Found"; "Unknown" for a code that is not in RFC 9110. */
const char *http_status_text(int status);

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7), whatever the locale. */
#define HTTP_DATE_SIZE 30
void http_date(uint64_t unix_seconds, char out[HTTP_DATE_SIZE]);

#endif
