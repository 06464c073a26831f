/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's files, read and written: see ctxd/guest.h. */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ctxd/guest_priv.h"
#include "lib/fs.h"
#include "lib/str.h"

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
	AUTO(guest_spot_release) struct guest_spot spot = GUEST_SPOT_INIT;
	AUTO_FD int fd = -1;
	struct stat st;
	int rc = guest_spot(g, path, false, &spot, e);

	if (rc <= 0)
		return rc;
	fd = open(spot.path,
		  O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | (spot.trusted ? 0 : O_NOFOLLOW));
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "'%s'", spot.full);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "'%s' is no regular file", spot.full);
	rc = fs_read_fd(fd, spot.full, GUEST_FILE_MAX, out, e);
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

int guest_make_parents(const char *full, struct err *e)
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

/* All is as it should be before the file has its name: nothing of it is done by the name later. */
int guest_replace(const struct guest_spot *s, const void *data, size_t len, unsigned mode,
		  const struct guest_attr *a, struct err *e)
{
	AUTO(atomic_file_abort) struct atomic_file f = ATOMIC_FILE_INIT;
	struct stat st = {0};
	bool there = stat(s->path, &st) == 0;
	int rc = atomic_file_begin(&f, s->path, 0, e);

	if (rc == 0)
		rc = fs_write(f.fd, data, len, e);
	if (a && a->owned) {
		there = true;
		st.st_uid = a->uid;
		st.st_gid = a->gid;
	}
	if (rc == 0 && geteuid() == 0 && there && fchown(f.fd, st.st_uid, st.st_gid) < 0)
		rc = err_errno(e, errno, "giving it to user %u", (unsigned)st.st_uid);
	if (a && a->mode)
		mode = a->mode;
	else if (st.st_mode)
		mode = st.st_mode & 07777;
	return rc < 0 ? rc : atomic_file_commit(&f, mode, e);
}

bool guest_is_same(const struct buf *b, const void *data, size_t len)
{
	return b->len == len && (!len || memcmp(b->data, data, len) == 0);
}

int guest_put(struct guest *g, const char *path, const void *data, size_t len, unsigned mode,
	      const struct guest_attr *a, struct err *e)
{
	AUTO(guest_spot_release) struct guest_spot spot = GUEST_SPOT_INIT;
	int rc = guest_tell(g, e, "write %s", path);

	if (rc < 0 || g->dry_run)
		return rc < 0 ? rc : 1;
	rc = guest_spot(g, path, true, &spot, e);
	if (rc > 0)
		rc = guest_replace(&spot, data, len, mode, a, e);
	if (rc == 0 && strlist_add(&g->changed, path) < 0)
		rc = err_nomem(e);
	return rc < 0 ? err_wrap(e, "writing '%s'", path) : 1;
}

int guest_edit(struct guest *g, const char *path, const void *data, size_t len, unsigned mode,
	       struct err *e)
{
	AUTO_BUF old = BUF_INIT;
	int there = guest_read(g, path, &old, e);

	if (there < 0 || (there && guest_is_same(&old, data, len)))
		return there < 0 ? there : 0;
	return guest_put(g, path, data, len, mode, NULL, e);
}

int guest_put_link(const char *full, const char *target, struct err *e)
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

int guest_write_own(struct guest *g, const char *path, const char *text, unsigned mode,
		    struct err *e)
{
	AUTO_BUF old = BUF_INIT, new = BUF_INIT;
	int there = guest_read(g, path, &old, e), rc;

	if (there < 0)
		return there;
	if (there && !marked_is_own(&old))
		return err_set(e, EEXIST, "'%s' is there and is not ours", path);
	if (buf_adds(&new, GUEST_HEAD) < 0 || buf_adds(&new, text) < 0)
		return err_nomem(e);
	rc = guest_note(g, "own", path, e);
	if (rc < 0 || (there && guest_is_same(&old, new.data, new.len)))
		return rc;
	return guest_put(g, path, new.data, new.len, mode, NULL, e);
}

int guest_remove_own(struct guest *g, const char *path, struct err *e)
{
	AUTO_BUF old = BUF_INIT;
	int rc = guest_read(g, path, &old, e);

	if (rc <= 0 || !marked_is_own(&old))
		return rc < 0 ? rc : 0;
	rc = guest_tell(g, e, "remove %s", path);
	if (rc == 0 && !g->dry_run)
		rc = guest_remove(g, path, e);
	return rc < 0 ? rc : 1;
}

int guest_remove(const struct guest *g, const char *path, struct err *e)
{
	AUTO(guest_spot_release) struct guest_spot spot = GUEST_SPOT_INIT;
	int rc = guest_spot(g, path, false, &spot, e);

	if (rc > 0 && unlink(spot.path) < 0 && errno != ENOENT)
		rc = err_errno(e, errno, "removing '%s'", spot.full);
	return rc < 0 ? rc : 0;
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
	if (marked_with_block(&old, text, first, &new) < 0)
		return err_nomem(e);
	rc = *text ? guest_note(g, "block", path, e) : 0;
	if (rc < 0 || guest_is_same(&old, new.data, new.len))
		return rc;
	return guest_put(g, path, buf_str(&new), new.len, mode, NULL, e);
}
