/* SPDX-License-Identifier: Apache-2.0 */
/* A file that was compressed as a whole (gzip, xz, zstd, bzip2), unpacked in a sandbox. */
#ifndef CATALOG_UNPACK_H
#define CATALOG_UNPACK_H

#include "imgconv/imgconv.h"

/* "gzip", "xz", "zstd", "bzip2" by the first bytes of the file; NULL: it is not packed. */
const char *unpack_kind(int fd);
/*
 * Unpacks `from` (name is for messages), from its first byte, into the empty file `to`; runs of
 * zeros become holes. Errors: EBADMSG damaged, or something behind its end; EFBIG more than limit
 * bytes, or than max_data (0: any) that are no zeros; ENOSPC; as worker_run.
 */
int unpack(int from, const char *name, int to, uint64_t limit, uint64_t max_data, struct err *e);
/*
 * The same for a raw disk, straight into a QCOW2 in the empty file `to`, called disk in messages; o is
 * how it is written, with a bound of data in it. Returns 1 where what is in it is a tar archive: then
 * `to` is of no account. Errors: also EBADMSG it is an image of another format (unpack_check_raw).
 */
int unpack_raw(int from, const char *name, int to, const char *disk,
	       const struct image_create_opts *o, uint64_t limit, struct err *e);
/* What says of itself that it is something else is not taken for a raw disk. p: its beginning. */
int unpack_check_raw(const char *name, const uint8_t *p, size_t len, struct err *e);

#endif
