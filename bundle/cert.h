/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: signatures by the certificate that comes with them. */
#ifndef BUNDLE_CERT_H
#define BUNDLE_CERT_H

#include "lib/buf.h"
#include "lib/digest.h"

/*
 * Verifies the signature over text by the first certificate in pem, whose key must be the one in by
 * (public, PEM; NULL: any). *ret_subject is whom the certificate names, the caller's; nobody has
 * vouched for it, and its dates are not looked at.
 * Errors: EBADMSG it does not verify, or there is no certificate; ENOTSUP the system's policy.
 */
int cert_verify(const char *pem, size_t pem_len, enum digest_kind kind, const void *sig,
		size_t sig_len, const void *text, size_t text_len, const struct buf *by,
		char **ret_subject, struct err *e);

/*
 * Signs text with SHA-256 by the private key at key_path (PEM without a passphrase): *ret_hex is the
 * signature, *ret_pem the first certificate at cert_path alone, both the caller's. Errors: EINVAL a
 * file holds no such thing, or the key is not the certificate's; ENOTSUP a key that does not sign so;
 * errno.
 */
int cert_sign(const char *key_path, const char *cert_path, const struct buf *text, char **ret_hex,
	      char **ret_pem, struct err *e);

#endif
