/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ISO 9660 images as clouds hand a context to a guest: a volume id by which the guest knows the
 * image, and a few small files. Written with Rock Ridge and Joliet; read by Rock
 * Ridge, else Joliet, else bare upper-case names. Nothing is mounted, and nothing is allocated that
 * the image does not hold.
 */
#ifndef CONTEXT_ISO_H
#define CONTEXT_ISO_H

#include "lib/buf.h"
#include "lib/err.h"

#define ISO_VOLUME_ID_MAX 32     /* bytes in the primary volume descriptor */
#define ISO_WRITE_MAX (64 * MIB) /* bytes of all files together that are written */
#define ISO_FOLDER_MAX MIB       /* bytes of a root folder that is read */

struct iso_file {
	/* components joined by '/', each plain, of at most 64 bytes, ASCII; at most 6 of them */
	const char *name;
	const void *data;
	size_t len;
};

/*
 * The image's bytes appended to out. They depend on the arguments alone: no clock, no host name.
 * volume_id: 1 to 16 printable ASCII characters (what Joliet holds), case kept.
 * Errors: EINVAL volume id or name, EFBIG, EEXIST two files of one name, ENOMEM, EIO.
 */
int iso_build(const char *volume_id, const struct iso_file *files, size_t n, struct buf *out,
	      struct err *e);

/* iso_build into a file that appears complete or not at all; "-" is standard output. */
int iso_write(const char *path, const char *volume_id, const struct iso_file *files, size_t n,
	      struct err *e);

/*
 * Does fd (file or block device, read by offset) hold an ISO 9660 volume? Returns 1 and its
 * volume id without the padding (bytes that are not printable ASCII shown as '?'), 0 if it holds
 * none, or the errno of reading. Reads one sector; ECMA-119 8.4.
 */
int iso_volume_id(int fd, char ret[ISO_VOLUME_ID_MAX + 1], struct err *e);

/*
 * The content of a file, appended to out; path is its name in the root, or components joined by
 * '/'. An exact name is preferred to one that differs in case. name_for_messages names fd.
 * Errors: ENOENT, EFBIG past limit or ISO_FOLDER_MAX, EBADMSG malformed, ENOTSUP compressed or
 * interleaved, errno of reading.
 */
int iso_read_file(int fd, const char *name_for_messages, const char *path, size_t limit,
		  struct buf *out, struct err *e);

/*
 * Calls fn for every file, of at most limit bytes together; names without Rock Ridge and Joliet are
 * in lower case. Stops when fn returns non-zero, and returns that. What is no regular file, or has
 * no plain name, is skipped. Errors: as of iso_read_file; EFBIG past 4096 files, 8 levels.
 */
typedef int iso_walk_fn(void *arg, const char *path, const void *data, size_t len, struct err *e);
int iso_walk(int fd, const char *name_for_messages, size_t limit, iso_walk_fn *fn, void *arg,
	     struct err *e);

#endif
