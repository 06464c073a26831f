/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RSA side of a manifest: its signature (PKCS#1 v1.5 with SHA-1, RFC 8017 section 8.2) and the
 * AES key and IV in it (PKCS#1 v1.5 encryption, section 7.2, of 32 hex digits of text each).
 *
 * With implicit rejection (OpenSSL 3.2 and later, and backports) decryption by a wrong key yields
 * random bytes instead of an error, so that a wrong key is known by its result not being 32 hex
 * digits. One message serves every way in which a key does not fit.
 */
#include <sys/random.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "bundle/manifest.h"
#include "lib/fs.h"
#include "lib/str.h"

#define PEM_LIMIT (1 << 20)
#define SECRET_HEX 32 /* digits of a key or IV */
#define RSA_MAX 2048  /* bytes of a modulus that we take: 16384 bits */

DEFINE_AUTO(BIO *, BIO_free_all);
DEFINE_AUTO(EVP_PKEY *, EVP_PKEY_free);
DEFINE_AUTO(EVP_PKEY_CTX *, EVP_PKEY_CTX_free);
DEFINE_AUTO(EVP_MD_CTX *, EVP_MD_CTX_free);
DEFINE_AUTO(X509 *, X509_free);

/* A passphrase is never asked for: we may have no terminal. *user tells that one was wanted. */
static int no_passphrase(char *buf, int size, int rwflag, void *user)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(bool *)user = true;
	return -1;
}

static EVP_PKEY *key_from_pem(const struct buf *pem, bool need_private, bool *ret_passphrase)
{
	AUTO(BIO_free_all) BIO *bio = BIO_new_mem_buf(buf_str(pem), (int)pem->len);
	AUTO(X509_free) X509 *cert = NULL;
	EVP_PKEY *key;

	*ret_passphrase = false;
	if (!bio)
		return NULL;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, ret_passphrase);
	if (key || need_private)
		return key;
	if (BIO_reset(bio) != 1)
		return NULL;
	key = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, ret_passphrase);
	if (key || BIO_reset(bio) != 1)
		return key;
	cert = PEM_read_bio_X509(bio, NULL, no_passphrase, ret_passphrase);
	return cert ? X509_get_pubkey(cert) : NULL;
}

static int check_rsa(const EVP_PKEY *key, const char *name, struct err *e)
{
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_size(key) > RSA_MAX)
		return err_set(e, EINVAL, "'%s' is not an RSA key of at most %d bits", name,
			       8 * RSA_MAX);
	return 0;
}

/* The key in the file at path; a certificate or public key will do unless need_private. */
static int read_any_key(const char *path, bool need_private, EVP_PKEY **ret, struct err *e)
{
	AUTO_BUF pem = BUF_INIT;
	AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
	bool passphrase;
	int rc = fs_read_file(path, PEM_LIMIT, &pem, e);

	if (rc < 0)
		return rc;
	key = key_from_pem(&pem, need_private, &passphrase);
	if (pem.len)
		OPENSSL_cleanse(pem.data, pem.len);
	ERR_clear_error();
	if (!key && passphrase)
		return err_set(e, EINVAL,
			       "'%s' is protected by a passphrase; remove it with 'openssl pkey'",
			       path);
	if (!key)
		return err_set(e, EINVAL, "'%s' holds no %s in PEM", path,
			       need_private ? "private key" : "certificate or public key");
	*ret = STEAL(key);
	return 0;
}

static int read_key(const char *path, bool need_private, EVP_PKEY **ret, struct err *e)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
	int rc = read_any_key(path, need_private, &key, e);

	if (rc == 0)
		rc = check_rsa(key, path, e);
	if (rc == 0)
		*ret = STEAL(key);
	return rc;
}

/* 1 it verifies, 0 it does not, negative: OpenSSL could not try. */
static int verify_sha1(EVP_PKEY *key, const uint8_t *sig, size_t sig_len, const struct buf *text)
{
	AUTO(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!ctx || EVP_DigestVerifyInit(ctx, NULL, EVP_sha1(), NULL, key) != 1)
		return -1;
	return EVP_DigestVerify(ctx, sig, sig_len, (const uint8_t *)buf_str(text), text->len) == 1;
}

