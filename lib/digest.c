/* SPDX-License-Identifier: Apache-2.0 */
/* Digests and HMAC by OpenSSL EVP: see lib/digest.h. */
#include "lib/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "lib/str.h"

static const struct {
	const char *name;
	size_t size;
	const EVP_MD *(*md)(void);
} kinds[] = {
	[DIGEST_MD5] = {"md5", 16, EVP_md5},
	[DIGEST_SHA1] = {"sha1", 20, EVP_sha1},
	[DIGEST_SHA256] = {"sha256", 32, EVP_sha256},
	[DIGEST_SHA512] = {"sha512", 64, EVP_sha512},
};

struct digest {
	enum digest_kind kind;
	EVP_MD_CTX *ctx;
};

size_t digest_size(enum digest_kind kind)
{
	return kinds[kind].size;
}

const char *digest_name(enum digest_kind kind)
{
	return kinds[kind].name;
}

int digest_by_name(const char *name, enum digest_kind *ret, struct err *e)
{
	char plain[16];
	size_t n = 0;

	for (const char *p = name; *p && n < sizeof(plain) - 1; p++) {
		if (*p != '-')
			plain[n++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	}
	plain[n] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(plain, kinds[i].name) == 0) {
			*ret = (enum digest_kind)i;
			return 0;
		}
	}
	return err_set(e, ENOTSUP, "digest '%s' is not one of md5, sha1, sha256, sha512", name);
}

int digest_new(enum digest_kind kind, struct digest **ret, struct err *e)
{
	AUTO(digest_free) struct digest *d = calloc(1, sizeof(*d));

	if (!d)
		return err_nomem(e);
	d->kind = kind;
	d->ctx = EVP_MD_CTX_new();
	if (!d->ctx)
		return err_nomem(e);
	/* A system policy may forbid MD5 or SHA-1. */
	if (EVP_DigestInit_ex(d->ctx, kinds[kind].md(), NULL) != 1)
		return err_set(e, ENOTSUP, "this system's OpenSSL refuses %s", kinds[kind].name);
	*ret = STEAL(d);
	return 0;
}

/* Update and final cannot fail for these algorithms once they were set up. */
void digest_add(struct digest *d, const void *data, size_t len)
{
	EVP_DigestUpdate(d->ctx, data, len);
}

void digest_final(struct digest *d, uint8_t out[DIGEST_MAX])
{
	EVP_DigestFinal_ex(d->ctx, out, NULL);
	EVP_DigestInit_ex(d->ctx, kinds[d->kind].md(), NULL);
}

void digest_final_hex(struct digest *d, char out[2 * DIGEST_MAX + 1])
{
	uint8_t raw[DIGEST_MAX];

	digest_final(d, raw);
	hex_encode(raw, digest_size(d->kind), out);
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->ctx);
	free(d);
}

void digest_of(enum digest_kind kind, const void *data, size_t len, uint8_t out[DIGEST_MAX])
{
	memset(out, 0, DIGEST_MAX);
	EVP_Digest(data, len, out, NULL, kinds[kind].md(), NULL);
}

void hmac_of(enum digest_kind kind, const void *key, size_t key_len, const void *data, size_t len,
	     uint8_t out[DIGEST_MAX])
{
	memset(out, 0, DIGEST_MAX);
	HMAC(kinds[kind].md(), key, (int)key_len, data, len, out, NULL);
}

bool bytes_equal_ct(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
