/* SPDX-License-Identifier: Apache-2.0 */
/* X.509 by OpenSSL: see bundle/cert.h. */
#include "bundle/cert.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

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

int cert_verify(const char *pem, size_t pem_len, enum digest_kind kind, const void *sig,
		size_t sig_len, const void *text, size_t text_len, char **ret_subject,
		struct err *e)
{
	AUTO(BIO_free_all) BIO *bio = BIO_new_mem_buf(pem, (int)pem_len);
	AUTO(X509_free) X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	AUTO(EVP_PKEY_free) EVP_PKEY *key = cert ? X509_get_pubkey(cert) : NULL;
	AUTO(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = algorithm(kind);
	int verdict;

	ERR_clear_error();
	if (!bio || !ctx)
		return err_nomem(e);
	if (!key)
		return err_set(e, EBADMSG, "there is no certificate in PEM");
	if (!md || EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) != 1) {
		ERR_clear_error();
		return err_set(e, ENOTSUP, "OpenSSL refuses to check a signature with %s",
			       digest_name(kind));
	}
	verdict = EVP_DigestVerify(ctx, sig, sig_len, text, text_len);
	ERR_clear_error();
	if (verdict != 1)
		return err_set(e, EBADMSG, "the signature does not verify");
	return subject_of(cert, ret_subject, e);
}
