/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 client (httpc_) on libcurl: one request, and the one retry layer of the project on top
 * of it.
 *
 * Fixed by design: only http and https; certificates are verified; redirects are not followed;
 * paths go out as given (no dot-segment cleaning); nothing is decompressed. Proxies come from the
 * environment (http_proxy, https_proxy, all_proxy, no_proxy); loopback and link-local addresses
 * (169.254.0.0/16, fe80::/10, fd00:ec2::254) are always reached directly. Every wait ends within
 * 100 ms of a stop request (lib/stop.h) with ECANCELED. URLs in messages are shown without their
 * query, which may hold tokens.
 *
 * A client keeps its connections open for the next request. It belongs to one thread at a time.
 */
#ifndef LIB_HTTP_H
#define LIB_HTTP_H

#include "lib/buf.h"

enum httpc_method {
	HTTPC_GET,
	HTTPC_HEAD,
	HTTPC_PUT,
	HTTPC_POST,
	HTTPC_DELETE,
};
const char *httpc_method_name(enum httpc_method m); /* "GET" */

/* A zero member means the default in brackets. */
struct httpc_config {
	unsigned connect_timeout_ms; /* name look-up, TCP and TLS [10000] */
	unsigned stall_timeout_ms;   /* this long without a byte ends the attempt [30000] */
	const char *ca_file;         /* PEM bundle in place of the system's; copied */
	const char *user_agent;      /* ["acclimate/VERSION"]; copied */
};

struct httpc;
/* cfg may be NULL. Errors: ENOMEM. */
int httpc_new(const struct httpc_config *cfg, struct httpc **ret, struct err *e);
void httpc_free(struct httpc *c);
DEFINE_AUTO(struct httpc *, httpc_free);

struct httpc_header {
	const char *name;
	const char *value;
};

/* ---- responses ------------------------------------------------------------------------------ */

struct httpc_field {
	char *name;
	char *value; /* trimmed; a NUL in it is refused */
};

/* Owns all in it; starts as HTTPC_RESPONSE_INIT, is cleared at each attempt, released once. */
struct httpc_response {
	int status; /* 100 .. 599; 0 before there was one */
	struct httpc_field *headers;
	size_t n_headers; /* at most 256, 64 KiB in all: else the attempt fails */
	struct buf body;  /* what did not go to a sink: see struct httpc_request */
};
#define HTTPC_RESPONSE_INIT ((struct httpc_response){0})
void httpc_response_release(struct httpc_response *r);
DEFINE_AUTO_STRUCT(struct httpc_response, httpc_response_release);
#define AUTO_HTTPC_RESPONSE AUTO(httpc_response_release) struct httpc_response

/* The value of the first header of that name (any case), or NULL. */
const char *httpc_header(const struct httpc_response *r, const char *name);
/* A header that is a whole number: 0, -ENOENT if absent, -EBADMSG if it is none. */
int httpc_header_u64(const struct httpc_response *r, const char *name, uint64_t *ret,
		     struct err *e);

/* ---- one attempt ---------------------------------------------------------------------------- */

/*
 * Where the body of a successful response (200, 206) goes, in pieces, in order. Bodies of all other
 * responses go to httpc_response.body.
 */
struct httpc_sink {
	/* 0, or a negative errno with e filled, which ends the request without a retry. */
	int (*write)(void *opaque, const void *data, size_t len, struct err *e);
	/*
	 * Forget all that was written, the body comes again from its first byte. May be NULL: then
	 * a body that cannot be resumed is an error.
	 */
	int (*restart)(void *opaque, struct err *e);
	void *opaque;
};

struct httpc_request {
	enum httpc_method method;
	const char *url; /* absolute; path and query already percent-encoded */
	const struct httpc_header *headers;
	size_t n_headers;
	const void *body; /* sent with Content-Length; NULL: none (PUT and POST send length 0) */
	size_t body_len;
	const struct httpc_sink *sink; /* NULL: every body goes to httpc_response.body */
	/* Most bytes of httpc_response.body [1 MiB]; more is EFBIG. */
	size_t max_body;
	/* Most bytes to a sink; 0: no limit. More is EFBIG. */
	uint64_t max_sink;
	unsigned total_timeout_ms;   /* of the whole attempt; 0: none */
	unsigned connect_timeout_ms; /* 0: the client's */
};

/*
 * Sends one request and reads the whole response. 0 whenever there was a complete response, of
 * whatever status. Errors: what the sink returned; EFBIG; EINVAL bad URL or header; EPROTO broken
 * HTTP or too many headers; EKEYREJECTED the certificate cannot be verified; ECANCELED; ENOMEM;
 * and those that may pass by themselves, see httpc_error_is_transient.
 */
int httpc_send(struct httpc *c, const struct httpc_request *req, struct httpc_response *r,
	       struct err *e);
