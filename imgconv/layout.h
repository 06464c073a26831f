/* SPDX-License-Identifier: Apache-2.0 */
/* Between layout.c (partition tables) and layout_fs.c (superblocks). */
#ifndef IMGCONV_LAYOUT_H
#define IMGCONV_LAYOUT_H

#include "imgconv/imgconv.h"

/*
 * Looks for a file system (or swap space, a volume of LVM2, ...) in p->start .. p->length and
 * fills p's fs_ members, "" if there is none that we know. Errors: those of reading alone.
 */
int layout_probe_fs(struct image *im, struct image_partition *p, struct err *e);

/* Whether these 512 bytes are the boot sector of a FAT12, FAT16 or FAT32. */
bool layout_is_fat(const uint8_t *sector);

/* "01234567-89ab-..." of 16 bytes in order; out has room for 37. */
void layout_uuid_text(const uint8_t uuid[16], char out[37]);

#endif