static int verify_with(const struct manifest *m, EVP_PKEY *key, const char *name, struct err *e)
{
	uint8_t sig[RSA_MAX];
	size_t len;
	int rc;

	if (!m->signature)
		return err_set(e, EBADMSG, "manifest is not signed");
	len = strlen(m->signature) / 2;
	if (len > sizeof(sig))
		return err_set(e, EBADMSG, "signature of %zu bytes is too long", len);
	rc = hex_decode(m->signature, strlen(m->signature), sig, len, e);
	if (rc < 0)
		return err_wrap(e, "signature");
	rc = verify_sha1(key, sig, len, &m->signed_text);
	ERR_clear_error();
	if (rc < 0)
		return err_set(e, ENOTSUP,
			       "OpenSSL refuses to check an RSA-SHA1 signature (system policy)");
	if (!rc)
		return err_set(e, EBADMSG,
			       "signature does not verify with '%s': the manifest was changed, or "
			       "another key signed it",
			       name);
	return 0;
}

int manifest_verify(const struct manifest *m, const char *key_path, struct err *e)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
	int rc = read_key(key_path, false, &key, e);

	return rc < 0 ? rc : verify_with(m, key, key_path, e);
}

int manifest_verify_pem(const struct manifest *m, const struct buf *pem, const char *name,
			struct err *e)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
	bool passphrase;
	int rc;

	key = key_from_pem(pem, false, &passphrase);
	ERR_clear_error();
	if (!key)
		return err_set(e, EINVAL, "'%s' holds no certificate or public key in PEM", name);
	rc = check_rsa(key, name, e);
	return rc < 0 ? rc : verify_with(m, key, name, e);
}

int manifest_public_key(const char *path, struct buf *pem, struct err *e)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
	AUTO(BIO_free_all) BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;
	long len;
	int rc = bio ? read_any_key(path, false, &key, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	if (PEM_write_bio_PUBKEY(bio, key) != 1)
		return err_nomem(e);
	len = BIO_get_mem_data(bio, &data);
	return len > 0 && buf_add(pem, data, (size_t)len) == 0 ? 0 : err_nomem(e);
}

/* Decrypts one hex text into 16 bytes; false if the key does not fit. */
static bool unseal(EVP_PKEY *key, const char *hex, uint8_t out[SECRET_HEX / 2])
{
	AUTO(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	uint8_t sealed[RSA_MAX], plain[RSA_MAX];
	size_t len = strlen(hex) / 2, plain_len = sizeof(plain);
	bool fits;

	if (!ctx || len != (size_t)EVP_PKEY_get_size(key) ||
	    hex_decode(hex, strlen(hex), sealed, len, NULL) < 0)
		return false;
	fits = EVP_PKEY_decrypt_init(ctx) == 1 &&
	       EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	       EVP_PKEY_decrypt(ctx, plain, &plain_len, sealed, len) == 1 &&
	       plain_len == SECRET_HEX &&
	       hex_decode((const char *)plain, SECRET_HEX, out, SECRET_HEX / 2, NULL) == 0;
	OPENSSL_cleanse(plain, sizeof(plain));
	ERR_clear_error();
	return fits;
}

int manifest_unseal(const char *path, const char *key_hex, const char *iv_hex,
		    struct bundle_secret *ret, struct err *e)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
	int rc = read_key(path, true, &key, e);

	if (rc < 0)
		return rc;
	if (unseal(key, key_hex, ret->key) && unseal(key, iv_hex, ret->iv))
		return 0;
	bundle_secret_wipe(ret);
	return err_set(e, EACCES, "private key '%s' does not fit: the bundle was made for others",
		       path);
}

