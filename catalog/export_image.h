/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets share that take an image file: see catalog/export.h. */
#ifndef CATALOG_EXPORT_IMAGE_H
#define CATALOG_EXPORT_IMAGE_H

#include "catalog/export.h"

/* The format that was asked for, else "qcow2". */
const char *export_format(const struct export_opts *o);
int export_format_check(const struct export_opts *o, struct err *e);
/* Writes the image into an empty file. Errors: ENOTSUP it has several disks. */
int export_write_image(const struct export_source *x, int fd, const char *name, struct err *e);
/*
 * The same, into a file without a name in the store's folder: so that it can be sent, and sent again.
 * *ret_fd is the caller's.
 */
int export_make_file(const struct export_source *x, int *ret_fd, uint64_t *ret_size, struct err *e);
/* Such a file, mapped: without a name nobody can make it shorter. Released by export_mapped_release.
 */
struct export_mapped {
	void *data;
	uint64_t size;
};
int export_map_image(const struct export_source *x, struct export_mapped *ret, struct err *e);
void export_mapped_release(struct export_mapped *m);
DEFINE_AUTO_STRUCT(struct export_mapped, export_mapped_release);

#endif
