/* SPDX-License-Identifier: Apache-2.0 */
/* A file on a server, read front to back: see catalog/remote.h. */
#include "catalog/remote.h"

#include <stdio.h>

#include "catalog/remote_digest.h"
#include "catalog/web.h"
#include "lib/pool.h"
#include "lib/stop.h"
#include "lib/str.h"

#define WORKERS 4
#define RANGE_BYTES (8 * MIB)
#define CHECKPOINT_BYTES (64 * MIB)
#define SMALL_BYTES (2 * RANGE_BYTES) /* less is not worth several requests */

void remote_file_release(struct remote_file *f)
{
	free(f->url);
	free(f->secret);
	free(f->etag);
	free(f->version);
	free(f->digest);
	*f = (struct remote_file){0};
}

static bool is_s3(const char *url)
{
	return str_has_prefix(url, "s3://");
}

/* s3://BUCKET/KEY; both the caller's. */
static int split_s3(const char *url, char **ret_bucket, char **ret_path, struct err *e)
{
	const char *bucket = url + strlen("s3://"), *slash = strchr(bucket, '/');

	if (!slash || slash == bucket || !slash[1])
		return err_set(e, EINVAL, "'%s' is not s3://BUCKET/KEY", url);
	*ret_bucket = strndup(bucket, (size_t)(slash - bucket));
	*ret_path = strdup(slash);
	return *ret_bucket && *ret_path ? 0 : err_nomem(e);
}

/* ---- what there is -------------------------------------------------------------------------- */

/* Takes what the head of an answer says. */
static int take_head(const struct httpc_response *r, bool s3, struct remote_file *f, struct err *e)
{
	const char *etag = httpc_header(r, "ETag"), *modified = httpc_header(r, "Last-Modified"),
		   *ranges = httpc_header(r, "Accept-Ranges");
	int rc = httpc_header_u64(r, "Content-Length", &f->size, NULL);

	if (rc < 0)
		f->size = 0;
	f->ranges = ranges && strcmp(ranges, "bytes") == 0;
	f->version = str_format("%s %s", etag ? etag : "", modified ? modified : "");
	if (!f->version)
		return err_nomem(e);
	rc = etag && *etag == '"' ? image_set(&f->etag, etag, e) : 0;
	return rc < 0 ? rc : remote_digest_of_head(r, s3, f, e);
}

static int probe_s3(struct session *s, const char *url, struct remote_file *f, struct err *e)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_FREE char *bucket = NULL, *path = NULL;
	struct aws_request req = {
		.method = HTTPC_HEAD,
		.service = "s3",
		.total_timeout_ms = s->attempt_timeout_ms,
		.note = session_note,
		.note_opaque = s,
	};
	int rc = split_s3(url, &bucket, &path, e);

	req.bucket = bucket;
	req.path = path;
	if (rc == 0)
		rc = aws_send(s->aws, s->http, &req, &r, NULL, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", url);
	/* In a directory bucket an ETag says nothing of the content. */
	rc = take_head(&r, !str_has_suffix(bucket, "--x-s3"), f, e);
	f->ranges = true;
	if (rc == 0)
		rc = image_set(&f->url, url, e);
	return rc;
}

static int probe_web(struct session *s, const char *url, struct remote_file *f, struct err *e)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct web_request q = {
		.method = HTTPC_HEAD,
		.url = url,
		.secret = f->secret,
		.total_timeout_ms = s->attempt_timeout_ms,
	};
	struct err why;
	int rc = web_send(s, s->http, &q, &r, &f->url, &why);

	/* From now on that is where it is asked for, by who has no right to the secret. */
	if (rc == 0 && f->secret && !web_same_origin(url, f->url)) {
		explicit_bzero(f->secret, strlen(f->secret));
		free(STEAL(f->secret));
	}
	if (rc == 0)
		return take_head(&r, false, f, e);
	/* Servers that know no HEAD, and addresses that were signed for GET: that one decides. */
	if (r.status == 403 || r.status == 405 || r.status == 501 || r.status == 400) {
		f->version = strdup("");
		f->url = strdup(url);
		return f->version && f->url ? 0 : err_nomem(e);
	}
	if (e)
		*e = why;
	return rc;
}

int remote_probe(struct session *s, const struct catalog_image *im, struct remote_file *ret,
		 struct err *e)
{
	AUTO(remote_file_release) struct remote_file f = {0};
	AUTO_BUF secret = BUF_INIT;
	int rc = 0;

