/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a VHD image, as they are and with all checksums made right: open it, tell its facts,
 * check it, copy it (which walks all extents, claims all blocks and reads them). A parent lies
 * ready, whose UUID is all zeros.
 */
#include <stdio.h>

#include "tests/fuzz/image.h"

#define EXTRA (128 * KIB) /* and what a parent has */

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
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fuzz_file(bytes, sizeof(bytes)));
	return path;
}

static void try_bytes(const uint8_t *data, size_t size, const char *parent)
{
	struct image_open_opts o = {.format = "vhd", .flags = IMAGE_INSPECT, .parent = parent};
	struct image *im = fuzz_open(data, size, &o);

	if (!im)
		return;
	(void)fuzz_look(im);
	fuzz_walk(im, 77);
	image_close(im);
	o.flags = 0;
	im = fuzz_open(data, size, &o);
	if (!im)
		return;
	/*
	 * What is copied is no more than the file can hold: blocks are claimed. A block has 512 bytes
	 * at least, and data are counted in pages.
	 */
	close(fuzz_copy(im, 8 * size + EXTRA));
	image_close(im);
}

/* A parent is for differencing images alone. */
static void try_both(const uint8_t *data, size_t size)
{
	try_bytes(data, size, NULL);
	try_bytes(data, size, parent_path());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE uint8_t *sealed = malloc(size + 1);
	uint64_t header;

	try_both(data, size);
	if (size < 512)
		return 0;
	memcpy(sealed, data, size);
	header = be64_get(data + size - 512 + 16);
	if (range_within(header, 1024, size))
		seal(sealed + header, 1024, 36);
	seal(sealed, 512, 64);
	seal(sealed + size - 512, 512, 64);
	try_both(sealed, size);
	return 0;
}
