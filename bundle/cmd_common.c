/* SPDX-License-Identifier: Apache-2.0 */
/* Options, signature policy and parts folder of `bundle open` and `bundle verify`. */
#include "bundle/cmd.h"
#include "lib/log.h"

static const char *from_environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

void bundle_args_init(struct bundle_args *a)
{
	*a = (struct bundle_args){
		.key = from_environment("EC2_PRIVATE_KEY"),
		.cert = from_environment("EC2_CERT"),
	};
}

bool bundle_args_take(struct bundle_args *a, int opt, const char *value)
{
	switch (opt) {
	case 'k':
		a->key = value;
		return true;
	case 'd':
		a->parts_dir = value;
		return true;
	case OPT_CERT:
		a->cert = value;
		return true;
	case OPT_REQUIRE_SIGNATURE:
		a->require_signature = true;
		return true;
	case OPT_IGNORE_SIGNATURE:
		a->ignore_signature = true;
		return true;
	default:
		return false;
	}
}

/* Why nobody checked the signature: a warning, or an error where it is required. */
static int unchecked(const struct bundle_args *a, const char *why, struct err *e)
{
	if (a->require_signature)
		return err_set(e, EBADMSG, "signature not checked: %s", why);
	log_warn("'%s': signature not checked: %s", a->manifest, why);
	return 0;
}

/*
 * Without a certificate. Tools sign with the private key whose public half they encrypt for, so a
 * key that opens the user's pair is the signer's; one that opens EC2's pair is somebody else's.
 */
static int check_by_key(const struct bundle_args *a, const struct manifest *m, bool for_user,
			const char **ret_signer, struct err *e)
{
	int rc;

	if (!m->signature)
		return unchecked(a, "the manifest is not signed", e);
	if (!a->key)
		return unchecked(a, "give the signer's certificate by --cert", e);
	rc = manifest_verify(m, a->key, e);
	if (rc == 0)
		*ret_signer = a->key;
	if (rc == 0 || for_user || rc != -EBADMSG)
		return rc;
	return unchecked(a, "the key is not the signer's; give a certificate by --cert", e);
}

int bundle_unlock(const struct bundle_args *a, const struct manifest *m,
		  struct bundle_secret *secret, const char **ret_signer, struct err *e)
{
	bool check = !a->ignore_signature;
	int rc = 0;

	*ret_signer = NULL;
	if (check && a->cert) {
		rc = manifest_verify(m, a->cert, e);
		if (rc == 0)
			*ret_signer = a->cert;
	}
	if (rc == 0 && a->key)
		rc = manifest_decrypt_secret(m, a->key, secret, e);
	if (rc == 0 && check && !a->cert)
		return check_by_key(a, m, secret->for_user, ret_signer, e) < 0
			       ? err_wrap(e, "'%s'", a->manifest)
			       : 0;
	return rc < 0 ? err_wrap(e, "'%s'", a->manifest) : 0;
}

int bundle_parts(const struct bundle_args *a, const struct manifest *m, struct part_source *ret,
		 struct err *e)
{
	const char *slash = strrchr(a->manifest, '/');
	AUTO_FREE char *dir = NULL;

	if (a->parts_dir)
		return part_source_dir(a->parts_dir, m, ret, e);
	if (!slash)
		return part_source_dir(".", m, ret, e);
	dir = strndup(a->manifest, slash == a->manifest ? 1 : (size_t)(slash - a->manifest));
	return dir ? part_source_dir(dir, m, ret, e) : err_nomem(e);
}
