/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel and initrd out of a guest, for a machine that is given them from outside (QEMU's -kernel
 * and -initrd) with the file system as its whole first disk.
 */
#include "imgconv/disk/plan.h"
#include "imgconv/disk/report.h"
#include "lib/fs.h"
#include "lib/stop.h"

#define PIECE MIB

static int copy_file(struct guest_fs *fs, const char *path, int fd, struct err *e)
{
	AUTO(guest_file_close) struct guest_file *f = NULL;
	AUTO_FREE uint8_t *buf = malloc(PIECE);
	uint64_t off = 0;
	size_t n = PIECE;
	int rc = buf ? guest_file_open(fs, path, &f, e) : err_nomem(e);

	while (rc >= 0 && n == PIECE) {
		rc = stop_check(e);
		if (rc >= 0)
			rc = guest_file_read(f, buf, PIECE, off, &n, e);
		if (rc >= 0)
			rc = fs_write(fd, buf, n, e);
		off += n;
	}
	return rc;
}

static int write_json(const struct boot_report *r, int fd, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "kernel-file", BOOT_KERNEL_FILE);
	jsonw_string(&w, "initrd-file", r->initrd ? BOOT_INITRD_FILE : NULL);
	boot_report_json(&w, r);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc < 0 ? rc : fs_write(fd, text.data, text.len, e);
}

static int extract(struct guest_fs *fs, const struct boot_report *r,
		   const struct image_companions *files, struct err *e)
{
	int kernel = -1, initrd = -1, json = -1;
	int rc = files->create(files->ctx, BOOT_KERNEL_FILE, &kernel, e);

	if (rc >= 0)
		rc = files->create(files->ctx, BOOT_JSON_FILE, &json, e);
	if (rc >= 0)
		rc = copy_file(fs, r->kernel, kernel, e);
	if (rc >= 0 && r->initrd)
		rc = files->create(files->ctx, BOOT_INITRD_FILE, &initrd, e);
	if (rc >= 0 && r->initrd)
		rc = copy_file(fs, r->initrd, initrd, e);
	return rc < 0 ? rc : write_json(r, json, e);
}

int boot_extract(struct image *partition, const struct boot_opts *o,
		 const struct image_companions *files, struct boot_report *ret, struct err *e)
{
	AUTO(guest_fs_close) struct guest_fs *fs = NULL;
	AUTO(plan_release) struct boot_plan_result p = {0};
	struct boot_opts direct = *o;
	int rc;

	*ret = (struct boot_report){0};
	direct.direct = true;
	rc = plan_make(partition, 0, image_size(partition), &direct, &p, e);
	if (rc >= 0)
		rc = guest_fs_open(partition, 0, image_size(partition), 0, &fs, e);
	if (rc >= 0)
		rc = extract(fs, &p.report, files, e);
	if (rc < 0)
		return err_wrap(e, "kernel of '%s'", image_name(partition));
	*ret = p.report;
	p.report = (struct boot_report){0};
	return 0;
}
