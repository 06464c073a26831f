/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's command line. */
#ifndef IMGCONV_DISK_CMDLINE_H
#define IMGCONV_DISK_CMDLINE_H

#include "lib/buf.h"

/*
 * The command line for the new machine: root= becomes `root` ("UUID=...", "/dev/vda"), consoles of
 * Xen become tty0 and `console` ("ttyS0,115200") unless the guest names them, other words stay;
 * append (may be NULL) comes last. *ret is the caller's.
 */
int kernel_cmdline(const char *guest_cmdline, const char *root, const char *console,
		   const char *append, char **ret, struct err *e);

/*
 * The next word of a command line, its quotes taken off, into word; *s moves behind it. Returns 1,
 * or 0 at the end. Errors: ENOTSUP a character that GRUB cannot hand to a kernel; EBADMSG.
 */
int kernel_next_word(const char **s, struct buf *word, struct err *e);

#endif
