/* SPDX-License-Identifier: Apache-2.0 */
/* Documents and files of servers that want no signature: see catalog/web.h. */
#include "catalog/web.h"

#include <strings.h>

#include "catalog/cache.h"
#include "lib/log.h"
#include "lib/str.h"

#define HEADERS_MAX 16
#define URL_MAX_BYTES 8192

/* ---- URLs ----------------------------------------------------------------------------------- */

static bool has_scheme(const char *ref)
{
	size_t n = strspn(ref, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	return n && ref[n] == ':';
}

/* Takes "." and ".." out of a path (RFC 3986 section 5.2.4), in place. */
static void remove_dots(char *path)
{
	char *out = path;
	const char *in = path;

	while (*in) {
		size_t n = strcspn(in + 1, "/") + 1;

		if (n == 2 && in[1] == '.') {
			if (!in[2])
				*out++ = '/';
		} else if (n == 3 && in[1] == '.' && in[2] == '.') {
			while (out > path && *--out != '/')
				;
			if (!in[3])
				*out++ = '/';
		} else {
			memmove(out, in, n);
			out += n;
		}
		in += n;
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
}

int web_join(const char *base, const char *ref, char **ret, struct err *e)
{
	AUTO(httpc_url_release) struct httpc_url b = {0};
	AUTO(httpc_url_release) struct httpc_url check = {0};
	AUTO_FREE char *url = NULL, *path = NULL, *clean = NULL;
	size_t n = strcspn(ref, "#"), path_len;
	char *slash;
	int rc = httpc_url_parse(base, &b, e);

	if (rc < 0)
		return rc;
	clean = strndup(ref, n);
	if (!clean)
		return err_nomem(e);
	path_len = strcspn(clean, "?");
	if (has_scheme(clean)) {
		url = STEAL(clean);
	} else if (str_has_prefix(clean, "//")) {
		url = str_format("%s:%s", b.scheme, clean);
	} else {
		slash = strrchr(b.path, '/');
		if (*clean == '/')
			path = strndup(clean, path_len);
		else
			path = str_format("%.*s%.*s", (int)(slash + 1 - b.path), b.path,
					  (int)path_len, clean);
		if (!path)
			return err_nomem(e);
		remove_dots(path);
		url = str_format("%s://%s%s%s", b.scheme, b.authority, path, clean + path_len);
	}
	if (!url)
		return err_nomem(e);
	if (strlen(url) > URL_MAX_BYTES)
		return err_set(e, EINVAL, "a URL of more than %d bytes", URL_MAX_BYTES);
	rc = httpc_url_parse(url, &check, e);
	if (rc < 0)
		return rc;
	*ret = STEAL(url);
	return 0;
}

bool web_same_origin(const char *a, const char *b)
{
	AUTO(httpc_url_release) struct httpc_url ua = {0};
	AUTO(httpc_url_release) struct httpc_url ub = {0};

	return httpc_url_parse(a, &ua, NULL) == 0 && httpc_url_parse(b, &ub, NULL) == 0 &&
	       strcmp(ua.scheme, ub.scheme) == 0 && strcmp(ua.host, ub.host) == 0 &&
	       ua.port == ub.port;
}

/* ---- requests ------------------------------------------------------------------------------- */

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static enum httpc_verdict classify(void *opaque, const struct httpc_response *r, struct err *e)
{
	if (r->status == 304 || is_redirect(r->status))
		return HTTPC_DONE;
	return httpc_classify(opaque, r, e);
}

/* What a status that is no success means to the caller. */
static int explain(const struct httpc_response *r, int rc, struct err *e)
{
	if (!r->status || r->status < 400 || (rc != -EIO && rc != -ESTALE))
		return rc;
	if (r->status == 404 || r->status == 410)
		return err_set(e, ENOENT, "HTTP %d: there is no such thing", r->status);
	if (r->status == 401)
		return err_set(e, EACCES, "HTTP 401: the server wants to know who asks");
	if (r->status == 403)
		return err_set(e, EACCES, "HTTP 403: the server refuses it");
	return rc;
}

/* The secret as a header, its name cut off in place. */
static bool secret_header(char *text, struct httpc_header *ret)
{
	char *colon = text ? strchr(text, ':') : NULL;

	if (!colon)
		return false;
	*colon = '\0';
	*ret = (struct httpc_header){text, colon + 1 + strspn(colon + 1, " ")};
	return true;
}

static int send_one(struct session *s, struct httpc *http, const struct web_request *q,
		    const char *url, bool with_secret, struct httpc_response *r, struct err *e)
{
	struct httpc_header headers[HEADERS_MAX];
	AUTO_FREE char *secret = with_secret && q->secret ? strdup(q->secret) : NULL;
	size_t n = MIN(q->n_headers, (size_t)HEADERS_MAX - 1);
	struct httpc_retry retry = s->retry;
	struct httpc_call call = {
		.classify = classify,
		.request =
			{
				.method = q->method,
				.url = url,
				.headers = headers,
				.body = q->body,
				.body_len = q->body_len,
				.sink = q->sink,
				.max_body = q->max_body,
				.max_sink = q->max_sink,
				.total_timeout_ms = q->total_timeout_ms,
			},
		.retry = &retry,
		.first = q->first,
		.length = q->length,
		.if_match = q->if_match,
	};

	retry.note = session_note;
	retry.note_opaque = s;
	if (q->n_headers)
		memcpy(headers, q->headers, n * sizeof(*headers));
	if (secret && secret_header(secret, &headers[n]))
		n++;
	call.request.n_headers = n;
	return httpc_call(http, &call, r, e);
}

/* A redirect's target that may be followed from url. */
static int follow(const struct web_request *q, const char *url, const struct httpc_response *r,
		  char **ret, struct err *e)
{
	const char *location = httpc_header(r, "Location");
	AUTO_FREE char *next = NULL;
	int shown = web_shown(url), rc;

	if (!location)
		return err_set(e, EPROTO, "'%.*s': a redirect to nowhere", shown, url);
	rc = web_join(url, location, &next, e);
	if (rc < 0)
		return err_wrap(e, "'%.*s': its redirect", shown, url);
	if (strncasecmp(url, "https:", 6) == 0 && strncasecmp(next, "https:", 6) != 0)
		return err_set(e, EACCES, "'%.*s': a redirect from https to '%.*s' is refused",
			       shown, url, web_shown(next), next);
	/* There may be a password in it. */
	if (q->body && !web_same_origin(q->url, next))
		return err_set(e, EACCES, "'%.*s': a redirect of what is sent to '%.*s' is refused",
			       shown, url, web_shown(next), next);
	*ret = STEAL(next);
	return 0;
}

int web_send(struct session *s, struct httpc *http, const struct web_request *q,
	     struct httpc_response *r, char **ret_url, struct err *e)
{
	AUTO_FREE char *url = strdup(q->url);

	if (!url)
		return err_nomem(e);
	for (int i = 0; i <= WEB_REDIRECTS; i++) {
		AUTO_FREE char *next = NULL;
		int rc = send_one(s, http, q, url, web_same_origin(url, q->url), r, e);

		if (rc < 0) {
			rc = explain(r, rc, e);
			return rc == -ECANCELED ? rc : err_wrap(e, "'%.*s'", web_shown(url), url);
		}
		if (!is_redirect(r->status)) {
			if (ret_url)
				*ret_url = STEAL(url);
			return 0;
		}
		rc = follow(q, url, r, &next, e);
		if (rc < 0)
			return rc;
		free(url);
		url = STEAL(next);
	}
	return err_set(e, ELOOP, "'%.*s': more than %d redirects", web_shown(q->url), q->url,
		       WEB_REDIRECTS);
}

/* ---- documents ------------------------------------------------------------------------------ */

static bool may_pass(int rc)
{
	return httpc_error_is_transient(rc) || rc == -EIO || rc == -EKEYREJECTED;
}

/* Keeps what came. The cache is a convenience: that it cannot be written is no failure. */
static void keep(struct session *s, const char *url, const struct httpc_response *r,
		 const struct buf *body)
{
	const char *etag = httpc_header(r, "ETag"), *modified = httpc_header(r, "Last-Modified");
	struct cached_document d = {
		.body = *body,
		.etag = (char *)(etag && strlen(etag) < 512 ? etag : NULL),
		.last_modified = (char *)(modified && strlen(modified) < 64 ? modified : NULL),
	};
	struct err e;

	if (s->cache && cache_put(s->cache, url, &d, &e) < 0)
		log_debug("%s", e.msg);
}

static int ask(struct session *s, const char *url, const char *secret, size_t limit,
	       struct cached_document *known, struct buf *ret, struct err *e)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct httpc_header headers[2];
	struct web_request q = {
		.method = HTTPC_GET,
		.url = url,
		.headers = headers,
		.secret = secret,
		.max_body = limit,
	};
	int rc;

	if (known->etag)
		headers[q.n_headers++] = (struct httpc_header){"If-None-Match", known->etag};
	if (known->last_modified)
		headers[q.n_headers++] =
			(struct httpc_header){"If-Modified-Since", known->last_modified};
	rc = web_send(s, s->http, &q, &r, NULL, e);
	if (rc < 0)
		return rc;
	if (r.status == 304) {
		if (!known->etag && !known->last_modified)
			return err_set(e, EPROTO, "'%.*s': not modified since never",
				       web_shown(url), url);
		*ret = known->body;
		known->body = BUF_INIT;
		return 0;
	}
	keep(s, url, &r, &r.body);
	*ret = r.body;
	r.body = BUF_INIT;
	return 0;
}

int web_document(struct session *s, const char *url, const char *secret, size_t limit,
		 struct buf *ret, struct err *e)
{
	AUTO(cached_document_release) struct cached_document known = {0};
	bool have = s->cache && cache_get(s->cache, url, limit, &known, NULL) == 0;
	int rc;

	if (s->freshness == FRESH_OFFLINE) {
		if (!have)
			return err_set(e, ENOENT,
				       "'%.*s' is not in the cache, and nothing is asked "
				       "for offline",
				       web_shown(url), url);
		*ret = known.body;
		known.body = BUF_INIT;
		return 0;
	}
	rc = ask(s, url, secret, limit, &known, ret, e);
	if (rc < 0 && have && may_pass(rc) && e) {
		log_warn("%s; what was read before is used", e->msg);
		*ret = known.body;
		known.body = BUF_INIT;
		return 0;
	}
	return rc;
}
