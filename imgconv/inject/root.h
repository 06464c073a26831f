/* SPDX-License-Identifier: Apache-2.0 */
/* Which of an image's file systems is the guest's root. */
#ifndef IMGCONV_INJECT_ROOT_H
#define IMGCONV_INJECT_ROOT_H

#include "imgconv/guestfs.h"

/*
 * Opens, by libext2fs or by libguestfs (imgconv/inject/appliance.h), the file system of partition `wanted` (0: the one that looks like a root: /etc and an init
 * or an os-release), or its volume of that name (NULL: likewise); flags as guest_fs_open. *ret_partition is its number, 0 for a bare one.
 * Errors: ENOENT no such partition, or no root; EINVAL several roots; ENOTSUP what is there is not
 * known (named); those of guest_fs_open and appliance_open.
 */
int root_open(struct image *im, unsigned wanted, const char *volume, unsigned flags,
	      struct guest_fs **ret, unsigned *ret_partition, struct err *e);

#endif
