/* SPDX-License-Identifier: Apache-2.0 */
/* What the first bytes of a kernel's file say about where it boots. */
#ifndef IMGCONV_DISK_KERNEL_IMAGE_H
#define IMGCONV_DISK_KERNEL_IMAGE_H

#include "imgconv/imgconv.h"

/* So many bytes of the file, or all of it, are enough. */
#define KERNEL_HEAD (68 * KIB)

struct kernel_image {
	enum boot_kernel_kind kind;
	unsigned protocol; /* of x86's boot protocol: 0x020f is 2.15; 0 for other machines */
	bool loaded_high;  /* for 1 MiB and above, as boot loaders outside of BIOS need it */
	bool efi_stub;     /* is a program of UEFI as well */
	bool is_64bit;     /* known from protocol 2.12 on; else false */
	char version[128]; /* "6.1.0-56-cloud-amd64"; "" where the file does not say */
};
/* Never fails: what is not understood is BOOT_KERNEL_UNKNOWN. */
void kernel_image_parse(const void *head, size_t len, struct kernel_image *ret);

/* A version that can be a part of a file name. */
bool kernel_version_is_plain(const char *version);

#endif
