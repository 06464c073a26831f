/* SPDX-License-Identifier: Apache-2.0 */
/* Partition table and boot loader for what somebody else made, in a sandbox: see catalog/bootable.h. */
#include "catalog/bootable.h"

#include <fcntl.h>
#include <stdio.h>

#include "catalog/child_report.h"
#include "imgconv/confine.h"
#include "lib/fs.h"
#include "lib/str.h"

struct making {
	const char *path;
	const char *target_path; /* where the disk is another file */
	int target;
	const struct image_create_opts *create;
	int report;
};

/* ---- in the child --------------------------------------------------------------------------------- */

static int write_report(const struct making *m, const struct boot_report *r, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;

	jsonw_begin(&w, &text, false);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "kernel", r->kernel);
	jsonw_string(&w, "initrd", r->initrd);
	jsonw_string(&w, "cmdline", r->cmdline);
	jsonw_string(&w, "source", r->source);
	jsonw_close(&w);
	return child_report_write(m->report, &w, &text, e);
}

static int make(void *ctx, struct err *e)
{
	const struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR};
	const struct making *m = ctx;
	const struct boot_opts opts = {0};
	AUTO(boot_report_release) struct boot_report r = {0};
	AUTO(image_close) struct image *disk = NULL;
	int rc = image_open(m->path, &o, &disk, e);

	if (rc == 0)
		rc = boot_make(disk, &opts, &r, e);
	if (rc == 0)
		rc = image_flush(disk, e);
	return rc < 0 ? rc : write_report(m, &r, e);
}

static int wrap(void *ctx, struct err *e)
{
	const struct image_open_opts o = {.format = "qcow2"};
	const struct making *m = ctx;
	const struct boot_opts opts = {.firmware = BOOT_BIOS};
	AUTO(boot_report_release) struct boot_report r = {0};
	AUTO(image_close) struct image *partition = NULL;
	AUTO(image_close) struct image *disk = NULL;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	int rc = image_open(m->path, &o, &partition, e);

	if (rc == 0)
		rc = boot_assemble(partition, &opts, &disk, &r, e);
	if (rc == 0)
		rc = image_create(m->target, m->target_path, "qcow2", image_size(disk), m->create,
				  &w, e);
	if (rc == 0)
		rc = image_copy(disk, w, NULL, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	return rc < 0 ? rc : write_report(m, &r, e);
}

/* ---- here -------------------------------------------------------------------------------------------- */

static int read_report(int fd, struct boot_report *ret, struct err *e)
{
	AUTO(boot_report_release) struct boot_report r = {0};
	AUTO(value_free) struct value *root = NULL;
	int rc = child_report_read(fd, &root, e);

	if (rc == 0)
		rc = child_report_text(root, "kernel", &r.kernel, e);
	if (rc == 0)
		rc = child_report_text(root, "initrd", &r.initrd, e);
	if (rc == 0)
		rc = child_report_text(root, "cmdline", &r.cmdline, e);
	if (rc == 0)
		rc = child_report_text(root, "source", &r.source, e);
	if (rc == 0 && (!r.kernel || !r.source))
		rc = err_set(e, EBADMSG, "the report of a sandbox is not whole");
	if (rc < 0)
		return rc;
	*ret = r;
	r = (struct boot_report){0};
	return 0;
}

static int run(struct making *m, int (*fn)(void *ctx, struct err *e), struct boot_report *ret,
	       struct err *e)
{
	const struct confine_file file = {.path = m->path, .writable = fn == make};
	const struct confine c = {
		.files = &file, .n_files = 1, .boot_loader = true, .run = fn, .ctx = m};
	int rc = child_report_new(&m->report, e);

	if (rc == 0)
		rc = confine_run(&c, e);
	if (rc == 0)
		rc = read_report(m->report, ret, e);
	if (m->report >= 0)
		close(m->report);
	return rc;
}

int bootable_make(const char *path, struct boot_report *ret, struct err *e)
{
	struct making m = {.path = path};

	return run(&m, make, ret, e);
}

int bootable_wrap(const char *path, const struct image_create_opts *o, struct boot_report *ret,
		  struct err *e)
{
	AUTO_FREE char *new = str_format("%s.new", path);
	AUTO_FD int fd = new ? open(new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	struct making m = {.path = path, .target_path = new, .target = fd, .create = o};
	int rc;

	if (fd < 0)
		return new ? err_errno(e, errno, "making '%s'", new) : err_nomem(e);
	rc = run(&m, wrap, ret, e);
	if (rc == 0 && (fsync(fd) < 0 || rename(new, path) < 0))
		rc = err_errno(e, errno, "writing '%s'", new);
	if (rc < 0)
		(void)unlink(new);
	return rc;
}
