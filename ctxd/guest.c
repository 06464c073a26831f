/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's files: see ctxd/guest.h.
 *
 * GUEST_LIST has a line for each file: "own PATH", "block PATH", or "was PATH" for a file that was
 * replaced whole; what it held before lies beside the list, in "was-" and the path with '/' as '+'.
 * "new PATH": there was none. "link PATH": a symbolic link, whose target was kept in the same way.
 */
#include "ctxd/guest.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ctxd/account.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"

#define BLOCK_BEGIN "# ctxd: begin; changes up to the line 'ctxd: end' are lost\n"
#define BLOCK_END "# ctxd: end\n"
#define LIST_DIR "/var/lib/ctxd"

void guest_release(struct guest *g)
{
	strlist_release(&g->told);
	strlist_release(&g->wrote);
	strlist_release(&g->changed);
	free(g->own_root);
	if (g->lock >= 0)
		close(g->lock);
}

char *guest_path(const struct guest *g, const char *path)
{
	return str_format("%s%s", g->root, path);
}

bool guest_exists(const struct guest *g, const char *path)
{
	AUTO_FREE char *full = guest_path(g, path);
	struct stat st;

	return full && lstat(full, &st) == 0;
}

int guest_read(const struct guest *g, const char *path, struct buf *out, struct err *e)
{
	AUTO_FREE char *full = guest_path(g, path);
	struct stat st;
	int rc;

	if (!full)
		return err_nomem(e);
	if (stat(full, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(e, errno, "'%s'", full);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "'%s' is no regular file", full);
	rc = fs_read_file(full, GUEST_FILE_MAX, out, e);
	return rc < 0 ? rc : 1;
}

int guest_names(const struct guest *g, const char *path, struct strlist *ret)
{
	AUTO_FREE char *full = guest_path(g, path);
	DIR *dir = full ? opendir(full) : NULL;
	struct dirent *d;
	int rc = full ? 0 : -ENOMEM;

	while (dir && rc == 0 && (d = readdir(dir))) {
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			rc = strlist_add(ret, d->d_name);
	}
	if (dir)
		closedir(dir);
	return rc;
}

int guest_tell(struct guest *g, struct err *e, const char *fmt, ...)
{
	AUTO_BUF text = BUF_INIT;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = buf_vaddf(&text, fmt, ap);
	va_end(ap);
	/* With dry_run what is still there is found a second time. */
	for (size_t i = 0; rc == 0 && i < g->told.n; i++) {
		if (strcmp(g->told.v[i], buf_str(&text)) == 0)
			return 0;
	}
	return rc < 0 || strlist_add(&g->told, buf_str(&text)) < 0 ? err_nomem(e) : 0;
}

static int note_written(struct guest *g, const char *kind, const char *path, struct err *e)
{
	AUTO_FREE char *line = str_format("%s %s", kind, path);

	return !line || strlist_add(&g->wrote, line) < 0 ? err_nomem(e) : 0;
}

static int make_parents(const char *full, struct err *e)
{
	AUTO_FREE char *dir = strdup(full);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!dir)
		return err_nomem(e);
	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	return fs_mkdir_p(dir, 0755, e);
}

/* A file that is there keeps its owner. */
static int replace(const char *full, const void *data, size_t len, unsigned mode, struct err *e)
{
	AUTO(atomic_file_abort) struct atomic_file f = ATOMIC_FILE_INIT;
	struct stat st;
	int rc = atomic_file_begin(&f, full, 0, e);

	if (rc == 0)
		rc = fs_write(f.fd, data, len, e);
	if (rc == 0 && geteuid() == 0 && stat(full, &st) == 0 &&
	    fchown(f.fd, st.st_uid, st.st_gid) < 0)
		rc = err_errno(e, errno, "giving it to user %u", (unsigned)st.st_uid);
	return rc < 0 ? rc : atomic_file_commit(&f, mode, e);
}

static int write_now(struct guest *g, const char *path, const void *data, size_t len, unsigned mode,
		     struct err *e)
{
	AUTO_FREE char *full = guest_path(g, path);
	struct stat st;
	int rc;

