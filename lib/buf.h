/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable run of bytes.
 *
 * Invariant: data is NULL and cap 0, or data holds len bytes, len < cap, and data[len] is NUL, so
 * that text in a buffer is also a C string. The bytes may hold NULs themselves.
 * A buffer starts as BUF_INIT (all zero) and is released once; release leaves it as BUF_INIT.
 */
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include <stdarg.h>

#include "lib/err.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
};

#define BUF_INIT ((struct buf){0})

/* All that can fail return 0 or -ENOMEM and then leave the buffer as it was. */
int buf_reserve(struct buf *b, size_t extra); /* room for extra more bytes and a NUL */
int buf_add(struct buf *b, const void *data, size_t len);
int buf_adds(struct buf *b, const char *s);
int buf_addc(struct buf *b, char c);
int buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
int buf_vaddf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* Removes the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);
/* Empties without giving memory back. */
void buf_clear(struct buf *b);
void buf_release(struct buf *b);
/* Gives the bytes away as a C string (never NULL unless memory is out); b becomes BUF_INIT. */
char *buf_detach(struct buf *b);

/* The text, "" for an empty buffer. */
static inline const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

DEFINE_AUTO_STRUCT(struct buf, buf_release);
#define AUTO_BUF AUTO(buf_release) struct buf

#endif
