/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside bundle/: signature policy and secret of a bundle for EC2. The private key stays outside of
 * the process that parses the manifest: that one asks for what it needs of it.
 */
#ifndef BUNDLE_UNLOCK_H
#define BUNDLE_UNLOCK_H

#include "bundle/bundle.h"

/* From the command line. */
struct bundle_args {
	const char *manifest;
	const char *key;       /* NULL: none */
	const char *cert;      /* NULL: none */
	bool own_cert;         /* cert was given, and is not the environment's, which is for EC2 */
	const char *parts_dir; /* NULL: the manifest's folder */
	bool require_signature, ignore_signature;
};

/* What is to be had of the keys. */
struct keyring {
	/* The public half of what is in the file at path, in PEM. Errors: EINVAL no key. */
	int (*public_key)(void *ctx, const char *path, struct buf *pem, struct err *e);
	/* The secret of the cipher texts (hex) by a->key. Errors: EACCES the key does not fit. */
	int (*unseal)(void *ctx, const char *key_hex, const char *iv_hex, struct bundle_secret *ret,
		      struct err *e);
	void *ctx; /* for the two; of keyring_here a struct bundle_args */
};
/* By reading the files, in this process. */
struct keyring keyring_here(const struct bundle_args *a);

/*
 * Checks the signature as far as cert and key allow (warning on stderr where they do not) and, if
 * there is a key, decrypts the secret. *ret_signer: the file that the signature verified with, or
 * NULL.
 */
int bundle_unlock(const struct bundle_args *a, const struct keyring *k, const struct manifest *m,
		  struct bundle_secret *secret, const char **ret_signer, struct err *e);

#endif
