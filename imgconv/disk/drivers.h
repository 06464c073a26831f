/* SPDX-License-Identifier: Apache-2.0 */
/* Which disks a kernel reaches by itself or with its initrd. */
#ifndef IMGCONV_DISK_DRIVERS_H
#define IMGCONV_DISK_DRIVERS_H

#include "imgconv/disk/kernel_image.h"
#include "imgconv/guestfs.h"

/* Where a kernel is, and where what belongs to it is. */
struct kernel_place {
	struct guest_fs *fs;   /* with the kernel */
	const char *boot;      /* its folder of kernels: "/boot", or "" if it is all of fs */
	struct guest_fs *root; /* with /lib/modules; NULL: not known */
	const char *kernel;    /* path in fs */
	const char *initrd;    /* NULL: none */
};

/* What was found out about it. */
struct drivers_found {
	struct boot_verdict verdict;
	struct kernel_image image;
	struct buf config; /* text of /boot/config-*; empty if there is none */
	char *why;         /* what is unknown of the initrd is so; NULL: nothing is */
};
void drivers_found_release(struct drivers_found *f);
DEFINE_AUTO_STRUCT(struct drivers_found, drivers_found_release);

/*
 * Kind, version, the state of each driver, and what bus the disk can be on. What cannot be read
 * makes a state unknown. flags: BOOT_DEEP.
 * Errors: ENOMEM, ECANCELED; errno of reading the kernel itself.
 */
int drivers_judge(const struct kernel_place *place, unsigned flags, struct drivers_found *ret,
		  struct err *e);

/* Whether a kernel's configuration sets the option: 'y', 'm', or 0. */
char kernel_config_value(const char *config, const char *option);

/* The version in a kernel's file name ("vmlinuz-6.1"), NULL if it has none. */
const char *kernel_version_of(const char *path);

#endif
