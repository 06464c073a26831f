/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocks of a snapshot in the making. They are read, digested and sent in parallel; their results
 * come back in order, so the journal ascends too.
 *
 * A snapshot that was just started may be unknown to the servers that take blocks, for up to two
 * minutes: until then a 404 is waited for; afterwards, and for all else that a new attempt cannot
 * cure, the export ends at once. Retries of single requests are those of lib/aws.h.
 *
 * Against a parent only blocks are sent that differ from what the parent holds; one that became
 * zero is sent as zeros.
 */
#include <poll.h>
#include <stdio.h>

#include "catalog/export_ebs.h"
#include "lib/digest.h"
#include "lib/stop.h"
#include "lib/str.h"

#define WORKERS 16
#define WINDOW 64           /* blocks on their way */
#define YOUNG_MS 120000     /* so long a new snapshot may be unknown */
#define YOUNG_PAUSE_MS 2000 /* between attempts meanwhile */
#define TICK_MS 100

struct put_job {
	struct ebs_upload *owner;
	uint64_t index;
	bool known;      /* it was sent before the export was interrupted */
	bool parent_has; /* with this digest: */
	uint8_t parent_digest[32];
	uint8_t digest[32];
	bool put, same; /* what became of it; neither: zero, and nowhere known */
};

static bool still_young(const struct ebs_upload *u)
{
	return u->started_ms && ebs_now_ms() - u->started_ms < YOUNG_MS;
}

static int send_block(struct ebs_upload *u, struct httpc *c, uint64_t index, const void *data,
		      const char *checksum, struct err *e)
{
	AUTO_FREE char *path =
		str_format("/snapshots/%s/blocks/%llu", u->snapshot, (unsigned long long)index);
	char length[24];
	const struct httpc_header headers[] = {
		{"content-type", "application/octet-stream"},
		{"x-amz-data-length", length},
		{"x-amz-checksum", checksum},
		{"x-amz-checksum-algorithm", "SHA256"},
	};
	struct aws_request req = {
		.method = HTTPC_PUT,
		.service = "ebs",
		.path = path,
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.body = data,
		.body_len = u->block_size,
		.unsigned_payload = true,
		.total_timeout_ms = 120000,
		.note = session_note,
		.note_opaque = u->session,
	};

	if (!path)
		return err_nomem(e);
	snprintf(length, sizeof(length), "%llu", (unsigned long long)u->block_size);
	for (;;) {
		AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
		int rc = aws_send(u->session->aws, c, &req, &r, NULL, e);

		if (rc != -ENOENT || !still_young(u))
			return rc;
		progress_note(u->progress, "the new snapshot is not known everywhere yet");
		for (unsigned ms = 0; ms < YOUNG_PAUSE_MS; ms += TICK_MS) {
			if (u->failed || stop_requested())
				return rc;
			poll(NULL, 0, TICK_MS);
		}
	}
}

/* The last block of a disk may reach past its end: zeros. */
static int read_block(struct ebs_upload *u, uint64_t index, uint8_t *data, struct err *e)
{
	uint64_t off = index * u->block_size;
	uint64_t there = off < image_size(u->im) ? MIN(u->block_size, image_size(u->im) - off) : 0;

	memset(data + there, 0, u->block_size - there);
	return there ? image_pread(u->im, data, there, off, e) : 0;
}

static int try_block(struct put_job *j, unsigned worker, struct err *e)
{
	struct ebs_upload *u = j->owner;
	uint8_t *data = u->workers[worker].block;
	uint8_t digest[DIGEST_MAX];
	AUTO_BUF checksum = BUF_INIT;
	int rc = read_block(u, j->index, data, e);

	if (rc < 0)
		return rc;
	if (!j->parent_has && mem_is_zero(data, u->block_size))
		return 0;
	digest_of(DIGEST_SHA256, data, u->block_size, digest);
	memcpy(j->digest, digest, sizeof(j->digest));
	j->same = j->parent_has && memcmp(digest, j->parent_digest, sizeof(j->digest)) == 0;
	if (j->same)
		return 0;
	if (base64_encode(digest, sizeof(j->digest), &checksum) < 0)
		return err_nomem(e);
	rc = send_block(u, u->workers[worker].client, j->index, data, buf_str(&checksum), e);
	j->put = rc == 0;
	return rc < 0 ? err_wrap(e, "snapshot '%s': block %llu", u->snapshot,
				 (unsigned long long)j->index)
		      : 0;
}

/* A worker's job. After the first failure the blocks that wait are not even begun. */
static int put_block(void *job, unsigned worker, struct err *e)
{
	struct put_job *j = job;
	struct ebs_upload *u = j->owner;
	struct err why;
	int rc;

	if (j->known)
		return 0;
	if (u->failed)
		return err_set(e, ECANCELED, "another block failed");
	rc = try_block(j, worker, &why);
	if (rc == 0)
		return 0;
	pthread_mutex_lock(&u->lock);
	if (!u->why.code)
		u->why = why;
	pthread_mutex_unlock(&u->lock);
	u->failed = true;
	return err_set(e, why.code, "%s", why.msg);
}

