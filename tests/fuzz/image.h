/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzzers of image formats share: bytes as a file, and all that is done to an image. */
#ifndef TESTS_FUZZ_IMAGE_H
#define TESTS_FUZZ_IMAGE_H

#include <sys/mman.h>

#include "imgconv/imgconv.h"
#include "lib/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_COPY_LIMIT (64 * MIB) /* larger disks are not copied */
#define FUZZ_READ_LIMIT (4 * MIB)

/* A file in memory that is to be closed. */
static inline int fuzz_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || fs_pwrite(fd, data, size, 0, NULL) < 0)
		abort();
	return fd;
}

/* NULL: it is refused. */
static inline struct image *fuzz_open(const uint8_t *data, size_t size,
				      const struct image_open_opts *o)
{
	struct image *im = NULL;
	struct err e;
	int fd = fuzz_file(data, size);

	if (image_open_fd(fd, "fuzz", o, &im, &e) < 0) {
		close(fd);
		return NULL;
	}
	return im;
}

/* All that can be told of an image; the errors that check finds, UINT64_MAX: it cannot look. */
static inline uint64_t fuzz_look(struct image *im)
{
	AUTO(image_info_release) struct image_info info = {0};
	AUTO(image_check_release) struct image_check check = {0};
	AUTO(image_layout_release) struct image_layout layout = {0};
	struct err e;

	(void)image_info_read(im, &info, &e);
	(void)image_layout_read(im, &layout, &e);
	if (image_check_read(im, &check, NULL, &e) < 0)
		return UINT64_MAX;
	for (size_t i = 0; i < check.n_findings; i++) {
		if (!check.findings[i].text[0])
			abort();
	}
	return check.n_errors;
}

/* All extents, and bytes of those that have data, from `skip` bytes behind their beginning on. */
static inline void fuzz_walk(struct image *im, uint64_t skip)
{
	AUTO_FREE uint8_t *buf = malloc(128 * KIB);
	uint64_t off = 0, budget = FUZZ_READ_LIMIT;
	struct extent x;
	struct err e;

	for (unsigned i = 0; off < image_size(im) && i < 4096; i++) {
		if (image_next_extent(im, off, &x, &e) < 0)
			return;
		if (x.start != off || !x.length || x.length > image_size(im) - off)
			abort();
		if (x.kind == EXTENT_DATA && budget && x.length > skip) {
			uint64_t n = MIN(MIN(x.length - skip, 128 * KIB), budget);

			(void)image_pread(im, buf, (size_t)n, off + skip, &e);
			budget -= n;
		}
		off += x.length;
	}
}

/* A new raw disk in memory; *ret_fd is to be closed. */
static inline struct image_writer *fuzz_raw_writer(uint64_t size, uint64_t max_data, int *ret_fd)
{
	struct image_create_opts o = {.threads = 1, .max_data = max_data};
	struct image_writer *w = NULL;
	struct err e;

	*ret_fd = fuzz_file(NULL, 0);
	if (image_create(*ret_fd, "copy", "raw", size, &o, &w, &e) < 0)
		abort();
	return w;
}

/*
 * What the guest sees, as a raw file that is to be closed; -1: it cannot be copied, or is too large
 * for that. Aborts if there is more than max_data (0: any).
 */
static inline int fuzz_copy(struct image *im, uint64_t max_data)
{
	AUTO_FD int fd = -1;
	struct image_writer *w;
	struct err e;
	int rc;

	if (!image_size(im) || image_size(im) > FUZZ_COPY_LIMIT)
		return -1;
	w = fuzz_raw_writer(image_size(im), max_data, &fd);
	rc = image_copy(im, w, NULL, &e);
	if (rc == 0)
		rc = image_writer_finish(w, &e);
	if (image_writer_over_limit(w))
		abort();
	image_writer_free(w);
	return rc == 0 ? steal_fd(&fd) : -1;
}

#endif
