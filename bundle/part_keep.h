/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside bundle/: parts as they came, in a folder (part.0, part.1 ...), so that a fetch that was
 * interrupted need not fetch them again. None is used but by its digest, so there is no journal, and
 * nothing is synced: what a power cut left of a part is no part. On any thread.
 */
#ifndef BUNDLE_PART_KEEP_H
#define BUNDLE_PART_KEEP_H

#include "bundle/bundle.h"

/* Opens part `index` if it lies in dir, as the manifest has it. Returns its size; 0: it does not. */
uint64_t part_keep_find(const char *dir, const struct manifest *m, size_t index, int *ret_fd);
/* Puts it there; *ret_fd is open to be read then. Errors: EBADMSG it is not that part; errno. */
int part_keep_put(const char *dir, const struct manifest *m, size_t index, const struct buf *data,
		  int *ret_fd, struct err *e);

#endif
