/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of an HTTP/1.x request, parsed strictly and incrementally from bytes in memory.
 *
 * Pure: no I/O, no allocation. What two programs could read in two ways is refused (RFC 9112
 * sections 2.2, 3, 5, 6 and 11.2): see lib/http_parse.c for the list.
 */
#ifndef LIB_HTTP_PARSE_H
#define LIB_HTTP_PARSE_H

#include "lib/base.h"

#define HTTP_MAX_FIELDS 64

/* Bytes that lie in somebody else's memory; not NUL-terminated. */
struct http_slice {
	const char *p;
	size_t len;
};

struct http_field {
	struct http_slice name;  /* a token; compare without case */
	struct http_slice value; /* no blanks at either end, no control characters but HTAB */
};

struct http_request {
	struct http_slice method; /* a token, case-sensitive */
	struct http_slice target; /* origin-form: begins with '/'; not decoded; query included */
	unsigned minor;           /* HTTP/1.minor: 0 or 1 */
	struct http_field fields[HTTP_MAX_FIELDS];
	size_t n_fields;
	uint64_t content_length; /* 0: no body */
	bool keep_alive;         /* what the client wants, by version and Connection */
	bool expect_continue;
};

struct http_limits {
	size_t head;   /* bytes of request line and header fields together; 431 above */
	size_t target; /* bytes of the target; 414 above */
	uint64_t body; /* Content-Length; 413 above */
};
#define HTTP_LIMITS_DEFAULT ((struct http_limits){.head = 8192, .target = 2048, .body = 4096})

struct http_parser {
	struct http_limits limits;
	size_t scanned;     /* bytes looked at */
	size_t start;       /* where the request line begins: behind one empty line, if any */
	size_t line;        /* where the current line begins */
	size_t lines;       /* complete lines */
	size_t head_len;    /* HTTP_DONE: bytes of the head, the empty line included */
	int status;         /* HTTP_BAD: what to answer (400, 411, 413, 414, 417, 431, 501, 505) */
	const char *reason; /* HTTP_BAD: for the log; static */
};

enum http_parse {
	HTTP_MORE, /* the head is not complete yet */
	HTTP_DONE, /* *ret is set; its slices point into data */
	HTTP_BAD,  /* p->status and p->reason are set; nothing behind can be trusted */
};

void http_parser_init(struct http_parser *p, const struct http_limits *limits);
/*
 * data holds the len bytes received since the request began: on each call those of the call
 * before and maybe more (it may have moved in between). Each byte is looked at once while
 * incomplete. Bytes behind the head are not touched.
 */
enum http_parse http_parse(struct http_parser *p, const char *data, size_t len,
			   struct http_request *ret);

/* True if s holds exactly text; the _nocase one compares ASCII letters without case. */
bool http_slice_is(struct http_slice s, const char *text);
bool http_slice_is_nocase(struct http_slice s, const char *text);

/* The first field of that name, NULL for none; *n (may be NULL) is how many there are. */
const struct http_field *http_field_find(const struct http_request *rq, const char *name,
					 size_t *n);

#endif
