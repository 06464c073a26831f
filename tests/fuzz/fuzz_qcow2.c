/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a QCOW2 image: open it, tell its facts, check it, copy it (which walks all extents,
 * claims all clusters and reads them), read its first snapshot, write into it, give it other sizes.
 * The copy is bounded by what it may write.
 *
 * An image without errors stays one, whatever is done to it.
 */
#include "tests/fuzz/image.h"

#define DISK_LIMIT (1ull << 40)

static struct image *open_bytes(const uint8_t *data, size_t size, unsigned flags,
				const char *snapshot)
{
	struct image_open_opts o = {.format = "qcow2", .flags = flags, .snapshot = snapshot};

	return fuzz_open(data, size, &o);
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
	fuzz_walk(im, 0);
	if (sound && fuzz_look(im))
		abort();
	resize(im);
	if (sound && fuzz_look(im))
		abort();
	write_some(im);
	if (sound && fuzz_look(im))
		abort();
	image_close(im);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *im = open_bytes(data, size, IMAGE_INSPECT, NULL);
	bool sound;

	if (!im)
		return 0;
	sound = fuzz_look(im) == 0;
	fuzz_walk(im, 0);
	close(fuzz_copy(im, 0));
	image_close(im);
	im = open_bytes(data, size, 0, "1");
	if (im) {
		fuzz_walk(im, 0);
		close(fuzz_copy(im, 0));
		image_close(im);
	}
	change(data, size, sound);
	return 0;
}
