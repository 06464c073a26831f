/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside bundle/: gzip (RFC 1952) in pieces that are compressed independently of each other, so that
 * several threads can make it: each a member of its own, or all of them one.
 *
 *	deflate_member for each piece; or
 *	gzip_header, then for each piece deflate_piece in order, then gzip_trailer
 */
#ifndef BUNDLE_DEFLATE_H
#define BUNDLE_DEFLATE_H

#include "lib/err.h"

struct deflate; /* of one thread */

int deflate_new(struct deflate **ret, struct err *e);
void deflate_free(struct deflate *d);
DEFINE_AUTO(struct deflate *, deflate_free);
/* Bytes that either needs at most. */
size_t deflate_bound(size_t len);
/*
 * Compresses len bytes (less than 2^31, more than 0) into out (room for deflate_bound(len)), which
 * ends on a byte's boundary. *ret_crc is their CRC-32. last: nothing follows.
 */
int deflate_piece(struct deflate *d, const void *data, size_t len, bool last, void *out,
		  size_t *ret_len, uint32_t *ret_crc, struct err *e);

/* A whole member of len bytes (more than 0), into out (room for deflate_bound(len)). */
int deflate_member(struct deflate *d, const void *data, size_t len, void *out, size_t *ret_len,
		   struct err *e);

#define GZIP_HEADER 10
#define GZIP_TRAILER 8
/* No name, no time: the same for the same data. */
void gzip_header(uint8_t out[GZIP_HEADER]);
/* len: of all pieces. */
void gzip_trailer(uint8_t out[GZIP_TRAILER], uint32_t crc, uint64_t len);
/* The CRC-32 of two runs of bytes, the second one of len_b bytes, behind each other. */
uint32_t gzip_crc_join(uint32_t crc_a, uint32_t crc_b, uint64_t len_b);

#endif
