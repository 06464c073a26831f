/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of QCOW2's check share: qcow2_check.c counts, qcow2_check_walk.c walks. */
#ifndef IMGCONV_FORMAT_QCOW2_CHECK_H
#define IMGCONV_FORMAT_QCOW2_CHECK_H

#include "imgconv/format/qcow2.h"

/* What a cluster of the file is used for. */
enum qcow2_use {
	QCOW2_USE_TABLE,  /* by one thing alone: header, tables other than L2, bitmaps */
	QCOW2_USE_L2,     /* of several L1 tables, one each */
	QCOW2_USE_WALKED, /* the same, and its entries are counted */
	QCOW2_USE_DATA,   /* of several L2 tables, of different L1 tables */
	QCOW2_USE_PACKED, /* any number of compressed clusters */
};

/*
 * Counts are kept for the clusters of the file that anything refers to, two bytes each, in chunks:
 * 3 bits qcow2_use, 13 bits the number of references, which stays at its largest value.
 */
#define QCOW2_COUNT_BITS 13
#define QCOW2_COUNT_MAX ((1u << QCOW2_COUNT_BITS) - 1)
#define QCOW2_CHUNK 32768u

struct qcow2_check {
	struct qcow2 *q;
	struct image_check *out;
	struct progress *progress;
	uint64_t n_clusters; /* of the file */
	uint16_t **chunks;
	size_t n_chunks;
	uint64_t *reftable; /* host order; offsets of blocks, 0 for none */
	size_t n_reftable;
	struct qcow2_cache blocks;
	uint64_t block_index; /* of the block below */
	const uint8_t *block; /* the one that was looked into last; NULL: none */
	bool block_unknown;   /* its entry in the table is wrong */
	uint8_t *table;       /* cluster_size bytes: an L2 table */
};

#define QCOW2_BAD_BLOCK 1u /* in reftable: the entry was wrong, the counts are not known */

/* A finding of kind ERROR; the offset is that of what is wrong. */
#define qcow2_check_error(c, offset, e, ...)                                                       \
	image_check_add((c)->out, IMAGE_FINDING_ERROR, offset, 0, e, __VA_ARGS__)

/* The count of a cluster that was referred to; NULL: it never was. */
static inline uint16_t *qcow2_check_at(const struct qcow2_check *c, uint64_t cluster)
{
	uint16_t *chunk = c->chunks[cluster / QCOW2_CHUNK];

	return chunk ? &chunk[cluster % QCOW2_CHUNK] : NULL;
}
static inline unsigned qcow2_check_count(uint16_t v)
{
	return v & QCOW2_COUNT_MAX;
}
static inline enum qcow2_use qcow2_check_use_of(uint16_t v)
{
	return (enum qcow2_use)(v >> QCOW2_COUNT_BITS);
}

/*
 * n more references to each cluster that [off, off + len) touches; the range begins in the file,
 * what lies behind its last cluster is not counted. A cluster that is used for something else, or,
 * if it is to be `alone`, for anything, is a finding. Returns 1 if there was none.
 */
int qcow2_check_use(struct qcow2_check *c, enum qcow2_use use, bool alone, const char *what,
		    uint64_t off, uint64_t len, unsigned n, struct err *e);
/* What the refcounts on disk say of a cluster. Returns 0 if that is not known. */
int qcow2_check_refcount(struct qcow2_check *c, uint64_t cluster, uint64_t *ret, struct err *e);

/* qcow2_check_walk.c */
int qcow2_check_walk(struct qcow2_check *c, struct err *e);
/* qcow2_check_bitmaps.c */
int qcow2_check_bitmaps(struct qcow2_check *c, struct err *e);

#endif
