/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the QCOW2 writer share: qcow2_create.c begins, qcow2_write.c goes on. */
#ifndef IMGCONV_FORMAT_QCOW2_WRITE_H
#define IMGCONV_FORMAT_QCOW2_WRITE_H

#include "imgconv/format/qcow2.h"

#define QCOW2_HEADER_LENGTH 112u /* version 3; as QEMU's */
#define QCOW2_HEADER_BYTES 512u  /* header and our extension, written at once */
#define QCOW2_REFCOUNT_ORDER 4u  /* 16 bits */
#define QCOW2_OUT_MAX MIB        /* compressed data collected for a write */
#define QCOW2_GAPS 16            /* ends of clusters that may be filled later */

/* What becomes of clusters that are zero. */
enum qcow2_preallocation {
	QCOW2_PREALLOC_OFF,      /* nothing */
	QCOW2_PREALLOC_METADATA, /* a place in the file, which has a hole there */
	QCOW2_PREALLOC_FALLOC,   /* a place, for which the file system keeps room */
	QCOW2_PREALLOC_FULL,     /* a place with zeros */
};

struct qcow2_writer {
	struct image_writer common;
	unsigned version;
	uint32_t header_length;
	unsigned cluster_bits;
	uint64_t cluster_size;
	unsigned entry_size; /* bytes of an L2 entry */
	uint64_t l2_entries;
	uint64_t block_entries; /* counts in a refcount block */
	enum image_compression compression;
	unsigned level;
	enum qcow2_preallocation preallocation;
	uint64_t preallocated; /* of the disk: all before has its place */
	char *backing_file;    /* NULL: none; its name lies behind the header's bytes */
	char *backing_format;

	uint64_t *l1; /* host order */
	uint64_t n_l1;
	uint64_t l1_offset;
	uint64_t *reftable; /* host order */
	uint64_t n_reftable;
	uint64_t reftable_offset;
	uint64_t reftable_clusters;

	uint64_t next_cluster; /* of the file: the first one that is not used */
	uint8_t *l2;           /* the current table */
	uint64_t l2_index;     /* which entry of L1 it is for */
	uint64_t l2_offset;    /* 0: no table yet */
	uint8_t *block;        /* the current refcount block */
	uint64_t block_index;
	uint64_t packed;           /* end of the last compressed cluster; 0: begin a new cluster */
	uint64_t gaps[QCOW2_GAPS]; /* from these offsets on a cluster is free; 0: none */
	uint8_t *out;              /* compressed data not written yet, for out_offset */
	uint64_t out_offset;
	size_t out_len;
};

static inline struct qcow2_writer *to_writer(struct image_writer *w)
{
	return (struct qcow2_writer *)w;
}

/* The file has room for all of the image from now on, if that is wished. Errors: ENOSPC. */
int qcow2_writer_keep_room(const struct qcow2_writer *w, uint64_t len, struct err *e);
/* Writes the current refcount block to its place. */
int qcow2_writer_flush_block(struct qcow2_writer *w, struct err *e);
/* One more reference to a cluster that the current refcount block counts. */
void qcow2_writer_count(struct qcow2_writer *w, uint64_t cluster);
/* The header's bytes; c NULL: of a finished image. */
void qcow2_writer_header(const struct qcow2_writer *w, const struct image_checkpoint *c,
			 uint8_t h[QCOW2_HEADER_BYTES]);

#endif
