/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the service manager that we are ready: sd_notify(3), without its library. */
#ifndef CTXD_NOTIFY_H
#define CTXD_NOTIFY_H

#include "lib/err.h"

/* Sends state ("READY=1") to $NOTIFY_SOCKET; nothing to do if there is none. */
int notify_manager(const char *state, struct err *e);

#endif
