/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own word that the machine has changed in a way that may change its context: a
 * medium, a NIC, a disk or its size. It comes by netlink, whether or not there is a udev.
 */
#ifndef CTXD_EVENTS_H
#define CTXD_EVENTS_H

#include "lib/base.h"
#include "lib/err.h"

/* A socket that gets the events, non-blocking. Errors: errno of socket and bind. */
int events_open(int *ret, struct err *e);
/*
 * Waits at most timeout_ms (below 0: for ever) for an event (fd -1: there is none) that matters; other events are taken
 * and forgotten. Returns 1, 0 if none came, or an error. ENOBUFS (events were lost) counts as one.
 */
int events_wait(int fd, int timeout_ms, struct err *e);

/* What the kernel sends: "add@/devices/...", then KEY=VALUE, with a NUL behind each. For tests. */
bool events_matter(const char *text, size_t len);

#endif