	if (!full)
		return err_nomem(e);
	rc = guest_tell(g, e, "write %s", path);
	if (rc < 0 || g->dry_run)
		return rc < 0 ? rc : 1;
	if (stat(full, &st) == 0)
		mode = st.st_mode & 07777;
	rc = make_parents(full, e);
	if (rc == 0)
		rc = replace(full, data, len, mode, e);
	if (rc == 0 && strlist_add(&g->changed, path) < 0)
		rc = err_nomem(e);
	return rc < 0 ? err_wrap(e, "writing '%s'", full) : 1;
}

static bool same(const struct buf *b, const void *data, size_t len)
{
	return b->len == len && (!len || memcmp(b->data, data, len) == 0);
}

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

static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *p = text; (p = strstr(p, line)); p += len) {
		if ((p == text || p[-1] == '\n') && (p[len] == '\n' || !p[len]))
			return true;
	}
	return false;
}

int guest_listed(const struct guest *g, const char *kind, const char *path, struct err *e)
{
	AUTO_FREE char *line = str_format("%s %s", kind, path);
	AUTO_BUF list = BUF_INIT;
	int rc = line ? guest_read(g, GUEST_LIST, &list, e) : err_nomem(e);

	return rc <= 0 ? rc : has_line(buf_str(&list), line);
}

