/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tar stream is cut into chunks of 1 MiB. This thread says what is in each; workers read and
 * compress it; then it comes back in order, is hashed on a thread of its own, and goes out:
 *
 *	plan a chunk -> | image_pread, deflate, CRC | -> write (this thread)
 *	                |        workers            | -> digest (one thread)
 *
 * What comes through a pipe is read while the chunk is planned, out of another pipe, into which the
 * caller's thread copies the stream: it is the one that a signal wakes.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>

#include "bundle/deflate.h"
#include "bundle/tar_write.h"
#include "bundle/tgz.h"
#include "lib/pool.h"
#include "lib/stop.h"

#define CHUNK MIB
#define GRAIN (64 * KIB) /* what is zero in one of these is a hole */
#define THREADS_MAX 16u  /* so that memory stays bounded on large machines */

struct chunk {
	struct maker *maker;
	uint8_t *raw; /* CHUNK bytes: a piece of the tar stream, len of them */
	uint8_t *out; /* deflate_bound(CHUNK) bytes, out_len of them */
	size_t len, out_len;
	uint32_t crc;
	bool last;
	/* What a worker has to read: runs of the disk. The rest of raw is there already. */
	struct run {
		size_t at, len;
		uint64_t off;
	} runs[CHUNK / GRAIN + 2];
	size_t n_runs;
	uint64_t disk_end; /* for the progress */
};

struct maker {
	const struct tgz *t;
	struct image *im; /* NULL: the disk is read from the pipe */
	int pipe;
	uint64_t disk_size;
	struct tar_map map;
	struct pool *pool, *hasher;
	struct deflate **deflates; /* one a worker */
	struct chunk chunks[2 * THREADS_MAX + 4];
	struct chunk *idle[2 * THREADS_MAX + 4];
	size_t n_idle, n_chunks;
	struct chunk *open; /* being planned; NULL: none */

	uint32_t crc;
	uint64_t tar_len;
	uint64_t disk_end; /* of what is planned */
	struct progress *progress;
};

/* ---- where there is anything ------------------------------------------------------------------ */

static int note_extent(void *ctx, const struct extent *x, struct err *e)
{
	struct maker *m = ctx;
	uint64_t start = x->start / GRAIN * GRAIN;
	uint64_t end = MIN(round_up(x->start + x->length, GRAIN), m->t->size);
	struct tar_extent *last = m->map.n ? &m->map.extents[m->map.n - 1] : NULL;

	if (x->kind != EXTENT_DATA)
		return 0;
	if (last && last->start + last->length >= start) {
		last->length = MAX(end, last->start + last->length) - last->start;
		return 0;
	}
	return tar_map_add(&m->map, start, end - start, e);
}

static int make_map(struct maker *m, bool *ret_sparse, struct err *e)
{
	const struct tar_extent *x;
	int rc;

	if (m->t->dense)
		rc = tar_map_add(&m->map, 0, m->t->size, e);
	else if (!m->im)
		rc = tar_map_add(&m->map, 0, MIN(round_up(m->disk_size, GRAIN), m->t->size), e);
	else
		rc = image_map(m->im, GRAIN, note_extent, m, NULL, e);
	if (rc < 0)
		return rc;
	x = m->map.extents;
	*ret_sparse = m->map.n != 1 || x->start != 0 || x->length != m->t->size;
	/* A hole at the end is told by an entry behind it, as GNU tar does and needs. */
	if (!m->map.n || x[m->map.n - 1].start + x[m->map.n - 1].length != m->t->size)
		rc = tar_map_add(&m->map, m->t->size, 0, e);
	return rc;
}

/* ---- workers ---------------------------------------------------------------------------------- */

