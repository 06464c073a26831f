/* SPDX-License-Identifier: Apache-2.0 */
/* A bare partition that came from elsewhere becomes a disk that boots: in a sandbox. */
#ifndef CATALOG_BOOTABLE_H
#define CATALOG_BOOTABLE_H

#include "imgconv/imgconv.h"

/*
 * boot_make on the QCOW2 at path, whose partition lies at BOOT_PARTITION_START, by a process that can
 * open nothing else; GRUB's programs are run by this one. ret: without the verdict. Errors: as
 * boot_make; those of worker_run.
 */
int bootable_make(const char *path, struct boot_report *ret, struct err *e);

/*
 * The same for a QCOW2 that holds nothing but the partition: it is replaced by a disk around it, of
 * o's format, all at once.
 */
int bootable_wrap(const char *path, const struct image_create_opts *o, struct boot_report *ret,
		  struct err *e);

#endif
