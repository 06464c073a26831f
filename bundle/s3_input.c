/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles that are opened where they lie in S3: see bundle/s3_input.h. */
#include "bundle/s3_input.h"

#include <sys/mman.h>

#include "lib/fs.h"
#include "lib/log.h"

#define STEP (256 * KIB)

struct s3_input {
	struct s3_url url;
	unsigned workers;
	struct aws *aws;
	struct manifest *m;
	struct part_source parts; /* begun with the first of them */
	size_t next;
};

void s3_input_free(struct s3_input *in)
{
	if (!in)
		return;
	part_source_s3_free(&in->parts);
	manifest_free(in->m);
	if (in->aws)
		aws_free(in->aws);
	s3_url_release(&in->url);
	free(in);
}

static int new_file(const char *name, int *ret_fd, struct err *e)
{
	*ret_fd = memfd_create(name, MFD_CLOEXEC);
	return *ret_fd < 0 ? err_errno(e, errno, "making a file in memory") : 0;
}

static int rewind_file(int fd, struct err *e)
{
	return lseek(fd, 0, SEEK_SET) < 0 ? err_errno(e, errno, "a file in memory") : 0;
}

static int fetch_manifest(struct s3_input *in, const char *origin, int *ret_fd, struct err *e)
{
	AUTO(httpc_free) struct httpc *http = NULL;
	AUTO_BUF text = BUF_INIT;
	AUTO_FD int fd = -1;
	int rc = aws_http_client(in->aws, &http, e);

	if (rc == 0)
		rc = s3_get(in->aws, http, in->url.bucket, in->url.key, MANIFEST_LIMIT, NULL, &text,
			    e);
	/* Which parts there are is to be known here, too. */
	if (rc == 0)
		rc = manifest_parse_confined(buf_str(&text), text.len, origin, &in->m, e);
	if (rc == 0)
		rc = new_file("manifest", &fd, e);
	if (rc == 0)
		rc = fs_write(fd, text.data, text.len, e);
	if (rc == 0)
		rc = rewind_file(fd, e);
	if (rc == 0)
		*ret_fd = steal_fd(&fd);
	return rc;
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

/* All of the part goes through here: a file in memory can be handed over, a buffer cannot. */
static int copy_part(struct s3_input *in, int fd, struct err *e)
{
	AUTO_FREE char *buf = malloc(STEP);
	size_t n = 0;
	int rc = buf ? 0 : err_nomem(e);

	do {
		if (rc == 0)
			rc = in->parts.read(in->parts.ctx, in->next, buf, STEP, &n, e);
		if (rc == 0)
			rc = fs_write(fd, buf, n, e);
	} while (rc == 0 && n);
	return rc;
}

int s3_input_part(struct s3_input *in, const char *name, int *ret_fd, struct err *e)
{
	AUTO_FD int fd = -1;
	int rc = 0;

	if (in->next >= in->m->n_parts || strcmp(in->m->parts[in->next].filename, name) != 0)
		return err_set(e, EACCES, "'%s' is not the next part", name);
	if (!in->parts.ctx)
		rc = part_source_s3(in->aws, in->url.bucket, in->url.key, in->m, in->workers, NULL,
				    &in->parts, e);
	if (rc == 0)
		rc = new_file("part", &fd, e);
	if (rc == 0)
		rc = copy_part(in, fd, e);
	if (rc == 0)
		rc = rewind_file(fd, e);
	if (rc < 0)
		return rc;
	in->next++;
	*ret_fd = steal_fd(&fd);
	return 0;
}
