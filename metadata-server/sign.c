/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of identity documents by OpenSSL: see metadata-server/sign.h. */
#include "metadata-server/sign.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/str.h"

enum {
	LINE = 64,
	LEAST_BITS = 2048,
	MAX_FILE = 65536,
};

struct signer {
	EVP_PKEY *key;
	X509 *certificate;
	struct buf pem;
};

static void bio_free(BIO *b)
{
	BIO_free(b);
}
DEFINE_AUTO(BIO *, bio_free);
DEFINE_AUTO(CMS_ContentInfo *, CMS_ContentInfo_free);
DEFINE_AUTO(EVP_MD_CTX *, EVP_MD_CTX_free);

static int failed(struct err *e, int code, const char *what)
{
	char text[160];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	ERR_clear_error();
	return err_set(e, code, "%s: %s", what, text);
}

void signer_free(struct signer *s)
{
	EVP_PKEY_free(s->key);
	X509_free(s->certificate);
	buf_release(&s->pem);
	free(s);
}

/* A key with a passphrase is refused: nobody is there to be asked. */
static int no_passphrase(char *text, int size, int writing, void *arg)
{
	(void)text;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static int read_key(const char *path, EVP_PKEY **ret, struct err *e)
{
	AUTO(bio_free) BIO *b = NULL;
	AUTO_BUF text = BUF_INIT;
	struct stat st;
	int rc;

	if (stat(path, &st))
		return err_errno(e, errno, "identity key '%s'", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(e, EACCES,
			       "identity key '%s': others may use it (mode %04o, not 0600)", path,
			       (unsigned)st.st_mode & 07777);
	rc = fs_read_file(path, MAX_FILE, &text, e);
	if (rc)
		return rc;
	b = BIO_new_mem_buf(buf_str(&text), (int)text.len);
	*ret = b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL;
	explicit_bzero(text.data, text.len);
	ERR_clear_error();
	if (!*ret)
		return err_set(e, EBADMSG, "identity key '%s': is not a private key in PEM", path);
	if (!EVP_PKEY_is_a(*ret, "RSA") || EVP_PKEY_get_bits(*ret) < LEAST_BITS)
		return err_set(e, EBADMSG,
			       "identity key '%s': is not an RSA key of %d bits or more", path,
			       LEAST_BITS);
	return 0;
}

static int read_certificate(struct signer *s, const char *path, struct err *e)
{
	AUTO(bio_free) BIO *b = NULL;
	AUTO(bio_free) BIO *out = BIO_new(BIO_s_mem());
	AUTO_BUF text = BUF_INIT;
	char *data;
	long len;
	int rc = fs_read_file(path, MAX_FILE, &text, e);

	if (rc)
		return rc;
	b = BIO_new_mem_buf(buf_str(&text), (int)text.len);
	s->certificate = b ? PEM_read_bio_X509(b, NULL, no_passphrase, NULL) : NULL;
	ERR_clear_error();
	if (!s->certificate)
		return err_set(e, EBADMSG, "certificate '%s': is not a certificate in PEM", path);
	if (X509_check_private_key(s->certificate, s->key) != 1)
		return failed(e, EBADMSG, "certificate and key do not belong together");
	/* it alone is published, whatever else is in the file */
	if (!out || !PEM_write_bio_X509(out, s->certificate))
		return failed(e, EIO, path);
	len = BIO_get_mem_data(out, &data);
	return buf_add(&s->pem, data, (size_t)len) ? err_nomem(e) : 0;
}

int signer_open(const char *key_file, const char *certificate_file, struct signer **ret,
		struct err *e)
{
	AUTO(signer_free) struct signer *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return err_nomem(e);
	rc = read_key(key_file, &s->key, e);
	rc = rc ? rc : read_certificate(s, certificate_file, e);
	if (rc)
		return rc;
	*ret = STEAL(s);
	return 0;
}

/* base64 in lines, no newline at the end. */
static int add_lines(const void *data, size_t len, struct buf *out, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc = base64_encode(data, len, &text);

	for (size_t i = 0; i < text.len && !rc; i += LINE) {
		rc = i ? buf_addc(out, '\n') : 0;
		rc = rc ? rc : buf_add(out, text.data + i, MIN(text.len - i, (size_t)LINE));
	}
	return rc ? err_nomem(e) : 0;
}

static int add_signature(struct signer *s, struct http_slice document, struct buf *out,
			 struct err *e)
{
	AUTO(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const unsigned char *data = (const unsigned char *)document.p;
	AUTO_FREE unsigned char *signature = NULL;
	size_t len = 0;

	if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, s->key) != 1 ||
	    EVP_DigestSign(ctx, NULL, &len, data, document.len) != 1)
		return failed(e, EIO, "signing");
	signature = malloc(len);
	if (!signature)
		return err_nomem(e);
	if (EVP_DigestSign(ctx, signature, &len, data, document.len) != 1)
		return failed(e, EIO, "signing");
	return add_lines(signature, len, out, e);
}

static int add_cms(struct signer *s, struct http_slice document, struct buf *out, struct err *e)
{
	AUTO(bio_free) BIO *in = BIO_new_mem_buf(document.p, (int)document.len);
	AUTO(CMS_ContentInfo_free) CMS_ContentInfo *cms = NULL;
	unsigned char *der = NULL;
	int len, rc;

	cms = in ? CMS_sign(s->certificate, s->key, NULL, in, CMS_BINARY | CMS_NOSMIMECAP) : NULL;
	len = cms ? i2d_CMS_ContentInfo(cms, &der) : -1;
	if (len < 0)
		return failed(e, EIO, "signing");
	rc = add_lines(der, (size_t)len, out, e);
	OPENSSL_free(der);
	return rc;
}

int signer_make(struct signer *s, enum imds_made what, struct http_slice document, struct buf *out,
		struct err *e)
{
	switch (what) {
	case IMDS_SIGNATURE:
		return add_signature(s, document, out, e);
	case IMDS_PKCS7:
	case IMDS_RSA2048:
		return add_cms(s, document, out, e);
	case IMDS_CERTIFICATE:
		return buf_add(out, s->pem.data, s->pem.len) ? err_nomem(e) : 0;
	case IMDS_CREDENTIALS:
		break;
	}
	return err_set(e, EINVAL, "nothing to sign");
}
