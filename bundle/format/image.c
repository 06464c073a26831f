/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deliveries that are an image and nothing else: what OpenStack, OpenNebula and Azure take. Of a
 * fixed VHD it is checked whether Azure takes it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "bundle/open.h"
#include "lib/json.h"
#include "lib/str.h"

#define AZURE_MIN (20 * MIB)
#define AZURE_MAX (UINT64_C(32) << 40)

static bool probe(const struct bundle_head *h)
{
	(void)h;
	return true;
}

static int open_image(struct opening *o, unsigned flags, struct image **ret, struct err *e)
{
	const struct image_open_opts opts = {.flags = flags};
	AUTO_FD int fd = dup(o->fd);
	int rc;

	if (fd < 0)
		return err_errno(e, errno, "dup");
	rc = image_open_fd(fd, o->a->input, &opts, ret, e);
	if (rc == 0)
		(void)steal_fd(&fd);
	return rc;
}

static int open_disk(struct opening *o, struct err *e)
{
	AUTO(image_close) struct image *im = NULL;
	AUTO_FD int fd = -1;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct progress *p;
	int rc = open_image(o, 0, &im, e);

	if (rc == 0)
		rc = open_writer(o, "disk", image_size(im), &w, &fd, e);
	if (rc < 0)
		return rc;
	p = progress_start("opening", image_size(im));
	rc = image_copy(im, w, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return open_explain(o, w, rc, e);
}

/* A fixed VHD is told by where its footer is: at the end alone. */
static bool is_fixed_vhd(struct opening *o, struct image *im)
{
	uint8_t head[8] = {0};

	return !strcmp(image_format_name(im), "vhd") &&
	       fs_pread(o->fd, head, sizeof(head), 0, NULL) == 0 &&
	       memcmp(head, "conectix", sizeof(head)) != 0;
}

static int check_azure(const struct opening *o, const struct image *im, struct err *e)
{
	uint64_t size = image_size(im);

	if (size % MIB)
		return err_set(e, EBADMSG, "'%s': %" PRIu64 " bytes are no whole MiB", o->a->input,
			       size);
	if (size < AZURE_MIN || size > AZURE_MAX)
		return err_set(e, EBADMSG, "'%s': %" PRIu64 " bytes are not 20 MiB to 32 TiB",
			       o->a->input, size);
	if (o->file_size != size + 512)
		return err_set(e, EBADMSG,
			       "'%s': the file has %" PRIu64
			       " bytes, which are not the disk's %" PRIu64 " and a footer",
			       o->a->input, o->file_size, size);
	return 0;
}

static int verify(struct opening *o, struct err *e)
{
	AUTO(image_close) struct image *im = NULL;
	AUTO(image_check_release) struct image_check c = {0};
	bool azure;
	int rc = open_image(o, 0, &im, e);

	if (rc == 0 && !strcmp(image_format_name(im), "raw"))
		rc = err_set(e, ENOTSUP,
			     "'%s' is nothing that is recognised: of raw bytes nothing can be "
			     "checked",
			     o->a->input);
	if (rc == 0)
		rc = image_check_read(im, &c, NULL, e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < c.n_findings; i++) {
		if (c.findings[i].kind == IMAGE_FINDING_ERROR)
			return err_set(e, EBADMSG, "'%s': %s", o->a->input, c.findings[i].text);
	}
	azure = is_fixed_vhd(o, im);
	rc = azure ? check_azure(o, im, e) : 0;
	if (rc == 0)
		printf("image:     %s, %" PRIu64 " bytes, sound%s\n", image_format_name(im),
		       image_size(im), azure ? "; of a size that Azure takes" : "");
	return rc;
}

static int info(struct opening *o, struct err *e)
{
	AUTO(image_close) struct image *im = NULL;
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc = open_image(o, IMAGE_INSPECT, &im, e);

	if (rc < 0)
		return rc;
	if (o->a->show != CLI_JSON) {
		printf("%-15s%s\n%-15s%" PRIu64 " bytes\n", "format:", image_format_name(im),
		       "size:", image_size(im));
		return 0;
	}
	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "format", image_format_name(im));
	jsonw_u64(&w, "size", image_size(im));
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fputs(buf_str(&out), stdout);
	return rc;
}

const struct bundle_format bundle_format_image = {
	.name = "image",
	.summary = "an image by itself",
	.probe = probe,
	.open = open_disk,
	.verify = verify,
	.info = info,
};
