/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program that is not ours on hostile input: without network, with the files that it is
 * given and its own libraries, within limits of memory, time and space. Landlock says which files,
 * seccomp what it may do, and where the kernel lets us, it has namespaces of its own besides.
 */
#ifndef LIB_JAIL_H
#define LIB_JAIL_H

#include "lib/buf.h"

/* A file that the program has as a descriptor, and as a path: /proc/self/fd/NUMBER. */
struct jail_file {
	int fd; /* ours */
	bool writable;
};
#define JAIL_FILES_MAX 4
#define JAIL_FIRST_FD 3 /* the number of the first file in the program; the others follow */

struct jail {
	const char *const *argv;       /* argv[0]: a name that is searched in PATH, or a path */
	const struct jail_file *files; /* n_files, up to JAIL_FILES_MAX */
	size_t n_files;
	uint64_t memory;    /* bytes of addresses */
	uint64_t file_size; /* bytes of the longest file that it may write */
	/* Bytes on disk, beyond which it is ended, of the file that is fd; -1: none. */
	int watched_fd;
	uint64_t watched_max;
	unsigned timeout_s; /* of the clock, and of a processor times the processors; 0: none */
};

/*
 * Runs it to its end. What it prints on standard error, up to some KiB, is appended to said, which
 * is hostile. Returns 0 when it ends with 0.
 * Errors: ENOENT there is no such program; ENOTSUP this kernel has no Landlock; EIO it ended
 * otherwise; ETIMEDOUT; EFBIG watched_max; ECANCELED.
 */
int jail_run(const struct jail *j, struct buf *said, struct err *e);

#endif
