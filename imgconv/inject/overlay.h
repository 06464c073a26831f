/* SPDX-License-Identifier: Apache-2.0 */
/* What an overlay is made of; see imgconv/imgconv.h for what it does. */
#ifndef IMGCONV_INJECT_OVERLAY_H
#define IMGCONV_INJECT_OVERLAY_H

#include "imgconv/guestfs.h"

#define OVERLAY_BYTES_MAX (256 * MIB) /* of all files together */
#define OVERLAY_ENTRIES_MAX 200000

enum overlay_kind {
	OVERLAY_FILE,
	OVERLAY_DIR,
	OVERLAY_SYMLINK,
	OVERLAY_DELETE,
	OVERLAY_RMDIR, /* a folder, if it is empty */
	OVERLAY_MOVE,  /* a link, to the path in data */
	OVERLAY_KEEP,  /* nothing is done, which is told */
	/* Replaced by what fits the guest before they are applied; these have no path. */
	OVERLAY_CTXD,
	OVERLAY_REMOVE_CTXD,
	OVERLAY_FIRST_BOOT, /* data: a script */
	OVERLAY_HOSTNAME,   /* data: the name */
	OVERLAY_SSH_KEY,    /* data: lines of authorized_keys */
};

struct overlay_xattr {
	char *key; /* "user.x", "security.capability" */
	char *value;
	size_t len;
};

struct overlay_entry {
	enum overlay_kind kind;
	char *path; /* absolute, no "." or "..", no double or trailing slash */
	char *data; /* a file's bytes, a link's target or new path, with a NUL behind them */
	size_t len;
	bool shared; /* a file of the guest's own, with something of ours in it */
	struct overlay_attr attr;
	struct overlay_xattr *xattrs; /* n_xattrs */
	size_t n_xattrs;
	struct overlay *files; /* of CTXD and FIRST_BOOT: what it is made of; else NULL */
	char *user;            /* of SSH_KEY: the account; of FIRST_BOOT: the script's name */
};

struct overlay {
	struct overlay_entry *entries;
	size_t n, cap;
	size_t bytes;
};

/*
 * Appends an entry; data (may be NULL if len is 0) and path are copied, path made canonical.
 * Errors: EINVAL a path that is not absolute or has "..", a control character or a name over 255
 * bytes; EFBIG.
 */
int overlay_add(struct overlay *o, enum overlay_kind kind, const char *path, const void *data,
		size_t len, const struct overlay_attr *a, struct err *e);
/* To the entry that was added last. Errors: ENOTSUP an attribute that means nothing offline. */
int overlay_add_xattr(struct overlay *o, const char *key, const void *value, size_t len,
		      struct err *e);
/* A file of the guest's own, with other bytes. */
int overlay_add_shared(struct overlay *o, const char *path, const void *data, size_t len,
		       const struct overlay_attr *a, struct err *e);
/* A symbolic link of the guest's gets another path. */
int overlay_add_move(struct overlay *o, const char *path, const char *to, struct err *e);
/* Gives the last entry with that path, which exists, other bytes. */
int overlay_replace(struct overlay *o, const char *path, const void *data, size_t len,
		    struct err *e);
/* The last entry with that canonical path, or NULL. */
const struct overlay_entry *overlay_find(const struct overlay *o, const char *path);

#endif
