/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts, read from /etc/passwd itself: a static program has no name service, whose modules are
 * the guest's and would be loaded into it.
 */
#ifndef CTXD_ACCOUNT_H
#define CTXD_ACCOUNT_H

#include <sys/types.h>

#include "ctxd/guest.h"

struct account {
	uid_t uid;
	gid_t gid;
	char *home; /* the guest's path, absolute; the struct's to free */
};

/* Returns 1, 0 if there is no such account, or an error. */
int account_find(const struct guest *g, const char *name, struct account *ret, struct err *e);

#endif
