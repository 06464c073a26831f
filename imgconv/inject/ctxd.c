/* SPDX-License-Identifier: Apache-2.0 */
/* Putting ctxd into a guest with systemd: program, units, links that enable them. */
#include "imgconv/inject/ctxd.h"

#include <dirent.h>

#include "lib/fs.h"
#include "lib/str.h"

#define PROGRAM "/usr/sbin/ctxd"
#define WANTS_DIR "/etc/systemd/system"
/* In what ctxd_load makes. */
#define FILES_PROGRAM "/ctxd"
#define FILES_UNITS "/systemd/"
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

static int add_unit(const struct overlay_entry *unit, const char *guest_dir, struct overlay *to,
		    struct err *e)
{
	const char *name = unit->path + strlen(FILES_UNITS);
	AUTO_FREE char *guest = path_join(guest_dir, name);
	struct enable x = {.to = to, .unit = name, .path = guest, .e = e};
	int rc = guest ? overlay_add_file(to, guest, unit->data, unit->len, &unit_attr, e)
		       : err_nomem(e);

	if (rc >= 0)
		rc = unit_install_targets(unit->data, enable_for, &x);
	if (rc == -ENOMEM)
		return err_nomem(e);
	if (rc >= 0 && !x.n)
		return err_set(e, EBADMSG, "'%s' has neither WantedBy= nor RequiredBy=", name);
	return rc;
}

int ctxd_expand(struct guest_fs *fs, const struct distro *d, const struct overlay *files,
		struct overlay *to, struct err *e)
{
	const char *guest_dir;
	int rc;

	if (strcmp(d->init, "systemd") != 0)
		return err_set(e, ENOTSUP,
			       "ctxd cannot be put into a guest whose init is %s, only systemd",
			       d->init);
	guest_dir = unit_dir(fs);
	if (!guest_dir)
		return err_set(e, ENOTSUP, "the guest has systemd, but no basic.target");
	rc = add_program(fs, files, to, e);
	for (size_t i = 0; rc >= 0 && i < files->n; i++) {
		if (str_has_prefix(files->entries[i].path, FILES_UNITS))
			rc = add_unit(&files->entries[i], guest_dir, to, e);
	}
	return rc;
}

/* ---- from the host --------------------------------------------------------------------------- */

static int load(struct overlay *files, const char *dir, const char *name, size_t limit,
		struct err *e)
{
	AUTO_FREE char *host = str_format("%s%s", dir, name);
	AUTO_BUF data = BUF_INIT;
	int rc = host ? fs_read_file(host, limit, &data, e) : err_nomem(e);

	return rc < 0 ? rc : overlay_add_file(files, name, buf_str(&data), data.len, &unit_attr, e);
}

static int is_unit(const struct dirent *d)
{
	return d->d_name[0] != '.' && str_has_suffix(d->d_name, ".service");
}

static int load_units(struct overlay *files, const char *dir, struct err *e)
{
	AUTO_FREE char *host_dir = str_format("%s%s", dir, FILES_UNITS);
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
		AUTO_FREE char *name = str_format("%s%s", FILES_UNITS, list[i]->d_name);

		if (rc >= 0)
			rc = name ? load(files, dir, name, UNIT_MAX, e) : err_nomem(e);
		free(list[i]);
	}
	free(list);
	return rc;
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
	rc = load(files, dir, FILES_PROGRAM, OVERLAY_BYTES_MAX, e);
	return rc < 0 ? rc : load_units(files, dir, e);
}
