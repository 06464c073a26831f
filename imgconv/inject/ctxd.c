/* SPDX-License-Identifier: Apache-2.0 */
/* Putting ctxd into a guest: the program, and the services that its init system starts. */
#include "imgconv/inject/ctxd.h"

#include "imgconv/inject/enable.h"
#include "lib/fs.h"
#include "lib/str.h"

#define PROGRAM_NAME "ctxd"

static const struct overlay_attr program_attr = {.mode = 0755};

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
	const struct overlay_entry *program = overlay_find(files, "/" PROGRAM_NAME);
	int rc = check_machine(fs, program, e);

	if (rc < 0)
		return rc;
	return overlay_add_file(to, CTXD_PROGRAM, program->data, program->len, &program_attr, e);
}

int ctxd_expand(struct guest_fs *fs, const struct distro *d, const struct overlay *files,
		struct overlay *to, struct err *e)
{
	struct enable x = {.fs = fs, .files = files, .to = to, .e = e};
	int rc = add_program(fs, files, to, e);

	return rc < 0 ? rc : enable_services(&x, d);
}

int ctxd_load(struct overlay *files, struct err *e)
{
	AUTO_FREE char *data_dir = NULL;
	AUTO_FREE char *dir = NULL;
	int rc = fs_data_dir(&data_dir, e);

	if (rc < 0)
		return rc;
	dir = path_join(data_dir, "guest");
	if (!dir)
		return err_nomem(e);
	rc = enable_load_file(files, dir, PROGRAM_NAME, OVERLAY_BYTES_MAX, e);
	return rc < 0 ? rc : enable_load(files, dir, e);
}
