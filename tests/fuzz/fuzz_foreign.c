/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an image of a format that QEMU is to read: what is found to be said of it is
 * within bounds, and no file that names another one passes. The first byte of the input says how
 * many KiB/64 the file has at least; pieces follow, each of two bytes for where it goes (in units
 * of 4 KiB), two for its length, and its bytes; so that tables may lie far apart.
 */
#include <sys/mman.h>

#include "imgconv/foreign.h"
#include "lib/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UNIT (4 * KIB)
#define PLACES 1024

static int make_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || (size && ftruncate(fd, (off_t)(data[0] * 64 * KIB)) < 0))
		abort();
	for (size_t at = 1; at + 4 <= size;) {
		uint64_t where = le16_get(data + at) % PLACES * UNIT;
		size_t len = MIN((size_t)le16_get(data + at + 2), size - at - 4);

		if (fs_pwrite(fd, data + at + 4, len, where, NULL) < 0)
			abort();
		at += 4 + len;
	}
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct foreign_image image = {{0}};
	AUTO_FD int fd = make_file(data, size);
	struct image_open_opts o = {0};
	struct image *im = NULL;
	struct err e;

	if (foreign_inspect(fd, &image, &e) == 0) {
		if (!foreign_image_valid(&image))
			abort();
		/* What is foreign is none of our own formats, nor taken as raw. */
		if (image_open_fd(fd, "fuzz", &o, &im, &e) == 0)
			abort();
	}
	return 0;
}
