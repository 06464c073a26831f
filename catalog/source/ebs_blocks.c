/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EBS snapshots by the EBS direct APIs (2019-11-02): ListSnapshotBlocks names the blocks that were
 * ever written, GetSnapshotBlock reads one. Blocks are fetched in parallel, checked by the SHA-256
 * that comes with each, and given on front to back; what is not listed reads as zeros.
 *
 * A fetch is resumable: what was written ends at a block, and listing starts behind it.
 */
#include <stdio.h>

#include "catalog/ebs_list.h"
#include "catalog/source.h"
#include "lib/digest.h"
#include "lib/pool.h"
#include "lib/stop.h"
#include "lib/str.h"

#define WORKERS 16 /* on the way to a cloud a block takes tens of milliseconds */
#define WINDOW 48  /* blocks that are asked for or wait to be written: 24 MiB */
#define ATTEMPT_TIMEOUT_MS 120000
#define CHECKPOINT_BYTES (128 * MIB)

struct block_job {
	struct fetch *owner;
	struct ebs_block block;
	struct buf data;
	uint8_t sha256[DIGEST_MAX]; /* of the data */
	bool ahead;                 /* the data are in their place */
	struct block_job *next;     /* of those that wait to be used again */
};

struct fetch {
	struct session *session;
	const struct fetch_sink *sink;
	bool planned; /* the sink knows where data will be */
	struct ebs_list list;
	struct pool *pool;
	struct httpc **clients;
	struct block_job *spare; /* their buffers are in memory already */
	struct progress *progress;
};

static void drop_job(void *job)
{
	struct block_job *j = job;

	free(j->block.token);
	buf_release(&j->data);
	free(j);
}

static void stop_workers(struct fetch *f)
{
	unsigned n = f->pool ? pool_threads(f->pool) : 0;

	pool_free(STEAL(f->pool), drop_job);
	for (unsigned i = 0; f->clients && i < n; i++)
		httpc_free(f->clients[i]);
	free(STEAL(f->clients));
}

static void fetch_release(struct fetch *f)
{
	stop_workers(f);
	while (f->spare) {
		struct block_job *j = f->spare;

		f->spare = j->next;
		drop_job(j);
	}
	ebs_list_release(&f->list);
}
DEFINE_AUTO_STRUCT(struct fetch, fetch_release);

/* ---- blocks --------------------------------------------------------------------------------- */

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

/* Length, algorithm and checksum of the block's headers against what came. */
static int check_block(const struct fetch *f, const struct httpc_response *r,
		       const struct buf *data, uint8_t ret_sha256[DIGEST_MAX], struct err *e)
{
	const char *algorithm = httpc_header(r, "x-amz-Checksum-Algorithm");
	const char *checksum = httpc_header(r, "x-amz-Checksum");
	AUTO_BUF ours = BUF_INIT;
	uint64_t length = 0;
	int rc = httpc_header_u64(r, "x-amz-Data-Length", &length, e);

	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (data->len != f->list.block_size || (rc == 0 && length != data->len))
		return err_set(e, EBADMSG, "%zu bytes came, %llu were announced, a block has %llu",
			       data->len, (unsigned long long)length,
			       (unsigned long long)f->list.block_size);
	if (!algorithm || !checksum)
		return err_set(e, EBADMSG, "no checksum came with it");
	if (strcmp(algorithm, "SHA256") != 0)
		return err_set(e, ENOTSUP, "its checksum is of kind '%s', not SHA256", algorithm);
	digest_of(DIGEST_SHA256, data->data, data->len, ret_sha256);
	if (base64_encode(ret_sha256, digest_size(DIGEST_SHA256), &ours) < 0)
		return err_nomem(e);
	if (strcmp(buf_str(&ours), checksum) != 0)
		return err_set(e, EBADMSG, "its SHA-256 is %s, announced was %s", buf_str(&ours),
			       checksum);
	return 0;
}

/* Puts a block into its place before its turn, if the sink can do that. */
static int put_ahead(struct block_job *j, struct err *e)
{
	struct fetch *f = j->owner;
	int rc = f->planned ? f->sink->ahead(f->sink->ctx, j->data.data, j->data.len,
					     j->block.index * f->list.block_size, j->sha256, e)
			    : 0;

	j->ahead = rc > 0;
	return MIN(rc, 0);
}