int manifest_decrypt_secret(const struct manifest *m, const char *key_path,
			    struct bundle_secret *ret, struct err *e)
{
	const struct {
		const char *key, *iv;
	} pairs[] = {{m->user_key, m->user_iv}, {m->ec2_key, m->ec2_iv}};
	int rc = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		if (!pairs[i].key || !pairs[i].iv)
			continue;
		rc = manifest_unseal(key_path, pairs[i].key, pairs[i].iv, ret, e);
		ret->for_user = rc == 0 && i == 0;
		if (rc != -EACCES)
			return rc;
	}
	if (rc == -ENOENT)
		return err_set(e, EBADMSG, "manifest holds no encrypted key and IV");
	return rc;
}

/* ---- making -------------------------------------------------------------------------------- */

/* Encrypts 32 hex digits of text for the key's owner; *ret is hex, the caller's. */
static int seal(EVP_PKEY *key, const uint8_t secret[SECRET_HEX / 2], char **ret, struct err *e)
{
	AUTO(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	char text[SECRET_HEX + 1];
	uint8_t sealed[RSA_MAX];
	size_t len = sizeof(sealed);
	bool done;

	hex_encode(secret, SECRET_HEX / 2, text);
	done = ctx && EVP_PKEY_encrypt_init(ctx) == 1 &&
	       EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	       EVP_PKEY_encrypt(ctx, sealed, &len, (const uint8_t *)text, SECRET_HEX) == 1;
	OPENSSL_cleanse(text, sizeof(text));
	ERR_clear_error();
	if (!done)
		return err_set(e, EINVAL, "the RSA key cannot encrypt %d bytes", SECRET_HEX);
	*ret = malloc(2 * len + 1);
	if (!*ret)
		return err_nomem(e);
	hex_encode(sealed, len, *ret);
	return 0;
}

static int seal_pair(const char *cert, const struct bundle_secret *secret, char **key, char **iv,
		     struct err *e)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *rsa = NULL;
	int rc;

	free(STEAL(*key));
	free(STEAL(*iv));
	if (!cert)
		return 0;
	rc = read_key(cert, false, &rsa, e);
	if (rc == 0)
		rc = seal(rsa, secret->key, key, e);
	if (rc == 0)
		rc = seal(rsa, secret->iv, iv, e);
	return rc < 0 ? err_wrap(e, "'%s'", cert) : 0;
}

int manifest_seal(struct manifest *m, const struct bundle_secret *secret, const char *user_cert,
		  const char *ec2_cert, struct err *e)
{
	int rc = seal_pair(user_cert, secret, &m->user_key, &m->user_iv, e);

	return rc < 0 ? rc : seal_pair(ec2_cert, secret, &m->ec2_key, &m->ec2_iv, e);
}

int manifest_sign(const struct buf *text, const char *key_path, char **ret, struct err *e)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
	AUTO(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[RSA_MAX];
	size_t len = sizeof(sig);
	int rc = ctx ? read_key(key_path, true, &key, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	if (EVP_DigestSignInit(ctx, NULL, EVP_sha1(), NULL, key) != 1 ||
	    EVP_DigestSign(ctx, sig, &len, (const uint8_t *)buf_str(text), text->len) != 1) {
		ERR_clear_error();
		return err_set(e, ENOTSUP,
			       "OpenSSL refuses to make an RSA-SHA1 signature (system policy)");
	}
	*ret = malloc(2 * len + 1);
	if (!*ret)
		return err_nomem(e);
	hex_encode(sig, len, *ret);
	return 0;
}

int bundle_secret_random(struct bundle_secret *ret, struct err *e)
{
	if (getrandom(ret->key, sizeof(ret->key), 0) != (ssize_t)sizeof(ret->key) ||
	    getrandom(ret->iv, sizeof(ret->iv), 0) != (ssize_t)sizeof(ret->iv))
		return err_errno(e, errno, "getrandom");
	return 0;
}

void bundle_secret_wipe(struct bundle_secret *s)
{
	OPENSSL_cleanse(s, sizeof(*s));
}
