/* SPDX-License-Identifier: Apache-2.0 */
/* Putting ctxd into a guest with systemd: program, units, links that enable them. */
#include "imgconv/inject/ctxd.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/str.h"

#define PROGRAM "/usr/sbin/ctxd"
#define WANTS_DIR "/etc/systemd/system"
#define UNIT_MAX (64 * KIB)

static const struct overlay_attr program_attr = {.mode = 0755};
static const struct overlay_attr unit_attr = {.mode = 0644};
static const struct overlay_attr dir_attr = {.mode = 0755};

/* ---- unit files ------------------------------------------------------------------------------ */

static const char *const keys[][2] = {
	{"WantedBy=", ".wants"},
	{"RequiredBy=", ".requires"},
};

static int each_word(const char *s, size_t len, const char *suffix,
		     int (*fn)(void *ctx, const char *target, const char *suffix), void *ctx)
{
	AUTO_FREE char *copy = strndup(s, len);
	char *rest = copy, *word;

	if (!copy)
		return -ENOMEM;
	while ((word = strsep(&rest, " \t\r"))) {
		int rc = *word ? fn(ctx, word, suffix) : 0;

		if (rc < 0)
			return rc;
	}
	return 0;
}

int unit_install_targets(const char *text,
			 int (*fn)(void *ctx, const char *target, const char *suffix), void *ctx)
{
	bool in_install = false;

	for (const char *s = text; *s;) {
		size_t len = strcspn(s, "\n");

		if (*s == '[')
			in_install = len >= 9 && !strncmp(s, "[Install]", 9);
		for (size_t i = 0; in_install && i < ARRAY_SIZE(keys); i++) {
			size_t key_len = strlen(keys[i][0]);
			int rc = 0;

			if (len > key_len && !strncmp(s, keys[i][0], key_len))
				rc = each_word(s + key_len, len - key_len, keys[i][1], fn, ctx);
			if (rc < 0)
				return rc;
		}
		s += len + (s[len] == '\n');
	}
	return 0;
}

/* ---- where things go ------------------------------------------------------------------------- */

/* The folder that holds the guest's own units: with /usr merged or not. */
static const char *unit_dir(struct guest_fs *fs)
{
	static const char *const dirs[][2] = {
		{"/usr/lib/systemd/system", "/usr/lib/systemd/system/basic.target"},
		{"/lib/systemd/system", "/lib/systemd/system/basic.target"},
	};
	struct guest_stat st;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (guest_fs_stat(fs, dirs[i][1], true, &st, NULL) >= 0)
			return dirs[i][0];
	}
	return NULL;
}

static int check_machine(struct guest_fs *fs, const struct buf *program, const char *path,
			 struct err *e)
{
	struct elf_machine ours, guests;
	char our_name[32], guest_name[32];
	int rc;

	if (elf_machine_of(program->data, program->len, &ours) < 0)
		return err_set(e, EBADMSG, "'%s' is not a program", path);
	rc = distro_machine(fs, &guests, e);
	if (rc < 0)
		return rc;
	if (ours.machine == guests.machine && ours.bits == guests.bits &&
	    ours.big_endian == guests.big_endian)
		return 0;
	elf_machine_name(&ours, our_name);
	elf_machine_name(&guests, guest_name);
	return err_set(e, ENOTSUP, "ctxd ('%s') is for %s, the guest is for %s", path, our_name,
		       guest_name);
}

static int add_program(struct guest_fs *fs, const char *dir, struct overlay *to, struct err *e)
{
	AUTO_FREE char *path = path_join(dir, "ctxd");
	AUTO_BUF program = BUF_INIT;
	int rc = path ? fs_read_file(path, OVERLAY_BYTES_MAX, &program, e) : err_nomem(e);

	if (rc >= 0)
		rc = check_machine(fs, &program, path, e);
	if (rc < 0)
		return rc;
	return overlay_add_file(to, PROGRAM, program.data, program.len, &program_attr, e);
}

struct enable {
	struct overlay *to;
	const char *unit; /* file name */
	const char *path; /* in the guest */
	unsigned n;
	struct err *e;
};

static int enable_for(void *ctx, const char *target, const char *suffix)
{
	struct enable *x = ctx;
	AUTO_FREE char *dir = NULL;
	AUTO_FREE char *link = NULL;
	int rc;

	if (!name_is_plain(target))
		return err_set(x->e, EBADMSG, "unit '%s': bad target '%s'", x->unit, target);
	dir = str_format("%s/%s%s", WANTS_DIR, target, suffix);
	link = str_format("%s/%s%s/%s", WANTS_DIR, target, suffix, x->unit);
	if (!dir || !link)
		return err_nomem(x->e);
	x->n++;
	rc = overlay_add_dir(x->to, dir, &dir_attr, x->e);
	return rc < 0 ? rc : overlay_add_symlink(x->to, link, x->path, x->e);
}

static int add_unit(const char *host_dir, const char *name, const char *guest_dir,
		    struct overlay *to, struct err *e)
{
	AUTO_FREE char *host = path_join(host_dir, name);
	AUTO_FREE char *guest = path_join(guest_dir, name);
	struct enable x = {.to = to, .unit = name, .path = guest, .e = e};
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (!host || !guest)
		return err_nomem(e);
	rc = fs_read_file(host, UNIT_MAX, &text, e);
	if (rc >= 0)
		rc = overlay_add_file(to, guest, text.data, text.len, &unit_attr, e);
	if (rc >= 0)
		rc = unit_install_targets(buf_str(&text), enable_for, &x);
	if (rc == -ENOMEM)
		return err_nomem(e);
	if (rc >= 0 && !x.n)
		return err_set(e, EBADMSG, "'%s' has neither WantedBy= nor RequiredBy=", host);
	return rc;
}

static int is_unit(const struct dirent *d)
{
	return d->d_name[0] != '.' && str_has_suffix(d->d_name, ".service");
}

static int add_units(const char *dir, const char *guest_dir, struct overlay *to, struct err *e)
{
	AUTO_FREE char *host_dir = path_join(dir, "systemd");
	struct dirent **list = NULL;
	int rc = 0, n;

	if (!host_dir)
		return err_nomem(e);
	n = scandir(host_dir, &list, is_unit, alphasort);
	if (n < 0)
		return err_errno(e, errno, "'%s'", host_dir);
	if (!n)
		rc = err_set(e, ENOENT, "'%s' holds no units", host_dir);
	for (int i = 0; i < n; i++) {
		if (rc >= 0)
			rc = add_unit(host_dir, list[i]->d_name, guest_dir, to, e);
		free(list[i]);
	}
	free(list);
	return rc;
}

int ctxd_expand(struct guest_fs *fs, const struct distro *d, struct overlay *to, struct err *e)
{
	AUTO_FREE char *data_dir = NULL;
	AUTO_FREE char *dir = NULL;
	const char *guest_dir;
	int rc;

	if (strcmp(d->init, "systemd") != 0)
		return err_set(e, ENOTSUP,
			       "ctxd cannot be put into a guest whose init is %s, only systemd",
			       d->init);
	guest_dir = unit_dir(fs);
	if (!guest_dir)
		return err_set(e, ENOTSUP, "the guest has systemd, but no basic.target");
	rc = fs_data_dir(&data_dir, e);
	if (rc < 0)
		return rc;
	dir = path_join(data_dir, "guest");
	if (!dir)
		return err_nomem(e);
	rc = add_program(fs, dir, to, e);
	return rc < 0 ? rc : add_units(dir, guest_dir, to, e);
}
