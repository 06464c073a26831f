/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a VDI image: open it, tell its facts, check it, copy it (which walks all extents,
 * claims all blocks and reads them).
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "imgconv/imgconv.h"
#include "lib/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COPY_LIMIT (64 * MIB)
#define EXTRA (4 * KIB)
#define READ_LIMIT (4 * MIB)

static int make_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || fs_pwrite(fd, data, size, 0, NULL) < 0)
		abort();
	return fd;
}

static struct image *open_bytes(const uint8_t *data, size_t size, unsigned flags)
{
	struct image_open_opts o = {.format = "vdi", .flags = flags};
	struct image *im = NULL;
	struct err e;
	int fd = make_file(data, size);

	if (image_open_fd(fd, "fuzz", &o, &im, &e) < 0) {
		close(fd);
		return NULL;
	}
	return im;
}

static void look(struct image *im)
{
	AUTO(image_info_release) struct image_info info = {0};
	AUTO(image_check_release) struct image_check check = {0};
	struct err e;

	(void)image_info_read(im, &info, &e);
	(void)image_check_read(im, &check, NULL, &e);
}

/* All extents, and the first bytes of those that have data, from the middle of a sector on. */
static void walk(struct image *im)
{
	AUTO_FREE uint8_t *buf = malloc(128 * KIB);
	uint64_t off = 0, budget = READ_LIMIT;
	struct extent x;
	struct err e;

	for (unsigned i = 0; off < image_size(im) && i < 4096; i++) {
		if (image_next_extent(im, off, &x, &e) < 0)
			return;
		if (x.start != off || !x.length || x.length > image_size(im) - off)
			abort();
		if (x.kind == EXTENT_DATA && budget && x.length > 77) {
			uint64_t n = MIN(MIN(x.length - 77, 128 * KIB), budget);

			(void)image_pread(im, buf, (size_t)n, off + 77, &e);
			budget -= n;
		}
		off += x.length;
	}
}

/*
 * What is copied is no more than the file can hold: blocks are claimed. A block has 512 bytes at
 * least, and data are counted in pages.
 */
static void copy(struct image *im, size_t file_size)
{
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct image_create_opts o = {.threads = 1, .max_data = 8 * file_size + EXTRA};
	AUTO_FD int fd = make_file(NULL, 0);
	struct err e;

	if (image_size(im) > COPY_LIMIT)
		return;
	if (image_create(fd, "copy", "raw", image_size(im), &o, &w, &e) < 0)
		return;
	if (image_copy(im, w, NULL, &e) == 0)
		(void)image_writer_finish(w, &e);
	else if (e.code == EFBIG)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *im = open_bytes(data, size, IMAGE_INSPECT);

	if (!im)
		return 0;
	look(im);
	walk(im);
	image_close(im);
	im = open_bytes(data, size, 0);
	if (!im)
		return 0;
	copy(im, size);
	image_close(im);
	return 0;
}