	if (s->source && s->source->type->authorize)
		rc = s->source->type->authorize(s, &secret, e);
	if (rc == 0 && secret.len && !(f.secret = buf_detach(&secret)))
		rc = err_nomem(e);
	if (rc == 0)
		rc = is_s3(im->url) ? probe_s3(s, im->url, &f, e) : probe_web(s, im->url, &f, e);
	if (rc == 0 && !s->source && !is_s3(im->url))
		rc = remote_digest_beside(s, im->url, &f, e);
	if (rc < 0)
		return rc;
	*ret = f;
	f = (struct remote_file){0};
	return 0;
}

/* ---- one request ---------------------------------------------------------------------------- */

/* Bytes [first, first + length) of the file, to its end if length is 0. */
static int read_range(struct session *s, struct httpc *http, const struct remote_file *f,
		      uint64_t first, uint64_t length, const struct httpc_sink *sink,
		      uint64_t max_sink, struct err *e)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_FREE char *bucket = NULL, *path = NULL;
	int rc;

	if (is_s3(f->url)) {
		struct aws_request req = {
			.method = HTTPC_GET,
			.service = "s3",
			.sink = sink,
			.max_sink = max_sink,
			.first = first,
			.length = length,
			.if_match = f->etag,
			.total_timeout_ms = length ? s->attempt_timeout_ms : 0,
			.note = session_note,
			.note_opaque = s,
		};

		rc = split_s3(f->url, &bucket, &path, e);
		if (rc < 0)
			return rc;
		req.bucket = bucket;
		req.path = path;
		rc = aws_send(s->aws, http, &req, &r, NULL, e);
		return rc < 0 && rc != -ECANCELED ? err_wrap(e, "reading '%s'", f->url) : rc;
	}
	{
		const struct web_request q = {
			.method = HTTPC_GET,
			.url = f->url,
			.secret = f->secret,
			.sink = sink,
			.max_sink = max_sink,
			.first = first,
			.length = length,
			.if_match = f->etag,
			.total_timeout_ms = length ? s->attempt_timeout_ms : 0,
		};

		return web_send(s, http, &q, &r, NULL, e);
	}
}

/* ---- in one go ------------------------------------------------------------------------------ */

struct single {
	const struct remote_sink *sink;
	struct session *session;
	uint64_t at, since, most;
};

static int single_write(void *opaque, const void *data, size_t len, struct err *e)
{
	struct single *w = opaque;
	int rc = stop_check(e);

	if (rc == 0 && len > w->most - w->at)
		rc = err_set(e, EFBIG, "more than %llu bytes came", (unsigned long long)w->most);
	if (rc == 0)
		rc = w->sink->write(w->sink->ctx, data, len, w->at, e);
	w->at += len;
	w->since += len;
	progress_set(w->session->progress, w->at);
	if (rc == 0 && w->since >= CHECKPOINT_BYTES) {
		w->since = 0;
		rc = w->sink->checkpoint(w->sink->ctx, e);
	}
	return rc;
}

static int read_single(struct session *s, const struct remote_file *f, uint64_t first,
		       uint64_t most, const struct remote_sink *sink, uint64_t *ret_size,
		       struct err *e)
{
	struct single w = {.sink = sink, .session = s, .at = first, .most = most};
	const struct httpc_sink out = {single_write, NULL, &w};
	int rc = read_range(s, s->http, f, first, 0, &out, 0, e);

	*ret_size = w.at;
	return rc;
}

/* ---- in ranges ------------------------------------------------------------------------------ */

struct range_job {
	struct ranges *owner;
	uint64_t first, length;
	struct buf data;
};

struct ranges {
	struct session *session;
	const struct remote_file *file;
	struct pool *pool;
	struct httpc **clients;
	uint64_t next;
	size_t window;
};

static void drop_job(void *job)
{
	struct range_job *j = job;

	buf_release(&j->data);
	free(j);
}

static void ranges_release(struct ranges *r)
{
	if (!r->pool)
		return;
	{
		unsigned n = pool_threads(r->pool);

		pool_free(r->pool, drop_job);
		for (unsigned i = 0; r->clients && i < n; i++)
			httpc_free(r->clients[i]);
	}
	free(r->clients);
}
DEFINE_AUTO_STRUCT(struct ranges, ranges_release);

static int job_append(void *opaque, const void *data, size_t len, struct err *e)
{
	return buf_add(opaque, data, len) < 0 ? err_nomem(e) : 0;
}

static int job_restart(void *opaque, struct err *e)
{
	(void)e;
	buf_clear(opaque);
	return 0;
}