/* Of a negative result: EHOSTUNREACH, ECONNREFUSED, ECONNRESET, ETIMEDOUT, EAGAIN (look-up). */
bool httpc_error_is_transient(int rc);

/* ---- with retries --------------------------------------------------------------------------- */

enum httpc_verdict {
	HTTPC_DONE,  /* take the response */
	HTTPC_RETRY, /* try again after a pause */
	HTTPC_FAIL,  /* do not */
	HTTPC_AGAIN, /* try again at once (another region, new credentials); at most 2 a call */
};

/* A zero member means the default in brackets. */
struct httpc_retry {
	unsigned max_attempts; /* [6] */
	/* The pause before attempt n is random in [d/2, d], d = base * 2^(n-2), at most cap. */
	unsigned base_ms; /* [500] */
	unsigned cap_ms;  /* [20000] */
	/*
	 * No attempt starts later than this after the first one, or after a download last got
	 * on. A Retry-After that leads past it is an error at once. [300000]
	 */
	unsigned total_ms;
	/*
	 * Told before each wait ("HTTP 503, attempt 3 of 6 in 2 s") and with NULL when it is over;
	 * for progress_note. May be NULL. Called in the caller's thread.
	 */
	void (*note)(void *opaque, const char *text);
	void *note_opaque;
};

/* A request that can be made again: signed anew, with another Range. */
struct httpc_call {
	/*
	 * Called before each attempt (from 1) with *req as in `request`, plus Range and If-Match
	 * when a download resumes: may replace url and add headers (in storage of its own that
	 * lives until the next call). May be NULL. A failure ends the call.
	 */
	int (*prepare)(void *opaque, unsigned attempt, struct httpc_request *req, struct err *e);
	/*
	 * Judges a complete response. May fill e with what is wrong when it does not return
	 * HTTPC_DONE (else the status is named). NULL: httpc_classify.
	 */
	enum httpc_verdict (*classify)(void *opaque, const struct httpc_response *r, struct err *e);
	void *opaque;
	struct httpc_request request;
	const struct httpc_retry *retry; /* NULL: defaults */

	/*
	 * Downloads (GET with a sink). Bytes [first, first + length) of the object, to its end if
	 * length is 0. A dropped connection is resumed behind the last byte that the sink got, by
	 * Range and If-Match; where the server has no strong ETag or ignores the range, what the
	 * sink already has is skipped if the ETag is the same, else the sink is restarted. An
	 * attempt that brought 64 KiB or more makes attempts and time count anew.
	 */
	uint64_t first, length;
	const char *if_match; /* ETag that the object must have, with its quotes; NULL: any */
};

/*
 * Runs the call. 0 when classify said HTTPC_DONE; r is the last response. Of a download, 0 means
 * that every byte went to the sink; status is 200, or 206, or what classify took for done.
 * Errors: as httpc_send; EIO when attempts ran out on a response (r is filled) or classify said
 * HTTPC_FAIL without filling e; ESTALE when the object changed while it was read (412, other ETag
 * or size); ERANGE when first lies behind its end (416), or the object ends before first + length;
 * ENOTSUP when the server does not honour a Range with a length. Past total_ms it is the error of
 * the last attempt.
 */
int httpc_call(struct httpc *c, const struct httpc_call *call, struct httpc_response *r,
	       struct err *e);

/* 408, 429, 500, 502, 503, 504: HTTPC_RETRY; 2xx: HTTPC_DONE; else HTTPC_FAIL. */
enum httpc_verdict httpc_classify(void *opaque, const struct httpc_response *r, struct err *e);

/* Waits, at most 100 ms past a stop request. 0 or -ECANCELED. */
int httpc_sleep_ms(uint64_t ms, struct err *e);

/* A date as HTTP has them (RFC 9110 section 5.6.7), in seconds since the epoch; -1 if it is none.
 */
int64_t httpc_date(const char *s);

/* ---- URLs ----------------------------------------------------------------------------------- */

/* The parts of an absolute http or https URL, each the struct's; "" where absent. */
struct httpc_url {
	char *scheme;
	char *host;      /* lower case; IPv6 in brackets */
	unsigned port;   /* with the scheme's default filled in */
	char *authority; /* what Host: says: host, and :port unless it is the default */
	char *path;      /* as written, begins with '/' */
	char *query;     /* as written, without '?' */
};
/* Refused (EINVAL): other schemes, user names and passwords, fragments, control characters. */
int httpc_url_parse(const char *url, struct httpc_url *ret, struct err *e);
void httpc_url_release(struct httpc_url *u);
DEFINE_AUTO_STRUCT(struct httpc_url, httpc_url_release);

/*
 * Appends len bytes with all but the unreserved characters (RFC 3986 section 2.3) as %XX, upper
 * case; keep_slash leaves '/' as it is. 0 or -ENOMEM.
 */
int httpc_percent_encode(const void *data, size_t len, bool keep_slash, struct buf *out);

#endif
