/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EC2 bundles in S3: the manifest, then its parts, fetched in parallel ahead of the one pass that
 * opens them. This process fetches; a child that can open nothing (lib/worker.h) gets one part after
 * the other, and decrypts, unpacks and writes.
 *
 * A dropped part is resumed where it broke off (lib/aws.h). A bundle as a whole is one gzip stream
 * through one cipher, whose state in the middle no library gives out: it can only be opened from its
 * beginning. So the parts are kept as they came until the image is whole, if there is room for both; an
 * import that goes on opens those anew, and fetches the others.
 */
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "bundle/bundle.h"
#include "catalog/source.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/s3.h"
#include "lib/str.h"
#include "lib/worker.h"

enum {
	ASK_PART,
};

struct opening {
	struct session *session;
	const struct catalog_image *im;
	const struct fetch_sink *sink;
	struct manifest *m;
	struct bundle_secret secret;
	const char *keep;
	struct part_fetch *parts; /* begun with the first of them: there may be no threads before */
	struct progress *progress;
};

static void opening_release(struct opening *o)
{
	part_fetch_free(o->parts);
	manifest_free(o->m);
	bundle_secret_wipe(&o->secret);
}
DEFINE_AUTO_STRUCT(struct opening, opening_release);

/* ---- the manifest ---------------------------------------------------------------------------- */

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
	rc = s3_get(s->aws, s->http, im->bucket, im->key, MANIFEST_LIMIT, s->attempt_timeout_ms,
		    NULL, &text, e);
	if (rc < 0)
		return rc;
	return manifest_parse_confined(text.data, text.len, origin, ret, e);
}

static int unlock(struct opening *o, struct fetch_report *report, struct err *e)
{
	const struct session *s = o->session;
	int rc = check_signature(s, o->m, report, e);

	if (rc == 0 && !s->private_key)
		rc = err_set(e, ENOKEY,
			     "the bundle is encrypted for its owner: give the private key "
			     "(--private-key, EC2_PRIVATE_KEY)");
	if (rc == 0)
		rc = manifest_decrypt_secret(o->m, s->private_key, &o->secret, e);
	return rc < 0 ? err_wrap(e, "'s3://%s/%s'", o->im->bucket, o->im->key) : 0;
}

/* ---- keeping parts --------------------------------------------------------------------------- */

/* The folder for parts, or NULL: what they take must not be lacking to the image. */
static const char *folder_for_parts(const char *dir, const struct manifest *m)
{
	uint64_t needed, room;
	struct statvfs fs;
	char text[16];

	if (!dir || (mkdir(dir, 0700) < 0 && errno == EEXIST))
		return dir;
	if (statvfs(dir, &fs) < 0)
		return NULL;
	if (u64_add(m->size, m->bundled_size, &needed) &&
	    (!u64_mul(fs.f_bavail, fs.f_frsize, &room) || needed <= room))
		return dir;
	size_to_text(m->bundled_size, text);
	log_info("there is no room to keep the parts (%s) beside the image: if this is "
		 "interrupted, it begins anew",
		 text);
	(void)rmdir(dir);
	return NULL;
}

/* What there is to be gone on with, if it failed; what was gone on with, if not. */
static void report_kept(const struct opening *o, int rc, struct fetch_report *report)
{
	size_t found = 0, kept = o->parts ? part_fetch_kept(o->parts, &found) : 0;

	report->kept = kept > 0;
	if (rc == 0 && found)
		log_info("went on with %zu of %zu parts, which the import before had fetched",
			 found, o->m->n_parts);
}

/* ---- in the child ---------------------------------------------------------------------------- */

static int ask_part(void *ctx, const char *name, int *ret_fd, struct err *e)
{
	(void)ctx;
	return worker_ask(ASK_PART, name, strlen(name), ret_fd, NULL, e);
}

static int open_parts(void *ctx, struct err *e)
{
	const struct opening *o = ctx;
	const struct bundle_sink out = {.write = o->sink->write, .ctx = o->sink->ctx};
	AUTO(part_source_open_free) struct part_source parts = {0};
	int rc = part_source_open(ask_part, NULL, o->m, &parts, e);

	if (rc == 0)
		rc = bundle_ec2_open(o->m, &o->secret, &parts, &out, NULL, e);
	return rc < 0 ? rc : o->sink->finish(o->sink->ctx, e);
}

/* ---- here ------------------------------------------------------------------------------------ */

static int serve(void *ctx, unsigned what, const char *text, size_t len, struct worker_answer *ret,
		 struct err *e)
{
	struct opening *o = ctx;
	const struct part_fetch_opts opts = {
		.workers = o->session->workers,
		.timeout_ms = o->session->attempt_timeout_ms,
		.keep = o->keep,
		.progress = o->progress,
	};
	int rc = 0;

	if (what != ASK_PART || strlen(text) != len)
		return err_set(e, EACCES, "a request of the confined process makes no sense");
	if (!o->parts)
		rc = part_fetch_new(o->session->aws, o->im->bucket, o->im->key, o->m, &opts,
				    &o->parts, e);
	return rc < 0 ? rc : part_fetch_next(o->parts, text, &ret->fd, e);
}

static int fetch_bundle(struct session *s, const struct catalog_image *im,
			const struct fetch_sink *sink, struct fetch_report *report, struct err *e)
{
	AUTO(opening_release) struct opening o = {.session = s, .im = im, .sink = sink};
	const struct worker w = {.run = open_parts, .serve = serve, .ctx = &o};
	uint64_t position = 0;
	int rc = fetch_manifest(s, im, &o.m, e);

	if (rc == 0)
		rc = unlock(&o, report, e);
	if (rc == 0)
		rc = sink->begin(sink->ctx, o.m->size, &position, e);
	if (rc < 0)
		return rc;
	o.keep = folder_for_parts(s->keep, o.m);
	o.progress = progress_start("fetching", o.m->bundled_size);
	rc = worker_run(&w, e);
	progress_end(o.progress, rc == 0);
	report_kept(&o, rc, report);
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
