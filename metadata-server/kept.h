/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server keeps about machines, sorted by their names: of each name there is one, and it
 * belongs to an instance id, so that a new machine of that name has none.
 */
#ifndef METADATA_SERVER_KEPT_H
#define METADATA_SERVER_KEPT_H

#include "context/imds.h"

/* The first member of what is kept, which is allocated. */
struct kept {
	char *name, *instance_id;
};

struct kept_table {
	struct kept **v; /* n */
	size_t n;
};

/* Copies both. Errors: ENOMEM. */
int kept_init(struct kept *k, const char *name, const char *instance_id, struct err *e);
void kept_release(struct kept *k);
/* NULL: there is none of that name. */
struct kept *kept_named(const struct kept_table *t, const char *name);
/* NULL: there is none of that name and id. */
struct kept *kept_find(const struct kept_table *t, const struct instance *in);
/* *before is what has that name, which may be NULL: it is the caller's now. Errors: ENOMEM. */
int kept_put(struct kept_table *t, struct kept *k, struct kept **before, struct err *e);
/* Takes the one of that name out: it is the caller's. NULL: there is none. */
struct kept *kept_take(struct kept_table *t, const char *name);

#endif
