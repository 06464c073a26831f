/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: gzip (RFC 1952), any number of members one after the other, as a stream. */
#ifndef BUNDLE_GUNZIP_H
#define BUNDLE_GUNZIP_H

#include "lib/err.h"

struct gunzip;

int gunzip_new(struct gunzip **ret, struct err *e);
/* Sets the next input; all of the input before was taken. It stays the caller's until it is. */
void gunzip_input(struct gunzip *g, const void *data, size_t len);
/*
 * Fills out as far as the input goes (cap less than 2^31). *ret_len < cap: all input was taken.
 * Errors: EBADMSG corrupt, checksum or length of a member wrong, bytes behind a member that begin
 * no other.
 */
int gunzip_output(struct gunzip *g, void *out, size_t cap, size_t *ret_len, struct err *e);
/* The input has ended. Errors: EBADMSG not at the end of a member. */
int gunzip_finish(struct gunzip *g, struct err *e);
void gunzip_free(struct gunzip *g);
DEFINE_AUTO(struct gunzip *, gunzip_free);

#endif
