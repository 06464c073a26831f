/* SPDX-License-Identifier: Apache-2.0 */
/* See catalog/pieces.h. */
#include "catalog/pieces.h"

#include "lib/digest.h"
#include "lib/fs.h"
#include "lib/pool.h"
#include "lib/stop.h"

#define STEP (128 * KIB) /* stays in a processor's cache between reading and digesting */
#define SPAN_PIECES 4u   /* of one job */
#define SPANS_MOST 64u   /* that are worked on or wait for their turn */

/* Neighbouring pieces: what one thread digests at a time. */
struct span {
	int fd;
	uint64_t at, len;
	const struct piece *pieces; /* from `at` on; NULL: none is known */
	struct digest *digest;
	uint8_t digests[SPAN_PIECES][PIECE_DIGEST];
	uint8_t buf[STEP];
};

static int add_range(struct span *s, uint64_t at, uint64_t len, struct err *e)
{
	int rc = 0;

	while (rc == 0 && len) {
		size_t n = (size_t)MIN(len, (uint64_t)STEP);

		rc = fs_pread(s->fd, s->buf, n, at, e);
		if (rc == 0)
			digest_add(s->digest, s->buf, n);
		at += n;
		len -= n;
	}
	return rc;
}

static int digest_piece(struct span *s, size_t i, struct err *e)
{
	uint64_t from = i * PIECE_SIZE;
	uint8_t raw[DIGEST_MAX];
	int rc;

	if (s->pieces && s->pieces[i].known) {
		memcpy(s->digests[i], s->pieces[i].digest, PIECE_DIGEST);
		return 0;
	}
	rc = add_range(s, s->at + from, MIN(s->len - from, PIECE_SIZE), e);
	digest_final(s->digest, raw);
	memcpy(s->digests[i], raw, PIECE_DIGEST);
	return rc;
}

/* A worker's job. */
static int digest_span(void *job, unsigned worker, struct err *e)
{
	struct span *s = job;
	int rc = 0;

	(void)worker;
	for (size_t i = 0; rc == 0 && i * PIECE_SIZE < s->len; i++)
		rc = digest_piece(s, i, e);
	return rc;
}

/* ---- a file ------------------------------------------------------------------------------------- */

struct file {
	int fd;
	uint64_t size, asked; /* bytes */
	const struct piece *pieces;
	struct digest *whole;
	struct pool *pool;
	struct span *spans;
	unsigned n_spans;
};

static void file_release(struct file *f)
{
	pool_free(f->pool, NULL);
	for (unsigned i = 0; i < f->n_spans; i++)
		digest_free(f->spans[i].digest);
	free(f->spans);
	digest_free(f->whole);
}
DEFINE_AUTO_STRUCT(struct file, file_release);

static int file_begin(struct file *f, unsigned n_spans, struct err *e)
{
	int rc = digest_new(DIGEST_SHA256, &f->whole, e);

	f->spans = calloc(n_spans, sizeof(*f->spans));
	if (rc == 0 && !f->spans)
		return err_nomem(e);
	for (; rc == 0 && f->n_spans < n_spans; f->n_spans++) {
		rc = digest_new(DIGEST_SHA256, &f->spans[f->n_spans].digest, e);
		f->spans[f->n_spans].fd = f->fd;
	}
	return rc;
}

static int submit(struct file *f, struct span *s, struct err *e)
{
	s->at = f->asked;
	s->len = MIN(f->size - f->asked, SPAN_PIECES * PIECE_SIZE);
	s->pieces = f->pieces ? f->pieces + s->at / PIECE_SIZE : NULL;
	f->asked += s->len;
	return pool_submit(f->pool, digest_span, s, e);
}

int pieces_digest(int fd, uint64_t size, const struct piece *pieces, struct progress *p,
		  char ret[65], struct err *e)
{
	AUTO(file_release) struct file f = {.fd = fd, .size = size, .pieces = pieces};
	char hex[2 * DIGEST_MAX + 1];
	int rc = pool_new(0, &f.pool, e);

	if (rc == 0)
		rc = file_begin(&f, MIN(2 * pool_threads(f.pool) + 2, SPANS_MOST), e);
	for (unsigned i = 0; rc == 0 && i < f.n_spans && f.asked < size; i++)
		rc = submit(&f, &f.spans[i], e);
	while (rc == 0 && pool_pending(f.pool)) {
		struct span *s;
		void *job = NULL;

		rc = pool_next(f.pool, &job, e);
		s = job;
		if (rc >= 0)
			rc = stop_check(e);
		if (rc < 0)
			break;
		digest_add(f.whole, s->digests, div_up(s->len, PIECE_SIZE) * PIECE_DIGEST);
		progress_set(p, s->at + s->len);
		if (f.asked < size)
			rc = submit(&f, s, e);
	}
	if (rc < 0)
		return rc;
	digest_final_hex(f.whole, hex);
	memcpy(ret, hex, 65);
	return 0;
}

int pieces_digest_whole(int fd, uint64_t size, struct progress *p, char ret[65], struct err *e)
{
	AUTO(file_release) struct file f = {.fd = fd};
	char hex[2 * DIGEST_MAX + 1];
	int rc = file_begin(&f, 1, e);

	for (uint64_t at = 0; rc == 0 && at < size; at += PIECE_SIZE) {
		rc = stop_check(e);
		if (rc == 0)
			rc = add_range(&f.spans[0], at, MIN(size - at, PIECE_SIZE), e);
		progress_set(p, at);
	}
	if (rc < 0)
		return rc;
	digest_final_hex(f.spans[0].digest, hex);
	memcpy(ret, hex, 65);
	return 0;
}
