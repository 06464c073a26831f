/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a disk: its partition table, what is wrong with it, file systems, boot loaders. */
#include <sys/mman.h>

#include "imgconv/imgconv.h"
#include "lib/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_open_opts o = {.format = "raw"};
	AUTO(image_layout_release) struct image_layout layout = {0};
	AUTO(image_info_release) struct image_info info = {0};
	AUTO(image_boot_release) struct image_boot boot = {0};
	struct image *im = NULL;
	struct err e;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || fs_pwrite(fd, data, size, 0, NULL) < 0 ||
	    image_open_fd(fd, "fuzz", &o, &im, &e) < 0)
		abort();
	if (image_layout_read(im, &layout, &e) == 0) {
		for (size_t i = 0; i < layout.n_partitions; i++) {
			const struct image_partition *p = &layout.partitions[i];

			if (!range_within(p->start, p->length, size))
				abort();
		}
		if (image_boot_read(im, &layout, 0, &boot, &e) < 0)
			abort();
	}
	if (image_layout_check(im, &info, &e) < 0)
		abort();
	image_close(im);
	return 0;
}
