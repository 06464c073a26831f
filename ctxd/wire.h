/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A context as bytes: what the process that reads hostile media hands to the one that is root, and
 * what `ctxd local` leaves for `ctxd imds` in /run. Typed and size-checked: see ctxd/wire.c.
 */
#ifndef CTXD_WIRE_H
#define CTXD_WIRE_H

#include "context/context.h"

#define WIRE_MAX (16 * MIB) /* bytes of a whole context */

/* Appends. Errors: EFBIG, ENOMEM. */
int wire_encode(const struct context *c, const struct strlist *notes, struct buf *out,
		struct err *e);

/*
 * Takes nothing on trust: every length lies inside the message, texts hold no NUL, counts are
 * bounded, and context_validate agrees with the result. notes (may be NULL) gets the notes.
 * Errors: EBADMSG with the place, ENOMEM.
 */
int wire_decode(const void *data, size_t len, struct context **ret, struct strlist *notes,
		struct err *e);

#endif
