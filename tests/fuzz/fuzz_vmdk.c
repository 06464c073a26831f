/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a VMDK image: as a file it is opened, told of, checked, walked over and copied (which
 * claims all tables and grains); as a stream it is read front to back; as text it is a descriptor.
 * What the stream says the disk is, the file must say, too.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "imgconv/format/vmdk.h"
#include "lib/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define READ_LIMIT (4 * MIB)
#define COPY_LIMIT (64 * MIB)

static int make_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || fs_pwrite(fd, data, size, 0, NULL) < 0)
		abort();
	return fd;
}

static struct image *open_bytes(const uint8_t *data, size_t size, unsigned flags)
{
	struct image_open_opts o = {.format = "vmdk", .flags = flags};
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
	AUTO(image_layout_release) struct image_layout layout = {0};
	struct err e;

	(void)image_info_read(im, &info, &e);
	(void)image_check_read(im, &check, NULL, &e);
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

/* A writer of a raw disk in memory; *ret_fd is to be closed. */
static struct image_writer *raw_writer(uint64_t size, int *ret_fd)
{
	struct image_create_opts o = {.threads = 1};
	struct image_writer *w = NULL;
	struct err e;

	*ret_fd = make_file(NULL, 0);
	if (image_create(*ret_fd, "copy", "raw", size, &o, &w, &e) < 0)
		abort();
	return w;
}

/* -1, or a descriptor of what the guest sees. */
static int copy_file(const uint8_t *data, size_t size)
{
	struct image *im = open_bytes(data, size, 0);
	struct image_writer *w;
	AUTO_FD int fd = -1;
	struct err e;
	int rc;

	if (!im)
		return -1;
	if (image_size(im) > COPY_LIMIT) {
		image_close(im);
		return -1;
	}
	w = raw_writer(image_size(im), &fd);
	rc = image_copy(im, w, NULL, &e);
	if (rc == 0)
		rc = image_writer_finish(w, &e);
	image_writer_free(w);
	image_close(im);
	return rc == 0 ? steal_fd(&fd) : -1;
}

static int copy_stream(const uint8_t *data, size_t size)
{
	AUTO_FD int in = make_file(data, size);
	struct image_stream *s = NULL;
	struct image_writer *w;
	AUTO_FD int fd = -1;
	struct err e;
	int rc;

	if (image_stream_open(in, "fuzz", "vmdk", 0, &s, &e) < 0)
		return -1;
	if (image_stream_size(s) > COPY_LIMIT) {
		image_stream_free(s);
		return -1;
	}
	w = raw_writer(image_stream_size(s), &fd);
	rc = image_stream_copy(s, w, NULL, NULL, &e);
	if (rc == 0)
		rc = image_writer_finish(w, &e);
	image_writer_free(w);
	image_stream_free(s);
	return rc == 0 ? steal_fd(&fd) : -1;
}

static void compare(int a, int b)
{
	uint64_t size_a = 0, size_b = 0;

	if (image_fd_size(a, &size_a, NULL) < 0 || image_fd_size(b, &size_b, NULL) < 0 ||
	    size_a != size_b)
		abort();
	for (uint64_t off = 0; off < size_a; off += 64 * KIB) {
		uint8_t x[64 * KIB], y[64 * KIB];
		size_t n = (size_t)MIN(size_a - off, (uint64_t)sizeof(x));

		if (fs_pread(a, x, n, off, NULL) < 0 || fs_pread(b, y, n, off, NULL) < 0 ||
		    memcmp(x, y, n) != 0)
			abort();
	}
}

static void parse_text(const uint8_t *data, size_t size, bool embedded)
{
	AUTO(vmdk_descriptor_release) struct vmdk_descriptor d = {0};
	struct err e;

	if (vmdk_descriptor_parse((const char *)data, size, embedded, &d, &e) == 0 && !d.n_lines)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FD int file = -1;
	AUTO_FD int stream = -1;
	struct image *im = open_bytes(data, size, IMAGE_INSPECT);

	parse_text(data, size, false);
	parse_text(data, size, true);
	if (im) {
		look(im);
		walk(im);
		image_close(im);
	}
	file = copy_file(data, size);
	stream = copy_stream(data, size);
	if (file >= 0 && stream >= 0)
		compare(file, stream);
	return 0;
}
