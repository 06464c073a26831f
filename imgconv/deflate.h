/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the writers of compressed formats choose a deflate codec by, and the fast one of them, ISA-L's
 * level 2. The thorough one is libdeflate. See docs/decisions/0005.
 */
#ifndef IMGCONV_DEFLATE_H
#define IMGCONV_DEFLATE_H

#include "lib/err.h"

/* Bytes that a look takes; what is looked at has DEFLATE_LOOK_MIN at least. */
#define DEFLATE_LOOK 2048u
#define DEFLATE_LOOK_MIN (16 * KIB)

/* Of DEFLATE_LOOK bytes from all over a cluster. */
struct deflate_look {
	uint32_t repeats; /* those that are the same as the one 8 before */
	uint32_t text;    /* those that ASCII text is made of */
	uint64_t squares; /* the frequencies' of each value, added up */
};

struct deflate_look deflate_look(const uint8_t *in, size_t len);

struct deflate_fast; /* of one thread at a time */

int deflate_fast_new(struct deflate_fast **ret, struct err *e);
void deflate_fast_free(struct deflate_fast *f);
/* Raw deflate (RFC 1951), or a zlib stream (RFC 1950). Bytes used of out, 0 if it does not fit in room. */
size_t deflate_fast(struct deflate_fast *f, bool zlib, const void *in, size_t in_len, void *out,
		    size_t room);

#endif
