/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a VMDK image: as a file it is opened, told of, checked, walked over and copied (which
 * claims all tables and grains); as a stream it is read front to back; as text it is a descriptor.
 * What the stream says the disk is, the file must say, too.
 */
#include "imgconv/format/vmdk.h"
#include "tests/fuzz/image.h"

/* -1, or a descriptor of what the guest sees. */
static int copy_file(const uint8_t *data, size_t size)
{
	struct image_open_opts o = {.format = "vmdk"};
	struct image *im = fuzz_open(data, size, &o);
	int fd = im ? fuzz_copy(im, 0) : -1;

	if (im)
		image_close(im);
	return fd;
}

static int copy_stream(const uint8_t *data, size_t size)
{
	AUTO_FD int in = fuzz_file(data, size);
	struct image_stream *s = NULL;
	struct image_writer *w;
	AUTO_FD int fd = -1;
	struct err e;
	int rc;

	if (image_stream_open(in, "fuzz", "vmdk", 0, &s, &e) < 0)
		return -1;
	if (!image_stream_size(s) || image_stream_size(s) > FUZZ_COPY_LIMIT) {
		image_stream_free(s);
		return -1;
	}
	w = fuzz_raw_writer(image_stream_size(s), 0, &fd);
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
	struct image_open_opts o = {.format = "vmdk", .flags = IMAGE_INSPECT};
	struct image *im = fuzz_open(data, size, &o);

	parse_text(data, size, false);
	parse_text(data, size, true);
	if (im) {
		(void)fuzz_look(im);
		fuzz_walk(im, 0);
		image_close(im);
	}
	file = copy_file(data, size);
	stream = copy_stream(data, size);
	if (file >= 0 && stream >= 0)
		compare(file, stream);
	return 0;
}
