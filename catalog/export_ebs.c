/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk as an EBS snapshot, by the EBS direct APIs (2019-11-02): StartSnapshot, a PutSnapshotBlock
 * for each block that is not zero, CompleteSnapshot with the LINEAR checksum: the SHA-256 of the
 * binary SHA-256s of all blocks that were put, ascending. Blocks are read, digested and sent in
 * parallel; their results come back in order, so the journal ascends too.
 *
 * A snapshot that was just started may be unknown to the servers that take blocks, for up to two
 * minutes: until then a 404 is waited for; afterwards, and for all else that a new attempt cannot
 * cure, the export ends at once. Retries of single requests are those of lib/aws.h.
 *
 * Against a parent only blocks are sent that differ from what the parent holds; one that became
 * zero is sent as zeros.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "catalog/export.h"
#include "catalog/export_journal.h"
#include "lib/digest.h"
#include "lib/log.h"
#include "lib/pool.h"
#include "lib/stop.h"
#include "lib/str.h"

#define WORKERS 16
#define WINDOW 64 /* blocks on their way: 32 MiB */
#define BLOCK_MAX (4 * MIB)
#define YOUNG_MS 120000      /* so long a new snapshot may be unknown */
#define YOUNG_PAUSE_MS 2000  /* between attempts meanwhile */
#define TIMEOUT_MINUTES 1440 /* a snapshot that gets no block for so long is given up */
#define COMPLETION_S 3600    /* for AWS to make the snapshot of what was sent */
#define TICK_MS 100

struct upload {
	struct session *session;
	struct image *im;
	char *snapshot;
	uint64_t block_size;
	uint64_t volume_gib;
	uint64_t started_ms;         /* when it was started; 0: it was there before */
	struct export_blocks parent; /* what the parent holds */
	struct export_blocks sent;   /* what the new snapshot has of its own */
	struct export_journal journal;
	size_t journal_at; /* what was sent before, not yet come by */
	size_t parent_at;
	struct pool *pool;
	struct httpc **clients;
	atomic_bool failed; /* workers need not begin, or wait, any longer */
	pthread_mutex_t lock;
	struct err why; /* of the first block that failed; code 0: none did */
	struct progress *progress;
	struct export_report *report;
};

struct put_job {
	struct upload *owner;
	uint64_t index;
	bool known;      /* it was sent before the export was interrupted */
	bool parent_has; /* with this digest: */
	uint8_t parent_digest[32];
	uint8_t digest[32];
	bool put, same; /* what became of it; neither: zero, and nowhere known */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void upload_release(struct upload *u)
{
	u->failed = true;
	if (u->pool) {
		unsigned n = pool_threads(u->pool);

		pool_free(u->pool, free);
		for (unsigned i = 0; u->clients && i < n; i++)
			httpc_free(u->clients[i]);
	}
	free(u->clients);
	free(u->snapshot);
	export_blocks_release(&u->parent);
	export_blocks_release(&u->sent);
	export_journal_close(&u->journal);
}
DEFINE_AUTO_STRUCT(struct upload, upload_release);

static void note_progress(void *opaque, const char *text)
{
	progress_note(opaque, text);
}

static int check_snapshot_id(const char *id, struct err *e)
{
	size_t n = strlen("snap-");

	if (!str_has_prefix(id, "snap-") || !id[n] || strlen(id) > 64 ||
	    strspn(id + n, "0123456789abcdef") != strlen(id + n))
		return err_set(e, EINVAL, "'%s' is not the id of a snapshot", id);
	return 0;
}

/* ---- beginning ----------------------------------------------------------------------------------- */

static int start_body(const struct upload *u, const char *parent, const char *description,
		      struct buf *out, struct err *e)
{
	uint8_t random[16];
	char token[33];
	struct jsonw w;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_errno(e, errno, "reading random bytes");
	hex_encode(random, sizeof(random), token);
	jsonw_begin(&w, out, false);
	jsonw_object(&w, NULL);
	jsonw_u64(&w, "VolumeSize", u->volume_gib);
	if (parent)
		jsonw_string(&w, "ParentSnapshotId", parent);
	jsonw_string(&w, "Description", description);
	/* A reply that was lost does not make a second snapshot. */
	jsonw_string(&w, "ClientToken", token);
	jsonw_u64(&w, "Timeout", TIMEOUT_MINUTES);
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

static int take_start(struct upload *u, const struct httpc_response *r, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	const struct value *size;
	const char *id;
	int rc = json_parse("StartSnapshot", r->body.data, r->body.len, NULL, &root, e);

	if (rc < 0)
		return rc;
	id = store_text(root, "SnapshotId");
	size = value_get(root, "BlockSize");
	if (!id || !size)
		return err_set(e, EBADMSG, "StartSnapshot tells no SnapshotId or BlockSize");
	rc = value_u64(size, 4096, BLOCK_MAX, &u->block_size, e);
	if (rc == 0)
		rc = check_snapshot_id(id, e);
	if (rc == 0 && GIB % u->block_size)
		rc = value_err(size, e, EBADMSG, "GiBs do not consist of such blocks");
	if (rc < 0)
		return rc;
	u->snapshot = strdup(id);
	return u->snapshot ? 0 : err_nomem(e);
}

static int start_snapshot(struct upload *u, const char *parent, const char *description,
			  struct err *e)
{
	static const struct httpc_header json = {"content-type", "application/json"};
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_BUF body = BUF_INIT;
	struct aws_request req = {
		.method = HTTPC_POST,
		.service = "ebs",
		.path = "/snapshots",
		.headers = &json,
		.n_headers = 1,
		.total_timeout_ms = 60000,
		.note = note_progress,
	};
	int rc = start_body(u, parent, description, &body, e);

