/* SPDX-License-Identifier: Apache-2.0 */
/* FAT12, FAT16 and FAT32: the folders of a damaged volume. The input is as tests/fuzz/pieces.h says;
 * tests/fuzz/corpus/fat/ is made by tests/fuzz/boot_seeds. */
#include "imgconv/disk/fat.h"
#include "tests/fuzz/pieces.h"

#define DISK_SIZE (36 * MIB)

static int see(void *ctx, const struct fat_entry *x)
{
	/* Names are text that ends. */
	if (strlen(x->name) >= sizeof(x->name))
		abort();
	return ++*(unsigned *)ctx > 100000 ? -E2BIG : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const folders[] = {"", "EFI", "EFI/BOOT", "efi/boot/BOOTX64.EFI", "A/B"};
	AUTO(image_close) struct image *im = pieces_open(data, size, DISK_SIZE);
	AUTO(fat_close) struct fat *f = NULL;
	struct err e;

	if (fat_open(im, 0, image_size(im), &f, &e) < 0)
		return 0;
	if (fat_bits(f) != 12 && fat_bits(f) != 16 && fat_bits(f) != 32)
		abort();
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		unsigned n = 0;

		fat_list(f, folders[i], see, &n, &e);
	}
	return 0;
}
