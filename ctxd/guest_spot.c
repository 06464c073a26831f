/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a path of the guest's leads, without being led astray: see ctxd/guest_priv.h.
 *
 * ctxd is root, and a context may name a file in somebody's home. Who owns a folder on the way can put
 * a symbolic link there, to /etc, at any time. So the way is walked folder by folder; a link counts only if
 * it is root's, in a folder that nobody else can write. Behind the first folder of somebody else's, the
 * file is named by the folder's descriptor, which stays what it was found to be.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ctxd/guest_priv.h"
#include "lib/fs.h"
#include "lib/str.h"

#define WAY (O_PATH | O_NOFOLLOW | O_CLOEXEC)

void guest_spot_release(struct guest_spot *s)
{
	if (s->dir >= 0)
		close(s->dir);
	free(s->path);
	free(s->full);
	*s = GUEST_SPOT_INIT;
}

static bool is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* Goes on to the next folder on the way. Returns 1, 0 if it is not there, or an error. */
static int step(struct guest_spot *s, const char *name, bool make, struct err *e)
{
	AUTO_FD int fd = -1;
	struct stat st;

	fd = openat(s->dir, name, WAY);
	if (fd < 0 && errno == ENOENT && make) {
		if (mkdirat(s->dir, name, 0755) < 0 && errno != EEXIST)
			return err_errno(e, errno, "'%s': making the folder '%s'", s->full, name);
		fd = openat(s->dir, name, WAY);
	}
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		return err_errno(e, errno, "'%s': the folder '%s'", s->full, name);
	if (S_ISLNK(st.st_mode)) {
		if (!s->trusted || !is_ours(&st))
			return err_set(
				e, ELOOP,
				"'%s': the folder '%s' on the way is a symbolic link of user %u's",
				s->full, name, (unsigned)st.st_uid);
		close(steal_fd(&fd));
		fd = openat(s->dir, name, O_PATH | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			return 0;
		if (fd < 0 || fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
			return err_errno(e, errno, "'%s': the folder '%s'", s->full, name);
	}
	if (!S_ISDIR(st.st_mode))
		return make ? err_set(e, ENOTDIR, "'%s': '%s' is no folder", s->full, name) : 0;
	s->trusted &= is_ours(&st) && !(st.st_mode & S_IWOTH);
	close(s->dir);
	s->dir = steal_fd(&fd);
	return 1;
}

static int walk(struct guest_spot *s, char *way, bool make, struct err *e)
{
	char *save = NULL;
	int rc = 1;

	for (char *name = strtok_r(way, "/", &save); rc > 0 && name;
	     name = strtok_r(NULL, "/", &save))
		rc = strcmp(name, ".") == 0 ? 1 : step(s, name, make, e);
	return rc;
}

/* What is there is not one of somebody else's links, of either kind. */
static int check_end(const struct guest_spot *s, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(s->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (S_ISLNK(st.st_mode) && !(s->trusted && is_ours(&st)))
		return err_set(e, ELOOP, "'%s' is a symbolic link of user %u's", s->full,
			       (unsigned)st.st_uid);
	if (!s->trusted && S_ISREG(st.st_mode) && st.st_nlink > 1)
		return err_set(e, EMLINK, "'%s' has another name elsewhere", s->full);
	return 0;
}

int guest_spot(const struct guest *g, const char *path, bool make, struct guest_spot *s,
	       struct err *e)
{
	AUTO_FREE char *way = strdup(path);
	char *slash = way ? strrchr(way, '/') : NULL;
	const char *name = path + (slash ? slash + 1 - way : 0);
	int rc;

	*s = GUEST_SPOT_INIT;
	s->full = guest_path(g, path);
	if (!way || !s->full)
		return err_nomem(e);
	if (!slash || !*name)
		return err_set(e, EINVAL, "'%s' is no path of a file", path);
	*slash = '\0';
	s->trusted = true;
	s->dir = open(*g->root ? g->root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return err_errno(e, errno, "'%s'", g->root);
	rc = walk(s, way, make, e);
	if (rc > 0 && check_end(s, name, e) < 0)
		return -e->code;
	if (rc <= 0)
		return rc;
	s->path = s->trusted ? strdup(s->full) : str_format("/proc/self/fd/%d/%s", s->dir, name);
	return s->path ? 1 : err_nomem(e);
}
