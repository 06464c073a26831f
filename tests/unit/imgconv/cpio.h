/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of initial RAM disks share: archives of cpio's new ASCII form. */
#ifndef TESTS_UNIT_IMGCONV_CPIO_H
#define TESTS_UNIT_IMGCONV_CPIO_H

#include "helper.h"

static inline void cpio_pad(struct buf *b, size_t to)
{
	while (b->len % to)
		assert_int_equal(buf_addc(b, '\0'), 0);
}

static inline void cpio_add(struct buf *b, const char *name, unsigned mode, size_t size)
{
	assert_int_equal(buf_addf(b, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x",
				  1, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, strlen(name) + 1, 0),
			 0);
	assert_int_equal(buf_add(b, name, strlen(name) + 1), 0);
	cpio_pad(b, 4);
	assert_int_equal(buf_reserve(b, size), 0);
	for (size_t i = 0; i < size; i++)
		b->data[b->len++] = (char)(i * 7);
	b->data[b->len] = '\0';
	cpio_pad(b, 4);
}

static inline void cpio_end(struct buf *b)
{
	cpio_add(b, "TRAILER!!!", 0, 0);
}

/* An archive of files with these names, ended by NULL, each of size bytes. */
static inline void cpio_make(struct buf *b, const char *const *names, size_t size)
{
	cpio_add(b, ".", 040755, 0);
	for (; *names; names++)
		cpio_add(b, *names, 0100644, size);
	cpio_end(b);
}

/* Appends what the program makes of the bytes. */
static inline void compress_with(const char *const *argv, const struct buf *in, struct buf *out)
{
	assert_ok(proc_run(argv, in->data, in->len, out, 64 * MIB, PATIENCE_S, e));
}

#endif
