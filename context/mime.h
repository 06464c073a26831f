/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several documents in one, as cloud-init takes them for user-data and vendor-data: a
 * multipart/mixed message (RFC 2046) of our own form, each part in base64.
 */
#ifndef CONTEXT_MIME_H
#define CONTEXT_MIME_H

#include "lib/buf.h"
#include "lib/err.h"

/* All 0 or -ENOMEM. type, name: no '"', '\\' or control characters. */
int mime_begin(struct buf *out);
int mime_part(struct buf *out, const char *type, const char *name, const void *data, size_t len);
int mime_end(struct buf *out);

/* Is it a message of this form, and not just any? */
bool mime_is_ours(const void *data, size_t len);
/*
 * Calls fn for each part; stops when that returns non-zero, and returns it. Errors: EBADMSG it is
 * not what the above write; ENOMEM.
 */
int mime_read(const void *data, size_t len,
	      int (*fn)(void *arg, const char *type, const char *name, const struct buf *content),
	      void *arg, struct err *e);

#endif
