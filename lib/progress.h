/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of progress on a terminal's stderr: what, bar, percent, rate, time left. Nothing is
 * shown where stderr is no terminal, or after progress_set_mode(PROGRESS_OFF). With
 * PROGRESS_PLAIN a line is printed at each 10 percent instead (for logs). Thread-safe.
 */
#ifndef LIB_PROGRESS_H
#define LIB_PROGRESS_H

#include "lib/base.h"

enum progress_mode {
	PROGRESS_AUTO,
	PROGRESS_OFF,
	PROGRESS_PLAIN,
};
void progress_set_mode(enum progress_mode mode);

struct progress;

/* what: a few words, copied. total in bytes, 0 if unknown. NULL when memory is out: harmless. */
struct progress *progress_start(const char *what, uint64_t total);
/* The same for what is counted in no bytes: of 100, and neither amount nor rate is shown. */
struct progress *progress_start_percent(const char *what);
/* Sets how far it is, absolute, in bytes. p may be NULL. */
void progress_set(struct progress *p, uint64_t done);
void progress_add(struct progress *p, uint64_t bytes);
/*
 * Shows a note behind the bar until the next one ("retry 2: HTTP 503"); NULL takes it away. Without
 * a terminal, or a bar (p NULL), it is a line of the log, at most one in two seconds.
 */
void progress_note(struct progress *p, const char *note);
/* Ends the line; ok says whether it is shown as done. Frees p. */
void progress_end(struct progress *p, bool ok);

/* Wipes the current progress line so that a message can be printed; lib/log.c calls it. */
void progress_clear_line(void);

#endif
