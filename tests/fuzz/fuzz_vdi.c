/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a VDI image: open it, tell its facts, check it, copy it (which walks all extents,
 * claims all blocks and reads them).
 */
#include "tests/fuzz/image.h"

#define EXTRA (4 * KIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_open_opts o = {.format = "vdi", .flags = IMAGE_INSPECT};
	struct image *im = fuzz_open(data, size, &o);

	if (!im)
		return 0;
	(void)fuzz_look(im);
	fuzz_walk(im, 77);
	image_close(im);
	o.flags = 0;
	im = fuzz_open(data, size, &o);
	if (!im)
		return 0;
	/*
	 * What is copied is no more than the file can hold: blocks are claimed. A block has 512 bytes
	 * at least, and data are counted in pages.
	 */
	close(fuzz_copy(im, 8 * size + EXTRA));
	image_close(im);
	return 0;
}
