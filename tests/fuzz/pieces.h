/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small disks that are mostly zeros, as inputs of fuzzers: a sequence of pieces, each two bytes
 * (little endian), a number, and 64 bytes that lie at 64 times that number.
 */
#ifndef TESTS_FUZZ_PIECES_H
#define TESTS_FUZZ_PIECES_H

#include <sys/mman.h>

#include "imgconv/imgconv.h"
#include "lib/fs.h"

#define PIECE 64

/* The disk of `size` bytes that the input says, as a raw image. */
static inline struct image *pieces_open(const uint8_t *data, size_t len, size_t size)
{
	struct image_open_opts o = {.format = "raw"};
	struct image *im = NULL;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		abort();
	for (size_t at = 0; at + 2 + PIECE <= len; at += 2 + PIECE) {
		uint64_t off = (uint64_t)le16_get(data + at) * PIECE;

		if (off < size && fs_pwrite(fd, data + at + 2, PIECE, off, NULL) < 0)
			abort();
	}
	if (image_open_fd(fd, "fuzz", &o, &im, NULL) < 0)
		abort();
	return im;
}

#endif
