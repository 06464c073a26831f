/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of daemons and the talk of commands, on stderr: one line an event. Where stderr is the
 * systemd journal (JOURNAL_STREAM) each line has a <N> priority prefix. Library code does not log,
 * except log_debug. Control characters are escaped. Thread-safe.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include "lib/base.h"

enum log_level {
	LOG_LEVEL_ERR = 3,
	LOG_LEVEL_WARN = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/* name goes before each line ("imgconv: ..."); default level is INFO. */
void log_init(const char *name);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_err(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
