/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRUB's programs and files of this host. A process that parses in a sandbox can run and open
 * nothing: then another one does it for it (imgconv/confine.h). What that one gets from the sandbox
 * is a platform's name and a menu, which it only hands on, unread.
 */
#ifndef IMGCONV_DISK_GRUB_HOST_H
#define IMGCONV_DISK_GRUB_HOST_H

#include "lib/buf.h"
#include "lib/err.h"

struct grub_host {
	/*
	 * Appends to out what grub-mkimage makes for the platform ("i386-pc", ...), with the menu in
	 * its memory disk; for BIOS the boot sector, 512 bytes, is in front of it. menu: len bytes.
	 * Errors: ENOENT GRUB is not installed (names the package); EINVAL an unknown platform; EIO
	 * grub-mkimage failed; EFBIG.
	 */
	int (*make)(const char *platform, const char *menu, size_t len, struct buf *out,
		    struct err *e);
};

/* Runs the programs by itself: what is used until another one is set. */
extern const struct grub_host grub_host_self;
extern const struct grub_host *grub_host;

#endif
