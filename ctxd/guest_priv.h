/* SPDX-License-Identifier: Apache-2.0 */
/* Inside ctxd/guest*.c: the steps of which ctxd/guest.h's functions are made. */
#ifndef CTXD_GUEST_PRIV_H
#define CTXD_GUEST_PRIV_H

#include "ctxd/guest.h"

/* ---- where a file is: guest_spot.c ------------------------------------------------------------ */

struct guest_spot {
	int dir;      /* its folder */
	char *path;   /* by which it can be opened, made, removed and replaced */
	char *full;   /* as people know it */
	bool trusted; /* nobody but root can change anything on the way to it */
};
#define GUEST_SPOT_INIT ((struct guest_spot){.dir = -1})

/*
 * make: folders that are missing. Returns 1, 0 if there is no such folder, or an error: ELOOP a symbolic
 * link that is not root's leads there or stands there, EMLINK a file of somebody's has another name.
 */
int guest_spot(const struct guest *g, const char *path, bool make, struct guest_spot *s,
	       struct err *e);
void guest_spot_release(struct guest_spot *s);
DEFINE_AUTO_STRUCT(struct guest_spot, guest_spot_release);

/* ---- files: guest.c. "full" has the root before it ------------------------------------------- */

int guest_make_parents(const char *full, struct err *e);
/* A file that is there keeps its owner and its mode, but for what `a` says of them (NULL: nothing). */
int guest_replace(const struct guest_spot *s, const void *data, size_t len, unsigned mode,
		  const struct guest_attr *a, struct err *e);
/* Tells of it, and unless it is a dry run writes: 1, or an error. A file that is there keeps its mode. */
int guest_put(struct guest *g, const char *path, const void *data, size_t len, unsigned mode,
	      const struct guest_attr *a, struct err *e);
/* A file that is there no more is none to be removed. 0 or an error. */
int guest_remove(const struct guest *g, const char *path, struct err *e);
/* A symbolic link, in place of whatever is there. */
int guest_put_link(const char *full, const char *target, struct err *e);
bool guest_is_same(const struct buf *b, const void *data, size_t len);

/* ---- the list: guest_list.c ------------------------------------------------------------------ */

/* A line "kind path" for the list, when it is saved. */
int guest_note(struct guest *g, const char *kind, const char *path, struct err *e);
bool guest_has_line(const char *text, const char *line);
/* Takes a line off the list, so that the path may be replaced and kept again. */
int guest_unlist(struct guest *g, const char *line, struct err *e);

#endif
