/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ending on request. stop_install makes SIGINT, SIGTERM and SIGHUP set a flag; long loops ask
 * stop_requested (or stop_check) and unwind like on any other error, so that cleanup runs. A
 * second signal ends the process at once, temporary files of lib/fs.h removed. SIGPIPE and
 * SIGXFSZ are ignored: writing reports EPIPE and EFBIG. stop_exit_status gives 128 + signal for
 * main to return.
 */
#ifndef LIB_STOP_H
#define LIB_STOP_H

#include "lib/err.h"

void stop_install(void);
bool stop_requested(void);
/* 0, or -ECANCELED with "stopped by signal N". */
int stop_check(struct err *e);
/*
 * From then on it is as after a signal: stop_check says that it took longer than `seconds`, with
 * ECANCELED; the exit status stays that of a failure. 0: no limit any more.
 */
void stop_after(unsigned seconds);
/*
 * While it is held, for cleaning up in order, a request that came already is not seen; a second
 * signal ends the process as ever.
 */
void stop_hold(bool hold);
/* 128 + signal if one came, else status. */
int stop_exit_status(int status);
/* Files to unlink if a second signal ends the process; used by lib/fs.c. Slots are few: 16. */
int stop_guard_file(const char *path); /* returns a slot >= 0, or -ENOSPC */
void stop_unguard_file(int slot);

#endif
