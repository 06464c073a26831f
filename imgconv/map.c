/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest's disk consists of: extents as an image tells them, joined, and read if wished. */
#include "imgconv/format.h"
#include "lib/pool.h"
#include "lib/stop.h"

#define PIECE MIB
#define WINDOW_MAX 16u

/* ---- joining ------------------------------------------------------------------------------- */

struct map {
	image_map_fn *tell;
	void *ctx;
	struct extent last; /* not told yet; length 0: there is none */
	struct progress *progress;
};

static int tell_last(struct map *m, struct err *e)
{
	int rc = m->last.length ? m->tell(m->ctx, &m->last, e) : 0;

	progress_set(m->progress, m->last.start + m->last.length);
	m->last.length = 0;
	return rc;
}

/* Each begins where the one before ended. */
static int add(struct map *m, uint64_t start, uint64_t length, enum extent_kind kind, struct err *e)
{
	int rc;

	if (m->last.length && m->last.kind == kind) {
		m->last.length += length;
		return 0;
	}
	rc = tell_last(m, e);
	m->last = (struct extent){.start = start, .length = length, .kind = kind};
	return rc;
}

/* ---- reading ------------------------------------------------------------------------------- */

/* An extent, or a part of one that is read. */
struct piece {
	struct image *im;
	struct extent x;
	uint32_t unit;
	uint8_t *data; /* PIECE bytes, once they were needed */
	bool *zero;    /* one a unit of the disk that the piece has a part of */
};

/* Bytes of the piece from `at` on that lie in one unit of the disk. */
static size_t unit_at(const struct piece *p, size_t at)
{
	uint64_t in_unit = (p->x.start + at) % p->unit;

	return (size_t)MIN(p->unit - in_unit, p->x.length - at);
}

/* On a worker. */
static int piece_run(void *job, unsigned worker, struct err *e)
{
	struct piece *p = job;
	size_t n = 0;
	int rc;

	(void)worker;
	if (p->x.kind != EXTENT_DATA)
		return 0;
	if (!p->data && !(p->data = malloc(PIECE)))
		return err_nomem(e);
	if (!p->zero && !(p->zero = calloc(PIECE / p->unit, sizeof(*p->zero))))
		return err_nomem(e);
	rc = image_pread(p->im, p->data, (size_t)p->x.length, p->x.start, e);
	for (size_t at = 0; rc == 0 && at < p->x.length; at += unit_at(p, at))
		p->zero[n++] = mem_is_zero(p->data + at, unit_at(p, at));
	return rc;
}

static int add_piece(struct map *m, const struct piece *p, struct err *e)
{
	size_t n = 0;
	int rc = 0;

	if (p->x.kind != EXTENT_DATA)
		return add(m, p->x.start, p->x.length, p->x.kind, e);
	for (size_t at = 0; rc == 0 && at < p->x.length; at += unit_at(p, at))
		rc = add(m, p->x.start + at, unit_at(p, at),
			 p->zero[n++] ? EXTENT_ZERO : EXTENT_DATA, e);
	return rc;
}

struct scan {
	struct map *map;
	struct pool *pool;
	struct piece pieces[WINDOW_MAX];
	struct piece *idle[WINDOW_MAX];
	size_t n_idle;
};

static int take_oldest(struct scan *s, struct err *e)
{
	void *job = NULL;
	int rc = pool_next(s->pool, &job, e);
	struct piece *p = job;

	if (p)
		s->idle[s->n_idle++] = p;
	if (rc > 0 && p)
		rc = add_piece(s->map, p, e);
	return rc < 0 ? rc : stop_check(e);
}

/* Pieces of data end at multiples of their size, so that no unit is cut. */
static int scan_extent(struct scan *s, const struct extent *x, struct err *e)
{
	struct extent rest = *x;
	int rc = 0;

	while (rc == 0 && rest.length) {
		struct piece *p;

		while (rc == 0 && !s->n_idle)
			rc = take_oldest(s, e);
		if (rc < 0)
			return rc;
		p = s->idle[--s->n_idle];
		p->x = rest;
		if (rest.kind == EXTENT_DATA)
			p->x.length = MIN(rest.length, PIECE - rest.start % PIECE);
		rc = pool_submit(s->pool, piece_run, p, e);
		rest.start += p->x.length;
		rest.length -= p->x.length;
	}
	return rc;
}

static int scan_start(struct scan *s, struct image *im, uint32_t unit, struct err *e)
{
	int rc = pool_new(0, &s->pool, e);
	size_t window;

	if (rc < 0)
		return rc;
	window = MIN(2 * (size_t)pool_threads(s->pool), (size_t)WINDOW_MAX);
	for (size_t i = 0; i < window; i++) {
		s->pieces[i].im = im;
		s->pieces[i].unit = unit;
		s->idle[s->n_idle++] = &s->pieces[i];
	}
	return 0;
}

static void scan_release(struct scan *s)
{
	if (s->pool)
		pool_free(s->pool, NULL);
	for (size_t i = 0; i < WINDOW_MAX; i++) {
		free(s->pieces[i].data);
		free(s->pieces[i].zero);
	}
}
DEFINE_AUTO_STRUCT(struct scan, scan_release);

/* ---- the walk ------------------------------------------------------------------------------ */

int image_map(struct image *im, uint32_t unit, image_map_fn *tell, void *ctx, struct progress *p,
	      struct err *e)
{
	struct map m = {.tell = tell, .ctx = ctx, .progress = p};
	AUTO(scan_release) struct scan s = {.map = &m};
	uint64_t off = 0;
	int rc = unit ? scan_start(&s, im, unit, e) : 0;

	while (rc == 0 && off < im->size) {
		struct extent x = {0};

		rc = image_next_extent(im, off, &x, e);
		/* As where it is copied: what refers twice to the same bytes is not read. */
		if (rc == 0 && unit && im->format->claim) {
			rc = im->format->claim(im, off, x.length, e);
			if (rc < 0)
				err_wrap(e, "reading '%s'", im->name);
		}
		if (rc == 0)
			rc = unit ? scan_extent(&s, &x, e) : add(&m, off, x.length, x.kind, e);
		if (rc == 0)
			rc = stop_check(e);
		off += x.length;
	}
	while (rc == 0 && unit && pool_pending(s.pool))
		rc = take_oldest(&s, e);
	return rc < 0 ? rc : tell_last(&m, e);
}
