/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A QCOW2 disk of which it is known beforehand where it has data. Its tables are written first, and each
 * byte of data has its place then: so data come in any order, and a piece of the disk is one of the file, whose
 * digest it need not be read again for (catalog/pieces.h).
 *
 * A cluster whose data turn out to be zeros keeps its place, as a hole in the file.
 */
#ifndef CATALOG_PLANNED_H
#define CATALOG_PLANNED_H

#include "catalog/source.h"
#include "imgconv/imgconv.h"

#define PLANNED_CLUSTER 65536u /* QCOW2's default */

struct planned;

/*
 * Writes an image of `size` bytes without data into the empty file fd, which stays the caller's. runs:
 * where data will come, ascending, in whole clusters; each is moved by shift, clusters too. Errors: as
 * image_create; EINVAL a run behind the disk's end.
 */
int planned_new(int fd, const char *name, uint64_t size, const struct fetch_run *runs, size_t n,
		uint64_t shift, struct planned **ret, struct err *e);
/*
 * Writes bytes of the disk, each once, in any order, on any thread. sha256: theirs; NULL: not known. Errors:
 * EINVAL data that are not zeros where no run is; errno.
 */
int planned_write(struct planned *p, const void *data, size_t len, uint64_t off,
		  const uint8_t *sha256, struct err *e);
/* After the last byte: the digest of the file by pieces, in hex. */
int planned_finish(struct planned *p, char ret[65], struct err *e);
void planned_free(struct planned *p);
DEFINE_AUTO(struct planned *, planned_free);

#endif
