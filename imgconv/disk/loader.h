/* SPDX-License-Identifier: Apache-2.0 */
/* What boots from a disk, by the code in its boot sectors. */
#ifndef IMGCONV_DISK_LOADER_H
#define IMGCONV_DISK_LOADER_H

#include "imgconv/imgconv.h"

enum loader_kind {
	LOADER_NONE,    /* no code, or code that says so */
	LOADER_UNKNOWN, /* some code */
	LOADER_WHOLE,   /* begins a boot loader, which goes on by itself */
	LOADER_CHAIN,   /* starts the boot sector of the active partition */
};
struct loader {
	enum loader_kind kind;
	const char *name; /* "GRUB 2"; static; NULL: none */
	uint64_t next;    /* GRUB 2: the sector where it goes on; else 0 */
};
/* The code in a boot sector of 512 bytes, of a disk or of a partition. */
struct loader loader_identify(const uint8_t *sector);

/*
 * The boot loader that a BIOS starts, as text ("GRUB 2 in the MBR"), the caller's; NULL: there is
 * none. Errors: ENOMEM; those of reading.
 */
int loader_find(struct image *im, const struct image_layout *l, char **ret, struct err *e);

#endif
