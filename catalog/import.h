/* SPDX-License-Identifier: Apache-2.0 */
/* The main job: an image of another cloud becomes an image of the local store. */
#ifndef CATALOG_IMPORT_H
#define CATALOG_IMPORT_H

#include "catalog/source.h"
#include "catalog/store.h"
#include "imgconv/imgconv.h"

struct import_opts {
	const char *id;
	const char *name; /* in the store; NULL: the id */
	bool bootable;    /* make a bare partition a bootable disk */
	bool inject_ctxd;
	const char *const *overlays; /* n_overlays folders or tar archives laid over the guest */
	size_t n_overlays;
	struct image_create_opts disk;
};

/*
 * Imports o->id into store. What it does is said by log_info, progress on a terminal. On failure
 * nothing is in the store; where the delivery can resume, what was fetched is kept for the next
 * try. Errors: EEXIST, EBUSY (store), ENOENT, EACCES, EKEYEXPIRED (cloud), ENOTSUP no way to get
 * this image, EBADMSG what came is not what was promised, ENOSPC, ECANCELED.
 */
int import_image(struct session *s, struct store *store, const struct import_opts *o,
		 struct err *e);

/* Finds an image by id in the source that owns such ids. Errors: EINVAL no source does. */
int catalog_find(struct session *s, const char *id, struct catalog_image *ret, struct err *e);

/* Appends the image's fields as members of the object that w is in. */
struct jsonw;
void catalog_image_json(struct jsonw *w, const struct catalog_image *im);

#endif
