/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: what is where in a tar archive of several files that can be read at any place. */
#ifndef BUNDLE_TAR_INDEX_H
#define BUNDLE_TAR_INDEX_H

#include "lib/err.h"

struct tar_member {
	char *name;      /* a plain file name */
	uint64_t offset; /* of its bytes in the archive */
	uint64_t size;
};
struct tar_index {
	struct tar_member *members; /* n regular files, in their order */
	size_t n, cap;
};

/*
 * Reads the headers of the archive in fd. Errors: EBADMSG malformed, a file that reaches past the
 * archive's end, a name that is no plain file name or stands twice; ENOTSUP links, sparse files and
 * the like; EFBIG too many members.
 */
int tar_index_read(int fd, struct tar_index *ret, struct err *e);
void tar_index_release(struct tar_index *t);
DEFINE_AUTO_STRUCT(struct tar_index, tar_index_release);
/* NULL: there is none of that name. */
const struct tar_member *tar_index_find(const struct tar_index *t, const char *name);

#endif
