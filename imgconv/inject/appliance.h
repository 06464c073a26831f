/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imgconv/guestfs.h for what libext2fs does not read: XFS, Btrfs, LVM, NTFS and whatever else Linux
 * mounts, by libguestfs, which mounts it in a virtual machine. Its disk is a copy-on-write layer over
 * the image, served from here; so the format of the image does not matter, and it stays as it is until
 * the commit. See docs/decisions/0010-libguestfs-in-a-process-of-its-own.md.
 */
#ifndef IMGCONV_INJECT_APPLIANCE_H
#define IMGCONV_INJECT_APPLIANCE_H

#include "imgconv/guestfs.h"

/* Who starts the process that has libguestfs (appliance_host.h), for one that cannot. */
struct appliance_starter {
	/*
	 * Ends the one that runs, and starts one. Both sockets are the caller's. *used_kvm: whether
	 * KVM will be tried, which it is not unless `kvm`.
	 */
	int (*start)(bool kvm, int *ret_requests, int *ret_disks, bool *used_kvm, struct err *e);
	void (*end)(void);
	/* What the user should know meanwhile: a sentence without a full stop, for the log. */
	void (*tell)(const char *text);
};

/* NULL: there is no libguestfs to be had here. */
extern const struct appliance_starter *appliance_starter;

/* Whether a file system (or volume) of that type, as image_layout_read calls it, is for this. */
bool appliance_mounts(const char *fs_type);
/* Whether a root file system may be in it. */
bool appliance_may_be_root(const char *fs_type);

/*
 * Opens the file system of partition `wanted` (0: the root is looked for, among logical volumes and
 * subvolumes too), and what the guest itself mounts below it by its /etc/fstab, as far as it is in
 * the image. volume: the name of the logical volume ("vg/root") or subvolume ("@") that is meant, or
 * NULL. bare: the disk is one file system without a partition table. Takes from seconds to a
 * minute. *ret_partition: its number, 0 for none; guest_fs_volume tells more.
 * Errors: ENOPKG libguestfs is not installed; ENOENT there is no root, or no such volume; EINVAL several; EUCLEAN a
 * journal to be replayed (with GUEST_FS_WRITE), errors noted; ETIMEDOUT; EIO the machine does not
 * start.
 */
int appliance_open(struct image *im, unsigned wanted, const char *volume, bool bare, unsigned flags,
		   struct guest_fs **ret, unsigned *ret_partition, struct err *e);

#endif
