/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts for the first boot: see first_boot.h. */
#include "imgconv/inject/first_boot.h"

#include "imgconv/inject/enable.h"
#include "lib/fs.h"

#define RUNNER_MAX (64 * KIB)
#define RUNNER "/etc/acclimate/first-boot"
#define SCRIPTS "/etc/acclimate/first-boot.d"

static const struct overlay_attr runner_attr = {.mode = 0755};
static const struct overlay_attr private_dir = {.mode = 0700};
static const struct overlay_attr script_attr = {.mode = 0700};

int first_boot_load(struct overlay *files, struct err *e)
{
	AUTO_FREE char *data_dir = NULL;
	AUTO_FREE char *dir = NULL;
	int rc = fs_data_dir(&data_dir, e);

	if (rc < 0)
		return rc;
	dir = path_join(data_dir, "guest/first-boot");
	if (!dir)
		return err_nomem(e);
	rc = enable_load_file(files, dir, "run", RUNNER_MAX, e);
	return rc < 0 ? rc : enable_load(files, dir, e);
}

int first_boot_expand(struct guest_fs *fs, const struct distro *d, const struct overlay_entry *x,
		      struct overlay *to, struct err *e)
{
	struct enable enable = {.fs = fs, .files = x->files, .to = to, .e = e};
	const struct overlay_entry *run = overlay_find(x->files, "/run");
	AUTO_FREE char *path = path_join(SCRIPTS, x->user);
	int rc = path ? overlay_add_file(to, RUNNER, run->data, run->len, &runner_attr, e)
		      : err_nomem(e);

	/* Scripts may hold what only root is to read. */
	if (rc >= 0)
		rc = overlay_add_dir(to, SCRIPTS, &private_dir, e);
	if (rc >= 0)
		rc = overlay_add_file(to, path, x->data, x->len, &script_attr, e);
	return rc < 0 ? rc : enable_services(&enable, d);
}
