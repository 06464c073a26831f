/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: en- and decryption of the joined parts, AES-128-CBC with PKCS#7 padding. */
#ifndef BUNDLE_AES_H
#define BUNDLE_AES_H

#include "bundle/bundle.h"

#define AES_BLOCK 16

struct aes;

/* To decrypt. */
int aes_new(const struct bundle_secret *secret, struct aes **ret, struct err *e);
/*
 * Decrypts the next len bytes (any number, less than 2^31 - 16) at buf + AES_BLOCK in place; the
 * AES_BLOCK bytes before are room for what was held back. The result is *ret_len bytes at
 * buf + *ret_start. The last block so far is held back, as it may be the padding.
 */
int aes_decrypt(struct aes *a, uint8_t *buf, size_t len, size_t *ret_start, size_t *ret_len,
		struct err *e);
/* The last block without its padding: *ret_len < AES_BLOCK bytes into out. Errors: EBADMSG. */
int aes_finish(struct aes *a, uint8_t out[AES_BLOCK], size_t *ret_len, struct err *e);

/* To encrypt. */
int aes_new_encrypt(const struct bundle_secret *secret, struct aes **ret, struct err *e);
/* Encrypts len bytes (less than 2^31 - 16) into out, which has room for len + AES_BLOCK. */
int aes_encrypt(struct aes *a, const void *data, size_t len, uint8_t *out, size_t *ret_len,
		struct err *e);
/* The padded last block. */
int aes_encrypt_finish(struct aes *a, uint8_t out[AES_BLOCK], struct err *e);

void aes_free(struct aes *a);
DEFINE_AUTO(struct aes *, aes_free);

#endif
