/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata service, when the context that it serves has changed. */
#ifndef CTXD_RESTART_H
#define CTXD_RESTART_H

#include "ctxd/guest.h"

/*
 * Has the service read the context again, if it runs, by what started it: it gave up the right to
 * do so itself. A failure is told, and is none of the caller's.
 */
void restart_imds(struct guest *g);

#endif
