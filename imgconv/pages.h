/* SPDX-License-Identifier: Apache-2.0 */
/* A table of changed pages, by their numbers: what copy-on-write layers are made of. */
#ifndef IMGCONV_PAGES_H
#define IMGCONV_PAGES_H

#include "imgconv/imgconv.h"

#define PAGE_SIZE 4096

struct page {
	uint64_t index;
	uint8_t *data;   /* PAGE_SIZE bytes; NULL: the slot is free */
	uint8_t *before; /* of pages_write_back: PAGE_SIZE bytes, or NULL */
};

/* All zero to begin with. */
struct pages {
	struct page *slots; /* open addressing; n_slots is 2^bits, or 0 */
	size_t n_slots, n;
	unsigned bits;
	uint64_t multiplier;
};

/* NULL: that page is not in it. Valid until the next page is added. */
struct page *pages_find(const struct pages *p, uint64_t index);
/* Adds a page that is not in it; on success data, PAGE_SIZE bytes, is the table's. Errors: ENOMEM. */
int pages_add(struct pages *p, uint64_t index, uint8_t *data, struct page **ret, struct err *e);
/* All of them, ascending; the array is the caller's, the pages are not. Errors: ENOMEM. */
int pages_sorted(const struct pages *p, struct page ***ret, struct err *e);
/*
 * Writes those that really changed to [start, start + length) of im, page 0 to start, in ascending
 * order, and flushes it; there is none in the table afterwards. When a write fails, what was written
 * is put back as it was. Errors: ENOMEM; those of reading and writing im.
 */
int pages_write_back(struct pages *p, struct image *im, uint64_t start, uint64_t length,
		     struct err *e);
void pages_release(struct pages *p);

#endif
