/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of `bootable --direct-kernel`: its files are made here for boot_extract, which runs in
 * a sandbox, and get their names when all are whole.
 */
#ifndef IMGCONV_DIRECT_H
#define IMGCONV_DIRECT_H

#include "imgconv/imgconv.h"
#include "lib/fs.h"

#define DIRECT_FILES 3

struct direct {
	const char *dir;
	bool replace;
	struct atomic_file files[DIRECT_FILES]; /* those that were made */
	struct image_companions hook;           /* for boot_extract */
};

/* Nothing is made yet, the folder neither. d stays where it is until abort. */
void direct_begin(struct direct *d, const char *dir, bool replace);
/* The files get their names, boot.json last. Errors: EEXIST; errno. */
int direct_commit(struct direct *d, struct err *e);
/* Drops what was not committed. */
void direct_abort(struct direct *d);
DEFINE_AUTO_STRUCT(struct direct, direct_abort);

#endif
