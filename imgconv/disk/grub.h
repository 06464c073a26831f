/* SPDX-License-Identifier: Apache-2.0 */
/* GRUB 2, put together by the host's grub-mkimage for one kernel of one guest. */
#ifndef IMGCONV_DISK_GRUB_H
#define IMGCONV_DISK_GRUB_H

#include "imgconv/imgconv.h"

enum grub_platform {
	GRUB_BIOS,
	GRUB_EFI_X64,
	GRUB_EFI_ARM64,
};

/*
 * For BIOS: the boot sector (its partition table zero) and the core image, at most core_max bytes,
 * which is to lie at core_start of the disk. r gives kernel, initrd and command line; the file
 * system is found by fs_uuid. The programs are run by grub_host (imgconv/disk/grub_host.h), with
 * modules from i386-pc in $ACCLIMATE_GRUB_DIR, else in /usr/lib/grub.
 * Errors: ENOENT GRUB is not installed (names the package); EIO grub-mkimage failed; EFBIG.
 */
int grub_make_bios(const struct boot_report *r, const char *fs_uuid, uint64_t core_start,
		   size_t core_max, uint8_t sector[512], struct buf *core, struct err *e);

/* For UEFI: a program, which needs nothing but the guest's kernel and initrd. Errors likewise. */
int grub_make_efi(enum grub_platform platform, const struct boot_report *r, const char *fs_uuid,
		  struct buf *out, struct err *e);

/* The menu that both put in; for tests. */
int grub_config(const struct boot_report *r, const char *fs_uuid, struct buf *out, struct err *e);

#endif
