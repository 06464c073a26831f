/* SPDX-License-Identifier: Apache-2.0 */
/* From what was found to a context, read and parsed in a process that can do little else. */
#ifndef CTXD_FETCH_H
#define CTXD_FETCH_H

#include "ctxd/detect.h"

struct fetch_opts {
	bool with_user_data; /* what user data ask for becomes part of the context: ctxd/userdata.h */
};

/*
 * Forks; the child becomes nobody (where we are root), may open no file (and of sockets one at a
 * time, for a metadata service alone), and is bounded in memory, time and output. What it sends is
 * checked again here. notes gets what could not be used.
 * Errors: EBADMSG, ENOENT a document that must be there is not, EFBIG, ETIMEDOUT, ECONNREFUSED and
 * the like, EIO the child died, ENOMEM.
 */
int fetch_context(const struct detection *d, const struct fetch_opts *o, struct context **ret,
		  struct strlist *notes, struct err *e);

#endif
