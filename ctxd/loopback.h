/* SPDX-License-Identifier: Apache-2.0 */
/* 169.254.169.254 on the loopback interface, by rtnetlink. */
#ifndef CTXD_LOOPBACK_H
#define CTXD_LOOPBACK_H

#include "lib/err.h"

#define LOOPBACK_NAME "lo"
#define LOOPBACK_ADDRESS "169.254.169.254"

/*
 * Sets the interface up and gives it LOOPBACK_ADDRESS/32, scope host; no change if it has it.
 * Also keeps the machine from answering ARP for it on its other interfaces.
 * Errors: EPERM, errno of socket, what the kernel answered.
 */
int loopback_take(struct err *e);
/* Takes the address away. No error if it is not there. */
int loopback_drop(struct err *e);

#endif
