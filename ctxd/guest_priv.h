/* SPDX-License-Identifier: Apache-2.0 */
/* Inside ctxd/guest*.c: the steps of which ctxd/guest.h's functions are made. */
#ifndef CTXD_GUEST_PRIV_H
#define CTXD_GUEST_PRIV_H

#include "ctxd/guest.h"

/* ---- files: guest.c. "full" has the root before it ------------------------------------------- */

int guest_make_parents(const char *full, struct err *e);
/* A file that is there keeps its owner. */
int guest_replace(const char *full, const void *data, size_t len, unsigned mode, struct err *e);
/* Tells of it, and unless it is a dry run writes: 1, or an error. A file that is there keeps its mode. */
int guest_put(struct guest *g, const char *path, const void *data, size_t len, unsigned mode,
	      struct err *e);
/* A symbolic link, in place of whatever is there. */
int guest_put_link(const char *full, const char *target, struct err *e);
bool guest_is_same(const struct buf *b, const void *data, size_t len);
/* The first line says that it is ctxd's. */
bool guest_is_own(const struct buf *content);
/* Into new what old is with that block, "" for none: 0 or -ENOMEM. first: as guest_write_block. */
int guest_with_block(const struct buf *old, const char *text, bool first, struct buf *new);

/* ---- the list: guest_list.c ------------------------------------------------------------------ */

/* A line "kind path" for the list, when it is saved. */
int guest_note(struct guest *g, const char *kind, const char *path, struct err *e);
bool guest_has_line(const char *text, const char *line);
/* Takes a line off the list, so that the path may be replaced and kept again. */
int guest_unlist(struct guest *g, const char *line, struct err *e);

#endif
