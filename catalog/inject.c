/* SPDX-License-Identifier: Apache-2.0 */
/* Changing files inside an image, in a sandbox: see catalog/inject.h. */
#include "catalog/inject.h"

#include "catalog/child_report.h"
#include "imgconv/confine.h"

struct change {
	const char *path;
	const struct overlay *overlay;
	const struct inject_opts *opts;
	int report; /* file in memory */
};

/* ---- in the child --------------------------------------------------------------------------------- */

static int write_report(int fd, const struct inject_report *r, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;

	jsonw_begin(&w, &text, false);
	jsonw_object(&w, NULL);
	jsonw_u64(&w, "partition", r->partition);
	jsonw_string(&w, "distribution", r->distro);
	jsonw_string(&w, "init", r->init);
	jsonw_string_n(&w, "changes", buf_str(&r->changes), r->changes.len);
	jsonw_close(&w);
	return child_report_write(fd, &w, &text, e);
}

static int apply(void *ctx, struct err *e)
{
	const struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR};
	const struct change *c = ctx;
	AUTO(inject_report_release) struct inject_report r = {0};
	AUTO(image_close) struct image *im = NULL;
	int rc = image_open(c->path, &o, &im, e);

	if (rc == 0)
		rc = inject_apply(im, c->overlay, c->opts, &r, e);
	if (rc == 0)
		rc = image_flush(im, e);
	return rc < 0 ? rc : write_report(c->report, &r, e);
}

/* ---- here -------------------------------------------------------------------------------------------- */

static int read_report(int fd, struct inject_report *ret, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	const struct value *partition, *changes;
	uint64_t number = 0;
	int rc = child_report_read(fd, &root, e);

	if (rc < 0)
		return rc;
	partition = value_get(root, "partition");
	changes = value_get(root, "changes");
	if (!partition || !changes)
		return err_set(e, EBADMSG, "the report of a sandbox is not whole");
	rc = value_u64(partition, 0, UINT32_MAX, &number, e);
	if (rc == 0)
		rc = value_expect(changes, VALUE_STRING, e);
	if (rc == 0)
		rc = child_report_text(root, "distribution", &ret->distro, e);
	if (rc == 0)
		rc = child_report_text(root, "init", &ret->init, e);
	if (rc < 0)
		return rc;
	ret->partition = (unsigned)number;
	return buf_add(&ret->changes, changes->text, changes->text_len) < 0 ? err_nomem(e) : 0;
}

int inject_confined(const char *path, const struct overlay *overlay, const struct inject_opts *o,
		    struct inject_report *ret, struct err *e)
{
	AUTO_FD int report = -1;
	struct change change = {.path = path, .overlay = overlay, .opts = o};
	const struct confine_file file = {.path = path, .writable = true};
	const struct confine c = {
		.files = &file, .n_files = 1, .appliance = true, .run = apply, .ctx = &change};
	int rc = child_report_new(&report, e);

	change.report = report;
	if (rc == 0)
		rc = confine_run(&c, e);
	return rc < 0 ? rc : read_report(report, ret, e);
}
