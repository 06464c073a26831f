/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local store: images that were brought home, and what was derived from them.
 *
 *   STORE/disks/pieces-HEX.qcow2    a disk that never changes; HEX is its digest by catalog/pieces.h
 *   STORE/disks/sha256-HEX.qcow2    the same of an older store; HEX is the SHA-256 of the file
 *   STORE/disks/clone-HEX.qcow2     the disk of a clone, which changes; HEX is random
 *   STORE/images/NAME/image.json    the record: what is known about the image
 *   STORE/images/NAME/disk.qcow2    a symbolic link to its disk; further disks are disk1.qcow2 ...
 *   STORE/partial/NAME/...          an import under way or interrupted
 *   STORE/partial/NAME.lock         held while an import works on it
 *   STORE/partial/tmp.XXXXXX/...    what is being made or removed; locked by who does so
 *   STORE/lock                      held while names and disks change, for milliseconds
 *
 * A disk may have another of the folder as its base (a QCOW2 backing file, named without a path, so
 * that a store can be moved). A disk stays while an image or another disk needs it; removing an
 * image takes with it what nothing needs any more.
 *
 * An image appears by one rename of its folder, with all in it on disk. A process that is killed
 * leaves at most what nothing refers to, which `catalog gc` removes. Several processes may work on
 * one store. An image of an older store has its disk in its own folder; it is read as it is, and
 * moved to disks/ when it is first cloned or tagged.
 *
 * The default place is $ACCLIMATE_STORE, else $XDG_DATA_HOME/acclimate/store, else
 * ~/.local/share/acclimate/store.
 */
#ifndef CATALOG_STORE_H
#define CATALOG_STORE_H

#include "lib/json.h"
#include "lib/value.h"

#define STORE_DISK "disk.qcow2" /* of the first disk; the others: store_disk_name */
#define STORE_RECORD "image.json"
/* Of an import that is not done: how far its disk is, how far the file that it is made of is, what was
 * made in a cloud for it, a folder of what it fetched. gc leaves them. */
#define STORE_TARGET_JOURNAL "journal.json"
#define STORE_FILE_JOURNAL "source.json"
#define STORE_COPY_JOURNAL "copy.json"
#define STORE_PARTS "parts"
#define STORE_JOURNALS STORE_TARGET_JOURNAL, STORE_FILE_JOURNAL, STORE_COPY_JOURNAL, STORE_PARTS
#define STORE_DISKS_MAX 16

struct store;

/* path NULL: the default place. Makes the folders. Errors: EINVAL no home, those of mkdir. */
int store_open(const char *path, struct store **ret, struct err *e);
void store_free(struct store *s);
DEFINE_AUTO(struct store *, store_free);
const char *store_path(const struct store *s);

/* The name of an image in the store: letters, digits and ._-, not beginning with '.' or '-'. */
int store_check_name(const char *name, struct err *e);
/* "disk.qcow2", "disk1.qcow2" ...: what disk number n is called in an image's folder. */
void store_disk_name(unsigned n, char ret[16]);

/* STORE/images/NAME/file, the caller's to free. Errors: ENOENT no such image. */
int store_file(const struct store *s, const char *name, const char *file, char **ret,
	       struct err *e);
/* The record of an image, the caller's (value_free). Errors: ENOENT, EBADMSG. */
int store_record(const struct store *s, const char *name, struct value **ret, struct err *e);
/* The text at a path of a record (value_path), or NULL. */
const char *store_text(const struct value *record, const char *path);
/* Calls fn for each image, by name. fn returns 0 to go on. */
int store_list(const struct store *s, int (*fn)(void *ctx, const char *name), void *ctx,
	       struct err *e);

/* ---- disks ---------------------------------------------------------------------------------- */

enum store_disk_kind {
	STORE_DISK_FIXED, /* never changes; its name is its digest */
	STORE_DISK_CLONE, /* changes */
	STORE_DISK_OLD,   /* in the image's own folder */
};
#define STORE_DIGEST_TEXT 72
struct store_disk {
	char *path; /* where the file lies, no symbolic link in its last step */
	char *file; /* its name in disks/; for STORE_DISK_OLD in the image's folder */
	/* Of STORE_DISK_FIXED: "pieces:HEX", or "sha256:HEX" of an older store; else "". */
	char digest[STORE_DIGEST_TEXT];
	enum store_disk_kind kind;
};
void store_disk_release(struct store_disk *d);
DEFINE_AUTO_STRUCT(struct store_disk, store_disk_release);

