/* SPDX-License-Identifier: Apache-2.0 */
/* A file that was compressed as a whole (gzip, xz, zstd, bzip2), unpacked in a sandbox. */
#ifndef CATALOG_UNPACK_H
#define CATALOG_UNPACK_H

#include "lib/err.h"

/* "gzip", "xz", "zstd", "bzip2" by the first bytes of the file; NULL: it is not packed. */
const char *unpack_kind(int fd);
/*
 * Unpacks `from` (name is for messages), from its first byte, into the empty file `to`; runs of
 * zeros become holes. Errors: EBADMSG damaged, or something behind its end; EFBIG more than limit
 * bytes; ENOSPC; as worker_run.
 */
int unpack(int from, const char *name, int to, uint64_t limit, struct err *e);

#endif
