/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of `bootable --direct-kernel`: see imgconv/direct.h. */
#include "imgconv/direct.h"

#include <unistd.h>

/* In the order in which they get their names: boot.json says that the others are there, and whole. */
static const char *const names[DIRECT_FILES] = {BOOT_KERNEL_FILE, BOOT_INITRD_FILE, BOOT_JSON_FILE};

static int create(void *ctx, const char *name, int *ret_fd, struct err *e)
{
	struct direct *d = ctx;
	AUTO_FREE char *path = path_join(d->dir, name);
	size_t i = 0;
	int rc;

	if (!path)
		return err_nomem(e);
	while (i < DIRECT_FILES && strcmp(names[i], name) != 0)
		i++;
	if (i == DIRECT_FILES || d->files[i].fd >= 0)
		return err_set(e, EACCES, "'%s' is none of the files to be made", name);
	rc = fs_mkdir_p(d->dir, 0777, e);
	if (rc == 0)
		rc = atomic_file_begin(&d->files[i], path, d->replace ? 0 : FS_NO_REPLACE, e);
	if (rc == 0)
		*ret_fd = d->files[i].fd;
	return rc;
}

void direct_begin(struct direct *d, const char *dir, bool replace)
{
	*d = (struct direct){.dir = dir, .replace = replace};
	for (size_t i = 0; i < DIRECT_FILES; i++)
		d->files[i] = ATOMIC_FILE_INIT;
	d->hook = (struct image_companions){.create = create, .ctx = d};
}

/* What is left of another guest would be taken for this one's. */
static int remove_old(const struct direct *d, const char *name, struct err *e)
{
	AUTO_FREE char *path = path_join(d->dir, name);

	if (!path)
		return err_nomem(e);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(e, errno, "removing '%s'", path);
	return 0;
}

int direct_commit(struct direct *d, struct err *e)
{
	unsigned mode = fs_file_mode();
	int rc = 0;

	if (d->replace)
		rc = remove_old(d, BOOT_JSON_FILE, e);
	if (rc == 0 && d->replace)
		rc = remove_old(d, BOOT_INITRD_FILE, e);
	for (size_t i = 0; rc == 0 && i < DIRECT_FILES; i++) {
		if (d->files[i].fd >= 0)
			rc = atomic_file_commit(&d->files[i], mode, e);
	}
	return rc;
}

void direct_abort(struct direct *d)
{
	for (size_t i = 0; i < DIRECT_FILES; i++)
		atomic_file_abort(&d->files[i]);
}
