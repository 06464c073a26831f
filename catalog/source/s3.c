/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EC2 bundles in S3: the manifest, then its parts, fetched in parallel ahead of the one pass that
 * opens them. A dropped part is resumed where it broke off (lib/aws.h); a bundle as a whole is one
 * gzip stream, so an interrupted fetch starts anew.
 */
#include "bundle/bundle.h"
#include "catalog/source.h"
#include "lib/pool.h"
#include "lib/stop.h"
#include "lib/str.h"

#define WORKERS 4
/* Memory for parts that were fetched and not yet used, and the largest part that we take. */
#define PREFETCH_BYTES (48 * MIB)
#define PART_MAX (64 * MIB)

struct part_job {
	struct prefetch *owner;
	size_t index;
	struct buf data;
};

struct prefetch {
	struct session *session;
	const struct catalog_image *image;
	const struct manifest *manifest;
	char *folder; /* of the keys: "path/" or "" */
	struct pool *pool;
	struct httpc **clients; /* one a worker */
	size_t window;
	size_t next;              /* the next part to ask for */
	struct part_job *current; /* the part that is being read */
	size_t read;              /* bytes of it that were given */
	struct progress *progress;
};

static void drop_job(void *job)
{
	struct part_job *j = job;

	buf_release(&j->data);
	free(j);
}

static void note_progress(void *opaque, const char *text)
{
	progress_note(opaque, text);
}

static int sink_append(void *opaque, const void *data, size_t len, struct err *e)
{
	return buf_add(opaque, data, len) < 0 ? err_nomem(e) : 0;
}

static int sink_restart(void *opaque, struct err *e)
{
	(void)e;
	buf_clear(opaque);
	return 0;
}

/* Reads an object whole into data; a worker's job or the main thread's. */
static int get_object(struct session *s, struct httpc *http, const char *bucket, const char *key,
		      uint64_t limit, struct progress *p, struct buf *data, struct err *e)
{
	AUTO_FREE char *path = str_format("/%s", key);
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	const struct httpc_sink sink = {sink_append, sink_restart, data};
	struct aws_request req = {
		.method = HTTPC_GET,
		.service = "s3",
		.bucket = bucket,
		.path = path,
		.sink = &sink,
		.max_sink = limit,
		.note = note_progress,
		.note_opaque = p,
	};
	int rc;

	if (!path)
		return err_nomem(e);
	rc = aws_send(s->aws, http, &req, &r, NULL, e);
	return rc < 0 ? err_wrap(e, "reading 's3://%s/%s'", bucket, key) : 0;
}

static int fetch_part(void *job, unsigned worker, struct err *e)
{
	struct part_job *j = job;
	struct prefetch *p = j->owner;
	AUTO_FREE char *key = str_format("%s%s", p->folder, p->manifest->parts[j->index].filename);

	if (!key)
		return err_nomem(e);
	return get_object(p->session, p->clients[worker], p->image->bucket, key, PART_MAX,
			  p->progress, &j->data, e);
}

/* Keeps the window full. */
static int ask_ahead(struct prefetch *p, struct err *e)
{
	while (p->next < p->manifest->n_parts && pool_pending(p->pool) < p->window) {
		struct part_job *j = calloc(1, sizeof(*j));
		int rc;

		if (!j)
			return err_nomem(e);
		j->owner = p;
		j->index = p->next;
		rc = pool_submit(p->pool, fetch_part, j, e);
		if (rc < 0) {
			drop_job(j);
			return rc;
		}
		p->next++;
	}
	return 0;
}

/* struct part_source: the parts come in order, each read to its end. */
static int read_part(void *ctx, size_t index, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	struct prefetch *p = ctx;
	size_t n;
	int rc;

	if (p->current && p->current->index != index) {
		drop_job(p->current);
		p->current = NULL;
	}
	if (!p->current) {
		void *job = NULL;

		rc = stop_check(e);
		if (rc == 0)
			rc = ask_ahead(p, e);
		if (rc < 0)
			return rc;
		rc = pool_next(p->pool, &job, e);
		p->current = job;
		p->read = 0;
		if (rc < 0)
			return rc;
		if (rc == 0 || p->current->index != index)
			return err_set(e, EINVAL, "parts are not read in order");
		/* Its memory is free again when it was used: ask for the next one then. */
	}
	n = MIN(len, p->current->data.len - p->read);
	if (n)
		memcpy(buf, p->current->data.data + p->read, n);
	p->read += n;
	*ret_len = n;
	return 0;
}

static void prefetch_release(struct prefetch *p)
{
	if (p->pool) {
		unsigned n = pool_threads(p->pool);

		pool_free(p->pool, drop_job);
		for (unsigned i = 0; p->clients && i < n; i++)
			httpc_free(p->clients[i]);
	}
	if (p->current)
		drop_job(p->current);
	free(p->clients);
	free(p->folder);
}
DEFINE_AUTO_STRUCT(struct prefetch, prefetch_release);

