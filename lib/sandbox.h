/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that parses hostile input gives up what it does not need for that. Two layers, each
 * of which is enough against what it is about: seccomp (an allowlist of system calls) and, where
 * the kernel has it, Landlock (no file at all). See docs/decisions/0004-parsers-in-a-child.md.
 */
#ifndef LIB_SANDBOX_H
#define LIB_SANDBOX_H

#include "lib/err.h"

/* True in a program that has the address sanitizer. */
#ifdef __SANITIZE_ADDRESS__
#define SANDBOX_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_SANITIZED true
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED false
#endif

struct landlock_rule;

/* What is not given up. */
enum {
	SANDBOX_MEMORY_FILES = 1u << 0, /* files in memory can be made, which know no bound */
};

/*
 * From this call on the process, and the threads that it starts later, can open nothing and reach
 * nothing: it reads and writes the descriptors that it has, allocates memory up to a bound,
 * starts threads. To be called while there is one thread, and never undone.
 *
 * A path leads nowhere: opening, looking, renaming fail with ENOENT, so that a library that looks
 * for a file which may be missing does without. What is not known fails with ENOSYS, so that a C
 * library tries an older way. What no honest parser does (sockets, programs, processes, signals to
 * others and their memory, code made at run time) calls `refused` with the number of the system call, in a signal handler: it does
 * not return. NULL: a line on stderr, exit 1.
 *
 * Under the address sanitizer, whose leak checker opens and traces, less is refused: sockets and
 * programs by seccomp, files other than its own by Landlock.
 *
 * Errors: errno of seccomp(2), where the kernel does not have or allow it.
 */
int sandbox_enter(unsigned flags, void (*refused)(int number), struct err *e);

/*
 * From this call on the process serves with the sockets that it has: it accepts connections, opens
 * what the Landlock rules say (all that its user may, on a kernel without Landlock), and makes no
 * sockets, no connections, no processes, no code; it has a bound of memory (8 GiB), no core dump.
 * What such a server never does calls `refused` as sandbox_enter has it. To be called while there
 * is one thread. Under the address sanitizer less is refused. Errors: as sandbox_enter.
 */
int sandbox_serve(const struct landlock_rule *rules, size_t n_rules, void (*refused)(int number),
		  struct err *e);

/*
 * Before another program is executed in this process: it opens and executes what the Landlock
 * rules say; it has no sockets, no other processes, no privileges, and changes no file's name,
 * owner, mode or attributes. Errors: ENOTSUP there is no Landlock; errno.
 */
int sandbox_before_exec(const struct landlock_rule *rules, size_t n_rules, struct err *e);

/* Lowers a limit (RLIMIT_*), both the soft and the hard one; one that is lower stays. */
int sandbox_limit(int resource, uint64_t most, struct err *e);

#endif
