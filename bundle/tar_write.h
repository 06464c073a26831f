/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: header blocks of tar archives that we write. */
#ifndef BUNDLE_TAR_WRITE_H
#define BUNDLE_TAR_WRITE_H

#include "bundle/tar_header.h"

#define TAR_RECORD 10240 /* bytes: an archive is padded to it */
#define TAR_NAME_MAX 99  /* bytes of a name that need no header of its own */

/*
 * Appends the header of the regular file `name` (at most TAR_NAME_MAX bytes): mode 0644, all owners
 * and times 0, so that the same file gives the same bytes. map: NULL, or where its bytes lie in the
 * file of `size` bytes; then the header is old-GNU sparse and has the map behind it. Errors: ENOMEM.
 */
int tar_write_header(struct buf *out, const char *name, uint64_t size, const struct tar_map *map,
		     struct err *e);
/* The same for archives that any tar reads: POSIX ustar. size < 8 GiB, else base 256, as GNU. */
void tar_write_ustar(uint8_t block[TAR_BLOCK], const char *name, uint64_t size);

#endif
