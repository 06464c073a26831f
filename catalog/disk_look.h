/* SPDX-License-Identifier: Apache-2.0 */
/* What an import has to know of the disk that it made, seen in a sandbox. */
#ifndef CATALOG_DISK_LOOK_H
#define CATALOG_DISK_LOOK_H

#include "lib/err.h"

struct disk_look {
	uint64_t size; /* that a guest sees */
	bool is_disk;  /* it has a partition table (target_head_is_disk) */
};

/* The QCOW2 at path. Errors: EBADMSG; as confine_run. */
int disk_look(const char *path, struct disk_look *ret, struct err *e);

#endif