/* ---- all blocks --------------------------------------------------------------------------------------- */

/* The first block from `from` on that has data; UINT64_MAX: none. */
static int next_data(struct ebs_upload *u, uint64_t from, uint64_t *ret, struct err *e)
{
	uint64_t off = from * u->block_size, size = image_size(u->im);

	*ret = UINT64_MAX;
	while (off < size) {
		struct extent x;
		int rc = image_next_extent(u->im, off, &x, e);

		if (rc < 0)
			return rc;
		if (x.kind == EXTENT_DATA) {
			*ret = off / u->block_size;
			return 0;
		}
		off = x.start + x.length;
	}
	return 0;
}

/* The next block that has data, or that the parent holds. Returns 1, 0 at the end. */
static int next_job(struct ebs_upload *u, uint64_t *at, uint64_t *data_at, struct put_job *ret,
		    struct err *e)
{
	const struct export_blocks *p = &u->parent, *before = &u->journal.sent;
	uint64_t index;

	if (*data_at != UINT64_MAX && *data_at < *at) {
		int rc = next_data(u, *at, data_at, e);

		if (rc < 0)
			return rc;
	}
	while (u->parent_at < p->n && p->items[u->parent_at].index < *at)
		u->parent_at++;
	index = *data_at;
	if (u->parent_at < p->n)
		index = MIN(index, p->items[u->parent_at].index);
	if (index == UINT64_MAX)
		return 0;
	*ret = (struct put_job){.owner = u, .index = index};
	if (u->parent_at < p->n && p->items[u->parent_at].index == index) {
		ret->parent_has = true;
		memcpy(ret->parent_digest, p->items[u->parent_at].digest, 32);
	}
	while (u->journal_at < before->n && before->items[u->journal_at].index < index)
		u->journal_at++;
	if (u->journal_at < before->n && before->items[u->journal_at].index == index) {
		ret->known = true;
		memcpy(ret->digest, before->items[u->journal_at].digest, 32);
	}
	*at = index + 1;
	return 1;
}

static int take_result(struct ebs_upload *u, const struct put_job *j, struct err *e)
{
	int rc = 0;

	if (j->put)
		rc = export_journal_add(&u->journal, j->index, j->digest, e);
	if (rc == 0 && (j->put || j->known))
		rc = export_blocks_add(&u->sent, j->index, j->digest, e);
	if (j->put)
		u->report->sent += u->block_size;
	if (j->known)
		u->report->resumed += u->block_size;
	if (j->same)
		u->report->same += u->block_size;
	progress_set(u->progress, MIN((j->index + 1) * u->block_size, image_size(u->im)));
	return rc;
}

int ebs_send_all(struct ebs_upload *u, struct err *e)
{
	uint64_t at = 0, data_at = 0;
	bool more = true;
	int rc = next_data(u, 0, &data_at, e);

	while (rc == 0 && (more || pool_pending(u->pool))) {
		AUTO_FREE struct put_job *j = NULL;
		void *job = NULL;

		rc = stop_check(e);
		while (rc == 0 && more && pool_pending(u->pool) < WINDOW) {
			AUTO_FREE struct put_job *next = malloc(sizeof(*next));

			rc = next ? next_job(u, &at, &data_at, next, e) : err_nomem(e);
			more = rc > 0;
			if (rc > 0)
				rc = pool_submit(u->pool, put_block, STEAL(next), e);
		}
		if (rc < 0 || !pool_pending(u->pool))
			break;
		rc = pool_next(u->pool, &job, e);
		j = job;
		if (rc >= 0)
			rc = take_result(u, j, e);
	}
	if (rc < 0)
		u->failed = true;
	/* Results come in the order of the blocks: the first of them need not be the cause. */
	pthread_mutex_lock(&u->lock);
	if (rc < 0 && u->why.code)
		rc = err_set(e, u->why.code, "%s", u->why.msg);
	pthread_mutex_unlock(&u->lock);
	return rc;
}

int ebs_start_workers(struct ebs_upload *u, struct err *e)
{
	unsigned n = u->session->workers ? u->session->workers : WORKERS;
	int rc = pool_new(n, &u->pool, e);

	if (rc < 0)
		return rc;
	u->workers = calloc(pool_threads(u->pool), sizeof(*u->workers));
	if (!u->workers)
		return err_nomem(e);
	for (unsigned i = 0; rc == 0 && i < pool_threads(u->pool); i++) {
		u->workers[i].block = malloc(u->block_size);
		rc = u->workers[i].block
			     ? aws_http_client(u->session->aws, &u->workers[i].client, e)
			     : err_nomem(e);
	}
	return rc;
}

void ebs_stop_workers(struct ebs_upload *u)
{
	unsigned n = u->pool ? pool_threads(u->pool) : 0;

	u->failed = true;
	pool_free(STEAL(u->pool), free);
	for (unsigned i = 0; u->workers && i < n; i++) {
		httpc_free(u->workers[i].client);
		free(u->workers[i].block);
	}
	free(STEAL(u->workers));
}
