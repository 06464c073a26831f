/* SPDX-License-Identifier: Apache-2.0 */
/* Message digests and HMAC by OpenSSL EVP. */
#ifndef LIB_DIGEST_H
#define LIB_DIGEST_H

#include "lib/buf.h"

enum digest_kind {
	DIGEST_MD5,
	DIGEST_SHA1,
	DIGEST_SHA256,
	DIGEST_SHA512,
};

#define DIGEST_MAX 64 /* bytes of the longest digest */

struct digest; /* a running digest */

size_t digest_size(enum digest_kind kind);      /* bytes */
const char *digest_name(enum digest_kind kind); /* "sha256" */
/* By name, any case, with or without a dash ("SHA-1", "sha1"). Errors: ENOTSUP. */
int digest_by_name(const char *name, enum digest_kind *ret, struct err *e);

int digest_new(enum digest_kind kind, struct digest **ret, struct err *e);
void digest_add(struct digest *d, const void *data, size_t len);
/* Writes digest_size() bytes and makes d ready for a new message. */
void digest_final(struct digest *d, uint8_t out[DIGEST_MAX]);
/* Lower-case hex and a NUL: 2 * digest_size() + 1 bytes. */
void digest_final_hex(struct digest *d, char out[2 * DIGEST_MAX + 1]);
void digest_free(struct digest *d);
DEFINE_AUTO(struct digest *, digest_free);

/* In one call. */
void digest_of(enum digest_kind kind, const void *data, size_t len, uint8_t out[DIGEST_MAX]);
void hmac_of(enum digest_kind kind, const void *key, size_t key_len, const void *data, size_t len,
	     uint8_t out[DIGEST_MAX]);

/* True if equal, in a time that depends on len alone. */
bool bytes_equal_ct(const void *a, const void *b, size_t len);

#endif
