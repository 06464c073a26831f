/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for devices early in a boot: until udev has loaded the drivers for what the machine has,
 * told of each new block device meanwhile, and never longer than asked.
 */
#ifndef CTXD_COLDPLUG_H
#define CTXD_COLDPLUG_H

#include "lib/err.h"

struct coldplug;

/* Begins to watch. Where there is no udev there is nothing to wait for. Errors: ENOMEM. */
int coldplug_watch(unsigned wait_ms, struct coldplug **ret, struct err *e);
/*
 * Waits until a block device appears or changes, or until the end: udev has settled, or the time
 * is over. *settled says which. Errors: errno of poll.
 */
int coldplug_wait(struct coldplug *c, bool *settled, struct err *e);
void coldplug_free(struct coldplug *c);
DEFINE_AUTO(struct coldplug *, coldplug_free);

#endif
