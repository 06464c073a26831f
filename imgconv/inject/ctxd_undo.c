/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ctxd wrote while the guest ran is taken back offline, as `ctxd undo` does it in the guest:
 * by its list, /var/lib/ctxd/written (ctxd/guest_list.c), a line for each file:
 *
 *	own PATH     a file of its own: removed, if its first line still says so
 *	block PATH   a marked block in another's file: cut out
 *	was PATH     a file that it replaced: what was there is in /var/lib/ctxd/was-PATH, with '+' for '/'
 *	new PATH     the same where there was none
 *	link PATH    a symbolic link; its former target is kept in the same way
 *
 * What was replaced comes back first, since there may be a block in it. As in the guest, no link on the way to a
 * file is trusted that is not root's: an account could have it lead to what is not its own.
 */
#include <sys/stat.h>

#include "imgconv/inject/ctxd.h"
#include "lib/fs.h"
#include "lib/marked.h"
#include "lib/str.h"

#define STATE "/var/lib/ctxd"
#define WRITTEN STATE "/written"
#define FILE_MAX MIB   /* as in the guest */
#define LINES_MAX 4096 /* ctxd writes some dozens; each has a file read */

struct undo {
	struct guest_fs *fs;
	struct overlay *to;
	struct err *e;
};

/* ---- files ----------------------------------------------------------------------------------- */

/* 1 and what stands at path; 0: nothing, or a way there that is not root's, which is told. */
static int look(struct undo *u, const char *path, struct guest_stat *st)
{
	AUTO_FREE char *part = strdup(path);
	int rc = part ? 1 : err_nomem(u->e);

	for (char *p = part ? part + 1 : NULL; rc > 0 && (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (guest_fs_stat(u->fs, part, false, st, NULL) < 0)
			return 0;
		if (S_ISLNK(st->mode) && st->uid)
			return overlay_add(u->to, OVERLAY_KEEP, path, NULL, 0, NULL, u->e);
		*p = '/';
	}
	if (rc > 0)
		rc = guest_fs_stat(u->fs, path, false, st, u->e);
	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	return rc < 0 ? rc : 1;
}

/* A text as it is by now, in the overlay or in the guest: 1, or 0 if there is none that ctxd could have written. */
static int read_text(struct undo *u, const char *path, struct guest_stat *st, struct buf *out)
{
	const struct overlay_entry *x = overlay_find(u->to, path);
	int rc = look(u, path, st);

	if (rc > 0 && x && x->kind == OVERLAY_FILE)
		return buf_add(out, x->data, x->len) < 0 ? err_nomem(u->e) : 1;
	if (rc <= 0 || x || !S_ISREG(st->mode) || st->size > FILE_MAX)
		return rc < 0 ? rc : 0;
	rc = guest_fs_read_file(u->fs, path, FILE_MAX, out, u->e);
	return rc < 0 ? rc : 1;
}

static int write_text(struct undo *u, const char *path, const struct guest_stat *st,
		      const struct buf *text)
{
	struct overlay_attr attr = {.mode = st->mode & 07777, .uid = st->uid, .gid = st->gid};

	return overlay_add_shared(u->to, path, buf_str(text), text->len, &attr, u->e);
}

static int remove_own(struct undo *u, const char *path)
{
	AUTO_BUF text = BUF_INIT;
	struct guest_stat st;
	int rc = read_text(u, path, &st, &text);

	return rc > 0 && marked_is_own(&text) ? overlay_add_delete(u->to, path, u->e) : rc;
}

static int cut_block(struct undo *u, const char *path)
{
	AUTO_BUF text = BUF_INIT, rest = BUF_INIT;
	struct guest_stat st;
	int rc = read_text(u, path, &st, &text);

	if (rc <= 0 || memchr(buf_str(&text), '\0', text.len))
		return rc;
	if (marked_with_block(&text, "", false, &rest) < 0)
		return err_nomem(u->e);
	return rest.len == text.len ? 0 : write_text(u, path, &st, &rest);
}

/* ---- what was there before ------------------------------------------------------------------- */

/* 1 and what was kept of path, or 0. */
static int read_kept(struct undo *u, const char *path, struct buf *out)
{
	AUTO_FREE char *kept = str_format(STATE "/was-%s", path + 1);
	struct guest_stat st;

	if (!kept)
		return err_nomem(u->e);
	for (char *p = kept + strlen(STATE "/was-"); *p; p++) {
		if (*p == '/')
			*p = '+';
	}
	return read_text(u, kept, &st, out);
}

/* In the way is what ctxd put there, or somebody since; but no folder. */
static int put_back(struct undo *u, const char *path)
{
	struct guest_stat st = {0};
	AUTO_BUF text = BUF_INIT;
	int there = look(u, path, &st), rc = there < 0 ? there : read_kept(u, path, &text);

	if (rc <= 0 || (there && S_ISDIR(st.mode)))
		return rc < 0 ? rc : 0;
	if (!there || !S_ISREG(st.mode))
		st = (struct guest_stat){.mode = 0644};
	return write_text(u, path, &st, &text);
}

static int remove_new(struct undo *u, const char *path)
{
	struct guest_stat st;
	int rc = look(u, path, &st);

	return rc > 0 && !S_ISDIR(st.mode) ? overlay_add_delete(u->to, path, u->e) : rc;
}

static int put_link_back(struct undo *u, const char *path)
{
	AUTO_BUF target = BUF_INIT;
	struct guest_stat st;
	int rc = look(u, path, &st);

	if (rc > 0)
		rc = S_ISDIR(st.mode) ? 0 : read_kept(u, path, &target);
	return rc > 0 ? overlay_add_symlink(u->to, path, buf_str(&target), u->e) : rc;
}

/* ---- the list -------------------------------------------------------------------------------- */

static const struct kind {
	const char *word;
	int (*undo)(struct undo *u, const char *path);
	unsigned round;
} kinds[] = {
	{"was ", put_back, 0},   {"new ", remove_new, 0},  {"link ", put_link_back, 0},
	{"own ", remove_own, 1}, {"block ", cut_block, 1},
};

static int undo_line(struct undo *u, const char *line, unsigned round)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *k = &kinds[i];
		const char *path = line + strlen(k->word);

		if (k->round == round && str_has_prefix(line, k->word) && *path == '/')
			return k->undo(u, path);
	}
	return 0;
}

static int check_lines(const struct buf *list, struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < list->len; i++)
		n += list->data[i] == '\n';
	if (n > LINES_MAX)
		return err_set(e, EBADMSG, "'%s' has more than %d lines", WRITTEN, LINES_MAX);
	return 0;
}

int ctxd_undo_expand(struct guest_fs *fs, struct overlay *to, struct err *e)
{
	struct undo u = {fs, to, e};
	AUTO_BUF list = BUF_INIT;
	struct guest_stat st;
	int rc = read_text(&u, WRITTEN, &st, &list);

	if (rc <= 0)
		return rc;
	rc = check_lines(&list, e);
	for (unsigned round = 0; rc >= 0 && round < 2; round++) {
		AUTO_FREE char *lines = strdup(buf_str(&list));
		char *save = NULL;

		if (!lines)
			return err_nomem(e);
		for (char *l = strtok_r(lines, "\n", &save); l && rc >= 0;
		     l = strtok_r(NULL, "\n", &save))
			rc = undo_line(&u, l, round);
	}
	return rc < 0 ? rc : overlay_add_delete(to, STATE, e);
}
