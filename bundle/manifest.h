/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: what the files that read, write and sign manifests share. */
#ifndef BUNDLE_MANIFEST_H
#define BUNDLE_MANIFEST_H

#include "bundle/bundle.h"

/* The signature over text, as hex; the caller's. Errors: EINVAL the key file; ENOTSUP. */
int manifest_sign(const struct buf *text, const char *key_path, char **ret, struct err *e);

/* The public half of the key or certificate at path, in PEM. Errors: EINVAL no RSA key. */
int manifest_public_key(const char *path, struct buf *pem, struct err *e);
/* As manifest_verify, by a public key; name is for messages. */
int manifest_verify_pem(const struct manifest *m, const struct buf *pem, const char *name,
			struct err *e);
/*
 * Decrypts cipher texts (hex) of key and IV by the private key at path. Errors: EACCES it does not
 * fit; EINVAL the key file.
 */
int manifest_unseal(const char *path, const char *key_hex, const char *iv_hex,
		    struct bundle_secret *ret, struct err *e);

/* A name that two parts have, NULL if all differ. Returns 0 or -ENOMEM. */
int manifest_twice_named(const struct manifest *m, const char **ret);

/*
 * All of a manifest but its text, as bytes, and back: from a confined process to its parent. unpack
 * checks all that struct manifest promises of names, digests, sizes and strings. Errors: EBADMSG.
 */
int manifest_pack(const struct manifest *m, struct buf *out, struct err *e);
int manifest_unpack(const void *form, size_t len, struct manifest **ret, struct err *e);

#endif
