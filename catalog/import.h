/* SPDX-License-Identifier: Apache-2.0 */
/* The main job: an image of another cloud becomes an image of the local store. */
#ifndef CATALOG_IMPORT_H
#define CATALOG_IMPORT_H

#include "catalog/catalog.h"
#include "catalog/store.h"
#include "imgconv/imgconv.h"

struct import_opts {
	const char *id;   /* as catalog_find takes it */
	const char *name; /* in the store; NULL: by its id */
	bool bootable;    /* make a bare partition a bootable disk */
	bool inject_ctxd;
	const char *const *overlays; /* n_overlays folders or tar archives laid over the guest */
	size_t n_overlays;
	struct image_create_opts disk;
	const char *private_key, *certificate; /* of EC2 bundles; NULL: not given */
	bool require_signature;
	const char *digest; /* "sha256:HEX" of a file; NULL: what is told of it */
	bool copy;          /* an AMI whose snapshot is not ours may be copied to our account */
	unsigned workers;   /* parallel downloads; 0: the delivery's default */
};

/*
 * Imports o->id into store. What it does is said by log_info, progress on a terminal. On failure
 * nothing is in the store; where the delivery can resume, what was fetched is kept for the next
 * try. *ret_name: what it is called in the store, the caller's. Errors: EEXIST, EBUSY (store),
 * ENOENT, EACCES, EKEYEXPIRED (cloud), ENOTSUP no way to get this image, EBADMSG what came is not
 * what was promised, ENOSPC, ECANCELED, ETIMEDOUT.
 */
int import_image(struct catalog *c, struct store *store, const struct import_opts *o,
		 char **ret_name, struct err *e);

#endif
