/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stood where ctxd wrote, and how it comes back. The content of a file that was replaced whole,
 * or a link's target, lies beside the list, in "was-" and the path with '/' as '+'.
 */
#include <sys/stat.h>

#include "ctxd/account.h"
#include "ctxd/guest_priv.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"

#define LIST_DIR "/var/lib/ctxd"

/* Where the content that stood at path before ctxd is kept. */
static char *was_path(const char *path)
{
	char *p = str_format(LIST_DIR "/was-%s", path + 1);

	for (char *s = p ? p + strlen(LIST_DIR "/was-") : NULL; s && *s; s++) {
		if (*s == '/')
			*s = '+';
	}
	return p;
}

/* Is a file that was replaced whole on the list? Returns 1, 0 or an error. */
static int is_kept(struct guest *g, const char *path, struct err *e)
{
	int rc = guest_listed(g, "was", path, e);

	return rc != 0 ? rc : guest_listed(g, "new", path, e);
}

/* Keeps what stood there first, once: later contents are ctxd's own. */
static int keep_was(struct guest *g, const char *path, bool there, const struct buf *old,
		    struct err *e)
{
	AUTO_FREE char *was = was_path(path), *full = was ? guest_path(g, was) : NULL;
	int rc = full ? is_kept(g, path, e) : err_nomem(e);

	if (rc != 0 || g->dry_run)
		return rc < 0 ? rc : 0;
	rc = guest_make_parents(full, e);
	if (rc == 0 && there)
		rc = fs_write_file(full, old->data, old->len, 0600, e);
	return rc < 0 ? rc : guest_note(g, there ? "was" : "new", path, e);
}

int guest_write(struct guest *g, const char *path, const void *data, size_t len, unsigned mode,
		struct err *e)
{
	return guest_write_as(g, path, data, len, mode, NULL, e);
}

int guest_write_as(struct guest *g, const char *path, const void *data, size_t len, unsigned mode,
		   const struct guest_attr *a, struct err *e)
{
	AUTO_BUF old = BUF_INIT;
	int there = guest_read(g, path, &old, e), rc;

	if (there < 0)
		return there;
	if (there && guest_is_same(&old, data, len) && !(a && (a->mode || a->owned)))
		return 0;
	rc = str_has_prefix(path, "/run/") ? 0 : keep_was(g, path, there, &old, e);
	return rc < 0 ? rc : guest_put(g, path, data, len, mode, a, e);
}

/* What stood at a path that becomes a link: its target, or what the file held. */
static int keep_link(struct guest *g, const char *path, const char *full, struct err *e)
{
	AUTO_FREE char *was = was_path(path), *to = was ? guest_path(g, was) : NULL;
	AUTO_BUF old = BUF_INIT;
	char target[4096];
	ssize_t n = readlink(full, target, sizeof(target));
	int rc = to ? guest_listed(g, "link", path, e) : err_nomem(e);

	if (rc != 0 || g->dry_run)
		return rc < 0 ? rc : 0;
	if (n < 0) {
		rc = guest_read(g, path, &old, e);
		return rc < 0 ? rc : keep_was(g, path, rc > 0, &old, e);
	}
	rc = guest_make_parents(to, e);
	if (rc == 0)
		rc = fs_write_file(to, target, (size_t)n, 0600, e);
	return rc < 0 ? rc : guest_note(g, "link", path, e);
}

int guest_link(struct guest *g, const char *path, const char *target, struct err *e)
{
	AUTO_FREE char *full = guest_path(g, path);
	char now[4096];
	ssize_t n;
	int rc;

	if (!full)
		return err_nomem(e);
	n = readlink(full, now, sizeof(now));
	if (n == (ssize_t)strlen(target) && memcmp(now, target, (size_t)n) == 0)
		return 0;
	rc = keep_link(g, path, full, e);
	if (rc == 0)
		rc = guest_tell(g, e, "link %s to %s", path, target);
	if (rc == 0 && !g->dry_run)
		rc = guest_put_link(full, target, e);
	return rc < 0 ? rc : 1;
}

int guest_original(struct guest *g, const char *path, struct buf *out, struct err *e)
{
	AUTO_FREE char *was = was_path(path);
	AUTO_BUF now = BUF_INIT;
	int rc = was ? guest_read(g, path, &now, e) : err_nomem(e);

	if (rc > 0 && marked_is_own(&now))
		return guest_read(g, was, out, e);
	if (rc > 0 && marked_with_block(&now, "", false, out) < 0)
		return err_nomem(e);
	return rc;
}

int guest_displace(struct guest *g, const char *path, const char *text, unsigned mode,
		   struct err *e)
{
	AUTO_BUF old = BUF_INIT, new = BUF_INIT;
	int there = guest_read(g, path, &old, e), rc;

