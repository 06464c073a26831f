/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An EC2 bundle in S3: parts as they are made, the manifest last, so that what has a manifest is
 * whole. Parts are sent in parallel while the next ones are made.
 */
#include "bundle/bundle.h"
#include "catalog/export.h"
#include "lib/log.h"
#include "lib/pool.h"
#include "lib/s3.h"
#include "lib/str.h"

#define WORKERS 4
#define DEFAULT_ACL "aws-exec-read" /* as ec2-upload-bundle */
#define CUSTOMARY_MAX (10 * GIB)

struct sender {
	struct session *session;
	struct s3_url to;
	const char *name; /* of the image: what files' names begin with */
	const char *acl;
	struct pool *pool;
	struct httpc **clients; /* n_clients */
	unsigned n_clients;
	struct buf part; /* that is being made */
	uint64_t sent;
};

struct part_job {
	struct sender *owner;
	char *key;
	struct buf data;
};

static void drop_job(void *job)
{
	struct part_job *j = job;

	buf_release(&j->data);
	free(j->key);
	free(j);
}

static void sender_release(struct sender *s)
{
	if (s->pool)
		pool_free(s->pool, drop_job);
	for (unsigned i = 0; s->clients && i < s->n_clients; i++)
		httpc_free(s->clients[i]);
	free(s->clients);
	buf_release(&s->part);
	s3_url_release(&s->to);
}
DEFINE_AUTO_STRUCT(struct sender, sender_release);

static char *key_of(const struct sender *s, const char *file)
{
	size_t n = strlen(s->to.key);

	return str_format("%s%s%s", s->to.key, n && s->to.key[n - 1] != '/' ? "/" : "", file);
}

/* ---- parts ----------------------------------------------------------------------------------------- */

static int put_part(void *job, unsigned worker, struct err *e)
{
	struct part_job *j = job;
	struct sender *s = j->owner;

	return s3_put(s->session->aws, s->clients[worker], s->to.bucket, j->key, s->acl,
		      "application/octet-stream", j->data.data, j->data.len, e);
}

static int take_one(struct sender *s, struct err *e)
{
	void *job = NULL;
	int rc = pool_next(s->pool, &job, e);

	if (rc > 0)
		s->sent += ((struct part_job *)job)->data.len;
	if (job)
		drop_job(job);
	return rc < 0 ? rc : 0;
}

static int sink_write(void *ctx, size_t index, const void *data, size_t len, struct err *e)
{
	struct sender *s = ctx;

	(void)index;
	return buf_add(&s->part, data, len) < 0 ? err_nomem(e) : 0;
}

static int sink_end(void *ctx, size_t index, uint64_t size, const char *sha1, struct err *e)
{
	struct sender *s = ctx;
	AUTO_FREE char *file = bundle_part_name(BUNDLE_STYLE_EUCA2OOLS, s->name, index, 0);
	struct part_job *j = calloc(1, sizeof(*j));
	int rc = 0;

	(void)size;
	(void)sha1;
	if (!j || !file || !(j->key = key_of(s, file))) {
		free(j);
		return err_nomem(e);
	}
	j->owner = s;
	j->data = s->part;
	s->part = BUF_INIT;
	rc = pool_submit(s->pool, put_part, j, e);
	if (rc < 0)
		drop_job(j);
	while (rc == 0 && pool_pending(s->pool) > pool_threads(s->pool))
		rc = take_one(s, e);
	return rc;
}

static int start_workers(struct sender *s, unsigned workers, struct err *e)
{
	int rc = pool_new(workers ? workers : WORKERS, &s->pool, e);

	if (rc < 0)
		return rc;
	s->n_clients = pool_threads(s->pool);
	s->clients = calloc(s->n_clients, sizeof(struct httpc *));
	if (!s->clients)
		return err_nomem(e);
	for (unsigned i = 0; rc == 0 && i < s->n_clients; i++)
		rc = aws_http_client(s->session->aws, &s->clients[i], e);
	return rc;
}

/* ---- the manifest ------------------------------------------------------------------------------------ */

