/* SPDX-License-Identifier: Apache-2.0 */
/* A new account's home: a folder with copies of what is in /etc/skel. See ctxd/guest.h. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ctxd/guest.h"
#include "lib/fs.h"
#include "lib/str.h"

#define DEPTH_MAX 8

static int give(const char *full, uid_t uid, gid_t gid, struct err *e)
{
	if (geteuid() == 0 && lchown(full, uid, gid) < 0)
		return err_errno(e, errno, "giving '%s' to user %u", full, (unsigned)uid);
	return 0;
}

static int copy_file(const char *from, const char *to, const struct stat *st, struct err *e)
{
	AUTO_BUF data = BUF_INIT;
	int rc = fs_read_file(from, GUEST_FILE_MAX, &data, e);

	return rc < 0 ? rc : fs_write_file(to, buf_str(&data), data.len, st->st_mode & 07777, e);
}

static int copy_tree(const char *from, const char *to, uid_t uid, gid_t gid, unsigned depth,
		     struct err *e)
{
	DIR *dir = opendir(from);
	struct dirent *d;
	int rc = 0;

	while (dir && rc == 0 && depth < DEPTH_MAX && (d = readdir(dir))) {
		AUTO_FREE char *source = path_join(from, d->d_name);
		AUTO_FREE char *target = path_join(to, d->d_name);
		struct stat st;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (!source || !target)
			rc = err_nomem(e);
		else if (lstat(source, &st) < 0)
			rc = err_errno(e, errno, "'%s'", source);
		else if (S_ISREG(st.st_mode))
			rc = copy_file(source, target, &st, e);
		else if (S_ISDIR(st.st_mode) && mkdir(target, st.st_mode & 07777) < 0)
			rc = err_errno(e, errno, "making '%s'", target);
		else if (S_ISDIR(st.st_mode))
			rc = copy_tree(source, target, uid, gid, depth + 1, e);
		else
			continue;
		if (rc == 0)
			rc = give(target, uid, gid, e);
	}
	if (dir)
		closedir(dir);
	return rc;
}

int guest_make_home(struct guest *g, const char *path, uid_t uid, gid_t gid, struct err *e)
{
	AUTO_FREE char *full = guest_path(g, path), *skel = guest_path(g, "/etc/skel");
	AUTO_FREE char *parent = full ? strdup(full) : NULL;
	AUTO_FREE char *tmp = NULL;
	int rc;

	if (!full || !skel || !parent)
		return err_nomem(e);
	if (guest_exists(g, path))
		return 0;
	rc = guest_tell(g, e, "make %s", path);
	if (rc < 0 || g->dry_run)
		return rc;
	*strrchr(parent, '/') = '\0';
	rc = *parent ? fs_mkdir_p(parent, 0755, e) : 0;
	/* There, and its own, only when all is in it: nobody changes it under our hands. */
	if (rc == 0)
		rc = fs_make_temp_dir(full, &tmp, e);
	if (rc == 0)
		rc = copy_tree(skel, tmp, uid, gid, 0, e);
	if (rc == 0)
		rc = give(tmp, uid, gid, e);
	if (rc == 0 && rename(tmp, full) < 0)
		rc = err_errno(e, errno, "making '%s'", full);
	if (rc < 0 && tmp)
		fs_remove_tree(tmp, NULL);
	if (rc == 0 && strlist_add(&g->changed, path) < 0)
		rc = err_nomem(e);
	return rc;
}
