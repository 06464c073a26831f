/* SPDX-License-Identifier: Apache-2.0 */
/* X.509 by OpenSSL: see bundle/cert.h. */
#include "bundle/cert.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "lib/fs.h"
#include "lib/str.h"

#define PEM_LIMIT MIB
#define SIGNATURE_MAX 2048

DEFINE_AUTO(BIO *, BIO_free_all);
DEFINE_AUTO(EVP_PKEY *, EVP_PKEY_free);
DEFINE_AUTO(EVP_MD_CTX *, EVP_MD_CTX_free);
DEFINE_AUTO(X509 *, X509_free);

/* Nobody is asked for a passphrase. */
static int no_passphrase(char *buf, int size, int rwflag, void *user)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)user;
	return -1;
}

static const EVP_MD *algorithm(enum digest_kind kind)
{
	switch (kind) {
	case DIGEST_SHA1:
		return EVP_sha1();
	case DIGEST_SHA256:
		return EVP_sha256();
	case DIGEST_SHA512:
		return EVP_sha512();
	default:
		return NULL;
	}
}

static int subject_of(X509 *cert, char **ret, struct err *e)
{
	AUTO(BIO_free_all) BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;
	long len;

	if (!bio || X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_ONELINE) < 0)
		return err_nomem(e);
	len = BIO_get_mem_data(bio, &data);
	*ret = strndup(len > 0 ? data : "", len > 0 ? (size_t)len : 0);
	return *ret ? 0 : err_nomem(e);
}

static int verify_by(EVP_PKEY *key, enum digest_kind kind, const void *sig, size_t sig_len,
		     const void *text, size_t text_len, struct err *e)
{
	const EVP_MD *md = algorithm(kind);
	AUTO(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int verdict;

	if (!ctx)
		return err_nomem(e);
	if (!md || EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) != 1) {
		ERR_clear_error();
		return err_set(e, ENOTSUP, "OpenSSL refuses to check a signature with %s",
			       digest_name(kind));
	}
	verdict = EVP_DigestVerify(ctx, sig, sig_len, text, text_len);
	ERR_clear_error();
	return verdict == 1 ? 0 : err_set(e, EBADMSG, "the signature does not verify");
}

/* Whether that is the public key in pem. */
static bool is_key(const EVP_PKEY *key, const struct buf *pem)
{
	AUTO(BIO_free_all) BIO *bio = BIO_new_mem_buf(buf_str(pem), (int)pem->len);
	AUTO(EVP_PKEY_free)
	EVP_PKEY *other = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL) : NULL;
	bool same = other && EVP_PKEY_eq(key, other) == 1;

	ERR_clear_error();
	return same;
}

int cert_verify(const char *pem, size_t pem_len, enum digest_kind kind, const void *sig,
		size_t sig_len, const void *text, size_t text_len, const struct buf *by,
		char **ret_subject, struct err *e)
{
	AUTO(BIO_free_all) BIO *bio = BIO_new_mem_buf(pem, (int)pem_len);
	AUTO(X509_free) X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	AUTO(EVP_PKEY_free) EVP_PKEY *key = cert ? X509_get_pubkey(cert) : NULL;
	int rc;

	ERR_clear_error();
	if (!bio)
		return err_nomem(e);
	if (!key)
		return err_set(e, EBADMSG, "there is no certificate in PEM");
	rc = verify_by(key, kind, sig, sig_len, text, text_len, e);
	if (rc == 0 && by && !is_key(key, by))
		rc = err_set(e, EBADMSG, "another key signed it than the one that was given");
	return rc < 0 ? rc : subject_of(cert, ret_subject, e);
}

static int read_private_key(const char *path, EVP_PKEY **ret, struct err *e)
{
	AUTO_BUF pem = BUF_INIT;
	AUTO(BIO_free_all) BIO *bio = NULL;
	int rc = fs_read_file(path, PEM_LIMIT, &pem, e);

	if (rc < 0)
		return rc;
	bio = BIO_new_mem_buf(buf_str(&pem), (int)pem.len);
	*ret = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	ERR_clear_error();
	if (pem.len)
		OPENSSL_cleanse(pem.data, pem.len);
	return *ret ? 0
		    : err_set(e, EINVAL, "'%s' holds no private key in PEM without a passphrase",
			      path);
}

static int read_certificate(const char *path, X509 **ret, struct err *e)
{
	AUTO_BUF pem = BUF_INIT;
	AUTO(BIO_free_all) BIO *bio = NULL;
	int rc = fs_read_file(path, PEM_LIMIT, &pem, e);

	if (rc < 0)
		return rc;
	bio = BIO_new_mem_buf(buf_str(&pem), (int)pem.len);
	*ret = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	ERR_clear_error();
	return *ret ? 0 : err_set(e, EINVAL, "'%s' holds no certificate in PEM", path);
}

/* The certificate and nothing that stands beside it in its file. */
static int write_pem(X509 *cert, char **ret, struct err *e)
{
	AUTO(BIO_free_all) BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;
	long len;

	if (!bio || PEM_write_bio_X509(bio, cert) != 1)
		return err_nomem(e);
	len = BIO_get_mem_data(bio, &data);
	*ret = strndup(data, (size_t)len);
	return *ret ? 0 : err_nomem(e);
}

static int sign(EVP_PKEY *key, const struct buf *text, char **ret_hex, struct err *e)
{
	AUTO(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[SIGNATURE_MAX];
	size_t len = sizeof(sig);

	if (!ctx)
		return err_nomem(e);
	if (EVP_PKEY_get_size(key) > SIGNATURE_MAX ||
	    EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(ctx, sig, &len, (const uint8_t *)buf_str(text), text->len) != 1) {
		ERR_clear_error();
		return err_set(e, ENOTSUP, "a key of this kind makes no signature with SHA-256");
	}
	*ret_hex = malloc(2 * len + 1);
	if (!*ret_hex)
		return err_nomem(e);
	hex_encode(sig, len, *ret_hex);
	return 0;
}

int cert_sign(const char *key_path, const char *cert_path, const struct buf *text, char **ret_hex,
	      char **ret_pem, struct err *e)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
	AUTO(X509_free) X509 *cert = NULL;
	AUTO_FREE char *hex = NULL;
	int rc = read_private_key(key_path, &key, e);

	if (rc == 0)
		rc = read_certificate(cert_path, &cert, e);
	if (rc == 0 && X509_check_private_key(cert, key) != 1) {
		ERR_clear_error();
		rc = err_set(e, EINVAL, "the key '%s' is not that of the certificate '%s'",
			     key_path, cert_path);
	}
	if (rc == 0)
		rc = sign(key, text, &hex, e);
	if (rc == 0)
		rc = write_pem(cert, ret_pem, e);
	if (rc == 0)
		*ret_hex = STEAL(hex);
	return rc;
}
