/* SPDX-License-Identifier: Apache-2.0 */
/* From open media to a context, read and parsed in a process that can do nothing else. */
#ifndef CTXD_FETCH_H
#define CTXD_FETCH_H

#include "context/context.h"

enum media {
	MEDIA_ISO,    /* fd is an ISO 9660 image with context.sh in its root */
	MEDIA_FOLDER, /* fd is context.sh itself */
};

/*
 * Forks; the child becomes nobody (where we are root), may open nothing, and is bounded in memory,
 * time and output. What it sends is checked again here. where names fd in messages and becomes
 * part of the context's source. notes gets what could not be used.
 * Errors: EBADMSG, ENOENT no context.sh, EFBIG, ETIMEDOUT, EIO the child died, ENOMEM.
 */
int fetch_context(enum media media, int fd, const char *where, struct context **ret,
		  struct strlist *notes, struct err *e);

#endif
