/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of identity documents by the operator's own key. */
#ifndef METADATA_SERVER_SIGN_H
#define METADATA_SERVER_SIGN_H

#include "context/imds.h"

struct signer;

/*
 * An RSA key of at least 2048 bits and its certificate, PEM files. Nobody but the key's owner may
 * read it. Errors: EACCES others may read the key; EBADMSG one is not what it should be, or they
 * do not belong together; errno of open.
 */
int signer_open(const char *key_file, const char *certificate_file, struct signer **ret,
		struct err *e);
void signer_free(struct signer *s);
DEFINE_AUTO(struct signer *, signer_free);

/*
 * Appends what EC2 serves for the document's bytes, in lines of 64 characters, or, of
 * IMDS_CERTIFICATE, the certificate as PEM. Errors: ENOMEM; EIO.
 *
 *	IMDS_SIGNATURE            base64 of the RSA signature (PKCS #1 v1.5) of their SHA-256
 *	IMDS_PKCS7, IMDS_RSA2048  base64 of a CMS SignedData that contains them, SHA-256
 */
int signer_make(struct signer *s, enum imds_made what, struct http_slice document, struct buf *out,
		struct err *e);

#endif
