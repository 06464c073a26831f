/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of pages: see pages.h. */
#include "imgconv/pages.h"

#define BITS_MIN 8

/* The slot that has it, or the free one where it belongs. */
static struct page *slot_of(const struct pages *p, uint64_t index)
{
	size_t i = hash_slot(p->multiplier, index, p->bits);

	while (p->slots[i].data && p->slots[i].index != index)
		i = (i + 1) & (p->n_slots - 1);
	return &p->slots[i];
}

struct page *pages_find(const struct pages *p, uint64_t index)
{
	struct page *x;

	if (!p->n)
		return NULL;
	x = slot_of(p, index);
	return x->data ? x : NULL;
}

static int grow(struct pages *p, struct err *e)
{
	struct pages old = *p;

	p->bits = old.n_slots ? old.bits + 1 : BITS_MIN;
	p->n_slots = (size_t)1 << p->bits;
	p->slots = calloc(p->n_slots, sizeof(*p->slots));
	if (!p->slots) {
		*p = old;
		return err_nomem(e);
	}
	if (!old.n_slots)
		p->multiplier = hash_multiplier();
	for (size_t i = 0; i < old.n_slots; i++) {
		if (old.slots[i].data)
			*slot_of(p, old.slots[i].index) = old.slots[i];
	}
	free(old.slots);
	return 0;
}

int pages_add(struct pages *p, uint64_t index, uint8_t *data, struct page **ret, struct err *e)
{
	if ((p->n + 1) * 4 > p->n_slots * 3) {
		int rc = grow(p, e);

		if (rc < 0)
			return rc;
	}
	*ret = slot_of(p, index);
	**ret = (struct page){.index = index, .data = data};
	p->n++;
	return 0;
}

static int by_index(const void *a, const void *b)
{
	const struct page *pa = *(struct page *const *)a, *pb = *(struct page *const *)b;

	return pa->index < pb->index ? -1 : pa->index > pb->index;
}

int pages_sorted(const struct pages *p, struct page ***ret, struct err *e)
{
	struct page **list = calloc(p->n + 1, sizeof(struct page *));
	size_t n = 0;

	if (!list)
		return err_nomem(e);
	for (size_t i = 0; i < p->n_slots; i++) {
		if (p->slots[i].data)
			list[n++] = &p->slots[i];
	}
	qsort(list, n, sizeof(*list), by_index);
	*ret = list;
	return 0;
}

void pages_release(struct pages *p)
{
	for (size_t i = 0; i < p->n_slots; i++) {
		free(p->slots[i].data);
		free(p->slots[i].before);
	}
	free(p->slots);
	*p = (struct pages){0};
}

/* ---- writing back ---------------------------------------------------------------------------- */

struct write_back {
	struct image *im;
	uint64_t start, length;
	struct page **list; /* ascending */
	size_t n;
};

/* Bytes of the page that lie inside the range. */
static size_t page_len(const struct write_back *w, const struct page *p)
{
	return (size_t)MIN((uint64_t)PAGE_SIZE, w->length - p->index * PAGE_SIZE);
}

/* Keeps those that differ from the image, each with its bytes before the change. */
static int keep_changed(struct write_back *w, struct err *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->n; i++) {
		struct page *p = w->list[i];
		int rc;

		if (!p->before)
			p->before = malloc(PAGE_SIZE);
		if (!p->before)
			return err_nomem(e);
		rc = image_pread(w->im, p->before, page_len(w, p), w->start + p->index * PAGE_SIZE,
				 e);
		if (rc < 0)
			return rc;
		if (memcmp(p->before, p->data, page_len(w, p)) != 0)
			w->list[kept++] = p;
	}
	w->n = kept;
	return 0;
}

static int write_page(struct write_back *w, size_t i, const uint8_t *data, struct err *e)
{
	const struct page *p = w->list[i];

	return image_pwrite(w->im, data, page_len(w, p), w->start + p->index * PAGE_SIZE, e);
}

/* The first `done` pages as they were. rc is why. */
static int put_back(struct write_back *w, size_t done, int rc, struct err *e)
{
	struct err undo = {0};
	bool undone = true;

	while (done-- > 0)
		undone &= write_page(w, done, w->list[done]->before, &undo) >= 0;
	undone &= image_flush(w->im, &undo) >= 0;
	if (!undone)
		return err_wrap(e, "changes are half written and cannot be taken back (%s)",
				undo.msg);
	return rc;
}

static int write_all(struct write_back *w, struct err *e)
{
	size_t done;
	int rc = keep_changed(w, e);

	if (rc < 0)
		return rc;
	for (done = 0; done < w->n && rc >= 0; done++)
		rc = write_page(w, done, w->list[done]->data, e);
	if (rc >= 0 && w->n)
		rc = image_flush(w->im, e);
	return rc < 0 ? put_back(w, done, rc, e) : 0;
}

int pages_write_back(struct pages *p, struct image *im, uint64_t start, uint64_t length,
		     struct err *e)
{
	struct write_back w = {.im = im, .start = start, .length = length, .n = p->n};
	int rc;

	if (!p->n)
		return 0;
	rc = pages_sorted(p, &w.list, e);
	if (rc >= 0)
		rc = write_all(&w, e);
	free(w.list);
	if (rc >= 0)
		pages_release(p);
	return rc;
}
