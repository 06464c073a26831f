/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles that are opened where they lie in S3: see bundle/s3_input.h. */
#include "bundle/s3_input.h"

#include "lib/fs.h"
#include "lib/log.h"

struct s3_input {
	struct s3_url url;
	unsigned workers;
	struct aws *aws;
	struct manifest *m;
	struct part_fetch *parts; /* begun with the first of them */
};

void s3_input_free(struct s3_input *in)
{
	if (!in)
		return;
	part_fetch_free(in->parts);
	manifest_free(in->m);
	if (in->aws)
		aws_free(in->aws);
	s3_url_release(&in->url);
	free(in);
}

static int fetch_manifest(struct s3_input *in, const char *origin, int *ret_fd, struct err *e)
{
	AUTO(httpc_free) struct httpc *http = NULL;
	AUTO_BUF text = BUF_INIT;
	int rc = aws_http_client(in->aws, &http, e);

	if (rc == 0)
		rc = s3_get(in->aws, http, in->url.bucket, in->url.key, MANIFEST_LIMIT, 0, NULL,
			    &text, e);
	/* Which parts there are is to be known here, too. */
	if (rc == 0)
		rc = manifest_parse_confined(buf_str(&text), text.len, origin, &in->m, e);
	return rc < 0 ? rc : fs_memory_file("manifest", text.data, text.len, ret_fd, e);
}

int s3_input_open(const struct transfer *t, const char *url, struct s3_input **ret, int *ret_fd,
		  struct err *e)
{
	AUTO(s3_input_free) struct s3_input *in = calloc(1, sizeof(*in));
	AUTO_BUF text = BUF_INIT;
	int rc = in ? s3_url_parse(url, &in->url, e) : err_nomem(e);

	if (rc == 0 && !*in->url.key)
		rc = err_set(e, EINVAL, "'%s' does not name a manifest", url);
	if (rc == 0)
		rc = aws_open(&t->aws, &in->aws, e);
	if (rc < 0)
		return rc;
	in->workers = t->workers;
	rc = fetch_manifest(in, url, ret_fd, e);
	if (rc < 0)
		return rc;
	if (log_get_level() >= LOG_LEVEL_DEBUG && aws_describe(in->aws, &text) == 0)
		log_debug("%s", buf_str(&text));
	*ret = STEAL(in);
	return 0;
}

int s3_input_part(struct s3_input *in, const char *name, int *ret_fd, struct err *e)
{
	const struct part_fetch_opts o = {.workers = in->workers};
	int rc = in->parts ? 0
			   : part_fetch_new(in->aws, in->url.bucket, in->url.key, in->m, &o,
					    &in->parts, e);

	return rc < 0 ? rc : part_fetch_next(in->parts, name, ret_fd, e);
}
