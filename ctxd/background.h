/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service that goes on when its command has returned: for init systems that wait for a script's
 * end and not for a message (sd_notify). Its process id is in a file, `pid_path`.
 */
#ifndef CTXD_BACKGROUND_H
#define CTXD_BACKGROUND_H

#include "ctxd/guest.h"

#define IMDS_PID "/run/ctxd/imds.pid"
#define WATCH_PID "/run/ctxd/watch.pid"
#define BACKGROUND_LOG "/run/ctxd/log"

/*
 * Forks. Returns 0 in the child, which is to call background_ready(*ret_fd) as soon as it serves.
 * Returns 1 in the parent when the child has done so, or has ended: *ret_status is what to exit
 * with. Errors: errno of fork and pipe.
 */
int background_fork(int *ret_fd, int *ret_status, struct err *e);
/* In the child: writes the process id, lets go of standard streams, and of the parent. Takes fd. */
int background_ready(const struct guest *g, const char *pid_path, int fd, struct err *e);
/* Whether such a service runs: 1 and its process id, 0, or an error. */
int background_running(const struct guest *g, const char *pid_path, int *ret_pid, struct err *e);
/* Ends it, if it runs, and waits for that. Errors: ETIMEDOUT it did not end in five seconds. */
int background_stop(const struct guest *g, const char *pid_path, struct err *e);

/* Goes on in a child, in a session of its own; the caller's process ends with success. */
int background_detach(struct err *e);
/*
 * From now on what this process and its scripts say is added to BACKGROUND_LOG, which is root's: whoever
 * started it may listen no more, and a script would be ended by that. What is in it is dropped when it is
 * more than a MiB.
 */
int background_log(const struct guest *g, struct err *e);

#endif
