/* SPDX-License-Identifier: Apache-2.0 */
/* Which account of this machine a connection over the loopback interface is of. */
#ifndef CTXD_PEER_UID_H
#define CTXD_PEER_UID_H

#include <netinet/in.h>

#include "lib/err.h"

/*
 * By the table of sockets of the kernel (table: "/proc/net/tcp", another one for tests), in which
 * the client's own end of the connection stands with its owner.
 * Errors: ENOENT no such socket, which is so for one of another machine or namespace; errno of
 * reading.
 */
int peer_uid(const char *table, const struct sockaddr_in *client, const struct sockaddr_in *server,
	     unsigned *ret, struct err *e);

#endif
