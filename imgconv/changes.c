/* SPDX-License-Identifier: Apache-2.0 */
/* Options that change the guest's files: see changes.h. */
#include "imgconv/changes.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/fs.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"

#define SCRIPT_MAX (16 * MIB)
#define KEYS_MAX MIB

static int octal(const char *s, unsigned *ret, struct err *e)
{
	unsigned v = 0;

	if (!*s || strspn(s, "01234567") != strlen(s) || strlen(s) > 5)
		return err_set(e, EINVAL, "'%s' is not an octal mode", s);
	for (; *s; s++)
		v = v * 8 + (unsigned)(*s - '0');
	if (v > 07777)
		return err_set(e, ERANGE, "mode %o is over 7777", v);
	*ret = v;
	return 0;
}

static int owner(const char *s, uint32_t *ret, struct err *e)
{
	uint64_t v = 0;
	int rc = str_to_u64(s, 0, UINT32_MAX - 1, &v, e);

	*ret = (uint32_t)v;
	return rc;
}

/* SRC:DST[:MODE[:UID:GID]]; without a mode that of SRC. */
static int add_file(struct overlay *o, const char *text, struct err *e)
{
	AUTO_FREE char *copy = strdup(text);
	struct overlay_attr a = {.mode = 0644};
	char *rest = copy, *part[5] = {NULL};
	size_t n = 0;
	struct stat st;
	int rc = 0;

	if (!copy)
		return err_nomem(e);
	while (rest && n < ARRAY_SIZE(part))
		part[n++] = strsep(&rest, ":");
	if (rest || n < 2 || n == 4 || !*part[0] || !*part[1])
		return err_set(e, EINVAL, "'%s' is not of the form SRC:DST[:MODE[:UID:GID]]", text);
	if (n > 2)
		rc = octal(part[2], &a.mode, e);
	else if (stat(part[0], &st) == 0)
		a.mode = st.st_mode & 07777;
	if (rc >= 0 && n == 5)
		rc = owner(part[3], &a.uid, e);
	if (rc >= 0 && n == 5)
		rc = owner(part[4], &a.gid, e);
	return rc < 0 ? rc : overlay_add_host_file(o, part[1], part[0], &a, e);
}

static int add_overlay(struct overlay *o, const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(e, errno, "'%s'", path);
	return S_ISDIR(st.st_mode) ? overlay_add_tree(o, path, e) : overlay_add_tar(o, path, e);
}

/* [USER:]FILE */
static int add_ssh_key(struct overlay *o, const char *text, struct err *e)
{
	const char *colon = strchr(text, ':');
	const char *file = colon ? colon + 1 : text;
	AUTO_FREE char *user = colon ? strndup(text, (size_t)(colon - text)) : strdup("root");
	AUTO_BUF keys = BUF_INIT;
	int rc = user ? fs_read_file(file, KEYS_MAX, &keys, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	rc = overlay_add_ssh_key(o, user, buf_str(&keys), keys.len, e);
	return rc < 0 ? err_wrap(e, "'%s'", text) : 0;
}

static int add_script(struct overlay *o, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	AUTO_BUF script = BUF_INIT;
	int rc = fs_read_file(path, SCRIPT_MAX, &script, e);

	return rc < 0 ? rc
		      : overlay_add_first_boot(o, slash ? slash + 1 : path, buf_str(&script),
					       script.len, e);
}

/* Time stamps: now, or $SOURCE_DATE_EPOCH for the same bytes each time. */
static int time_stamp(int64_t *ret, struct err *e)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t n = 0;

	if (!epoch) {
		*ret = (int64_t)time(NULL);
		return 0;
	}
	if (str_to_u64(epoch, 0, INT64_MAX, &n, e) < 0)
		return err_wrap(e, "SOURCE_DATE_EPOCH");
	*ret = (int64_t)n;
	return 0;
}

