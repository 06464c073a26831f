/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a QCOW2 image: open it, tell its facts, check it, copy it (which walks all extents,
 * claims all clusters and reads them), read its first snapshot, write into it, give it other sizes.
 * The copy is bounded by what it may write.
 *
 * An image without errors stays one, whatever is done to it.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "imgconv/imgconv.h"
#include "lib/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define READ_LIMIT (4 * MIB)
#define DISK_LIMIT (1ull << 40)

static int make_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || fs_pwrite(fd, data, size, 0, NULL) < 0)
		abort();
	return fd;
}

static struct image *open_bytes(const uint8_t *data, size_t size, unsigned flags,
				const char *snapshot)
{
	struct image_open_opts o = {.format = "qcow2", .flags = flags, .snapshot = snapshot};
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
	AUTO(image_layout_release) struct image_layout layout = {0};
	struct err e;

	(void)image_info_read(im, &info, &e);
	(void)image_layout_read(im, &layout, &e);
}

/* All extents, and the first bytes of those that have data. */
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
		if (x.kind == EXTENT_DATA && budget) {
			uint64_t n = MIN(MIN(x.length, 128 * KIB), budget);

			(void)image_pread(im, buf, (size_t)n, off, &e);
			budget -= n;
		}
		off += x.length;
	}
}

static void copy(struct image *im)
{
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct image_create_opts o = {.threads = 1};
	AUTO_FD int fd = make_file(NULL, 0);
	struct err e;

	if (image_size(im) > 64 * MIB)
		return;
	if (image_create(fd, "copy", "raw", image_size(im), &o, &w, &e) == 0 &&
	    image_copy(im, w, NULL, &e) == 0)
		(void)image_writer_finish(w, &e);
}

/* Errors that it has; UINT64_MAX: it cannot be looked at. */
static uint64_t errors(struct image *im)
{
	AUTO(image_check_release) struct image_check c = {0};
	struct err e;

	if (image_check_read(im, &c, NULL, &e) < 0)
		return UINT64_MAX;
	for (size_t i = 0; i < c.n_findings; i++) {
		if (!c.findings[i].text[0])
			abort();
	}
	return c.n_errors;
}

static void write_some(struct image *im)
{
	struct err e;

	for (uint64_t off = 0; off < image_size(im) && off < 256 * KIB; off += 40000) {
		uint8_t buf[1000];

		memset(buf, 0x77, sizeof(buf));
		(void)image_pwrite(
			im, buf, (size_t)MIN((uint64_t)sizeof(buf), image_size(im) - off), off, &e);
	}
	(void)image_flush(im, &e);
}

static void resize(struct image *im)
{
	uint64_t size = image_size(im);
	struct err e;

	if (size > DISK_LIMIT)
		return;
	(void)image_resize(im, size - size % 512 + 512, &e);
	(void)image_resize(im, size * 4 + 512, &e);
	(void)image_resize(im, size / 2 / 512 * 512, &e);
	(void)image_resize(im, 512, &e);
	(void)image_resize(im, 300 * KIB, &e);
	(void)image_flush(im, &e);
}

static void change(const uint8_t *data, size_t size, bool sound)
{
	struct image *im = open_bytes(data, size, IMAGE_RDWR, NULL);

	if (!im)
		return;
	write_some(im);
	walk(im);
	if (sound && errors(im))
		abort();
	resize(im);
	if (sound && errors(im))
		abort();
	write_some(im);
	if (sound && errors(im))
		abort();
	image_close(im);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *im = open_bytes(data, size, IMAGE_INSPECT, NULL);
	bool sound;

	if (!im)
		return 0;
	look(im);
	sound = errors(im) == 0;
	walk(im);
	if (image_size(im) <= DISK_LIMIT)
		copy(im);
	image_close(im);
	im = open_bytes(data, size, 0, "1");
	if (im) {
		walk(im);
		if (image_size(im) <= DISK_LIMIT)
			copy(im);
		image_close(im);
	}
	change(data, size, sound);
	return 0;
}
