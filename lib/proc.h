/* SPDX-License-Identifier: Apache-2.0 */
/* Other programs: started without a shell, with closed descriptors, ended by their pid. */
#ifndef LIB_PROC_H
#define LIB_PROC_H

#include <sys/types.h>

#include "lib/buf.h"

struct proc_opts {
	const char *cwd;        /* NULL: inherited */
	const char *const *env; /* NULL-ended extra "K=V"; NULL: none */
	int stdin_fd;           /* -1: /dev/null */
	int stdout_fd;          /* -1: /dev/null */
	int stderr_fd;          /* -1: inherited */
	bool new_session;       /* setsid, so that a terminal's ^C does not reach it */
	bool die_with_parent;   /* PR_SET_PDEATHSIG SIGKILL */
};
#define PROC_OPTS_INIT ((struct proc_opts){.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1})

/* Starts argv[0] (searched in PATH). ret_pid is the caller's to wait for. Errors: ENOENT ... */
int proc_start(const char *const *argv, const struct proc_opts *o, pid_t *ret_pid, struct err *e);
/* Waits; returns the exit status (128 + N if it died of signal N), or a negative errno. */
int proc_wait(pid_t pid, struct err *e);
/* SIGTERM, then SIGKILL after timeout_ms; reaps it. */
void proc_end(pid_t pid, unsigned timeout_ms);

/*
 * Runs to the end: input (may be NULL) to its stdin, at most out_limit bytes of its stdout into
 * out (may be NULL), the last line of its stderr into the message if it fails. Returns 0 when it
 * exits 0; -EIO otherwise; -EFBIG past the limit; -ETIMEDOUT after timeout_s (0: none).
 */
int proc_run(const char *const *argv, const void *input, size_t input_len, struct buf *out,
	     size_t out_limit, unsigned timeout_s, struct err *e);

#endif
