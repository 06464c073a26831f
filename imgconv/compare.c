/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing what the guests of two images see, on several threads. */
#include "imgconv/format.h"
#include "lib/pool.h"
#include "lib/stop.h"

#define PIECE MIB
#define WINDOW_MAX 16u

struct piece {
	struct image *a, *b;
	uint64_t off;
	size_t len;
	uint8_t *data;    /* of both, PIECE bytes each */
	uint64_t differs; /* offset of the first byte that does; UINT64_MAX: none */
};

/* Reads a range; what lies behind the disk's end is zero. */
static int read_padded(struct image *im, uint8_t *buf, size_t len, uint64_t off, struct err *e)
{
	size_t there = (size_t)MIN((uint64_t)len, im->size - MIN(off, im->size));

	memset(buf + there, 0, len - there);
	return there ? image_pread(im, buf, there, off, e) : 0;
}

static int piece_run(void *job, unsigned worker, struct err *e)
{
	struct piece *p = job;
	const uint8_t *x = p->data, *y = p->data + PIECE;
	int rc = read_padded(p->a, p->data, p->len, p->off, e);

	(void)worker;
	if (rc == 0)
		rc = read_padded(p->b, p->data + PIECE, p->len, p->off, e);
	if (rc)
		return rc;
	p->differs = UINT64_MAX;
	if (memcmp(x, y, p->len) == 0)
		return 0;
	for (size_t i = 0; i < p->len; i++) {
		if (x[i] != y[i]) {
			p->differs = p->off + i;
			return 0;
		}
	}
	return 0;
}

/* The extent at off; a hole behind the disk's end. */
static int extent_at(struct image *im, uint64_t off, struct extent *ret, struct err *e)
{
	if (off < im->size)
		return image_next_extent(im, off, ret, e);
	*ret = (struct extent){.start = off, .length = UINT64_MAX - off, .kind = EXTENT_HOLE};
	return 0;
}

struct compare {
	struct image *a, *b;
	struct pool *pool;
	size_t window;
	struct piece pieces[WINDOW_MAX];
	struct piece *idle[WINDOW_MAX];
	size_t n_idle;
	uint64_t differs;
	struct progress *progress;
};

static int take_oldest(struct compare *c, struct err *e)
{
	void *job = NULL;
	int rc = pool_next(c->pool, &job, e);
	struct piece *p = job;

	if (p)
		c->idle[c->n_idle++] = p;
	if (rc < 0)
		return rc;
	if (p && p->differs != UINT64_MAX && c->differs == UINT64_MAX)
		c->differs = p->differs;
	if (p)
		progress_set(c->progress, p->off + p->len);
	return stop_check(e);
}

static int compare_range(struct compare *c, uint64_t off, uint64_t len, struct err *e)
{
	while (len && c->differs == UINT64_MAX) {
		struct piece *p;
		int rc = 0;

		while (rc == 0 && !c->n_idle)
			rc = take_oldest(c, e);
		if (rc)
			return rc;
		p = c->idle[--c->n_idle];
		p->off = off;
		p->len = (size_t)MIN(len, PIECE - off % PIECE);
		if (!p->data && !(p->data = malloc(2 * PIECE)))
			return err_nomem(e);
		rc = pool_submit(c->pool, piece_run, p, e);
		if (rc)
			return rc;
		off += p->len;
		len -= p->len;
	}
	return 0;
}

static int compare_all(struct compare *c, struct err *e)
{
	uint64_t size = MAX(c->a->size, c->b->size);
	uint64_t off = 0;
	int rc = 0;

	while (rc == 0 && off < size && c->differs == UINT64_MAX) {
		struct extent x, y;
		uint64_t len;

		rc = extent_at(c->a, off, &x, e);
		if (rc == 0)
			rc = extent_at(c->b, off, &y, e);
		if (rc == 0)
			rc = stop_check(e);
		if (rc)
			return rc;
		len = MIN(MIN(x.length, y.length), size - off);
		if (x.kind == EXTENT_DATA || y.kind == EXTENT_DATA)
			rc = compare_range(c, off, len, e);
		off += len;
	}
	while (rc == 0 && pool_pending(c->pool))
		rc = take_oldest(c, e);
	return rc;
}

int image_compare(struct image *a, struct image *b, uint64_t *ret_offset, struct progress *p,
		  struct err *e)
{
	struct compare c = {.a = a, .b = b, .differs = UINT64_MAX, .progress = p};
	int rc = pool_new(0, &c.pool, e);

	if (rc)
		return rc;
	c.window = MIN(2 * (size_t)pool_threads(c.pool), (size_t)WINDOW_MAX);
	for (size_t i = 0; i < c.window; i++) {
		c.pieces[i].a = a;
		c.pieces[i].b = b;
		c.idle[c.n_idle++] = &c.pieces[i];
	}
	rc = compare_all(&c, e);
	pool_free(c.pool, NULL);
	for (size_t i = 0; i < c.window; i++)
		free(c.pieces[i].data);
	if (rc)
		return rc;
	if (c.differs == UINT64_MAX)
		return 0;
	*ret_offset = c.differs;
	return 1;
}
