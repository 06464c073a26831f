/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager: what it is told (sd_notify(3)) and the sockets that it hands over. */
#ifndef METADATA_SERVER_NOTIFY_H
#define METADATA_SERVER_NOTIFY_H

#include "lib/err.h"

struct event_base;
struct notify;

/*
 * *ret is NULL where nobody wants to be told ($NOTIFY_SOCKET). The socket is opened here, for a
 * confined process cannot open one. Errors: EINVAL, errno of socket, connect.
 */
int notify_open(struct notify **ret, struct err *e);
void notify_close(struct notify *n);
DEFINE_AUTO(struct notify *, notify_close);
/* "READY=1": lines as in sd_notify(3). n may be NULL. */
void notify_send(struct notify *n, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Says in the loop that it still turns, where $WATCHDOG_USEC asks for it. n may be NULL. */
int notify_watchdog(struct notify *n, struct event_base *base, struct err *e);

/* The first descriptor that the manager hands over (sd_listen_fds(3)), and how many: 0 is none. */
unsigned notify_sockets(int *ret_first);
/* The name of number i of them, "" where they have none. */
void notify_socket_name(unsigned i, char out[64]);

#endif