/* A worker's job. A block whose checksum is wrong is asked for once more: the wire may be to blame.
 */
static int fetch_block(void *job, unsigned worker, struct err *e)
{
	struct block_job *j = job;
	struct fetch *f = j->owner;
	AUTO_FREE char *path = str_format("/snapshots/%s/blocks/%llu", f->list.snapshot,
					  (unsigned long long)j->block.index);
	const struct aws_param query[] = {{"blockToken", j->block.token}};
	const struct httpc_sink sink = {sink_append, sink_restart, &j->data};
	struct aws_request req = {
		.method = HTTPC_GET,
		.service = "ebs",
		.path = path,
		.query = query,
		.n_query = ARRAY_SIZE(query),
		.sink = &sink,
		.max_sink = f->list.block_size,
		.total_timeout_ms = f->list.timeout_ms,
		.note = session_note,
		.note_opaque = f->session,
	};
	int rc = path ? 0 : err_nomem(e);

	for (int attempt = 0; path && attempt < 2; attempt++) {
		AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;

		buf_clear(&j->data);
		if (buf_reserve(&j->data, f->list.block_size) < 0)
			return err_nomem(e);
		rc = aws_send(f->session->aws, f->clients[worker], &req, &r, NULL, e);
		if (rc < 0)
			break;
		rc = check_block(f, &r, &j->data, j->sha256, e);
		if (rc != -EBADMSG)
			break;
	}
	if (rc == 0)
		rc = put_ahead(j, e);
	return rc < 0 ? err_wrap(e, "snapshot '%s': block %llu", f->list.snapshot,
				 (unsigned long long)j->block.index)
		      : 0;
}

static struct block_job *take_job(struct fetch *f)
{
	struct block_job *j = f->spare;

	if (!j)
		return calloc(1, sizeof(*j));
	f->spare = j->next;
	return j;
}

static void return_job(struct fetch *f, struct block_job *j)
{
	free(STEAL(j->block.token));
	j->next = f->spare;
	f->spare = j;
}

/* Gives the pool work until the window is full or there are no more blocks. */
static int ask_ahead(struct fetch *f, struct err *e)
{
	while (pool_pending(f->pool) < WINDOW) {
		struct ebs_block block;
		struct block_job *j;
		int rc = ebs_list_next(&f->list, &block, e);

		if (rc <= 0)
			return rc;
		j = take_job(f);
		if (!j) {
			free(block.token);
			return err_nomem(e);
		}
		j->owner = f;
		j->block = block;
		rc = pool_submit(f->pool, fetch_block, j, e);
		if (rc < 0) {
			drop_job(j);
			return rc;
		}
	}
	return 0;
}

/* A block in its turn. */
static int give(struct block_job *j, const struct fetch_sink *sink, struct err *e)
{
	uint64_t off = j->block.index * j->owner->list.block_size;
	int rc = j->ahead ? 0 : put_ahead(j, e);

	if (rc < 0 || !j->ahead)
		return rc < 0 ? rc : sink->write(sink->ctx, j->data.data, j->data.len, off, e);
	sink->pass(sink->ctx, off + j->data.len);
	return 0;
}

/* Writes block after block; on an interruption makes durable what there is. */
static int copy_blocks(struct fetch *f, const struct fetch_sink *sink, struct err *e)
{
	uint64_t done = f->list.next_index, since = 0;
	int rc = 0;

	while (rc == 0) {
		struct block_job *j;
		void *job = NULL;

		rc = stop_check(e);
		if (rc == 0)
			rc = ask_ahead(f, e);
		if (rc < 0 || !pool_pending(f->pool))
			break;
		rc = pool_next(f->pool, &job, e);
		j = job;
		if (rc >= 0)
			rc = give(j, sink, e);
		if (rc == 0) {
			done = j->block.index + 1;
			since += j->data.len;
			progress_set(f->progress, done * f->list.block_size);
		}
		return_job(f, j);
		if (rc == 0 && since >= CHECKPOINT_BYTES) {
			rc = sink->checkpoint(sink->ctx, e);
			since = 0;
		}
	}
	/* What went wrong is the error to report, not what the attempt to save adds to it. */
	if (rc < 0 && rc != -ENOSPC && rc != -EIO && done > 0)
		(void)sink->checkpoint(sink->ctx, NULL);
	return rc;
}

