/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For commands: an image that cannot be changed in place is written anew, as an image of the same
 * kind that takes its place when it is complete.
 */
#ifndef IMGCONV_REMAKE_H
#define IMGCONV_REMAKE_H

#include "imgconv/confine.h"
#include "lib/fs.h"

/*
 * What has to be wished of a copy of im for it to be of its kind: "key=value,key=value", for
 * create_args_add. Errors: ENOTSUP such images are not made here.
 */
int remake_options(struct image *im, struct buf *out, struct err *e);
/* In the child: writes data as an image like `kind`, of `size` bytes, into fd. */
int remake_write(int fd, struct image *kind, struct image *data, struct image_create_opts *o,
		 uint64_t size, const char *what, struct err *e);
/*
 * Here: opens a new file beside the image as *copy, whose descriptor the child has, runs c, and
 * gives the file the image's name, mode, and owner as far as that can be. Nothing is left behind on
 * failure. Errors: ENOTSUP the image is no regular file.
 */
int remake_run(const char *path, const struct confine *c, struct atomic_file *copy, struct err *e);

#endif
