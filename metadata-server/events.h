/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices that are set while the server runs (spot interruption, rebalance recommendation,
 * maintenance, the state that Auto Scaling wants): they stand above what the definitions say, until
 * they are cleared. They belong to a name and an instance id: a new machine of that name has none.
 */
#ifndef METADATA_SERVER_EVENTS_H
#define METADATA_SERVER_EVENTS_H

#include "metadata-server/kept.h"

#define EVENTS_MAX ((size_t)10000)             /* instances that have some */
#define EVENTS_MAX_BYTES ((size_t)(64 * 1024)) /* of one instance, as JSON */
#define EVENTS_MAX_ALL ((size_t)(8 * MIB))     /* of all */

struct events {
	struct kept_table table;
	size_t bytes; /* of all, as JSON */
	char *file;   /* where they are kept; NULL: nowhere */
};

/*
 * What was kept in folder (NULL: nothing is kept), which must be there. Errors: EBADMSG, what is
 * there is not ours; errno.
 */
int events_open(struct events *ev, const char *folder, struct err *e);
void events_release(struct events *ev);
DEFINE_AUTO_STRUCT(struct events, events_release);

/*
 * Sets what the JSON object in body has, a map with keys of metadata-server.yaml(5):
 *
 *	{"spot": {"action": "terminate", "time": "2024-04-11T06:00:00Z"},
 *	 "rebalance-time": "...", "target-lifecycle-state": "...", "maintenance": [{"id": ...}]}
 *
 * null drops one. An entry of maintenance takes the place of the one with its id. It is kept before
 * this returns. On failure all is as it was. Errors: EBADMSG, EFBIG, ENOMEM, errno of keeping it;
 * ENOSPC a limit of all instances: events_forget may make room.
 */
int events_set(struct events *ev, const struct instance *in, const char *body, size_t len,
	       struct err *e);
/* Drops one kind (a key of the above), or all (NULL). Errors: EINVAL no such kind; as above. */
int events_clear(struct events *ev, const struct instance *in, const char *kind, struct err *e);
/* Drops those of machines that are there no more. Errors: ENOMEM, errno of keeping the others. */
int events_forget(struct events *ev, bool (*is_there)(void *arg, const char *name, const char *id),
		  void *arg, struct err *e);
/* What is set for the instance, as a JSON object; NULL: nothing. */
const char *events_get(const struct events *ev, const struct instance *in);

/*
 * in, or what it is based on, with what is set for it now: a new instance, based on that, or that
 * one itself where nothing is set. *ret is NULL where that is in. Errors: ENOMEM.
 */
int events_apply(const struct events *ev, struct instance *in, struct instance **ret,
		 struct err *e);

#endif
