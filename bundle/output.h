/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside bundle/, for commands: new files of one folder, of which all appear or none. A confined
 * child makes them by asking this process, which names them when the child has said that all is
 * well.
 */
#ifndef BUNDLE_OUTPUT_H
#define BUNDLE_OUTPUT_H

#include "lib/fs.h"
#include "lib/worker.h"

struct output {
	char *folder;              /* that the files lie in */
	bool replace;              /* files that stand there are replaced */
	bool backwards;            /* a file is made before those that it names */
	bool made;                 /* the folder is ours: removed where nothing comes of it */
	struct atomic_file *files; /* n of them, in the order in which they were made */
	size_t n, cap;
	/* What a child may call files: as the one that was asked for, or so before and behind. */
	char *name, *prefix, *suffix; /* NULL: not */
};

/* Files beside path, or (is_folder) in the folder path, which is made if it is not there. */
int output_begin(struct output *o, const char *path, bool is_folder, bool replace, struct err *e);
/*
 * A new empty file `name` of the folder, open for reading and writing; the descriptor is o's.
 * Errors: EINVAL no plain file name, or one that was given before; EEXIST; errno.
 */
int output_file(struct output *o, const char *name, int *ret_fd, struct err *e);
/* Another name for file i, before it has one. */
int output_rename(struct output *o, size_t i, const char *name, struct err *e);
/* All files are on disk and have their names, in the order of their making or (backwards) the other. */
int output_commit(struct output *o, struct err *e);
/* Drops what was not committed. */
void output_abort(struct output *o);
DEFINE_AUTO_STRUCT(struct output, output_abort);

/*
 * Lets a child make files: called `name`, or `prefix`, something, `suffix`; each may be NULL, prefix
 * with suffix. Until then it may make none. Errors: ENOMEM.
 */
int output_allow(struct output *o, const char *name, const char *prefix, const char *suffix,
		 struct err *e);
/* For confine.serve: makes the file that the child asked for; it asks by output_ask. Errors: EACCES
 * it may not have that name; as output_file. */
int output_serve(struct output *o, const char *name, struct worker_answer *ret, struct err *e);
/* In the child; the descriptor is the caller's. what: as the child's serve knows it. */
int output_ask(unsigned what, const char *name, int *ret_fd, struct err *e);

#endif