static int prefetch_start(struct prefetch *p, struct err *e)
{
	const char *key = p->image->key;
	const char *slash = strrchr(key, '/');
	/* Parts are of one size but for the last. */
	uint64_t part = div_up(p->manifest->bundled_size, p->manifest->n_parts);
	unsigned workers = p->session->workers ? p->session->workers : WORKERS;
	int rc;

	if (part > PART_MAX)
		return err_set(e, EFBIG, "'%s': parts of %llu bytes are over our limit of %llu",
			       key, (unsigned long long)part, (unsigned long long)PART_MAX);
	p->window = MAX((size_t)(PREFETCH_BYTES / MAX(part, MIB)), (size_t)1);
	p->folder = strndup(key, slash ? (size_t)(slash + 1 - key) : 0);
	if (!p->folder)
		return err_nomem(e);
	rc = pool_new((unsigned)MIN((size_t)workers, p->window), &p->pool, e);
	if (rc < 0)
		return rc;
	p->clients = calloc(pool_threads(p->pool), sizeof(struct httpc *));
	if (!p->clients)
		return err_nomem(e);
	for (unsigned i = 0; rc == 0 && i < pool_threads(p->pool); i++)
		rc = aws_http_client(p->session->aws, &p->clients[i], e);
	return rc;
}

/* The signature, if there is something to check it by; says so in the report if not. */
static int check_signature(const struct session *s, const struct manifest *m,
			   struct fetch_report *report, struct err *e)
{
	int rc;

	if (!s->certificate) {
		if (s->require_signature)
			return err_set(e, EACCES,
				       "the manifest's signature cannot be checked: no certificate "
				       "is given (--cert, EC2_CERT)");
		rc = buf_adds(&report->warnings,
			      "the manifest's signature was not checked: no certificate is given "
			      "(--cert, EC2_CERT)\n");
		return rc < 0 ? err_nomem(e) : 0;
	}
	rc = manifest_verify(m, s->certificate, e);
	if (rc < 0)
		return rc;
	return buf_adds(&report->verified, "manifest signature (RSA, SHA-1)\n") < 0 ? err_nomem(e)
										    : 0;
}

static int fetch_manifest(struct session *s, const struct catalog_image *im, struct manifest **ret,
			  struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_FREE char *origin = str_format("s3://%s/%s", im->bucket, im->key);
	int rc;

	if (!origin)
		return err_nomem(e);
	rc = get_object(s, s->http, im->bucket, im->key, MANIFEST_LIMIT, NULL, &text, e);
	if (rc < 0)
		return rc;
	return manifest_parse(text.data, text.len, origin, ret, e);
}

static int fetch_bundle(struct session *s, const struct catalog_image *im,
			const struct fetch_sink *sink, struct fetch_report *report, struct err *e)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	AUTO(prefetch_release) struct prefetch p = {.session = s, .image = im};
	struct bundle_secret secret = {0};
	struct part_source parts = {read_part, &p};
	struct bundle_sink out = {sink->write, sink->ctx};
	uint64_t position = 0;
	int rc = fetch_manifest(s, im, &m, e);

	if (rc < 0)
		return rc;
	rc = check_signature(s, m, report, e);
	if (rc == 0 && !s->private_key)
		rc = err_set(e, ENOKEY,
			     "the bundle is encrypted for its owner: give the private key "
			     "(--private-key, EC2_PRIVATE_KEY)");
	if (rc == 0)
		rc = manifest_decrypt_secret(m, s->private_key, &secret, e);
	if (rc < 0)
		return err_wrap(e, "'s3://%s/%s'", im->bucket, im->key);
	p.manifest = m;
	rc = prefetch_start(&p, e);
	if (rc == 0)
		rc = sink->begin(sink->ctx, m->size, &position, e);
	if (rc == 0) {
		p.progress = progress_start("fetching", m->bundled_size);
		rc = bundle_ec2_open(m, &secret, &parts, &out, p.progress, e);
		progress_end(p.progress, rc == 0);
		p.progress = NULL;
	}
	explicit_bzero(&secret, sizeof(secret));
	if (rc == 0 && buf_adds(&report->verified, "part digests (SHA-1)\nbundled size\n"
						   "image digest (SHA-1 of the tar stream)\n"
						   "image size\n") < 0)
		rc = err_nomem(e);
	return rc;
}

const struct delivery_type delivery_s3_bundle = {
	.kind = DELIVERY_BUNDLE,
	.name = "s3-bundle",
	.resumable = false,
	.fetch = fetch_bundle,
};
