/* SPDX-License-Identifier: Apache-2.0 */
/* See bundle/unlock.h. */
#include "bundle/unlock.h"

#include "bundle/manifest.h"
#include "lib/log.h"

/* ---- keys in files ---------------------------------------------------------------------------- */

static int public_key(void *ctx, const char *path, struct buf *pem, struct err *e)
{
	(void)ctx;
	return manifest_public_key(path, pem, e);
}

static int unseal(void *ctx, const char *key_hex, const char *iv_hex, struct bundle_secret *ret,
		  struct err *e)
{
	const struct bundle_args *a = ctx;

	return manifest_unseal(a->key, key_hex, iv_hex, ret, e);
}

struct keyring keyring_here(const struct bundle_args *a)
{
	return (struct keyring){
		.public_key = public_key,
		.unseal = unseal,
		.ctx = (void *)(uintptr_t)a, /* is not changed */
	};
}

/* ---- policy ----------------------------------------------------------------------------------- */

/* Why nobody checked the signature: a warning, or an error where it is required. */
static int unchecked(const struct bundle_args *a, const char *why, struct err *e)
{
	if (a->require_signature)
		return err_set(e, EBADMSG, "signature not checked: %s", why);
	log_warn("'%s': signature not checked: %s", a->manifest, why);
	return 0;
}

static int verify_by(const struct keyring *k, const struct manifest *m, const char *path,
		     const char **ret_signer, struct err *e)
{
	AUTO_BUF pem = BUF_INIT;
	int rc = k->public_key(k->ctx, path, &pem, e);

	if (rc == 0)
		rc = manifest_verify_pem(m, &pem, path, e);
	if (rc == 0)
		*ret_signer = path;
	return rc;
}

/*
 * Without a certificate. Tools sign with the private key whose public half they encrypt for, so a
 * key that opens the user's pair is the signer's; one that opens EC2's pair is somebody else's.
 */
static int check_by_key(const struct bundle_args *a, const struct keyring *k,
			const struct manifest *m, bool for_user, const char **ret_signer,
			struct err *e)
{
	int rc;

	if (!m->signature)
		return unchecked(a, "the manifest is not signed", e);
	if (!a->key)
		return unchecked(a, "give the signer's certificate by --cert", e);
	rc = verify_by(k, m, a->key, ret_signer, e);
	if (rc == 0 || for_user || rc != -EBADMSG)
		return rc;
	return unchecked(a, "the key is not the signer's; give a certificate by --cert", e);
}

/* The user's pair is tried first, then the cloud's. */
static int decrypt(const struct keyring *k, const struct manifest *m, const char *key,
		   struct bundle_secret *secret, struct err *e)
{
	int rc = -EACCES;

	if (!(m->user_key && m->user_iv) && !(m->ec2_key && m->ec2_iv))
		return err_set(e, EBADMSG, "manifest holds no encrypted key and IV");
	if (m->user_key && m->user_iv)
		rc = k->unseal(k->ctx, m->user_key, m->user_iv, secret, e);
	secret->for_user = rc == 0;
	if (rc == -EACCES && m->ec2_key && m->ec2_iv)
		rc = k->unseal(k->ctx, m->ec2_key, m->ec2_iv, secret, e);
	if (rc == -EACCES)
		return err_set(e, EACCES,
			       "private key '%s' does not fit: the bundle was made for others",
			       key);
	return rc;
}

int bundle_unlock(const struct bundle_args *a, const struct keyring *k, const struct manifest *m,
		  struct bundle_secret *secret, const char **ret_signer, struct err *e)
{
	bool check = !a->ignore_signature;
	int rc = 0;

	*ret_signer = NULL;
	if (check && a->cert)
		rc = verify_by(k, m, a->cert, ret_signer, e);
	if (rc == 0 && a->key)
		rc = decrypt(k, m, a->key, secret, e);
	if (rc == 0 && check && !a->cert)
		rc = check_by_key(a, k, m, secret->for_user, ret_signer, e);
	return rc < 0 ? err_wrap(e, "'%s'", a->manifest) : 0;
}
