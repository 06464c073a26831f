/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is put together of a partition's image and pieces in memory, to be read once. */
#ifndef IMGCONV_DISK_ASSEMBLE_H
#define IMGCONV_DISK_ASSEMBLE_H

#include "imgconv/imgconv.h"

/* Bytes at a place of the disk. */
struct disk_piece {
	uint64_t start;
	struct buf data;
};
#define DISK_PIECES_MAX 8
struct disk_pieces {
	uint64_t size;                            /* of the disk */
	uint64_t partition_start;                 /* where the image lies */
	struct disk_piece piece[DISK_PIECES_MAX]; /* ascending, apart from each other and from it */
	size_t n_pieces;
};
void disk_pieces_release(struct disk_pieces *p);
DEFINE_AUTO_STRUCT(struct disk_pieces, disk_pieces_release);

/*
 * The disk as an image, read-only; what neither a piece nor the partition covers is a hole. Takes
 * the pieces over. partition must outlive it.
 * Errors: EINVAL pieces that overlap or reach past the disk's end.
 */
int disk_assemble(struct image *partition, struct disk_pieces *pieces, struct image **ret,
		  struct err *e);

#endif