	if (there < 0)
		return there;
	if (buf_adds(&new, GUEST_HEAD) < 0 || buf_adds(&new, text) < 0)
		return err_nomem(e);
	if (there && guest_is_same(&old, new.data, new.len))
		return 0;
	rc = is_kept(g, path, e);
	if (rc < 0)
		return rc;
	if (rc > 0 && there && !marked_is_own(&old))
		return err_set(e, EEXIST, "'%s' was changed by somebody else: left alone", path);
	rc = keep_was(g, path, there, &old, e);
	return rc < 0 ? rc : guest_put(g, path, new.data, new.len, mode, NULL, e);
}

/* The file that stands there was made with the mode and the owner of the one before. */
static int write_back(const struct guest *g, const char *path, const struct buf *old, struct err *e)
{
	AUTO(guest_spot_release) struct guest_spot spot = GUEST_SPOT_INIT;
	int rc = guest_spot(g, path, true, &spot, e);

	return rc < 0 ? rc : guest_replace(&spot, buf_str(old), old->len, 0644, NULL, e);
}

/* Puts back what stood there first: nothing, if there was no file. */
static int put_back(struct guest *g, const char *path, bool there, struct err *e)
{
	AUTO_FREE char *was = was_path(path);
	AUTO_BUF old = BUF_INIT;
	int rc = was ? guest_read(g, was, &old, e) : err_nomem(e);

	if (rc < 0 || (there && rc == 0))
		return rc;
	rc = guest_tell(g, e, "%s %s", there ? "restore" : "remove", path);
	if (rc < 0 || g->dry_run)
		return rc;
	return there ? write_back(g, path, &old, e) : guest_remove(g, path, e);
}

static int put_link_back(struct guest *g, const char *path, struct err *e)
{
	AUTO_FREE char *was = was_path(path), *full = guest_path(g, path);
	AUTO_BUF target = BUF_INIT;
	int rc = was && full ? guest_read(g, was, &target, e) : err_nomem(e);

	if (rc <= 0)
		return rc;
	rc = guest_tell(g, e, "restore %s", path);
	return rc < 0 || g->dry_run ? rc : guest_put_link(full, buf_str(&target), e);
}

int guest_restore(struct guest *g, const char *path, struct err *e)
{
	AUTO_FREE char *was = str_format("was %s", path), *new = str_format("new %s", path);
	AUTO_BUF list = BUF_INIT, now = BUF_INIT;
	int rc = was && new ? guest_read(g, GUEST_LIST, &list, e) : err_nomem(e);
	bool there;

	if (rc <= 0)
		return rc;
	there = guest_has_line(buf_str(&list), was);
	if (!there && !guest_has_line(buf_str(&list), new))
		return 0;
	rc = guest_read(g, path, &now, e);
	if (rc < 0 || (rc > 0 && !marked_is_own(&now)))
		return rc < 0 ? rc : 0;
	rc = put_back(g, path, there, e);
	if (rc == 0 && !g->dry_run)
		rc = guest_unlist(g, there ? was : new, e);
	return rc < 0 ? rc : 1;
}

struct block {
	struct guest *g;
	const char *path;
};

static int remove_block(void *arg, struct err *e)
{
	struct block *b = arg;

	return guest_write_block(b->g, b->path, "", 0600, false, e);
}

/* In an account's home as the account, which may have put something else in the file's place. */
static int undo_block(struct guest *g, const char *path, struct err *e)
{
	AUTO(account_release) struct account account = {0};
	struct block b = {g, path};
	int rc = str_has_suffix(path, "/.ssh/authorized_keys") ? account_at(g, path, &account, e)
							       : 0;

	if (rc < 0)
		return rc;
	return rc > 0 ? account_as(&account, remove_block, &b, e) : remove_block(&b, e);
}

static int undo_line(struct guest *g, const char *line, struct err *e)
{
	const char *path = strchr(line, '/');
	int rc = 0;

	if (!path)
		return 0;
	if (str_has_prefix(line, "own "))
		rc = guest_remove_own(g, path, e);
	else if (str_has_prefix(line, "block "))
		rc = undo_block(g, path, e);
	else if (str_has_prefix(line, "link "))
		rc = put_link_back(g, path, e);
	else if (str_has_prefix(line, "was ") || str_has_prefix(line, "new "))
		rc = put_back(g, path, *line == 'w', e);
	return rc < 0 ? rc : 0;
}

int guest_undo(struct guest *g, struct err *e)
{
	AUTO_BUF list = BUF_INIT;
	AUTO_FREE char *full = guest_path(g, GUEST_LIST), *dir = guest_path(g, LIST_DIR);
	char *save = NULL;
	int rc = full && dir ? guest_read(g, GUEST_LIST, &list, e) : err_nomem(e);

	if (rc <= 0)
		return rc;
	/* What cannot be undone keeps nothing else from it, and stays on the list. */
	for (char *line = strtok_r(list.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct err mine;

		if (undo_line(g, line, &mine) >= 0)
			continue;
		if (rc >= 0)
			*e = mine;
		else
			log_err("%s", mine.msg);
		rc = -e->code;
	}
	if (rc < 0 || g->dry_run)
		return rc < 0 ? rc : 1;
	return fs_remove_tree(dir, e) < 0 ? err_wrap(e, "ending the undo") : 1;
}
