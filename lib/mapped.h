/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files mapped into memory. A page of one can be lost while it is read, when the file becomes shorter
 * or its disk fails; the kernel then sends SIGBUS, which ends a process. One that is all ours takes
 * the signal (mapped_allow), and such memory is read under guard.
 *
 * A system call that reads a lost page fails with EFAULT. The bytes between a new, lower end of the
 * file and the end of its page are no longer lost, but zeros. What another process writes to the file changes
 * the memory, at any time: nothing may be read of it twice that has to be the same.
 */
#ifndef LIB_MAPPED_H
#define LIB_MAPPED_H

#include "lib/err.h"

/* From now on this process may map files. Errors: errno of sigaction. */
int mapped_allow(struct err *e);
bool mapped_allowed(void);

/* Maps len bytes of a regular file, to be read front to back. NULL: that cannot be, or was not
 * allowed. */
void *mapped_get(int fd, uint64_t off, size_t len);
void mapped_put(void *p, size_t len);

/*
 * Calls read(ctx), which may read from p to p + len, on any thread; it takes no lock and allocates
 * nothing. False: it did not come to its end, for a page is lost.
 */
bool mapped_read(const void *p, size_t len, void (*read)(void *ctx), void *ctx);

#endif