	if (rc < 0)
		return rc;
	req.body = body.data;
	req.body_len = body.len;
	rc = aws_send(u->session->aws, u->session->http, &req, &r, NULL, e);
	if (rc == 0)
		rc = take_start(u, &r, e);
	if (rc < 0)
		return err_wrap(e, "starting a snapshot");
	u->started_ms = now_ms();
	return export_journal_begin(&u->journal, u->snapshot, u->block_size, e);
}

/* What the journal says of an interrupted export is taken up, if there is any. */
static int begin(struct upload *u, const char *parent, const char *description, struct err *e)
{
	if (!u->journal.snapshot)
		return start_snapshot(u, parent, description, e);
	u->snapshot = strdup(u->journal.snapshot);
	u->block_size = u->journal.block_size;
	if (!u->snapshot)
		return err_nomem(e);
	log_info("going on with snapshot '%s', of which %zu blocks were sent", u->snapshot,
		 u->journal.sent.n);
	return 0;
}

static int load_parent(struct upload *u, const struct store *s, const char *parent, struct err *e)
{
	uint64_t block_size, gib;
	int rc = check_snapshot_id(parent, e);

	if (rc == 0)
		rc = export_blocks_load(s, parent, &block_size, &gib, &u->parent, e);
	if (rc < 0)
		return rc;
	if (gib > u->volume_gib)
		return err_set(e, EINVAL,
			       "the snapshot '%s' is of %llu GiB, more than the disk's %llu",
			       parent, (unsigned long long)gib, (unsigned long long)u->volume_gib);
	return 0;
}

/* ---- a block, on a worker --------------------------------------------------------------------------- */

static bool still_young(const struct upload *u)
{
	return u->started_ms && now_ms() - u->started_ms < YOUNG_MS;
}

static int send_block(struct upload *u, struct httpc *c, uint64_t index, const void *data,
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
		.note = note_progress,
		.note_opaque = u->progress,
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
static int read_block(struct upload *u, uint64_t index, uint8_t *data, struct err *e)
{
	uint64_t off = index * u->block_size;
	uint64_t there = off < image_size(u->im) ? MIN(u->block_size, image_size(u->im) - off) : 0;

	memset(data + there, 0, u->block_size - there);
	return there ? image_pread(u->im, data, there, off, e) : 0;
}

static int try_block(struct put_job *j, unsigned worker, struct err *e)
{
	struct upload *u = j->owner;
	AUTO_FREE uint8_t *data = NULL;
	uint8_t digest[DIGEST_MAX];
	AUTO_BUF checksum = BUF_INIT;
	int rc;

	data = malloc(u->block_size);
	rc = data ? read_block(u, j->index, data, e) : err_nomem(e);
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
	rc = send_block(u, u->clients[worker], j->index, data, buf_str(&checksum), e);
	j->put = rc == 0;
	return rc < 0 ? err_wrap(e, "snapshot '%s': block %llu", u->snapshot,
				 (unsigned long long)j->index)
		      : 0;
}

/* A worker's job. After the first failure the blocks that wait are not even begun. */
static int put_block(void *job, unsigned worker, struct err *e)
{
	struct put_job *j = job;
	struct upload *u = j->owner;
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
static int next_data(struct upload *u, uint64_t from, uint64_t *ret, struct err *e)
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
static int next_job(struct upload *u, uint64_t *at, uint64_t *data_at, struct put_job *ret,
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

static int take_result(struct upload *u, const struct put_job *j, struct err *e)
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

static int send_all(struct upload *u, struct err *e)
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

static int start_workers(struct upload *u, struct err *e)
{
	unsigned n = u->session->workers ? u->session->workers : WORKERS;
	int rc = pool_new(n, &u->pool, e);

	if (rc < 0)
		return rc;
	u->clients = calloc(pool_threads(u->pool), sizeof(struct httpc *));
	if (!u->clients)
		return err_nomem(e);
	for (unsigned i = 0; rc == 0 && i < pool_threads(u->pool); i++)
		rc = aws_http_client(u->session->aws, &u->clients[i], e);
	return rc;
}

/* ---- the end ---------------------------------------------------------------------------------------------- */

static int linear_checksum(const struct upload *u, struct buf *out, struct err *e)
{
	AUTO(digest_free) struct digest *d = NULL;
	uint8_t raw[DIGEST_MAX];
	int rc = digest_new(DIGEST_SHA256, &d, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < u->sent.n; i++)
		digest_add(d, u->sent.items[i].digest, 32);
	digest_final(d, raw);
	return base64_encode(raw, 32, out) < 0 ? err_nomem(e) : 0;
}

/* "pending", "completed", "error" */
static int ask_status(struct upload *u, char ret[16], struct err *e)
{
	AUTO(xml_free) struct xml_node *root = NULL;
	const struct aws_param id = {"SnapshotId.1", u->snapshot};
	const char *status;
	int rc = aws_ec2(u->session->aws, u->session->http, "DescribeSnapshots", &id, 1, &root,
			 NULL, e);

	if (rc < 0)
		return rc;
	status = xml_child_text(xml_path(root, "snapshotSet/item"), "status", "");
	snprintf(ret, 16, "%s", status);
	return 0;
}

static int complete(struct upload *u, struct err *e)
{
	AUTO_FREE char *path = str_format("/snapshots/completion/%s", u->snapshot);
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_BUF checksum = BUF_INIT;
	char count[24], status[16] = "";
	struct httpc_header headers[] = {
		{"x-amz-changedblockscount", count},
		{"x-amz-checksum-algorithm", "SHA256"},
		{"x-amz-checksum-aggregation-method", "LINEAR"},
		{"x-amz-checksum", NULL},
	};
	struct aws_request req = {
		.method = HTTPC_POST,
		.service = "ebs",
		.path = path,
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.total_timeout_ms = 60000,
	};
	int rc = path ? linear_checksum(u, &checksum, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	snprintf(count, sizeof(count), "%zu", u->sent.n);
	headers[3].value = buf_str(&checksum);
	rc = aws_send(u->session->aws, u->session->http, &req, &r, NULL, e);
	/* An export that was interrupted after this need not do it again. */
	if (rc < 0 && !u->started_ms && ask_status(u, status, NULL) == 0 &&
	    strcmp(status, "completed") == 0)
		return 0;
	return rc < 0 ? err_wrap(e, "completing snapshot '%s'", u->snapshot) : 0;
}

static int wait_completed(struct upload *u, struct err *e)
{
	uint64_t until = now_ms() + COMPLETION_S * UINT64_C(1000);
	unsigned pause_ms = 250;

	for (;;) {
		char status[16] = "";
		int rc = ask_status(u, status, e);

		if (rc < 0)
			return err_wrap(e, "asking for snapshot '%s'", u->snapshot);
		if (strcmp(status, "completed") == 0)
			return 0;
		if (strcmp(status, "error") == 0)
			return err_set(e, EREMOTEIO,
				       "the snapshot '%s' failed: its status is 'error'",
				       u->snapshot);
		if (now_ms() >= until)
			return err_set(e, ETIMEDOUT,
				       "the snapshot '%s' is not completed after %d s", u->snapshot,
				       COMPLETION_S);
		rc = httpc_sleep_ms(pause_ms, e);
		if (rc < 0)
			return rc;
		pause_ms = MIN(pause_ms * 2, 5000u);
	}
}

/* All that the snapshot holds: what was sent, and what of the parent was not sent over. */
static int save_blocks(struct upload *u, const struct store *s, struct err *e)
{
	AUTO(export_blocks_release) struct export_blocks all = {0};
	size_t a = 0, b = 0;
	int rc = 0;

	while (rc == 0 && (a < u->sent.n || b < u->parent.n)) {
		const struct export_block *x = a < u->sent.n ? &u->sent.items[a] : NULL;
		const struct export_block *y = b < u->parent.n ? &u->parent.items[b] : NULL;
		bool own = x && (!y || x->index <= y->index);

		if (own && y && x->index == y->index)
			b++;
		rc = own ? export_blocks_add(&all, x->index, x->digest, e)
			 : export_blocks_add(&all, y->index, y->digest, e);
		a += own;
		b += !own;
	}
	return rc < 0 ? rc
		      : export_blocks_save(s, u->snapshot, u->block_size, u->volume_gib, &all, e);
}

/* ---- one upload ---------------------------------------------------------------------------------------------- */

static int open_journal(struct upload *u, const struct export_source *x, unsigned n_disk,
			const char *parent, struct err *e)
{
	const struct store_disk *d = &x->disks[n_disk].disk;
	const char *region = aws_region(u->session->aws);
	AUTO_FREE char *endpoint = NULL, *origin = NULL;
	int rc = aws_endpoint(u->session->aws, "ebs", NULL, &endpoint, e);

	if (rc < 0)
		return rc;
	origin = str_format("%s %s %s %s", endpoint, region ? region : "-", d->digest,
			    parent ? parent : "-");
	if (!origin)
		return err_nomem(e);
	rc = export_journal_open(x->store, origin, &u->journal, e);
	/* What a clone's disk was when it was interrupted is not known. */
	if (rc == 0 && !d->digest[0])
		export_journal_drop(&u->journal);
	return rc;
}

int ebs_upload(struct session *s, const struct export_source *x, unsigned n_disk,
	       const char *parent, char **ret_id, struct export_report *report, struct err *e)
{
	AUTO(upload_release)
	struct upload u = {
		.session = s,
		.im = x->disks[n_disk].im,
		.volume_gib = MAX(div_up(image_size(x->disks[n_disk].im), GIB), UINT64_C(1)),
		.journal = EXPORT_JOURNAL_INIT,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.report = report,
	};
	const char *text = x->opts->description ? x->opts->description : x->opts->image;
	int rc = parent ? load_parent(&u, x->store, parent, e) : 0;

	if (rc == 0)
		rc = open_journal(&u, x, n_disk, parent, e);
	if (rc == 0)
		rc = begin(&u, parent, text, e);
	if (rc == 0)
		rc = start_workers(&u, e);
	if (rc < 0)
		return rc;
	u.progress = progress_start("sending", image_size(u.im));
	rc = send_all(&u, e);
	progress_end(u.progress, rc == 0);
	u.progress = NULL;
	if (rc == 0)
		rc = complete(&u, e);
	if (rc == 0)
		rc = wait_completed(&u, e);
	if (rc == 0)
		rc = save_blocks(&u, x->store, e);
	/* A snapshot that is gone, or failed, cannot be gone on with. */
	if (rc == 0 || rc == -ENOENT || rc == -EREMOTEIO || rc == -EINVAL)
		export_journal_drop(&u.journal);
	else if (u.journal.snapshot)
		log_info("what was sent is known: the same command goes on from there");
	if (rc == 0)
		*ret_id = STEAL(u.snapshot);
	return rc;
}