/* How many disks an image has. Errors: ENOENT no such image, EBADMSG none. */
int store_count_disks(const struct store *s, const char *name, unsigned *ret, struct err *e);
/*
 * Disk number n of an image. For reading it with its bases: image_open by path, with
 * IMAGE_ALLOW_BACKING. Errors: ENOENT, EBADMSG a link that leads elsewhere.
 */
int store_find_disk(const struct store *s, const char *name, unsigned n, struct store_disk *ret,
		    struct err *e);
/*
 * As long as the descriptor is open nothing removes the disk, even if its image is removed; the
 * caller's. Errors: ENOENT; EBUSY it is being removed.
 */
int store_hold(const struct store_disk *d, int *ret_fd, struct err *e);
/* The base of a disk as its QCOW2 header names it: a name in disks/, NULL if there is none. */
int store_disk_base(const struct store *s, const char *file, char **ret, struct err *e);
/*
 * As long as the descriptor is open QEMU does not open the disk (to write, if it is no clone). The
 * caller's. Errors: EBUSY QEMU has it open, or another process claimed it.
 */
int store_claim(const struct store_disk *d, int *ret_fd, struct err *e);

/* ---- images --------------------------------------------------------------------------------- */

/* Removes an image, and disks that nothing needs after that. Errors: ENOENT; EBUSY a clone that
 * QEMU has open. */
int store_remove(struct store *s, const char *name, struct err *e);
/*
 * Another name for an image; both are equal then. Errors: ENOENT; EEXIST; EINVAL name is a clone:
 * its disk belongs to one name.
 */
int store_tag(struct store *s, const char *name, const char *other, struct err *e);
/*
 * A copy-on-write clone of an image under a new name; of a clone too, if it is not in use: both
 * then go on from where it is. size: of the first disk, bytes; 0: as the image. Errors: ENOENT,
 * EEXIST, EBUSY, EINVAL size is too small.
 */
int store_clone(struct store *s, const char *name, const char *clone, uint64_t size, struct err *e);
/*
 * Makes an image of a clone as it is now. flatten: its disks are copied, and need no base; else
 * they hold what the clone changed, and the clone goes on upon them. It stays in any case.
 * Errors: ENOENT; EEXIST; EINVAL it is no clone; EBUSY it is in use; ELOOP too long a chain of
 * bases: flatten is needed.
 */
int store_commit(struct store *s, const char *clone, const char *name, bool flatten, struct err *e);

/*
 * An image in the making. begin locks the name (EBUSY: another import works on it; EEXIST: the
 * image is there already) and makes or finds its partial folder; commit moves its disks to
 * disks/, adds their digests to the record and renames it into place; discard removes it; close
 * leaves what there is for a later begin. One of the three ends it.
 *
 * At commit the folder holds image.json and disk.qcow2, maybe disk1.qcow2 and so on; what else is
 * there is removed.
 */
struct store_import;
int store_import_begin(struct store *s, const char *name, struct store_import **ret, struct err *e);
/* The partial folder. */
const char *store_import_dir(const struct store_import *i);
/* The digest by pieces of disk.qcow2 as it is now and will stay, in hex: commit need not read it. */
void store_import_digest(struct store_import *i, const char digest[65]);
int store_import_commit(struct store_import *i, struct err *e);
void store_import_discard(struct store_import *i);
void store_import_close(struct store_import *i);

/* ---- order ---------------------------------------------------------------------------------- */

struct store_garbage {
	uint64_t bytes; /* on disk */
	unsigned disks, partial;
};
enum {
	STORE_GC_DRY_RUN = 1u << 0,
	STORE_GC_PARTIAL = 1u << 1, /* imports that could be gone on with, too */
};
/*
 * Removes what nothing refers to: disks without an image, what killed processes left, imports that
 * cannot be gone on with. What another process works on stays. tell gets a line for each thing;
 * may be NULL.
 */
int store_gc(struct store *s, unsigned flags, void (*tell)(void *ctx, const char *text), void *ctx,
	     struct store_garbage *ret, struct err *e);

/* Told for each thing that is wrong (fault), or merely not needed. */
typedef void store_finding_fn(void *ctx, bool fault, const char *image, const char *text);
/*
 * Looks at an image (NULL: at all, and at what lies about): its record, links, the digest of each
 * disk (unless quick), the structure of the QCOW2s, their bases. Errors: those of looking.
 */
int store_verify(struct store *s, const char *name, bool quick, store_finding_fn *tell, void *ctx,
		 struct err *e);

#endif
