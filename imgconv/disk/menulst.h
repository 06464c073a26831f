/* SPDX-License-Identifier: Apache-2.0 */
/* GRUB legacy's configuration, /boot/grub/menu.lst, as far as PV-GRUB acts on it. */
#ifndef IMGCONV_DISK_MENULST_H
#define IMGCONV_DISK_MENULST_H

#include "lib/err.h"

/* Texts are NUL-terminated, NULL where the file has none. */
struct menulst_entry {
	char *title;
	char *kernel; /* path without a device in front */
	char *args;   /* the kernel's command line, "" if empty */
	char *initrd;
};
struct menulst {
	struct menulst_entry *entries;
	size_t n_entries;
	size_t default_entry; /* < n_entries, unless that is 0 */
};

/*
 * Parses len bytes. Nothing is evaluated; commands that do not concern kernel, command line and
 * initrd are passed over, as are entries without a kernel.
 * Errors: EFBIG over 64 KiB or 100 entries; EBADMSG a NUL; ENOMEM. The message names the line.
 */
int menulst_parse(const char *text, size_t len, struct menulst *ret, struct err *e);
void menulst_release(struct menulst *m);
DEFINE_AUTO_STRUCT(struct menulst, menulst_release);

#endif
