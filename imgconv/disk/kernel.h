/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel that a guest boots: which, with what initrd and command line. */
#ifndef IMGCONV_DISK_KERNEL_H
#define IMGCONV_DISK_KERNEL_H

#include "imgconv/guestfs.h"

/*
 * Finds the kernel: o->kernel and o->initrd where given; else the default entry of menu.lst (then
 * its other entries); else /vmlinuz and /initrd.img; else the newest /boot/vmlinuz-*. Where a
 * symbolic link of the guest (/vmlinuz) leads to what was chosen, the link is reported, so that
 * an upgrade of the kernel in the guest is followed. ret->cmdline is as the guest has it, to be
 * passed through kernel_cmdline.
 * Errors: ENOENT there is none; ENOTSUP there are some, but none boots outside Xen.
 */
int kernel_find(struct guest_fs *fs, const struct boot_opts *o, struct boot_report *ret,
		struct err *e);

/*
 * The command line for the new disk: root= becomes the file system's UUID (with an initrd) or its
 * partition (PARTUUID, without), consoles of Xen become tty0 and ttyS0, other words stay; append
 * (may be NULL) comes last. *ret is the caller's.
 */
int kernel_cmdline(const char *guest_cmdline, bool has_initrd, const char *fs_uuid,
		   uint32_t disk_signature, const char *append, char **ret, struct err *e);

/*
 * The next word of a command line, its quotes taken off, into word; *s moves behind it. Returns 1,
 * or 0 at the end. Errors: ENOTSUP a character that GRUB cannot hand to a kernel; EBADMSG.
 */
int kernel_next_word(const char **s, struct buf *word, struct err *e);

/* How two kernel versions compare: <0, 0, >0; runs of digits by value. */
int kernel_version_compare(const char *a, const char *b);

#endif
