/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a command's new image goes: a file, a file with others beside it, a block device, or
 * standard output. Files appear complete or not at all.
 */
#ifndef IMGCONV_TARGET_H
#define IMGCONV_TARGET_H

#include "imgconv/imgconv.h"
#include "lib/fs.h"

enum {
	TARGET_REPLACE = 1u << 0, /* what stands there is replaced */
	TARGET_DEVICE = 1u << 1,  /* a block device is taken, and overwritten */
};

struct target {
	const char *path; /* "-": standard output */
	const char *name; /* for messages */
	unsigned flags;
	int fd; /* what image_create gets */
	bool pipe, device;
	struct atomic_file file;
	struct atomic_file *companions; /* n_companions of them */
	size_t n_companions;
	char *stem;
	struct image_companions hook;
};
#define TARGET_INIT ((struct target){.fd = -1, .file = ATOMIC_FILE_INIT})

/*
 * Opens the target and fills what a writer needs of it into o: pipe, companions. t stays where it
 * is until abort. Errors: EEXIST, EINVAL not what the flags allow, errno.
 */
int target_begin(struct target *t, const char *path, unsigned flags, struct image_create_opts *o,
		 struct err *e);
/* Everything is on disk and has its name: the image's own file last. t is then only to be aborted. */
int target_commit(struct target *t, struct err *e);
/* Takes back what was committed. */
void target_unlink(const struct target *t);
/* Drops what was not committed; frees all. */
void target_abort(struct target *t);
DEFINE_AUTO_STRUCT(struct target, target_abort);

#endif
