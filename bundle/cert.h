/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: signatures by the certificate that comes with them. */
#ifndef BUNDLE_CERT_H
#define BUNDLE_CERT_H

#include "lib/buf.h"
#include "lib/digest.h"

/*
 * Verifies the signature over text by the first certificate in pem. *ret_subject is whom the
 * certificate names, the caller's; nobody has vouched for it, and its dates are not looked at.
 * Errors: EBADMSG it does not verify, or there is no certificate; ENOTSUP the system's policy.
 */
int cert_verify(const char *pem, size_t pem_len, enum digest_kind kind, const void *sig,
		size_t sig_len, const void *text, size_t text_len, char **ret_subject,
		struct err *e);

#endif
