/* SPDX-License-Identifier: Apache-2.0 */
/* All that is decided by looking before a guest is made bootable. */
#ifndef IMGCONV_DISK_PLAN_H
#define IMGCONV_DISK_PLAN_H

#include "imgconv/guestfs.h"

struct boot_plan_result {
	char uuid[37];         /* of the file system */
	uint32_t signature;    /* of an MBR disk */
	uint8_t disk_guid[16]; /* of a GPT disk */
	uint8_t root_guid[16]; /* of its partition with the file system */
	bool is_arm64;
	struct boot_report report; /* kernel, initrd and command line too */
};
void plan_release(struct boot_plan_result *p);
DEFINE_AUTO_STRUCT(struct boot_plan_result, plan_release);

/*
 * Looks at the file system at [start, start + length) of im. With o->direct, kernel and initrd
 * will be given to the machine from outside, the disk is the file system alone, and no boot loader
 * is needed.
 * Errors: as boot_plan.
 */
int plan_make(struct image *im, uint64_t start, uint64_t length, const struct boot_opts *o,
	      struct boot_plan_result *ret, struct err *e);

#endif
