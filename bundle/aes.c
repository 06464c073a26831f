/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-128-CBC by OpenSSL EVP. The padding (PKCS#7, RFC 5652 section 6.3: N bytes of value N, N from
 * 1 to 16) is checked here, strictly; what it says is no secret from whoever sees the messages:
 * the parts' digests were checked before, so nobody can try paddings on us.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "bundle/aes.h"

struct aes {
	EVP_CIPHER_CTX *ctx;
	uint8_t held[AES_BLOCK]; /* encrypted */
	size_t n_held;
};

int aes_new(const struct bundle_secret *secret, struct aes **ret, struct err *e)
{
	AUTO(aes_free) struct aes *a = calloc(1, sizeof(*a));

	if (!a)
		return err_nomem(e);
	a->ctx = EVP_CIPHER_CTX_new();
	if (!a->ctx)
		return err_nomem(e);
	if (EVP_DecryptInit_ex(a->ctx, EVP_aes_128_cbc(), NULL, secret->key, secret->iv) != 1 ||
	    EVP_CIPHER_CTX_set_padding(a->ctx, 0) != 1)
		return err_set(e, ENOTSUP, "OpenSSL refuses AES-128-CBC");
	*ret = STEAL(a);
	return 0;
}

int aes_new_encrypt(const struct bundle_secret *secret, struct aes **ret, struct err *e)
{
	AUTO(aes_free) struct aes *a = calloc(1, sizeof(*a));

	if (!a)
		return err_nomem(e);
	a->ctx = EVP_CIPHER_CTX_new();
	if (!a->ctx)
		return err_nomem(e);
	if (EVP_EncryptInit_ex(a->ctx, EVP_aes_128_cbc(), NULL, secret->key, secret->iv) != 1)
		return err_set(e, ENOTSUP, "OpenSSL refuses AES-128-CBC");
	*ret = STEAL(a);
	return 0;
}

int aes_encrypt(struct aes *a, const void *data, size_t len, uint8_t *out, size_t *ret_len,
		struct err *e)
{
	int n = 0;

	if (EVP_EncryptUpdate(a->ctx, out, &n, data, (int)len) != 1)
		return err_set(e, EIO, "AES-128-CBC: OpenSSL failed");
	*ret_len = (size_t)n;
	return 0;
}

int aes_encrypt_finish(struct aes *a, uint8_t out[AES_BLOCK], struct err *e)
{
	int n = 0;

	if (EVP_EncryptFinal_ex(a->ctx, out, &n) != 1 || n != AES_BLOCK)
		return err_set(e, EIO, "AES-128-CBC: OpenSSL failed");
	return 0;
}

void aes_free(struct aes *a)
{
	if (!a)
		return;
	EVP_CIPHER_CTX_free(a->ctx);
	OPENSSL_cleanse(a, sizeof(*a));
	free(a);
}

int aes_decrypt(struct aes *a, uint8_t *buf, size_t len, size_t *ret_start, size_t *ret_len,
		struct err *e)
{
	uint8_t *p = buf + AES_BLOCK - a->n_held;
	size_t total = a->n_held + len, whole;
	int out = 0;

	*ret_start = (size_t)(p - buf);
	*ret_len = 0;
	if (!len)
		return 0;
	memcpy(p, a->held, a->n_held);
	whole = (total - 1) / AES_BLOCK * AES_BLOCK;
	a->n_held = total - whole; /* 1 to 16 */
	memcpy(a->held, p + whole, a->n_held);
	if (whole && EVP_DecryptUpdate(a->ctx, p, &out, p, (int)whole) != 1)
		return err_set(e, EIO, "AES-128-CBC: OpenSSL failed");
	*ret_len = (size_t)out;
	return 0;
}

int aes_finish(struct aes *a, uint8_t out[AES_BLOCK], size_t *ret_len, struct err *e)
{
	int n = 0;
	unsigned pad;

	if (a->n_held != AES_BLOCK)
		return err_set(e, EBADMSG,
			       "encrypted data is not whole AES blocks: %zu bytes remain",
			       a->n_held);
	if (EVP_DecryptUpdate(a->ctx, out, &n, a->held, AES_BLOCK) != 1 || n != AES_BLOCK)
		return err_set(e, EIO, "AES-128-CBC: OpenSSL failed");
	pad = out[AES_BLOCK - 1];
	if (pad < 1 || pad > AES_BLOCK)
		return err_set(e, EBADMSG, "AES padding is wrong: last byte is 0x%02x", pad);
	for (size_t i = AES_BLOCK - pad; i < AES_BLOCK; i++) {
		if (out[i] != pad)
			return err_set(e, EBADMSG,
				       "AES padding is wrong: byte 0x%02x among %u of 0x%02x",
				       out[i], pad, pad);
	}
	*ret_len = AES_BLOCK - pad;
	return 0;
}
