/* SPDX-License-Identifier: Apache-2.0 */
/* A disk out of a file of this machine, of any format that imgconv and bundle read, packed or not. */
#ifndef CATALOG_FETCH_DISK_H
#define CATALOG_FETCH_DISK_H

#include "catalog/source.h"
#include "imgconv/imgconv.h"

/* No disk is larger: a bound for what lies about its size. */
#define FETCH_FILE_MAX (UINT64_C(64) << 40)

/*
 * Makes the QCOW2 `disk` of the file at path, which im tells the format of. dir: a folder for what is
 * unpacked on the way; it is removed, or goes with the folder where this fails. Errors: EBADMSG, EFBIG,
 * ENOTSUP, ENOSPC.
 */
int fetch_disk_make(const struct catalog_image *im, const char *path, const char *dir,
		    const char *disk, const struct image_create_opts *o, struct err *e);

#endif
