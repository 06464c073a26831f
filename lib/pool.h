/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ordered thread pool: jobs run on worker threads in any order and come back in the order in
 * which they were given. One thread owns the pool and makes all calls.
 *
 *	while (there is work or pool_pending(p)) {
 *		while (there is work && pool_pending(p) < window)
 *			pool_submit(p, run, job);
 *		pool_next(p, &job, e);      waits for the oldest; write its result
 *	}
 *
 * So the window bounds memory, and the writer sees its input front to back.
 */
#ifndef LIB_POOL_H
#define LIB_POOL_H

#include "lib/err.h"

struct pool;

/* Runs on worker `worker` (0 .. n_threads - 1). Returns 0 or a negative errno with e filled. */
typedef int pool_fn(void *job, unsigned worker, struct err *e);

/* As many as processors that this process may use. */
unsigned pool_default_threads(void);
/* n_threads 0: pool_default_threads(). Errors: EAGAIN, ENOMEM. */
int pool_new(unsigned n_threads, struct pool **ret, struct err *e);
unsigned pool_threads(const struct pool *p);
/* Queues a job; job stays the caller's. Errors: ENOMEM. */
int pool_submit(struct pool *p, pool_fn *run, void *job, struct err *e);
/* Jobs given and not yet taken back. */
size_t pool_pending(const struct pool *p);
/*
 * Waits for the oldest job. Returns 1 and the job; 0 if none is pending; a job's own error (with
 * *ret set to that job, so that it can be freed).
 */
int pool_next(struct pool *p, void **ret, struct err *e);
/*
 * Waits for running jobs, hands every job that was not taken back to `drop` (may be NULL; a job
 * may then have run or not), ends the threads.
 */
void pool_free(struct pool *p, void (*drop)(void *job));

#endif
