/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of documents (struct tree) from and to files, folders and ISO images. */
#ifndef CONTEXT_DOCS_H
#define CONTEXT_DOCS_H

#include "context/dialects.h"

#define DOCS_MAX (64 * MIB) /* bytes of all documents together */

/*
 * What is open as fd, sealed: a folder with all regular files below it (links are not followed, at
 * most 8 levels, 4096 files), an ISO image, or one file, which becomes the document `mark` (its own
 * name if that is NULL). path is its name. *ret_iso: it was an image. Errors: EFBIG, EBADMSG
 * (image), errno of reading.
 */
int docs_load(int fd, const char *path, const char *mark, struct tree **ret, bool *ret_iso,
	      struct err *e);

/* The dialect whose mark is there, NULL if there is none. */
const struct context_dialect *docs_dialect(const struct tree *docs);

/*
 * Into a new folder (or an empty one), that is there complete or not at all; the files' mode is
 * 0600. Errors: EEXIST it is there and not empty; errno of writing.
 */
int docs_save_folder(const struct tree *docs, const char *path, struct err *e);
/* As an ISO image, "-" is standard output. Errors: as of iso_write. */
int docs_save_iso(const struct tree *docs, const char *path, const char *volume_id, struct err *e);

#endif