static int read_pipe(int fd, uint8_t *to, size_t len, struct err *e)
{
	while (len) {
		ssize_t n = read(fd, to, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "reading a pipe");
		if (n == 0)
			return err_set(e, EPIPE, "the stream ended");
		to += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The disk may be shorter than the member. */
static int read_run(const struct maker *m, uint8_t *to, size_t len, uint64_t off, struct err *e)
{
	size_t there = off < m->disk_size ? (size_t)MIN((uint64_t)len, m->disk_size - off) : 0;

	memset(to + there, 0, len - there);
	if (!there)
		return 0;
	return m->im ? image_pread(m->im, to, there, off, e) : read_pipe(m->pipe, to, there, e);
}

static int compress_chunk(void *job, unsigned worker, struct err *e)
{
	struct chunk *c = job;
	struct maker *m = c->maker;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->n_runs; i++)
		rc = read_run(m, c->raw + c->runs[i].at, c->runs[i].len, c->runs[i].off, e);
	if (rc < 0)
		return rc;
	if (!m->t->one_member)
		return deflate_member(m->deflates[worker], c->raw, c->len, c->out, &c->out_len, e);
	return deflate_piece(m->deflates[worker], c->raw, c->len, c->last, c->out, &c->out_len,
			     &c->crc, e);
}

static int hash_chunk(void *job, unsigned worker, struct err *e)
{
	struct chunk *c = job;

	(void)worker;
	(void)e;
	digest_add(c->maker->t->digest, c->raw, c->len);
	return 0;
}

/* ---- this thread ------------------------------------------------------------------------------ */

/* Takes the oldest hashed chunk back. */
static int take_hashed(struct maker *m, struct err *e)
{
	void *job = NULL;
	int rc = pool_next(m->hasher, &job, e);

	if (job)
		m->idle[m->n_idle++] = job;
	return rc;
}

/* Writes the oldest compressed chunk. */
static int take_compressed(struct maker *m, struct err *e)
{
	void *job = NULL;
	int rc = pool_next(m->pool, &job, e);
	struct chunk *c = job;

	if (rc <= 0 || !c)
		return rc;
	if (m->t->one_member)
		m->crc = gzip_crc_join(m->crc, c->crc, c->len);
	m->tar_len += c->len;
	if (m->t->digest) {
		rc = pool_submit(m->hasher, hash_chunk, c, e);
		if (rc < 0)
			return rc;
	}
	rc = m->t->write(m->t->ctx, c->out, c->out_len, e);
	progress_set(m->progress, c->disk_end);
	if (!m->t->digest)
		m->idle[m->n_idle++] = c;
	return rc < 0 ? rc : stop_check(e);
}

static int get_idle(struct maker *m, struct chunk **ret, struct err *e)
{
	int rc = 0;

	while (rc >= 0 && !m->n_idle) {
		if (m->hasher && pool_pending(m->hasher) >= m->n_chunks / 2)
			rc = take_hashed(m, e);
		else if (pool_pending(m->pool))
			rc = take_compressed(m, e);
		else
			rc = take_hashed(m, e);
	}
	if (rc < 0)
		return rc;
	*ret = m->idle[--m->n_idle];
	return 0;
}

static int submit(struct maker *m, bool last, struct err *e)
{
	struct chunk *c = STEAL(m->open);

	c->last = last;
	c->disk_end = m->disk_end;
	return pool_submit(m->pool, compress_chunk, c, e);
}

/* Room in the open chunk, of at most len bytes; a full one is sent off. */
static int make_room(struct maker *m, uint64_t len, size_t *ret, struct err *e)
{
	int rc = 0;

	if (m->open && m->open->len == CHUNK)
		rc = submit(m, false, e);
	if (rc == 0 && !m->open) {
		rc = get_idle(m, &m->open, e);
		if (rc < 0)
			return rc;
		m->open->maker = m;
		m->open->len = 0;
		m->open->n_runs = 0;
	}
	if (rc == 0)
		*ret = (size_t)MIN(len, (uint64_t)(CHUNK - m->open->len));
	return rc;
}

/* data NULL: zeros. */
static int add_bytes(struct maker *m, const char *data, uint64_t len, struct err *e)
{
	while (len) {
		size_t n = 0;
		int rc = make_room(m, len, &n, e);

		if (rc < 0)
			return rc;
		ANALYZER_KNOWS(m->open);
		if (data)
			memcpy(m->open->raw + m->open->len, data, n);
		else
			memset(m->open->raw + m->open->len, 0, n);
		data = data ? data + n : NULL;
		m->open->len += n;
		len -= n;
	}
	return 0;
}

static int add_extent(struct maker *m, struct tar_extent x, struct err *e)
{
	uint64_t padding = round_up(x.length, TAR_BLOCK) - x.length;

	while (x.length) {
		struct chunk *c;
		size_t n = 0;
		int rc = make_room(m, x.length, &n, e);

		if (rc < 0)
			return rc;
		c = m->open;
		ANALYZER_KNOWS(c);
		if (m->im)
			c->runs[c->n_runs++] = (struct run){.at = c->len, .len = n, .off = x.start};
		else
			rc = read_run(m, c->raw + c->len, n, x.start, e);
		if (rc < 0)
			return rc;
		c->len += n;
		x.start += n;
		x.length -= n;
		m->disk_end = x.start;
	}
	return add_bytes(m, NULL, padding, e);
}

/* All that the archive consists of, front to back. */
static int add_all(struct maker *m, bool sparse, struct err *e)
{
	AUTO_BUF header = BUF_INIT;
	uint64_t len;
	int rc = tar_write_header(&header, m->t->name, m->t->size, sparse ? &m->map : NULL, e);

	if (rc == 0)
		rc = add_bytes(m, header.data, header.len, e);
	len = header.len;
	for (size_t i = 0; rc == 0 && i < m->map.n; i++) {
		rc = add_extent(m, m->map.extents[i], e);
		len += round_up(m->map.extents[i].length, TAR_BLOCK);
	}
	/* Two empty blocks, and up to a whole record. */
	if (rc == 0)
		rc = add_bytes(m, NULL, round_up(len + (uint64_t)2 * TAR_BLOCK, TAR_RECORD) - len,
			       e);
	return rc < 0 ? rc : submit(m, true, e);
}

static int run(struct maker *m, bool sparse, struct err *e)
{
	uint8_t header[GZIP_HEADER], trailer[GZIP_TRAILER];
	int rc;

	gzip_header(header);
	rc = m->t->one_member ? m->t->write(m->t->ctx, header, sizeof(header), e) : 0;
	if (rc == 0)
		rc = add_all(m, sparse, e);
	while (rc >= 0 && pool_pending(m->pool))
		rc = take_compressed(m, e);
	while (rc >= 0 && m->hasher && pool_pending(m->hasher))
		rc = take_hashed(m, e);
	if (rc < 0 || !m->t->one_member)
		return rc < 0 ? rc : 0;
	gzip_trailer(trailer, m->crc, m->tar_len);
	return m->t->write(m->t->ctx, trailer, sizeof(trailer), e);
}

/* ---- beginning and end ------------------------------------------------------------------------ */

static void release(struct maker *m)
{
	unsigned n = m->pool ? pool_threads(m->pool) : 0;

	if (m->pool)
		pool_free(m->pool, NULL);
	if (m->hasher)
		pool_free(m->hasher, NULL);
	for (unsigned i = 0; m->deflates && i < n; i++)
		deflate_free(m->deflates[i]);
	free(m->deflates);
	for (size_t i = 0; i < m->n_chunks; i++) {
		free(m->chunks[i].raw);
		free(m->chunks[i].out);
	}
	tar_map_release(&m->map);
}
DEFINE_AUTO_STRUCT(struct maker, release);

static int prepare(struct maker *m, struct err *e)
{
	unsigned wanted = m->t->threads ? m->t->threads : pool_default_threads();
	unsigned n = MIN(wanted, THREADS_MAX);
	int rc = pool_new(n, &m->pool, e);

	if (rc == 0 && m->t->digest)
		rc = pool_new(1, &m->hasher, e);
	if (rc < 0)
		return rc;
	m->deflates = calloc(n, sizeof(struct deflate *));
	if (!m->deflates)
		return err_nomem(e);
	for (unsigned i = 0; rc == 0 && i < n; i++)
		rc = deflate_new(&m->deflates[i], e);
	while (rc == 0 && m->n_chunks < (size_t)2 * n + 4) {
		struct chunk *c = &m->chunks[m->n_chunks++];

		c->raw = malloc(CHUNK);
		c->out = malloc(deflate_bound(CHUNK));
		if (!c->raw || !c->out)
			return err_nomem(e);
		m->idle[m->n_idle++] = c;
	}
	return rc;
}

static int make(struct maker *m, struct err *e)
{
	bool sparse = false;
	int rc;

	if (strlen(m->t->name) > TAR_NAME_MAX)
		return err_set(e, ENAMETOOLONG, "'%s' has more than %d bytes", m->t->name,
			       TAR_NAME_MAX);
	rc = make_map(m, &sparse, e);
	if (rc == 0)
		rc = prepare(m, e);
	return rc < 0 ? rc : run(m, sparse, e);
}

int tgz_write(struct image *im, const struct tgz *t, struct progress *p, struct err *e)
{
	AUTO(release)
	struct maker m = {.t = t, .im = im, .disk_size = image_size(im), .progress = p};

	return make(&m, e);
}

/* ---- from a pipe ------------------------------------------------------------------------------ */

struct reader {
	struct maker maker;
	int rc;
	struct err e;
};

static void *reader_thread(void *arg)
{
	struct reader *r = arg;

	r->rc = make(&r->maker, &r->e);
	/* Who writes gets EPIPE. */
	close(r->maker.pipe);
	release(&r->maker);
	return NULL;
}

static int copy_raw(struct image_stream *s, int to, unsigned threads, struct err *e)
{
	const struct image_create_opts o = {.pipe = true, .threads = threads};
	AUTO(image_writer_free) struct image_writer *w = NULL;
	int rc = image_create(to, "a pipe", "raw", image_stream_size(s), &o, &w, e);

	if (rc == 0)
		rc = image_stream_copy(s, w, NULL, NULL, e);
	return rc < 0 ? rc : image_writer_finish(w, e);
}

int tgz_write_stream(struct image_stream *s, const struct tgz *t, struct progress *p, struct err *e)
{
	AUTO_FREE struct reader *r = calloc(1, sizeof(*r));
	struct err mine = {0};
	pthread_t thread;
	int ends[2];
	int rc;

	if (!r)
		return err_nomem(e);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(e, errno, "making a pipe");
	r->maker = (struct maker){
		.t = t, .pipe = ends[0], .disk_size = image_stream_size(s), .progress = p};
	rc = pthread_create(&thread, NULL, reader_thread, r);
	if (rc) {
		close(ends[0]);
		close(ends[1]);
		return err_errno(e, rc, "starting a thread");
	}
	rc = copy_raw(s, ends[1], t->threads, &mine);
	close(ends[1]);
	pthread_join(thread, NULL);
	/* EPIPE on either side: the other one says why. */
	if (rc < 0 && (rc != -EPIPE || r->rc >= 0)) {
		if (e)
			*e = mine;
		return rc;
	}
	if (r->rc < 0 && e)
		*e = r->e;
	return r->rc;
}
