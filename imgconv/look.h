/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the file system inside an image, on standard output. For the child (confine.h). */
#ifndef IMGCONV_LOOK_H
#define IMGCONV_LOOK_H

#include "imgconv/guestfs.h"
#include "lib/cli.h"

/* A folder's entries, all below it too if recursive, or one file: a line or an object each. */
int look_list(struct guest_fs *fs, const char *path, bool recursive, enum cli_output output,
	      struct err *e);
/* A file's bytes. */
int look_cat(struct guest_fs *fs, const char *path, struct err *e);

#endif
