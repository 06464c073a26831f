/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock, by system call: what the files are that a process can open, whoever it runs as. Follows
 * Documentation/userspace-api/landlock.rst, ABI 1 to 7; of a newer ABI what these have is used.
 */
#ifndef LIB_LANDLOCK_H
#define LIB_LANDLOCK_H

#include "lib/err.h"

enum {
	LANDLOCK_READ = 1u << 0,  /* read files */
	LANDLOCK_WRITE = 1u << 1, /* write and truncate files that are there */
	LANDLOCK_EXEC = 1u << 2,  /* execute files */
	LANDLOCK_LIST = 1u << 3,  /* list folders; not for a rule about a file */
	LANDLOCK_MAKE = 1u << 4,  /* make, rename and remove files in folders; the same */
	LANDLOCK_TREE = 1u << 5,  /* make and remove folders, links, sockets, fifos; the same */
	LANDLOCK_IOCTL = 1u << 6, /* ioctl on devices (ABI 5) */
};

struct landlock_rule {
	int fd;          /* a file, or a folder with all that is below it; O_PATH is enough */
	unsigned access; /* LANDLOCK_* */
};

/* The kernel's ABI; 0: it has no Landlock, or does not use it. */
unsigned landlock_abi(void);

/*
 * From now on this thread, and what it starts, may open only what the rules say; it can no more
 * bind or connect TCP sockets (ABI 4), nor reach processes outside by abstract sockets or signals
 * (ABI 6). Descriptors that are open stay so. Needs PR_SET_NO_NEW_PRIVS. Errors: errno; without
 * Landlock, ENOTSUP.
 */
int landlock_restrict(const struct landlock_rule *rules, size_t n_rules, struct err *e);

#endif
