/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A context turned from one dialect into another. Whose documents they are nobody knows: they are
 * parsed in a process that can open nothing (lib/worker.h), and what comes back is as hostile.
 */
#ifndef METADATA_SERVER_CONVERSION_H
#define METADATA_SERVER_CONVERSION_H

#include "context/dialects.h"

struct conversion {
	const struct context_dialect *from, *to; /* from NULL: found out; to NULL: report alone */
	bool wants_report;
	/* what comes of it: */
	struct strlist notes, lost; /* fit to be shown */
	struct buf report;          /* JSON */
	struct tree *docs;          /* in `to`; sealed */
};
void conversion_release(struct conversion *x);
DEFINE_AUTO_STRUCT(struct conversion, conversion_release);

/*
 * in: a file, a folder, an ISO image, "-"; a file NAME.yaml is an instance's, the administrator's
 * own, and is read here: it may name files beside it. Errors: EINVAL no dialect that is known; those
 * of reading and writing dialects; of worker_run; EBADMSG the process came back with nonsense.
 */
int conversion_run(struct conversion *x, const char *in, struct err *e);

/* For tests: what the process hands over, and its reading. */
int conversion_pack(const struct conversion *x, struct buf *out);
int conversion_unpack(struct conversion *x, const void *data, size_t len, struct err *e);

#endif
