/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives put together by hand, field by field, for tests. */
#ifndef TESTS_UNIT_BUNDLE_TARBALL_H
#define TESTS_UNIT_BUNDLE_TARBALL_H

#include <inttypes.h>
#include <stdio.h>

#include "lib/buf.h"

static inline void tarball_octal(char *at, uint64_t v)
{
	char text[16];

	snprintf(text, sizeof(text), "%011" PRIo64, v);
	memcpy(at, text, 12);
}

static inline void tarball_base256(char *at, uint64_t v)
{
	memset(at, 0, 12);
	at[0] = (char)0x80;
	be64_put(at + 4, v);
}

static inline void tarball_checksum(char *block)
{
	unsigned sum = 0;

	memset(block + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += (uint8_t)block[i];
	snprintf(block + 148, 7, "%06o", sum);
	block[155] = ' ';
}

/* A header for a member of that type; gnu: with GNU's magic, else POSIX's. */
static inline void tarball_fill(char block[512], char type, uint64_t size, bool gnu)
{
	memset(block, 0, 512);
	memcpy(block, "disk", 4);
	memcpy(block + 100,
	       "0000644\0"
	       "0000000\0"
	       "0000000\0",
	       24);
	tarball_octal(block + 124, size);
	tarball_octal(block + 136, 0);
	block[156] = type;
	memcpy(block + 257,
	       gnu ? "ustar  \0"
		   : "ustar\0"
		     "00",
	       8);
	tarball_checksum(block);
}

static inline void tarball_header(struct buf *b, char type, uint64_t size, bool gnu)
{
	char block[512];

	tarball_fill(block, type, size, gnu);
	(void)buf_add(b, block, sizeof(block));
}

/* Data and its padding. */
static inline void tarball_data(struct buf *b, const void *data, size_t len)
{
	static const char zeros[512];

	(void)buf_add(b, data, len);
	(void)buf_add(b, zeros, (512 - len % 512) % 512);
}

static inline void tarball_zeros(struct buf *b, size_t len)
{
	while (len--)
		(void)buf_addc(b, '\0');
}

/* A PAX header with the given records; each "KEY=VALUE" gets its length and newline. */
static inline void tarball_pax(struct buf *b, const char *const *records)
{
	struct buf text = BUF_INIT;

	for (; *records; records++) {
		size_t body = strlen(*records) + 2, len = body;
		char digits[16];

		do
			len = body + (size_t)snprintf(digits, sizeof(digits), "%zu", len);
		while (len != body + strlen(digits) ||
		       (size_t)snprintf(digits, sizeof(digits), "%zu", len) != len - body);
		(void)buf_addf(&text, "%zu %s\n", len, *records);
	}
	tarball_header(b, 'x', text.len, false);
	tarball_data(b, buf_str(&text), text.len);
	buf_release(&text);
}

#endif