static int start_workers(struct fetch *f, struct err *e)
{
	unsigned n = f->session->workers ? f->session->workers : WORKERS;
	int rc = pool_new(n, &f->pool, e);

	if (rc < 0)
		return rc;
	f->clients = calloc(pool_threads(f->pool), sizeof(struct httpc *));
	if (!f->clients)
		return err_nomem(e);
	for (unsigned i = 0; rc == 0 && i < pool_threads(f->pool); i++)
		rc = aws_http_client(f->session->aws, &f->clients[i], e);
	return rc;
}

/* Tells where all data are, if one page of the list says so. */
static int tell_plan(struct fetch *f, struct err *e)
{
	const struct fetch_sink *sink = f->sink;
	AUTO_FREE struct fetch_run *runs = NULL;
	size_t n = 0;

	if (!sink->plan || !f->list.last_page || !f->list.n_page)
		return 0;
	runs = calloc(f->list.n_page, sizeof(*runs));
	if (!runs)
		return err_nomem(e);
	for (size_t i = 0; i < f->list.n_page; i++) {
		uint64_t off = f->list.page[i].index * f->list.block_size;

		if (n && runs[n - 1].off + runs[n - 1].len == off)
			runs[n - 1].len += f->list.block_size;
		else
			runs[n++] = (struct fetch_run){off, f->list.block_size};
	}
	f->planned = true;
	return sink->plan(sink->ctx, runs, n, e);
}

/* Lists anew from the block at position; the first page was only for the geometry. */
static int resume_at(struct fetch *f, uint64_t position, struct err *e)
{
	uint64_t block_size = f->list.block_size;

	ANALYZER_KNOWS(block_size);
	if (position % block_size || position > f->list.volume_size)
		return err_set(e, EINVAL, "cannot resume at byte %llu: no block begins there",
			       (unsigned long long)position);
	ebs_list_from(&f->list, position / block_size);
	return 0;
}

static int fetch_snapshot(struct session *s, const struct catalog_image *im,
			  const struct fetch_sink *sink, struct fetch_report *report, struct err *e)
{
	AUTO(fetch_release)
	struct fetch f = {.session = s, .sink = sink};
	uint64_t position = 0;
	int rc;

	ebs_list_init(&f.list, s, im->snapshot,
		      s->attempt_timeout_ms ? s->attempt_timeout_ms : ATTEMPT_TIMEOUT_MS);
	rc = ebs_list_page(&f.list, e);
	if (rc == 0 && im->snapshot_size && im->snapshot_size != f.list.volume_size)
		rc = err_set(e, EBADMSG, "snapshot '%s' is of %llu bytes, the image says %llu",
			     im->snapshot, (unsigned long long)f.list.volume_size,
			     (unsigned long long)im->snapshot_size);
	if (rc == 0)
		rc = sink->begin(sink->ctx, f.list.volume_size, &position, e);
	if (rc == 0 && position)
		rc = resume_at(&f, position, e);
	else if (rc == 0)
		rc = tell_plan(&f, e);
	if (rc == 0)
		rc = start_workers(&f, e);
	if (rc < 0)
		return rc;
	f.progress = s->progress = progress_start("fetching", f.list.volume_size);
	progress_set(f.progress, f.list.next_index * f.list.block_size);
	rc = copy_blocks(&f, sink, e);
	/* They tell of their waits by the progress. */
	stop_workers(&f);
	progress_end(f.progress, rc == 0);
	f.progress = s->progress = NULL;
	if (rc == 0 && buf_adds(&report->verified, "block checksums (SHA-256)\nvolume size\n") < 0)
		rc = err_nomem(e);
	return rc;
}

const struct delivery_type delivery_ebs = {
	.kind = DELIVERY_SNAPSHOT,
	.name = "ebs",
	.resumable = true,
	.fetch = fetch_snapshot,
};
