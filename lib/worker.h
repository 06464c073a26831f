/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work on hostile input, in a child process that can open nothing and reach nothing
 * (lib/sandbox.h). The child has the descriptors that were open when it began. What it needs
 * besides, it asks its parent for, who decides, opens, and hands a descriptor over.
 */
#ifndef LIB_WORKER_H
#define LIB_WORKER_H

#include "lib/err.h"

/* The longest text of a request, and the most bytes that a child can leave behind. */
#define WORKER_TEXT_MAX 8704
#define WORKER_RESULT_MAX 4096

/* What the parent hands over. */
struct worker_answer {
	int fd;
	bool keep;  /* the descriptor stays open here */
	char *text; /* allocated; NULL: none */
};

struct worker {
	unsigned flags; /* SANDBOX_* */
	/* In the child: the work. Prints through stdio; what it returns (0, a value above, a
	 * negative errno with e filled) is what worker_run returns. */
	int (*run)(void *ctx, struct err *e);
	/*
	 * In the parent: a request of the child. The text is hostile: len bytes and a NUL. NULL:
	 * nothing is asked.
	 */
	int (*serve)(void *ctx, unsigned what, const char *text, size_t len,
		     struct worker_answer *ret, struct err *e);
	void *ctx; /* for both; what the child changes in it stays in the child */
	/* result_len bytes that are copied from the child on success; hostile. NULL: none. */
	void *result;
	size_t result_len;
};

/*
 * Runs w->run in a child and waits for its end. To be called while there is one thread. Signals
 * that ask for an end (lib/stop.h) reach the child too; it does not outlive its parent.
 *
 * With ACCLIMATE_SANDBOX=off in the environment the work is done here, unconfined: for kernels
 * without seccomp, and for debuggers.
 *
 * Errors: those of run; EOWNERDEAD the child died, or tried what it must not (the message has the
 * system call's number): a defect, or an attack; errno of seccomp(2), where there can be no sandbox.
 */
int worker_run(const struct worker *w, struct err *e);

/*
 * In the child, on any thread: asks for a descriptor, which is the caller's, and a text to be
 * freed ("" if there is none; ret_text may be NULL). Errors: those of serve; EPIPE the parent is
 * gone.
 */
int worker_ask(unsigned what, const char *text, size_t len, int *ret_fd, char **ret_text,
	       struct err *e);

#endif