int change_args_begin(struct change_args *a, struct err *e)
{
	int rc = time_stamp(&a->opts.now, e);

	return rc < 0 ? rc : overlay_new(&a->overlay, e);
}

static int take_change(struct overlay *o, int opt, const char *arg, struct err *e)
{
	switch (opt) {
	case CHANGE_OPT_OVERLAY:
		return add_overlay(o, arg, e);
	case CHANGE_OPT_CTXD:
		return overlay_add_ctxd(o, e);
	case CHANGE_OPT_REMOVE_CTXD:
		return overlay_add_remove_ctxd(o, e);
	case CHANGE_OPT_FILE:
		return add_file(o, arg, e);
	case CHANGE_OPT_DELETE:
		return overlay_add_delete(o, arg, e);
	case CHANGE_OPT_HOSTNAME:
		return overlay_add_hostname(o, arg, e);
	case CHANGE_OPT_SSH_KEY:
		return add_ssh_key(o, arg, e);
	default:
		return add_script(o, arg, e);
	}
}

int change_args_take(struct change_args *a, int opt, const char *arg, struct err *e)
{
	uint64_t n = 0;
	int rc;

	if (opt < CHANGE_OPT_OVERLAY || opt > CHANGE_OPT_REPLAY)
		return 0;
	if (opt == CHANGE_OPT_REPLAY) {
		a->opts.replay_journal = true;
		return 1;
	}
	if (opt == CHANGE_OPT_VOLUME) {
		a->opts.volume = arg;
		return 1;
	}
	if (opt == CHANGE_OPT_PARTITION) {
		rc = str_to_u64(arg, 1, 128, &n, e);
		a->opts.partition = (unsigned)n;
	} else {
		a->any = true;
		rc = take_change(a->overlay, opt, arg, e);
	}
	if (rc < 0)
		/* A wrong word is a usage error; what a file holds is not. */
		a->misused = (rc == -EINVAL || rc == -ERANGE) && opt != CHANGE_OPT_OVERLAY &&
			     opt != CHANGE_OPT_SSH_KEY && opt != CHANGE_OPT_SCRIPT;
	return rc < 0 ? rc : 1;
}

const char *change_args_where(const struct change_args *a)
{
	if (a->opts.partition)
		return "--partition";
	if (a->opts.volume)
		return "--volume";
	return a->opts.replay_journal ? "--replay-journal" : NULL;
}

void change_args_release(struct change_args *a)
{
	overlay_free(a->overlay);
	a->overlay = NULL;
}

/* ---- telling --------------------------------------------------------------------------------- */

/* What changes.data says, a line each: sign, space, path. */
void change_json(struct jsonw *w, const struct buf *changes)
{
	static const char *const words[][2] = {
		{"+", "add"}, {"~", "replace"}, {"-", "remove"}, {"!", "keep"}};

	jsonw_array(w, "changes");
	for (const char *s = buf_str(changes); *s;) {
		size_t len = strcspn(s, "\n");

		jsonw_object(w, NULL);
		for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
			if (*s == *words[i][0])
				jsonw_string(w, "action", words[i][1]);
		}
		jsonw_string_n(w, "path", s + 2, len - 2);
		jsonw_close(w);
		s += len + 1;
	}
	jsonw_close(w);
}

int change_tell(const struct inject_report *r, bool dry_run, struct err *e)
{
	AUTO_BUF name = BUF_INIT;

	if (str_escape(r->distro, strlen(r->distro), SIZE_MAX, &name) < 0)
		return err_nomem(e);
	log_info("%s, init: %s%s", buf_str(&name), r->init, dry_run ? "; nothing is written" : "");
	for (const char *s = buf_str(&r->changes); *s; s += strcspn(s, "\n") + 1) {
		if (*s == '!')
			log_warn("'%.*s' was changed since it was put in: it stays",
				 (int)strcspn(s + 2, "\n"), s + 2);
	}
	return 0;
}
