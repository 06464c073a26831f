/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's files, as ctxd may touch them.
 *
 * A file is ctxd's own when its first line says so (MARKED_OWN); only such a file is replaced or
 * removed. In a file of somebody else's ctxd may keep one block between two marked lines. Nothing
 * is written that is there already. What was written is listed in GUEST_LIST, so that `ctxd undo`
 * finds it after any number of boots.
 *
 * Paths are the guest's, absolute; root goes before them ("" on a running system). Symbolic links of
 * root's are followed, also out of a tree; those of other users are refused (ctxd/guest_spot.c).
 */
#ifndef CTXD_GUEST_H
#define CTXD_GUEST_H

#include <sys/types.h>

#include "context/context.h"
#include "lib/marked.h"

#define GUEST_HEAD MARKED_OWN "; changes are lost. 'ctxd undo' removes it.\n"
#define GUEST_LIST "/var/lib/ctxd/written"
#define GUEST_FILE_MAX MIB

struct guest {
	const char *root;     /* "" or a folder without a final '/' */
	char *own_root;       /* root, where it is this struct's to free */
	bool dry_run;         /* tell, change nothing */
	bool live;            /* root is the running system: its kernel and programs may be told */
	struct strlist told;  /* what was, or would be, done: a line each */
	struct strlist wrote; /* entries for GUEST_LIST that are new */
	struct strlist changed; /* paths that were written in this run */
	int lock;               /* ctxd/state.h; -1: not held */
};

#define GUEST_INIT ((struct guest){.root = "", .live = true, .lock = -1})

void guest_release(struct guest *g);
DEFINE_AUTO_STRUCT(struct guest, guest_release);

/* root and path together; the caller's to free, NULL when memory is out. */
char *guest_path(const struct guest *g, const char *path);
bool guest_exists(const struct guest *g, const char *path);
/* The whole file into out. Returns 1, 0 if there is none, or an error. */
int guest_read(const struct guest *g, const char *path, struct buf *out, struct err *e);
/* The names in a folder of the guest, none if it is not there. 0 or -ENOMEM. */
int guest_names(const struct guest *g, const char *path, struct strlist *ret);
/* Adds a line to what was done. */
int guest_tell(struct guest *g, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * All of these return 1 if something changed (or would), 0 if all was well already, or an error.
 * New folders get mode 0755; a file that is there keeps its mode and owner.
 */

/* What a file is given whether or not there was one. */
struct guest_attr {
	unsigned mode; /* 0: that of the file that is there */
	bool owned;    /* by these */
	uid_t uid;
	gid_t gid;
};

/* Whatever is there is replaced; for files that belong to nobody (state, /etc/hostname). */
int guest_write(struct guest *g, const char *path, const void *data, size_t len, unsigned mode,
		struct err *e);
/* The same for a file that the context brings. */
int guest_write_as(struct guest *g, const char *path, const void *data, size_t len, unsigned mode,
		   const struct guest_attr *a, struct err *e);
/* The same for files that others change too: what was there is not kept, `ctxd undo` leaves it. */
int guest_edit(struct guest *g, const char *path, const void *data, size_t len, unsigned mode,
	       struct err *e);
/* A symbolic link; what was there is kept, link or file. */
int guest_link(struct guest *g, const char *path, const char *target, struct err *e);
/* A file of ctxd's own: GUEST_HEAD and text. Errors: EEXIST somebody else's file is there. */
int guest_write_own(struct guest *g, const char *path, const char *text, unsigned mode,
		    struct err *e);
/* Removes it if it is ctxd's own. */
int guest_remove_own(struct guest *g, const char *path, struct err *e);
/*
 * The block in a file; text is whole lines, "" takes the block away. A file that does not exist is
 * made with `mode`, one that does keeps its mode. first: a new block goes to the file's beginning.
 */
int guest_write_block(struct guest *g, const char *path, const char *text, unsigned mode,
		      bool first, struct err *e);

/*
 * For a file that somebody must have given way: it becomes one of ctxd's own, and what stood there
 * is kept. Errors: EEXIST somebody has written it anew since.
 */
int guest_displace(struct guest *g, const char *path, const char *text, unsigned mode,
		   struct err *e);
/* What stands there without ctxd's block, or stood there before it was displaced. As guest_read. */
int guest_original(struct guest *g, const char *path, struct buf *out, struct err *e);
/* Puts back what a file of ctxd's own replaced (or nothing), if that is still there. */
int guest_restore(struct guest *g, const char *path, struct err *e);

/* A folder that is somebody's, with copies of what is in /etc/skel; nothing if it is there. */
int guest_make_home(struct guest *g, const char *path, uid_t uid, gid_t gid, struct err *e);

/* GUEST_LIST has a line "kind path". Returns 1, 0 or an error. */
int guest_listed(const struct guest *g, const char *kind, const char *path, struct err *e);
/* The paths of all lines of that kind. */
int guest_list(const struct guest *g, const char *kind, struct strlist *ret, struct err *e);
/* Adds what is new to GUEST_LIST. */
int guest_save_list(struct guest *g, struct err *e);
/* Removes everything that GUEST_LIST names, and the list. */
int guest_undo(struct guest *g, struct err *e);

#endif
