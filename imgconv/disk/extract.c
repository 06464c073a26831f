/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel and initrd out of a guest, for a machine that is given them from outside (QEMU's -kernel
 * and -initrd) with the file system as its whole first disk.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/disk/plan.h"
#include "imgconv/disk/report.h"
#include "lib/fs.h"
#include "lib/stop.h"

#define PIECE MIB
#define KERNEL_FILE "vmlinuz"
#define INITRD_FILE "initrd.img"
#define JSON_FILE "boot.json"

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

static int begin(struct atomic_file *f, const char *dir, const char *name, bool replace,
		 struct err *e)
{
	AUTO_FREE char *path = path_join(dir, name);

	if (!path)
		return err_nomem(e);
	return atomic_file_begin(f, path, replace ? 0 : FS_NO_REPLACE, e);
}

static int write_json(const struct boot_report *r, int fd, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "kernel-file", KERNEL_FILE);
	jsonw_string(&w, "initrd-file", r->initrd ? INITRD_FILE : NULL);
	boot_report_json(&w, r);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc < 0 ? rc : fs_write(fd, text.data, text.len, e);
}

/* What is left of another guest would be taken for this one's. */
static int remove_old(const char *dir, const char *name, struct err *e)
{
	AUTO_FREE char *path = path_join(dir, name);

	if (!path)
		return err_nomem(e);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(e, errno, "removing '%s'", path);
	return 0;
}

static int extract(struct guest_fs *fs, const struct boot_report *r, const char *dir, bool replace,
		   struct err *e)
{
	AUTO(atomic_file_abort) struct atomic_file kernel = ATOMIC_FILE_INIT;
	AUTO(atomic_file_abort) struct atomic_file initrd = ATOMIC_FILE_INIT;
	AUTO(atomic_file_abort) struct atomic_file json = ATOMIC_FILE_INIT;
	unsigned mode = fs_file_mode();
	int rc = begin(&kernel, dir, KERNEL_FILE, replace, e);

	if (rc >= 0)
		rc = begin(&json, dir, JSON_FILE, replace, e);
	if (rc >= 0)
		rc = copy_file(fs, r->kernel, kernel.fd, e);
	if (rc >= 0 && r->initrd)
		rc = begin(&initrd, dir, INITRD_FILE, replace, e);
	if (rc >= 0 && r->initrd)
		rc = copy_file(fs, r->initrd, initrd.fd, e);
	if (rc >= 0)
		rc = write_json(r, json.fd, e);
	/* boot.json says that the others are there, and whole. */
	if (rc >= 0 && replace)
		rc = remove_old(dir, JSON_FILE, e);
	if (rc >= 0 && replace)
		rc = remove_old(dir, INITRD_FILE, e);
	if (rc >= 0)
		rc = atomic_file_commit(&kernel, mode, e);
	if (rc >= 0 && r->initrd)
		rc = atomic_file_commit(&initrd, mode, e);
	return rc < 0 ? rc : atomic_file_commit(&json, mode, e);
}

int boot_extract(struct image *partition, const struct boot_opts *o, const char *dir, bool replace,
		 struct boot_report *ret, struct err *e)
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
		rc = fs_mkdir_p(dir, 0777, e);
	if (rc >= 0)
		rc = extract(fs, &p.report, dir, replace, e);
	if (rc < 0)
		return err_wrap(e, "kernel of '%s'", image_name(partition));
	*ret = p.report;
	p.report = (struct boot_report){0};
	return 0;
}
