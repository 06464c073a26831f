/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EBS snapshots by the EBS direct APIs (2019-11-02): ListSnapshotBlocks names the blocks that were
 * ever written, GetSnapshotBlock reads one. Blocks are fetched in parallel, checked by the SHA-256
 * that comes with each, and given on front to back; what is not listed reads as zeros.
 *
 * A fetch is resumable: what was written ends at a block, and listing starts behind it.
 */
#include <stdio.h>

#include "catalog/paging.h"
#include "catalog/source.h"
#include "lib/digest.h"
#include "lib/json.h"
#include "lib/pool.h"
#include "lib/stop.h"
#include "lib/str.h"

#define WORKERS 16 /* on the way to a cloud a block takes tens of milliseconds */
#define WINDOW 48  /* blocks that are asked for or wait to be written: 24 MiB */
#define BLOCK_MAX (4 * MIB)
#define TOKEN_MAX 1024
#define LIST_PAGE "1000"
#define PAGES_MAX 100000
#define EMPTY_PAGES_MAX 100
#define ATTEMPT_TIMEOUT_MS 120000
#define CHECKPOINT_BYTES (128 * MIB)

struct block {
	uint64_t index;
	char *token;
};

struct block_job {
	struct fetch *owner;
	struct block block;
	struct buf data;
	struct block_job *next; /* of those that wait to be used again */
};

struct fetch {
	struct session *session;
	const char *snapshot;
	uint64_t volume_size, block_size; /* bytes; block_size 0: not yet told */
	uint64_t next_index;              /* blocks below are done: resumed */
	/* The page that is being worked off, and how to get the next one. */
	struct block *page;
	size_t n_page, page_at;
	char *next_token;
	bool last_page;
	struct paging pages;
	uint64_t last_index; /* listed last; UINT64_MAX: none yet */
	struct pool *pool;
	struct httpc **clients;
	struct block_job *spare; /* their buffers are in memory already */
	struct progress *progress;
};

static void page_release(struct fetch *f)
{
	for (size_t i = 0; i < f->n_page; i++)
		free(f->page[i].token);
	free(f->page);
	f->page = NULL;
	f->n_page = f->page_at = 0;
}

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
	page_release(f);
	paging_release(&f->pages);
	free(f->next_token);
}
DEFINE_AUTO_STRUCT(struct fetch, fetch_release);

/* Of one request. */
static unsigned attempt_timeout(const struct session *s)
{
	return s->attempt_timeout_ms ? s->attempt_timeout_ms : ATTEMPT_TIMEOUT_MS;
}

/* ---- listing -------------------------------------------------------------------------------- */

/* The geometry that each page repeats: must not change, and must fit what was asked for. */
static int take_geometry(struct fetch *f, const struct value *root, struct err *e)
{
	uint64_t gib, block;
	const struct value *size = value_get(root, "VolumeSize");
	const struct value *bs = value_get(root, "BlockSize");
	int rc;

	if (!size || !bs)
		return err_set(e, EBADMSG, "the list of blocks tells no VolumeSize or BlockSize");
	rc = value_u64(size, 1, 65536, &gib, e);
	if (rc == 0)
		rc = value_u64(bs, 512, BLOCK_MAX, &block, e);
	if (rc)
		return rc;
	if (!is_pow2(block))
		return value_err(bs, e, EBADMSG, "%llu is not a power of two",
				 (unsigned long long)block);
	if (f->volume_size && (f->block_size != block || f->volume_size != gib * GIB))
		return value_err(root, e, EBADMSG, "the snapshot's size changed between pages");
	f->block_size = block;
	f->volume_size = gib * GIB;
	return 0;
}

static int take_block(struct fetch *f, const struct value *v, struct block *ret, struct err *e)
{
	const struct value *index = value_get(v, "BlockIndex"), *token = value_get(v, "BlockToken");
	const char *text;
	int rc;

	if (!index || !token)
		return value_err(v, e, EBADMSG, "a block without BlockIndex or BlockToken");
	ANALYZER_KNOWS(f->block_size);
	rc = value_u64(index, 0, f->volume_size / f->block_size - 1, &ret->index, e);
	if (rc == 0)
		rc = value_string(token, &text, e);
	if (rc)
		return rc;
	if (strlen(text) > TOKEN_MAX)
		return value_err(token, e, EFBIG, "a token of more than %d bytes", TOKEN_MAX);
	if (f->last_index != UINT64_MAX && ret->index <= f->last_index)
		return value_err(index, e, EBADMSG, "block %llu is listed behind block %llu",
				 (unsigned long long)ret->index, (unsigned long long)f->last_index);
	f->last_index = ret->index;
	ret->token = strdup(text);
	return ret->token ? 0 : err_nomem(e);
}

