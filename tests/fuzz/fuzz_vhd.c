/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a VHD image, as they are and with all checksums made right: open it, tell its facts,
 * check it, copy it (which walks all extents, claims all blocks and reads them). A parent lies
 * ready, whose UUID is all zeros.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "imgconv/imgconv.h"
#include "lib/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COPY_LIMIT (64 * MIB)
#define EXTRA (128 * KIB) /* and what a parent has */
#define READ_LIMIT (4 * MIB)

static int make_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || fs_pwrite(fd, data, size, 0, NULL) < 0)
		abort();
	return fd;
}

/* Where there is room for that many bytes. */
static void seal(uint8_t *p, size_t len, size_t at)
{
	uint32_t sum = 0;

	be32_put(p + at, 0);
	for (size_t i = 0; i < len; i++)
		sum += p[i];
	be32_put(p + at, ~sum);
}

/* A fixed image of 64 KiB. */
static const char *parent_path(void)
{
	static uint8_t bytes[64 * KIB + 512];
	static char path[32];
	uint8_t *footer = bytes + 64 * KIB;

	if (path[0])
		return path;
	memset(bytes, 'p', 64 * KIB);
	memcpy(footer, "conectix", 8);
	be32_put(footer + 12, 0x10000);
	be64_put(footer + 16, UINT64_MAX);
	be64_put(footer + 48, 64 * KIB);
	be32_put(footer + 60, 2);
	seal(footer, 512, 64);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", make_file(bytes, sizeof(bytes)));
	return path;
}

static struct image *open_bytes(const uint8_t *data, size_t size, unsigned flags)
{
	struct image_open_opts o = {.format = "vhd", .flags = flags, .parent = parent_path()};
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

static void try_bytes(const uint8_t *data, size_t size)
{
	struct image *im = open_bytes(data, size, IMAGE_INSPECT);

	if (!im)
		return;
	look(im);
	walk(im);
	image_close(im);
	im = open_bytes(data, size, 0);
	if (!im)
		return;
	copy(im, size);
	image_close(im);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE uint8_t *sealed = malloc(size + 1);
	uint64_t header;

	try_bytes(data, size);
	if (size < 512)
		return 0;
	memcpy(sealed, data, size);
	header = be64_get(data + size - 512 + 16);
	if (range_within(header, 1024, size))
		seal(sealed + header, 1024, 36);
	seal(sealed, 512, 64);
	seal(sealed + size - 512, 512, 64);
	try_bytes(sealed, size);
	return 0;
}
