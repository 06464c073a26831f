/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What guests say of themselves (struct imds_said of context/imds.h), kept for their operator: by
 * name and instance id, so that a new machine of that name has said nothing.
 */
#ifndef METADATA_SERVER_SAID_H
#define METADATA_SERVER_SAID_H

#include "metadata-server/kept.h"

#define SAID_MAX_KEYS ((size_t)256)
#define SAID_MAX_BYTES ((size_t)(64 * 1024)) /* of one guest, keys and values */
#define SAID_MAX_ALL ((size_t)(64 * MIB))    /* of all guests */
#define SAID_MAX_GUESTS ((size_t)20000)
/* A guest may say so much at once, and then one thing a second: each is written to a disk. */
#define SAID_BURST 32u

struct said {
	struct kept_table table;
	size_t bytes; /* of all */
	char *folder; /* where they are kept, NAME.json each; NULL: nowhere */
	uint64_t now; /* for tests: seconds; 0: the clock */
};

/*
 * What was kept in folder/guests (folder NULL: nothing is kept), which is made where it is not
 * there. Errors: EBADMSG, what is there is not ours; errno.
 */
int said_open(struct said *s, const char *folder, struct err *e);
void said_release(struct said *s);
DEFINE_AUTO_STRUCT(struct said, said_release);

/* As all of struct imds_said. */
const struct context_pair *said_all(const struct said *s, const struct instance *in, size_t *n);
/*
 * As set of struct imds_said; it is kept before this returns. Errors: EFBIG a limit of the guest;
 * ENOSPC one of all guests: said_forget may make room; EAGAIN; ENOMEM; errno of keeping it.
 */
int said_set(struct said *s, const struct instance *in, const char *key, const char *value,
	     struct err *e);
/* Drops what has that key, or everything (NULL): by the operator, who may do so at any time. */
int said_clear(struct said *s, const struct instance *in, const char *key, struct err *e);
/* Drops what machines said that are there no more. */
void said_forget(struct said *s, bool (*is_there)(void *arg, const char *name, const char *id),
		 void *arg);

#endif
