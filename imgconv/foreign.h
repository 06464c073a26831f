/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats of disk images that are known by name and not read here: taken as raw bytes, their
 * tables would become a disk's first sectors. Some of them QEMU reads (imgconv/via_qemu.h), after
 * it was seen here that they refer to no other file.
 */
#ifndef IMGCONV_FOREIGN_H
#define IMGCONV_FOREIGN_H

#include "imgconv/format.h"

struct foreign_format;

/* The foreign format that a file looks like; NULL: none. */
const struct foreign_format *foreign_find(const struct image_head *head);
const char *foreign_name(const struct foreign_format *f);
/* What to do about it, for an error's message. */
const char *foreign_advice(const struct foreign_format *f);

/* What QEMU is to be told of an image. */
struct foreign_image {
	char driver[16]; /* QEMU's name of the format */
	uint64_t size;   /* of the disk */
};
/*
 * Recognises the image in fd, a regular file, and looks at all places where one of its format can
 * name another file. Reads some MiB at most.
 * Errors: EINVAL it is none that QEMU is needed for; ENOTSUP encrypted, of a kind that QEMU does
 * not read; EACCES it refers to another file; EBADMSG malformed; EFBIG the disk is too large.
 */
int foreign_inspect(int fd, struct foreign_image *ret, struct err *e);
/* True if that can be what foreign_inspect gave. */
bool foreign_image_valid(const struct foreign_image *image);

#endif