static int run_job(void *job, unsigned worker, struct err *e)
{
	struct range_job *j = job;
	struct ranges *r = j->owner;
	const struct httpc_sink sink = {job_append, job_restart, &j->data};
	int rc = buf_reserve(&j->data, j->length) < 0 ? err_nomem(e) : 0;

	if (rc == 0)
		rc = read_range(r->session, r->clients[worker], r->file, j->first, j->length, &sink,
				j->length, e);
	if (rc == 0 && j->data.len != j->length)
		rc = err_set(e, EBADMSG, "'%.*s': %zu bytes came in place of %llu",
			     web_shown(r->file->url), r->file->url, j->data.len,
			     (unsigned long long)j->length);
	return rc;
}

static int ranges_start(struct ranges *r, struct err *e)
{
	unsigned n = r->session->workers ? r->session->workers : WORKERS;
	int rc = pool_new(n, &r->pool, e);

	if (rc < 0)
		return rc;
	r->window = n + 2;
	r->clients = calloc(pool_threads(r->pool), sizeof(struct httpc *));
	if (!r->clients)
		return err_nomem(e);
	for (unsigned i = 0; rc == 0 && i < pool_threads(r->pool); i++)
		rc = r->session->aws ? aws_http_client(r->session->aws, &r->clients[i], e)
				     : httpc_new(NULL, &r->clients[i], e);
	return rc;
}

static int ask_ahead(struct ranges *r, struct err *e)
{
	while (r->next < r->file->size && pool_pending(r->pool) < r->window) {
		struct range_job *j = calloc(1, sizeof(*j));
		int rc;

		if (!j)
			return err_nomem(e);
		j->owner = r;
		j->first = r->next;
		j->length = MIN(r->file->size - r->next, RANGE_BYTES);
		rc = pool_submit(r->pool, run_job, j, e);
		if (rc < 0) {
			drop_job(j);
			return rc;
		}
		r->next += j->length;
	}
	return 0;
}

static int read_ranges(struct session *s, const struct remote_file *f, uint64_t first,
		       const struct remote_sink *sink, struct err *e)
{
	AUTO(ranges_release) struct ranges r = {.session = s, .file = f, .next = first};
	uint64_t since = 0;
	int rc = ranges_start(&r, e);

	while (rc == 0) {
		void *taken = NULL;
		struct range_job *j;

		rc = stop_check(e);
		if (rc == 0)
			rc = ask_ahead(&r, e);
		if (rc < 0 || !pool_pending(r.pool))
			break;
		rc = pool_next(r.pool, &taken, e);
		j = taken;
		if (rc >= 0)
			rc = sink->write(sink->ctx, j->data.data, j->data.len, j->first, e);
		if (rc == 0) {
			progress_set(s->progress, j->first + j->length);
			since += j->length;
		}
		drop_job(j);
		if (rc == 0 && since >= CHECKPOINT_BYTES) {
			rc = sink->checkpoint(sink->ctx, e);
			since = 0;
		}
	}
	return rc;
}

int remote_read(struct session *s, const struct remote_file *f, uint64_t first, uint64_t expect,
		uint64_t most, const struct remote_sink *sink, uint64_t *ret_size, struct err *e)
{
	uint64_t size = f->size;
	int rc;

	if (expect && f->size && f->size != expect)
		return err_set(e, EBADMSG, "'%.*s' is of %llu bytes there, the catalog says %llu",
			       web_shown(f->url), f->url, (unsigned long long)f->size,
			       (unsigned long long)expect);
	if (f->size > most)
		return err_set(e, EFBIG,
			       "'%.*s' is of %llu bytes, more than the %llu that are taken",
			       web_shown(f->url), f->url, (unsigned long long)f->size,
			       (unsigned long long)most);
	if (f->size && first == f->size)
		rc = 0;
	else if (f->ranges && f->size > SMALL_BYTES)
		rc = read_ranges(s, f, first, sink, e);
	else
		rc = read_single(s, f, first, expect ? expect : most, sink, &size, e);
	/* What went wrong is the error to report, not what the attempt to save adds to it. */
	if (rc < 0 && rc != -ENOSPC)
		(void)sink->checkpoint(sink->ctx, NULL);
	if (rc == 0 && ((expect && size != expect) || (f->size && size != f->size)))
		rc = err_set(e, EBADMSG, "'%.*s': %llu bytes came, %llu were announced",
			     web_shown(f->url), f->url, (unsigned long long)size,
			     (unsigned long long)(expect ? expect : f->size));
	*ret_size = size;
	return rc;
}