static int take_page(struct fetch *f, const struct httpc_response *r, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	const struct value *blocks, *next;
	const char *token = NULL;
	int rc = json_parse("ListSnapshotBlocks", r->body.data, r->body.len, NULL, &root, e);

	if (rc == 0)
		rc = take_geometry(f, root, e);
	if (rc)
		return rc;
	blocks = value_get(root, "Blocks");
	if (blocks) {
		rc = value_expect(blocks, VALUE_LIST, e);
		if (rc < 0)
			return rc;
		f->page = calloc(blocks->n_items + 1, sizeof(*f->page));
		if (!f->page)
			return err_nomem(e);
	}
	value_foreach (v, blocks) {
		ANALYZER_KNOWS(f->page);
		rc = take_block(f, v, &f->page[f->n_page], e);
		if (rc < 0)
			return rc;
		f->n_page++;
	}
	free(f->next_token);
	f->next_token = NULL;
	next = value_get(root, "NextToken");
	if (next && next->kind != VALUE_NULL) {
		rc = value_string(next, &token, e);
		if (rc < 0)
			return rc;
	}
	f->last_page = !token || !*token;
	if (!f->last_page && !(f->next_token = strdup(token)))
		return err_nomem(e);
	return f->last_page ? 0 : paging_next(&f->pages, token, f->n_page == 0, e);
}

/* Reads the next page; it may be empty and still not be the last one. */
static int list_page(struct fetch *f, struct err *e)
{
	char start[24];
	struct aws_param query[2] = {{"maxResults", LIST_PAGE}};
	AUTO_FREE char *path = str_format("/snapshots/%s/blocks", f->snapshot);
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct aws_request req = {
		.method = HTTPC_GET,
		.service = "ebs",
		.path = path,
		.query = query,
		.n_query = 1,
		.max_body = 8 * MIB,
		.total_timeout_ms = attempt_timeout(f->session),
		.note = session_note,
		.note_opaque = f->session,
	};
	int rc;

	if (!path)
		return err_nomem(e);
	snprintf(start, sizeof(start), "%llu", (unsigned long long)f->next_index);
	if (f->next_token)
		query[req.n_query++] = (struct aws_param){"pageToken", f->next_token};
	else if (f->next_index)
		query[req.n_query++] = (struct aws_param){"startingBlockIndex", start};
	page_release(f);
	rc = aws_send(f->session->aws, f->session->http, &req, &r, NULL, e);
	if (rc == 0)
		rc = take_page(f, &r, e);
	return rc < 0 ? err_wrap(e, "listing the blocks of snapshot '%s'", f->snapshot) : 0;
}

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
		       const struct buf *data, struct err *e)
{
	const char *algorithm = httpc_header(r, "x-amz-Checksum-Algorithm");
	const char *checksum = httpc_header(r, "x-amz-Checksum");
	uint8_t raw[DIGEST_MAX];
	AUTO_BUF ours = BUF_INIT;
	uint64_t length = 0;
	int rc = httpc_header_u64(r, "x-amz-Data-Length", &length, e);

	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (data->len != f->block_size || (rc == 0 && length != data->len))
		return err_set(e, EBADMSG, "%zu bytes came, %llu were announced, a block has %llu",
			       data->len, (unsigned long long)length,
			       (unsigned long long)f->block_size);
	if (!algorithm || !checksum)
		return err_set(e, EBADMSG, "no checksum came with it");
	if (strcmp(algorithm, "SHA256") != 0)
		return err_set(e, ENOTSUP, "its checksum is of kind '%s', not SHA256", algorithm);
	digest_of(DIGEST_SHA256, data->data, data->len, raw);
	if (base64_encode(raw, digest_size(DIGEST_SHA256), &ours) < 0)
		return err_nomem(e);
	if (strcmp(buf_str(&ours), checksum) != 0)
		return err_set(e, EBADMSG, "its SHA-256 is %s, announced was %s", buf_str(&ours),
			       checksum);
	return 0;
}