int guest_list(const struct guest *g, const char *kind, struct strlist *ret, struct err *e)
{
	AUTO_BUF list = BUF_INIT;
	size_t len = strlen(kind);
	char *save = NULL;
	int rc = guest_read(g, GUEST_LIST, &list, e);

	if (rc <= 0)
		return rc;
	for (char *l = strtok_r(list.data, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (strncmp(l, kind, len) == 0 && l[len] == ' ' &&
		    strlist_add(ret, l + len + 1) < 0)
			return err_nomem(e);
	}
	return 0;
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
	rc = make_parents(full, e);
	if (rc == 0 && there)
		rc = fs_write_file(full, old->data, old->len, 0600, e);
	return rc < 0 ? rc : note_written(g, there ? "was" : "new", path, e);
}

int guest_write(struct guest *g, const char *path, const void *data, size_t len, unsigned mode,
		struct err *e)
{
	AUTO_BUF old = BUF_INIT;
	int there = guest_read(g, path, &old, e), rc;

	if (there < 0)
		return there;
	if (there && same(&old, data, len))
		return 0;
	rc = str_has_prefix(path, "/run/") ? 0 : keep_was(g, path, there, &old, e);
	return rc < 0 ? rc : write_now(g, path, data, len, mode, e);
}

int guest_edit(struct guest *g, const char *path, const void *data, size_t len, unsigned mode,
	       struct err *e)
{
	AUTO_BUF old = BUF_INIT;
	int there = guest_read(g, path, &old, e);

	if (there < 0 || (there && same(&old, data, len)))
		return there < 0 ? there : 0;
	return write_now(g, path, data, len, mode, e);
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
	rc = make_parents(to, e);
	if (rc == 0)
		rc = fs_write_file(to, target, (size_t)n, 0600, e);
	return rc < 0 ? rc : note_written(g, "link", path, e);
}

static int put_link(const char *full, const char *target, struct err *e)
{
	AUTO_FREE char *tmp = str_format("%s.ctxd", full);

	if (!tmp)
		return err_nomem(e);
	unlink(tmp);
	if (symlink(target, tmp) < 0 || rename(tmp, full) < 0) {
		int rc = err_errno(e, errno, "making the link '%s'", full);

		unlink(tmp);
		return rc;
	}
	return 0;
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
		rc = put_link(full, target, e);
	return rc < 0 ? rc : 1;
}

static bool is_own(const struct buf *content)
{
	return str_has_prefix(buf_str(content), GUEST_MARK);
}

int guest_write_own(struct guest *g, const char *path, const char *text, unsigned mode,
		    struct err *e)
{
	AUTO_BUF old = BUF_INIT, new = BUF_INIT;
	int there = guest_read(g, path, &old, e), rc;

	if (there < 0)
		return there;
	if (there && !is_own(&old))
		return err_set(e, EEXIST, "'%s' is there and is not ours", path);
	if (buf_adds(&new, GUEST_HEAD) < 0 || buf_adds(&new, text) < 0)
		return err_nomem(e);
	rc = note_written(g, "own", path, e);
	if (rc < 0 || (there && same(&old, new.data, new.len)))
		return rc;
	return write_now(g, path, new.data, new.len, mode, e);
}

int guest_remove_own(struct guest *g, const char *path, struct err *e)
{
	AUTO_BUF old = BUF_INIT;
	AUTO_FREE char *full = guest_path(g, path);
	int rc = guest_read(g, path, &old, e);

	if (rc <= 0 || !is_own(&old))
		return rc < 0 ? rc : 0;
	rc = full ? guest_tell(g, e, "remove %s", path) : err_nomem(e);
	if (rc < 0)
		return rc;
	if (!g->dry_run && unlink(full) < 0 && errno != ENOENT)
		return err_errno(e, errno, "removing '%s'", full);
	return 1;
}

/* Finds the block: [*begin, *end) with its marked lines. A block without an end ends with it. */
static bool find_block(const struct buf *b, size_t *begin, size_t *end)
{
	const char *text = buf_str(b), *from = text, *to;

	for (;; from++) {
		from = strstr(from, BLOCK_BEGIN);
		if (!from)
			return false;
		if (from == text || from[-1] == '\n')
			break;
	}
	to = strstr(from, "\n" BLOCK_END);
	*begin = (size_t)(from - text);
	*end = to ? (size_t)(to - text) + 1 + strlen(BLOCK_END) : *begin + strlen(BLOCK_BEGIN);
	return true;
}

/* The file's new content in new. */
static int with_block(const struct buf *old, const char *text, bool first, struct buf *new)
{
	size_t begin = first ? 0 : old->len, end = begin;
	bool found = find_block(old, &begin, &end);
	int rc = begin ? buf_add(new, old->data, begin) : 0;

	if (rc == 0 && *text) {
		if (!found && new->len &&new->data[new->len - 1] != '\n')
			rc = buf_addc(new, '\n');
		if (rc == 0)
			rc = buf_addf(new, "%s%s%s", BLOCK_BEGIN, text, BLOCK_END);
	}
	return rc < 0 || end == old->len ? rc : buf_add(new, old->data + end, old->len - end);
}

int guest_write_block(struct guest *g, const char *path, const char *text, unsigned mode,
		      bool first, struct err *e)
{
	AUTO_BUF old = BUF_INIT, new = BUF_INIT;
	int there = guest_read(g, path, &old, e), rc;

	if (there < 0)
		return there;
	if (there && memchr(buf_str(&old), '\0', old.len))
		return err_set(e, EBADMSG, "'%s' is no text", path);
	if (with_block(&old, text, first, &new) < 0)
		return err_nomem(e);
	rc = *text ? note_written(g, "block", path, e) : 0;
	if (rc < 0 || same(&old, new.data, new.len))
		return rc;
	return write_now(g, path, buf_str(&new), new.len, mode, e);
}

int guest_original(struct guest *g, const char *path, struct buf *out, struct err *e)
{
	AUTO_FREE char *was = was_path(path);
	AUTO_BUF now = BUF_INIT;
	int rc = was ? guest_read(g, path, &now, e) : err_nomem(e);

	if (rc > 0 && is_own(&now))
		return guest_read(g, was, out, e);
	if (rc > 0 && with_block(&now, "", false, out) < 0)
		return err_nomem(e);
	return rc;
}

/* ---- the list ---------------------------------------------------------------------------- */

int guest_save_list(struct guest *g, struct err *e)
{
	AUTO_BUF list = BUF_INIT;
	AUTO_FREE char *full = guest_path(g, GUEST_LIST);
	size_t before;
	int rc = guest_read(g, GUEST_LIST, &list, e);

	if (rc < 0 || !full || g->dry_run)
		return rc < 0 ? rc : full ? 0 : err_nomem(e);
	before = list.len;
	for (size_t i = 0; i < g->wrote.n; i++) {
		/* /run is empty at each boot by itself. */
		if (strstr(g->wrote.v[i], " /run/") || has_line(buf_str(&list), g->wrote.v[i]))
			continue;
		if (buf_addf(&list, "%s\n", g->wrote.v[i]) < 0)
			return err_nomem(e);
	}
	if (list.len == before)
		return 0;
	rc = make_parents(full, e);
	return rc < 0 ? rc : fs_write_file(full, list.data, list.len, 0600, e);
}

/* The file that stands there was made with the mode and the owner of the one before. */
static int write_back(const char *full, const struct buf *old, struct err *e)
{
	struct stat st;
	unsigned mode = stat(full, &st) == 0 ? st.st_mode & 07777 : 0644;

	return replace(full, buf_str(old), old->len, mode, e);
}

/* Puts back what stood there first: nothing, if there was no file. */
static int put_back(struct guest *g, const char *path, bool there, struct err *e)
{
	AUTO_FREE char *was = was_path(path), *full = guest_path(g, path);
	AUTO_BUF old = BUF_INIT;
	int rc = was && full ? guest_read(g, was, &old, e) : err_nomem(e);

	if (rc < 0 || (there && rc == 0))
		return rc;
	rc = guest_tell(g, e, "%s %s", there ? "restore" : "remove", path);
	if (rc < 0 || g->dry_run)
		return rc;
	if (there)
		return write_back(full, &old, e);
	return unlink(full) < 0 && errno != ENOENT ? err_errno(e, errno, "removing '%s'", full) : 0;
}

static int put_link_back(struct guest *g, const char *path, struct err *e)
{
	AUTO_FREE char *was = was_path(path), *full = guest_path(g, path);
	AUTO_BUF target = BUF_INIT;
	int rc = was && full ? guest_read(g, was, &target, e) : err_nomem(e);

	if (rc <= 0)
		return rc;
	rc = guest_tell(g, e, "restore %s", path);
	return rc < 0 || g->dry_run ? rc : put_link(full, buf_str(&target), e);
}

/* Takes a line off the list, so that the path may be replaced and kept again. */
static int unlist(struct guest *g, const char *line, struct err *e)
{
	AUTO_FREE char *full = guest_path(g, GUEST_LIST);
	AUTO_BUF list = BUF_INIT, rest = BUF_INIT;
	char *save = NULL;
	int rc = full ? guest_read(g, GUEST_LIST, &list, e) : err_nomem(e);

	if (rc <= 0)
		return rc;
	for (char *l = strtok_r(list.data, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (strcmp(l, line) != 0 && buf_addf(&rest, "%s\n", l) < 0)
			return err_nomem(e);
	}
	return fs_write_file(full, buf_str(&rest), rest.len, 0600, e);
}

int guest_restore(struct guest *g, const char *path, struct err *e)
{
	AUTO_FREE char *was = str_format("was %s", path), *new = str_format("new %s", path);
	AUTO_BUF list = BUF_INIT, now = BUF_INIT;
	int rc = was && new ? guest_read(g, GUEST_LIST, &list, e) : err_nomem(e);
	bool there;

	if (rc <= 0)
		return rc;
	there = has_line(buf_str(&list), was);
	if (!there && !has_line(buf_str(&list), new))
		return 0;
	rc = guest_read(g, path, &now, e);
	if (rc < 0 || (rc > 0 && !is_own(&now)))
		return rc < 0 ? rc : 0;
	rc = put_back(g, path, there, e);
	if (rc == 0 && !g->dry_run)
		rc = unlist(g, there ? was : new, e);
	return rc < 0 ? rc : 1;
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
	if (there && same(&old, new.data, new.len))
		return 0;
	rc = is_kept(g, path, e);
	if (rc < 0)
		return rc;
	if (rc > 0 && there && !is_own(&old))
		return err_set(e, EEXIST, "'%s' was changed by somebody else: left alone", path);
	rc = keep_was(g, path, there, &old, e);
	return rc < 0 ? rc : write_now(g, path, new.data, new.len, mode, e);
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