static int new_manifest(const struct export_source *x, const char *name, struct manifest **ret,
			struct err *e)
{
	const char *user = x->opts->user ? x->opts->user : getenv("EC2_USER_ID");
	const char *root = store_text(x->record, "source/root-device-name");
	const struct manifest_mapping mappings[] = {
		{(char *)"ami", (char *)"sda1"},
		{(char *)"root", (char *)(root ? root : "/dev/sda1")},
	};
	const struct manifest_spec spec = {
		.name = name,
		.user = user,
		.architecture = x->architecture,
		.mappings = mappings,
		.n_mappings = ARRAY_SIZE(mappings),
	};

	if (!user || !*user)
		return err_set(e, EINVAL, "a bundle needs the number of an account (--user)");
	return manifest_new(&spec, ret, e);
}

static int put_manifest(struct sender *s, struct session *session, struct manifest *m,
			char **ret_location, struct err *e)
{
	AUTO_FREE char *file = str_format("%s.manifest.xml", s->name);
	AUTO_FREE char *key = file ? key_of(s, file) : NULL;
	AUTO_BUF text = BUF_INIT;
	int rc = key ? manifest_write(m, BUNDLE_STYLE_EUCA2OOLS, session->private_key, &text, e)
		     : err_nomem(e);

	if (rc == 0)
		rc = s3_put(session->aws, session->http, s->to.bucket, key, s->acl, "text/xml",
			    text.data, text.len, e);
	if (rc < 0)
		return rc;
	*ret_location = str_format("%s/%s", s->to.bucket, key);
	return *ret_location ? 0 : err_nomem(e);
}

static int check_keys(const struct session *s, const struct export_opts *o, struct err *e)
{
	if (!s->certificate || !s->private_key)
		return err_set(e, EINVAL,
			       "a bundle needs the key that signs it (--private-key) and a "
			       "certificate of its owner (--cert)");
	if (!o->ec2_cert && !o->no_register)
		return err_set(e, EINVAL,
			       "the cloud can open a bundle only if it is made for its certificate "
			       "(--ec2cert)");
	return 0;
}

int bundle_upload(struct session *s, const struct export_source *x, char **ret_location,
		  struct export_report *report, struct err *e)
{
	AUTO(bundle_secret_wipe) struct bundle_secret secret = {0};
	AUTO(manifest_free) struct manifest *m = NULL;
	AUTO(sender_release) struct sender sender = {.session = s, .name = x->opts->image};
	struct part_sink sink = {sink_write, sink_end, &sender};
	struct image *im = x->disks[0].im;
	struct progress *p;
	int rc = check_keys(s, x->opts, e);

	if (rc == 0 && x->n_disks > 1)
		rc = err_set(e, ENOTSUP, "'%s' has %u disks: a bundle holds one", x->opts->image,
			     x->n_disks);
	if (rc == 0)
		rc = s3_url_parse(x->opts->bundle, &sender.to, e);
	if (rc == 0)
		rc = new_manifest(x, x->opts->image, &m, e);
	if (rc == 0)
		rc = bundle_secret_random(&secret, e);
	if (rc == 0)
		rc = start_workers(&sender, x->opts->workers, e);
	if (rc < 0)
		return rc;
	sender.acl = export_acl(x->opts, DEFAULT_ACL);
	if (image_size(im) > CUSTOMARY_MAX)
		log_warn("EC2 boots no bundle of more than 10 GiB");
	p = progress_start("bundling", image_size(im));
	rc = bundle_ec2_create(im, NULL, BUNDLE_STYLE_EUCA2OOLS, &secret, &sink, m, p, e);
	while (rc == 0 && pool_pending(sender.pool))
		rc = take_one(&sender, e);
	progress_end(p, rc == 0);
	if (rc == 0)
		rc = manifest_seal(m, &secret, s->certificate, x->opts->ec2_cert, e);
	if (rc == 0)
		rc = put_manifest(&sender, s, m, ret_location, e);
	report->sent = sender.sent;
	return rc;
}
