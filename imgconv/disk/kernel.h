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
 * The same in a file system whose folder of kernels is `boot` ("/boot", or "" if it is all of the
 * file system), whether or not it boots outside Xen; one that does is preferred.
 */
int kernel_find_any(struct guest_fs *fs, const char *boot, struct boot_report *ret, struct err *e);

/* How two kernel versions compare: <0, 0, >0; runs of digits by value. */
int kernel_version_compare(const char *a, const char *b);

#endif
