/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small FAT volumes (12, 16, 32 bits, long names) as clouds hand a context to a guest where they do
 * not use ISO 9660: config drives and NoCloud seeds. Read without being mounted; nothing is
 * allocated that the volume does not hold.
 */
#ifndef CTXD_FAT_H
#define CTXD_FAT_H

#include "lib/err.h"

#define FAT_LABEL_MAX 11

/*
 * Does fd (file or block device, read by offset) hold a FAT volume without a partition table?
 * Returns 1 and its label without padding (of the boot sector, else of the root folder; bytes that
 * are not printable ASCII shown as '?'), 0 if it holds none, or the errno of reading.
 */
int fat_label(int fd, char ret[FAT_LABEL_MAX + 1], struct err *e);

/*
 * Calls fn for every file, of at most limit bytes together; path is components joined by '/'. Stops
 * when fn returns non-zero, and returns that. Names that are not plain are skipped.
 * Errors: EBADMSG malformed; EFBIG past limit, 4096 files or 8 levels; errno of reading.
 */
typedef int fat_walk_fn(void *arg, const char *path, const void *data, size_t len, struct err *e);
int fat_walk(int fd, const char *name_for_messages, size_t limit, fat_walk_fn *fn, void *arg,
	     struct err *e);

#endif
