/* SPDX-License-Identifier: Apache-2.0 */
/* Notices when the folder of definitions changes, by inotify(7). */
#ifndef METADATA_SERVER_WATCH_H
#define METADATA_SERVER_WATCH_H

#include "context/context.h"

struct event_base;
struct watch;

/*
 * Calls changed in the loop, soon after files of the folder (or the one file, if path is none)
 * have changed and it is quiet again. all: something changed that may be part of several
 * definitions. only: else, the definitions' files; NULL: any. Errors: errno of inotify_init1, inotify_add_watch.
 */
int watch_new(struct event_base *base, const char *path,
	      void (*changed)(void *arg, bool all, const struct strlist *only), void *arg,
	      struct watch **ret, struct err *e);
void watch_free(struct watch *w);
DEFINE_AUTO(struct watch *, watch_free);

#endif
