/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share: see catalog/store.h. */
#ifndef CATALOG_STORE_PRIVATE_H
#define CATALOG_STORE_PRIVATE_H

#include "catalog/store.h"

struct store {
	char *path;
	char *images, *partial, *disks;
};

#define STORE_RECORD_LIMIT (4u << 20)
#define STORE_CLONE_PREFIX "clone-"

/*
 * The one lock under which names and disks change. Held for milliseconds; waiting for it can be
 * interrupted (ECANCELED). *ret_fd is closed to give it back.
 */
int store_lock(const struct store *s, int *ret_fd, struct err *e);

/* The lock of one import, as a file; EBUSY: another one has it. It is unlinked before it is given
 * back. */
int store_import_lock(const char *path, int *ret_fd, struct err *e);

/* A folder in partial/ of this process; gc leaves it alone while the descriptor is open. */
struct store_stage {
	char *dir;
	int fd;
};
#define STORE_STAGE_INIT ((struct store_stage){.fd = -1})
int store_stage_begin(const struct store *s, struct store_stage *ret, struct err *e);
/* Removes what is there. */
void store_stage_end(struct store_stage *st);
DEFINE_AUTO_STRUCT(struct store_stage, store_stage_end);
/* Makes the stage the image NAME: all in it is on disk before. Errors: EEXIST. */
int store_stage_publish(const struct store *s, struct store_stage *st, const char *name,
			struct err *e);

/* True for names of disks/ that we gave. */
bool store_is_fixed(const char *file);
bool store_is_clone(const char *file);
/* What a disk of that digest by pieces is called; the caller's. NULL: no memory. */
char *store_fixed_name(const char digest[65]);
/* "KIND:HEX", as the name of a fixed disk tells it. */
void store_digest_text(const char *file, char ret[STORE_DIGEST_TEXT]);
/* The digest of a file by pieces (catalog/pieces.h), in hex; with progress. */
int store_digest(const char *path, char ret[65], struct err *e);
/* "KIND:HEX" of what is in the file at path now, of the kind that the name of the fixed disk says. */
int store_digest_again(const char *path, const char *file, char ret[STORE_DIGEST_TEXT],
		       struct err *e);
/*
 * Moves the file at path to disks/ under its digest, which is on disk and read-only then; if it is
 * there already, the file is removed. To be called with the lock.
 */
int store_put_disk(const struct store *s, const char *path, const char digest[65], struct err *e);
/* The link DIR/disk.qcow2 (number n) to a file of disks/. */
int store_link_disk(const char *dir, unsigned n, const char *file, struct err *e);
/* An empty QCOW2 over `base` of disks/, as disks/clone-HEX.qcow2; ret_file is the caller's. */
int store_make_clone(const struct store *s, const char *base, uint64_t size, char **ret_file,
		     struct err *e);

/* Removes disks that no image and no disk needs, with the lock. flags of gc, tell as there. */
int store_collect(const struct store *s, unsigned flags, void (*tell)(void *ctx, const char *text),
		  void *ctx, struct store_garbage *ret, struct err *e);
/* Moves the disks of an image of an older store to disks/. Nothing to do: 0. */
int store_adopt(struct store *s, const char *name, struct err *e);

/*
 * Writes a record into dir: as `from` (may be NULL) but for the members of the keys that are given
 * here, and "disks", which lists what the links in dir lead to.
 */
struct store_member {
	const char *key, *value;
	uint64_t number; /* where value is NULL; 0 as well: the member is left out */
};
int store_write_record(const char *dir, const struct value *from,
		       const struct store_member *members, size_t n_members, struct err *e);
/* "2026-11-21T12:00:00Z" */
void store_now(char ret[32]);

/* The folder's entries are on disk. */
void store_sync_dir(const char *path);
/* Calls fn for each entry but those that begin with a dot, by name. */
int store_each(const char *dir, int (*fn)(void *ctx, const char *name, struct err *e), void *ctx,
	       struct err *e);

#endif
