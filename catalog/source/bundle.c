/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EC2 bundles in S3: the manifest, then its parts, fetched in parallel ahead of the one pass that
 * opens them. A dropped part is resumed where it broke off (lib/aws.h); a bundle as a whole is one
 * gzip stream, so an interrupted fetch starts anew.
 */
#include "bundle/bundle.h"
#include "catalog/source.h"
#include "lib/s3.h"
#include "lib/str.h"

/* The signature, if there is something to check it by; says so in the report if not. */
static int check_signature(const struct session *s, const struct manifest *m,
			   struct fetch_report *report, struct err *e)
{
	int rc;

	if (!s->certificate) {
		if (s->require_signature)
			return err_set(e, EACCES,
				       "the manifest's signature cannot be checked: no certificate "
				       "is given (--cert, EC2_CERT)");
		rc = buf_adds(&report->warnings,
			      "the manifest's signature was not checked: no certificate is given "
			      "(--cert, EC2_CERT)\n");
		return rc < 0 ? err_nomem(e) : 0;
	}
	rc = manifest_verify(m, s->certificate, e);
	if (rc < 0)
		return rc;
	return buf_adds(&report->verified, "manifest signature (RSA, SHA-1)\n") < 0 ? err_nomem(e)
										    : 0;
}

static int fetch_manifest(struct session *s, const struct catalog_image *im, struct manifest **ret,
			  struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_FREE char *origin = str_format("s3://%s/%s", im->bucket, im->key);
	int rc;

	if (!origin)
		return err_nomem(e);
	rc = s3_get(s->aws, s->http, im->bucket, im->key, MANIFEST_LIMIT, NULL, &text, e);
	if (rc < 0)
		return rc;
	return manifest_parse_confined(text.data, text.len, origin, ret, e);
}

static int open_parts(struct session *s, const struct catalog_image *im, const struct manifest *m,
		      const struct bundle_secret *secret, const struct bundle_sink *sink,
		      struct progress *p, struct err *e)
{
	AUTO(part_source_s3_free) struct part_source parts = {0};
	int rc = part_source_s3(s->aws, im->bucket, im->key, m, s->workers, p, &parts, e);

	return rc < 0 ? rc : bundle_ec2_open(m, secret, &parts, sink, p, e);
}

static int fetch_bundle(struct session *s, const struct catalog_image *im,
			const struct fetch_sink *sink, struct fetch_report *report, struct err *e)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	AUTO(bundle_secret_wipe) struct bundle_secret secret = {0};
	struct bundle_sink out = {.write = sink->write, .ctx = sink->ctx};
	uint64_t position = 0;
	int rc = fetch_manifest(s, im, &m, e);

	if (rc < 0)
		return rc;
	rc = check_signature(s, m, report, e);
	if (rc == 0 && !s->private_key)
		rc = err_set(e, ENOKEY,
			     "the bundle is encrypted for its owner: give the private key "
			     "(--private-key, EC2_PRIVATE_KEY)");
	if (rc == 0)
		rc = manifest_decrypt_secret(m, s->private_key, &secret, e);
	if (rc < 0)
		return err_wrap(e, "'s3://%s/%s'", im->bucket, im->key);
	rc = sink->begin(sink->ctx, m->size, &position, e);
	if (rc == 0) {
		struct progress *p = progress_start("fetching", m->bundled_size);

		rc = open_parts(s, im, m, &secret, &out, p, e);
		progress_end(p, rc == 0);
	}
	if (rc == 0 && buf_adds(&report->verified, "part digests (SHA-1)\nbundled size\n"
						   "image digest (SHA-1 of the tar stream)\n"
						   "image size\n") < 0)
		rc = err_nomem(e);
	return rc;
}

const struct delivery_type delivery_s3_bundle = {
	.kind = DELIVERY_BUNDLE,
	.name = "s3-bundle",
	.resumable = false,
	.fetch = fetch_bundle,
};
