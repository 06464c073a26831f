/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a guest's files say what of them is ctxd's: a file of its own in the first line, a part of another's
 * by the lines around it. ctxd writes them; who takes ctxd out of an image finds them by it.
 */
#ifndef LIB_MARKED_H
#define LIB_MARKED_H

#include "lib/buf.h"

#define MARKED_OWN "# Written by ctxd(8)"

/* The first line says that it is ctxd's. */
bool marked_is_own(const struct buf *content);
/*
 * Into new what old, a text, is with that block of whole lines, "" for none. A new block is put to the end,
 * or first to the beginning. A block without an end is its first line alone. Errors: -ENOMEM.
 */
int marked_with_block(const struct buf *old, const char *text, bool first, struct buf *new);

#endif
