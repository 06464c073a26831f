/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts: passwd(5), shadow(5), group(5) and gshadow(5), read and written as the files that they
 * are. A static program has no name service, whose modules are the guest's and would be loaded into
 * it; and useradd's options differ between guests.
 */
#ifndef CTXD_ACCOUNT_H
#define CTXD_ACCOUNT_H

#include <sys/types.h>

#include "ctxd/guest.h"

struct account {
	char *name;
	uid_t uid;
	gid_t gid;
	char *home; /* the guest's path, absolute; the struct's to free */
};
void account_release(struct account *account);
DEFINE_AUTO_STRUCT(struct account, account_release);

/* Returns 1, 0 if there is no such account, or an error. */
int account_find(const struct guest *g, const char *name, struct account *ret, struct err *e);
/* The account whose home is the longest folder above path. Returns 1, 0 or an error. */
int account_at(const struct guest *g, const char *path, struct account *ret, struct err *e);
/* The number of a group. Returns 1, 0 if there is none of that name, or an error. */
int account_group(const struct guest *g, const char *name, gid_t *ret, struct err *e);
/*
 * Calls fn as the account itself, so that nothing it prepared in its home leads us where it may not
 * go. Returns what fn does, or an error.
 */
int account_as(const struct account *account, int (*fn)(void *arg, struct err *e), void *arg,
	       struct err *e);

/* ---- changing them ------------------------------------------------------------------------- */

struct accounts; /* the four files in memory, locked as shadow's tools do */

/*
 * Takes the lock (/etc/.pwd.lock), for which it waits some seconds, and reads.
 * Errors: EAGAIN somebody holds the lock; ENOENT there is no /etc/passwd.
 */
int accounts_open(struct guest *g, struct accounts **ret, struct err *e);
/* Gives up what was not committed. */
void accounts_close(struct accounts *db);
DEFINE_AUTO(struct accounts *, accounts_close);

/*
 * Makes the account if there is none of that name; else changes shell and GECOS to what u says: numbers
 * and home stay. u->groups are made where they do not exist. Returns 1 if something changed.
 */
int accounts_set(struct accounts *db, const struct user *u, struct err *e);
/* The password's hash, "" if there is no such account. Points into db. */
const char *accounts_hash(const struct accounts *db, const char *name);
/* Errors: ENOENT there is no such account. */
int accounts_set_hash(struct accounts *db, const char *name, const char *hash, struct err *e);
/* Writes what changed. The files keep their owners and modes. */
int accounts_commit(struct accounts *db, struct err *e);

#endif
