/* SPDX-License-Identifier: Apache-2.0 */
/* Putting ctxd into a guest: the program, and the services that its init system starts. */
#include "imgconv/inject/ctxd.h"

#include <dirent.h>

#include "imgconv/inject/enable.h"
#include "lib/fs.h"
#include "lib/str.h"

#define PROGRAM "/usr/sbin/ctxd"
/* In what ctxd_load makes. */
#define FILES_PROGRAM "/ctxd"
#define SERVICE_MAX (64 * KIB)

static const struct overlay_attr program_attr = {.mode = 0755};

/* ---- into the guest -------------------------------------------------------------------------- */

static int check_machine(struct guest_fs *fs, const struct overlay_entry *program, struct err *e)
{
	struct elf_machine ours, guests;
	char our_name[32], guest_name[32];
	int rc;

	if (elf_machine_of(program->data, program->len, &ours) < 0)
		return err_set(e, EBADMSG, "our ctxd is not a program");
	rc = distro_machine(fs, &guests, e);
	if (rc < 0)
		return rc;
	if (ours.machine == guests.machine && ours.bits == guests.bits &&
	    ours.big_endian == guests.big_endian)
		return 0;
	elf_machine_name(&ours, our_name);
	elf_machine_name(&guests, guest_name);
	return err_set(e, ENOTSUP, "our ctxd is for %s, the guest is for %s", our_name, guest_name);
}

static int add_program(struct guest_fs *fs, const struct overlay *files, struct overlay *to,
		       struct err *e)
{
	const struct overlay_entry *program = overlay_find(files, FILES_PROGRAM);
	int rc = check_machine(fs, program, e);

	if (rc < 0)
		return rc;
	return overlay_add_file(to, PROGRAM, program->data, program->len, &program_attr, e);
}

static int add_services(struct enable *x, const struct distro *d)
{
	switch (d->services) {
	case GUEST_SYSTEMD:
		return enable_systemd(x);
	case GUEST_UPSTART:
		return enable_upstart(x);
	case GUEST_OPENRC:
		return enable_openrc(x);
	case GUEST_SYSV:
	case GUEST_SYSV_SUSE:
		return enable_lsb(x, d->services);
	case GUEST_SYSV_REDHAT:
		return enable_chkconfig(x);
	case GUEST_SERVICES_UNKNOWN:
		break;
	}
	return err_set(x->e, ENOTSUP,
		       "the guest's init is %s, and it has none of the folders in which systemd, "
		       "Upstart, OpenRC or SysV init keep services",
		       d->init);
}

int ctxd_expand(struct guest_fs *fs, const struct distro *d, const struct overlay *files,
		struct overlay *to, struct err *e)
{
	struct enable x = {.fs = fs, .files = files, .to = to, .e = e};
	int rc = add_program(fs, files, to, e);

	return rc < 0 ? rc : add_services(&x, d);
}

/* ---- from the host --------------------------------------------------------------------------- */

static int load(struct overlay *files, const char *dir, const char *name, size_t limit,
		struct err *e)
{
	AUTO_FREE char *host = str_format("%s%s", dir, name);
	AUTO_BUF data = BUF_INIT;
	int rc = host ? fs_read_file(host, limit, &data, e) : err_nomem(e);

	return rc < 0 ? rc
		      : overlay_add_file(files, name, buf_str(&data), data.len, &program_attr, e);
}

static int is_visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* The files of one init system; that it has none here is for the guest that needs them to say. */
static int load_folder(struct overlay *files, const char *dir, const char *folder, struct err *e)
{
	AUTO_FREE char *host_dir = str_format("%s%s", dir, folder);
	struct dirent **list = NULL;
	int rc = 0, n;

	if (!host_dir)
		return err_nomem(e);
	n = scandir(host_dir, &list, is_visible, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "'%s'", host_dir);
	for (int i = 0; i < n; i++) {
		AUTO_FREE char *name = str_format("%s%s", folder, list[i]->d_name);

		if (rc >= 0)
			rc = name ? load(files, dir, name, SERVICE_MAX, e) : err_nomem(e);
		free(list[i]);
	}
	free(list);
	return rc;
}

int ctxd_load(struct overlay *files, struct err *e)
{
	static const char *const folders[] = {"/systemd/",     "/upstart/",     "/openrc/",
					      "/sysv/debian/", "/sysv/redhat/", "/sysv/suse/"};
	AUTO_FREE char *data_dir = NULL;
	AUTO_FREE char *dir = NULL;
	int rc = fs_data_dir(&data_dir, e);

	if (rc < 0)
		return rc;
	dir = path_join(data_dir, "guest");
	if (!dir)
		return err_nomem(e);
	rc = load(files, dir, FILES_PROGRAM, OVERLAY_BYTES_MAX, e);
	for (size_t i = 0; i < ARRAY_SIZE(folders) && rc >= 0; i++)
		rc = load_folder(files, dir, folders[i], e);
	return rc;
}
