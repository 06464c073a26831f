/* SPDX-License-Identifier: Apache-2.0 */
/* An image file as an object of S3. */
#include "catalog/export_image.h"
#include "lib/s3.h"
#include "lib/str.h"

static int check(const struct export_opts *o, struct err *e)
{
	AUTO(s3_url_release) struct s3_url u = {0};
	int rc = o->dest ? s3_url_parse(o->dest, &u, e)
			 : err_set(e, EINVAL, "s3://BUCKET/KEY is expected");

	if (rc == 0 && !*u.key)
		rc = err_set(e, EINVAL, "'%s' names no object", o->dest);
	return rc < 0 ? rc : export_format_check(o, e);
}

static int run(struct session *s, const struct export_source *x, struct export_report *ret,
	       struct err *e)
{
	AUTO(s3_url_release) struct s3_url u = {0};
	struct s3_object there;
	struct progress *p;
	AUTO_FD int fd = -1;
	uint64_t size = 0;
	int rc = s3_url_parse(x->opts->dest, &u, e);

	if (rc == 0 && !x->opts->replace) {
		rc = s3_head(s->aws, s->http, u.bucket, u.key, &there, e);
		if (rc == 0)
			return err_set(e, EEXIST, "'%s' is there already (--force replaces it)",
				       x->opts->dest);
		/* Who may write need not be allowed to look. */
		rc = rc == -ENOENT || rc == -EACCES ? 0 : rc;
	}
	if (rc == 0)
		rc = export_make_file(x, &fd, &size, e);
	if (rc < 0)
		return rc;
	p = progress_start("sending", size);
	rc = s3_put_file(s->aws, s->http, u.bucket, u.key, export_acl(x->opts, NULL),
			 "application/octet-stream", fd, size, x->opts->workers, p, e);
	progress_end(p, rc == 0);
	if (rc < 0)
		return rc;
	ret->sent = size;
	ret->location = strdup(x->opts->dest);
	return ret->location ? 0 : err_nomem(e);
}

const struct export_type export_s3 = {
	.name = "s3",
	.options = "--format --compress --acl --force --workers",
	.run = run,
	.check = check,
	.cloud = &source_ec2,
};
