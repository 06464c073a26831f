/* SPDX-License-Identifier: Apache-2.0 */
/* The files of accounts as lists of lines; what ctxd/accounts_lines.c and ctxd/accounts.c share. */
#ifndef CTXD_ACCOUNTS_PRIV_H
#define CTXD_ACCOUNTS_PRIV_H

#include "ctxd/account.h"
#include "lib/str.h"

enum account_file {
	PASSWD,
	SHADOW,
	GROUP,
	GSHADOW,
	FILES,
};

struct accounts {
	struct guest *g;
	struct strlist lines[FILES];
	bool there[FILES], changed[FILES];
	int lock;
	struct strlist homes; /* of new accounts: "path\nuid\ngid" */
};

/* Where the entry stands; the number of lines if there is none. */
size_t accounts_find(const struct accounts *db, enum account_file f, const char *name);
bool accounts_has(const struct accounts *db, enum account_file f, const char *name);
/* Field number i of a line, and its length; "" if it has not so many. */
const char *accounts_field(const char *line, unsigned i, size_t *len);
bool accounts_field_number(const char *line, unsigned i, uint64_t *ret);
/* Puts text in place of field i. Returns 1 if that changed the line, 0, or -ENOMEM. */
int accounts_set_field(struct accounts *db, enum account_file f, size_t at, unsigned i,
		       const char *text);
int accounts_append(struct accounts *db, enum account_file f, const char *line);
/* To the guest. */
int accounts_write(struct accounts *db, enum account_file f, struct err *e);

#endif