/* A worker's job. A block whose checksum is wrong is asked for once more: the wire may be to blame.
 */
static int fetch_block(void *job, unsigned worker, struct err *e)
{
	struct block_job *j = job;
	struct fetch *f = j->owner;
	AUTO_FREE char *path = str_format("/snapshots/%s/blocks/%llu", f->snapshot,
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
		.max_sink = f->block_size,
		.total_timeout_ms = attempt_timeout(f->session),
		.note = session_note,
		.note_opaque = f->session,
	};
	int rc = path ? 0 : err_nomem(e);

	for (int attempt = 0; path && attempt < 2; attempt++) {
		AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;

		buf_clear(&j->data);
		if (buf_reserve(&j->data, f->block_size) < 0)
			return err_nomem(e);
		rc = aws_send(f->session->aws, f->clients[worker], &req, &r, NULL, e);
		if (rc < 0)
			break;
		rc = check_block(f, &r, &j->data, e);
		if (rc != -EBADMSG)
			break;
	}
	return rc < 0 ? err_wrap(e, "snapshot '%s': block %llu", f->snapshot,
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
		struct block_job *j;
		int rc;

		if (f->page_at == f->n_page) {
			if (f->last_page)
				return 0;
			rc = list_page(f, e);
			if (rc < 0)
				return rc;
			continue;
		}
		j = take_job(f);
		if (!j)
			return err_nomem(e);
		j->owner = f;
		j->block = f->page[f->page_at];
		f->page[f->page_at++].token = NULL;
		rc = pool_submit(f->pool, fetch_block, j, e);
		if (rc < 0) {
			drop_job(j);
			return rc;
		}
	}
	return 0;
}

/* Writes block after block; on an interruption makes durable what there is. */
static int copy_blocks(struct fetch *f, const struct fetch_sink *sink, struct err *e)
{
	uint64_t done = f->next_index, since = 0;
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
			rc = sink->write(sink->ctx, j->data.data, j->data.len,
					 j->block.index * f->block_size, e);
		if (rc == 0) {
			done = j->block.index + 1;
			since += j->data.len;
			progress_set(f->progress, done * f->block_size);
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

/* Lists anew from the block at position; the first page was only for the geometry. */
static int resume_at(struct fetch *f, uint64_t position, struct err *e)
{
	ANALYZER_KNOWS(f->block_size);
	if (position % f->block_size || position > f->volume_size)
		return err_set(e, EINVAL, "cannot resume at byte %llu: no block begins there",
			       (unsigned long long)position);
	f->next_index = position / f->block_size;
	f->last_index = f->next_index - 1;
	free(f->next_token);
	f->next_token = NULL;
	f->last_page = position == f->volume_size;
	f->pages.n = 0;
	page_release(f);
	return 0;
}

static int fetch_snapshot(struct session *s, const struct catalog_image *im,
			  const struct fetch_sink *sink, struct fetch_report *report, struct err *e)
{
	AUTO(fetch_release)
	struct fetch f = {
		.session = s,
		.snapshot = im->snapshot,
		.last_index = UINT64_MAX,
		.pages = {.most = PAGES_MAX, .most_empty = EMPTY_PAGES_MAX},
	};
	uint64_t position = 0;
	int rc = list_page(&f, e);

	if (rc == 0 && im->snapshot_size && im->snapshot_size != f.volume_size)
		rc = err_set(e, EBADMSG, "snapshot '%s' is of %llu bytes, the image says %llu",
			     im->snapshot, (unsigned long long)f.volume_size,
			     (unsigned long long)im->snapshot_size);
	if (rc == 0)
		rc = sink->begin(sink->ctx, f.volume_size, &position, e);
	if (rc == 0 && position)
		rc = resume_at(&f, position, e);
	if (rc == 0)
		rc = start_workers(&f, e);
	if (rc < 0)
		return rc;
	f.progress = s->progress = progress_start("fetching", f.volume_size);
	progress_set(f.progress, f.next_index * f.block_size);
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
