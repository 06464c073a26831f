/* SPDX-License-Identifier: Apache-2.0 */
/* GRUB 2 for BIOS, put together by the host's grub-mkimage for one kernel of one guest. */
#ifndef IMGCONV_DISK_GRUB_H
#define IMGCONV_DISK_GRUB_H

#include "imgconv/imgconv.h"

/*
 * The bytes from sector 0 on: boot.img (its partition table zero) and the core image right behind
 * it, at most max_size bytes. r gives kernel, initrd and command line; the file system is found by
 * fs_uuid. Modules come from $ACCLIMATE_GRUB_DIR, else /usr/lib/grub/i386-pc.
 * Errors: ENOENT GRUB is not installed (names the package); EIO grub-mkimage failed; EFBIG.
 */
int grub_make(const struct boot_report *r, const char *fs_uuid, size_t max_size, struct buf *out,
	      struct err *e);

/* The menu that grub_make puts in; for tests. */
int grub_config(const struct boot_report *r, const char *fs_uuid, struct buf *out, struct err *e);

#endif
