/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk, written as an image of one format, copied from there into another, and read back: both
 * are sound, and the guest sees the same each time. The bytes say which formats and options, how
 * large the disk is, and what is written where.
 *
 *	0  kind of the first image    2  2  size of the disk in sectors, less one
 *	1  kind of the second         4  runs, 6 bytes each: gap and length in units of 100 bytes
 *	                                 (u16 each), what it is filled with, how the filling changes
 */
#include "tests/fuzz/image.h"

static const struct kind {
	const char *format;
	enum image_compression compression;
	uint64_t cluster_size;
	const char *option;
} kinds[] = {
	{"raw", IMAGE_COMPRESS_NONE, 0, NULL},
	{"qcow2", IMAGE_COMPRESS_NONE, 0, NULL},
	{"qcow2", IMAGE_COMPRESS_ZLIB, 0, NULL},
	{"qcow2", IMAGE_COMPRESS_ZSTD, 4096, NULL},
	{"qcow2", IMAGE_COMPRESS_ZLIB, 512, NULL},
	{"qcow2", IMAGE_COMPRESS_NONE, 0, "version=2"},
	{"qcow2", IMAGE_COMPRESS_NONE, 0, "extended_l2=on"},
	{"qcow2", IMAGE_COMPRESS_NONE, 1024, "preallocation=metadata"},
	{"vmdk", IMAGE_COMPRESS_NONE, 0, NULL},
	{"vmdk", IMAGE_COMPRESS_ZLIB, 0, "subformat=streamOptimized"},
	{"vhd", IMAGE_COMPRESS_NONE, 0, NULL},
	{"vhd", IMAGE_COMPRESS_NONE, 0, "subformat=fixed"},
	{"vdi", IMAGE_COMPRESS_NONE, 0, NULL},
	{"vdi", IMAGE_COMPRESS_NONE, 0, "subformat=static"},
};

/* Starts an image of that kind in *ret_fd. */
static struct image_writer *begin(const struct kind *k, uint64_t size, int *ret_fd)
{
	const char *options[] = {k->option, NULL};
	struct image_create_opts o = {.cluster_size = k->cluster_size,
				      .compression = k->compression,
				      .options = options,
				      .threads = 1};
	struct image_writer *w = NULL;
	struct err e;

	*ret_fd = fuzz_file(NULL, 0);
	if (image_create(*ret_fd, "fuzz", k->format, size, &o, &w, &e) < 0)
		abort();
	return w;
}

static struct image *finish(const struct kind *k, struct image_writer *w, int fd)
{
	struct image_open_opts o = {.format = k->format};
	struct image *im = NULL;
	struct err e;

	if (image_writer_finish(w, &e) < 0 || image_open_fd(fd, "fuzz", &o, &im, &e) < 0)
		abort();
	image_writer_free(w);
	if (fuzz_look(im) != 0)
		abort();
	return im;
}

/* The disk as the bytes have it, and the same writes into w. */
static void write_runs(const uint8_t *data, size_t size, struct image_writer *w, uint8_t *disk,
		       uint64_t disk_size)
{
	uint64_t off = 0;
	struct err e;

	for (; size >= 6 && off < disk_size; data += 6, size -= 6) {
		uint64_t len;

		off = MIN(off + be16_get(data) * 100ull, disk_size);
		len = MIN(be16_get(data + 2) * 100ull, disk_size - off);
		for (uint64_t i = 0; i < len; i++)
			disk[off + i] = (uint8_t)(data[4] + i * i * data[5]);
		if (image_writer_write(w, disk + off, (size_t)len, off, &e) < 0)
			abort();
		off += len;
	}
}

static void expect(struct image *im, const uint8_t *disk, uint64_t size)
{
	AUTO_FREE uint8_t *seen = malloc((size_t)size);
	struct err e;

	if (!seen || image_size(im) != size || image_pread(im, seen, (size_t)size, 0, &e) < 0 ||
	    memcmp(seen, disk, (size_t)size) != 0)
		abort();
	fuzz_walk(im, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct kind *first, *second;
	AUTO_FREE uint8_t *disk = NULL;
	struct image *a, *b;
	struct image_writer *w;
	uint64_t disk_size;
	struct err e;
	int fd;

	if (size < 4)
		return 0;
	first = &kinds[data[0] % ARRAY_SIZE(kinds)];
	second = &kinds[data[1] % ARRAY_SIZE(kinds)];
	disk_size = (be16_get(data + 2) % 8192 + 1) * 512ull;
	disk = calloc(1, (size_t)disk_size);
	if (!disk)
		abort();
	w = begin(first, disk_size, &fd);
	write_runs(data + 4, size - 4, w, disk, disk_size);
	a = finish(first, w, fd);
	expect(a, disk, disk_size);
	w = begin(second, disk_size, &fd);
	if (image_copy(a, w, NULL, &e) < 0)
		abort();
	b = finish(second, w, fd);
	expect(b, disk, disk_size);
	image_close(a);
	image_close(b);
	return 0;
}
