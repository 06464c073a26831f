/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local store: images that were brought home, a folder each.
 *
 *   STORE/images/NAME/disk.qcow2    the disk
 *   STORE/images/NAME/image.json    what is known about it
 *   STORE/partial/NAME/...          an import under way or interrupted
 *   STORE/partial/NAME.lock         held while an import works on it
 *
 * An image appears by one rename of its folder, with all in it on disk. Several processes may work
 * on one store. The default place is $ACCLIMATE_STORE, else $XDG_DATA_HOME/acclimate/store, else
 * ~/.local/share/acclimate/store.
 */
#ifndef CATALOG_STORE_H
#define CATALOG_STORE_H

#include "lib/value.h"

#define STORE_DISK "disk.qcow2"
#define STORE_RECORD "image.json"

struct store;

/* path NULL: the default place. Makes the folders. Errors: EINVAL no home, those of mkdir. */
int store_open(const char *path, struct store **ret, struct err *e);
void store_free(struct store *s);
DEFINE_AUTO(struct store *, store_free);
const char *store_path(const struct store *s);

/* The name of an image in the store: letters, digits and ._-, not beginning with '.' or '-'. */
int store_check_name(const char *name, struct err *e);

/* STORE/images/NAME/file, the caller's to free. Errors: ENOENT no such image. */
int store_file(const struct store *s, const char *name, const char *file, char **ret,
	       struct err *e);
/* The record of an image, the caller's (value_free). Errors: ENOENT, EBADMSG. */
int store_record(const struct store *s, const char *name, struct value **ret, struct err *e);
/* Calls fn for each image, by name. fn returns 0 to go on. */
int store_list(const struct store *s, int (*fn)(void *ctx, const char *name), void *ctx,
	       struct err *e);
/* Removes an image. Errors: ENOENT. */
int store_remove(struct store *s, const char *name, struct err *e);

/*
 * An image in the making. begin locks the name (EBUSY: another import works on it; EEXIST: the
 * image is there already) and makes or finds its partial folder; commit renames it into place;
 * discard removes it; close leaves what there is for a later begin. One of the three ends it.
 */
struct store_import;
int store_import_begin(struct store *s, const char *name, struct store_import **ret, struct err *e);
/* The partial folder. */
const char *store_import_dir(const struct store_import *i);
int store_import_commit(struct store_import *i, struct err *e);
void store_import_discard(struct store_import *i);
void store_import_close(struct store_import *i);

#endif
