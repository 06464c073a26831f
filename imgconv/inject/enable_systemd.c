/* SPDX-License-Identifier: Apache-2.0 */
/* Units of systemd, and the links that enable them. */
#include "imgconv/inject/ctxd.h"
#include "imgconv/inject/enable.h"
#include "lib/fs.h"
#include "lib/str.h"

#define WANTS_DIR "/etc/systemd/system"

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

/* ---- where they go --------------------------------------------------------------------------- */

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

struct install {
	struct enable *x;
	const char *unit; /* file name */
	const char *path; /* in the guest */
	unsigned n;
};

static int enable_for(void *ctx, const char *target, const char *suffix)
{
	struct install *in = ctx;
	AUTO_FREE char *dir = NULL;

	if (!name_is_plain(target))
		return err_set(in->x->e, EBADMSG, "unit '%s': bad target '%s'", in->unit, target);
	dir = str_format("%s/%s%s", WANTS_DIR, target, suffix);
	if (!dir)
		return err_nomem(in->x->e);
	in->n++;
	return enable_add_link(in->x, dir, in->unit, in->path);
}

static int add_unit(struct enable *x, const struct overlay_entry *unit, const char *name)
{
	const char *dir = unit_dir(x->fs);
	AUTO_FREE char *path = dir ? path_join(dir, name) : NULL;
	struct install in = {.x = x, .unit = name, .path = path};
	int rc;

	if (!dir)
		return err_set(x->e, ENOTSUP, "the guest has systemd, but no basic.target");
	if (!path)
		return err_nomem(x->e);
	rc = enable_add_file(x, dir, name, unit, 0644);
	if (rc >= 0)
		rc = unit_install_targets(unit->data, enable_for, &in);
	if (rc == -ENOMEM)
		return err_nomem(x->e);
	/* One without [Install] is started by another unit, or by udev. */
	if (rc >= 0 && !in.n && strstr(unit->data, "\n[Install]"))
		return err_set(x->e, EBADMSG, "'%s' has neither WantedBy= nor RequiredBy=", name);
	return rc;
}

int enable_systemd(struct enable *x)
{
	return enable_each(x, "/systemd/", add_unit);
}
