/* SPDX-License-Identifier: Apache-2.0 */
/* Where a command's new image goes: see imgconv/target.h. */
#include "imgconv/target.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/str.h"

/* ---- files beside the image's own ----------------------------------------------------------- */

static int companion_create(void *ctx, const char *name, int *ret_fd, struct err *e)
{
	struct target *t = ctx;
	const char *slash = strrchr(t->path, '/');
	AUTO_FREE char *path =
		str_format("%.*s%s", slash ? (int)(slash + 1 - t->path) : 0, t->path, name);
	struct atomic_file *grown;
	int rc;

	if (!path)
		return err_nomem(e);
	/* The process that asks may have been taken over by the image that it reads. */
	if (!name_is_plain(name) || strcmp(path, t->path) == 0 || !str_has_prefix(name, t->stem) ||
	    !str_has_suffix(name, ".vmdk"))
		return err_set(e, EINVAL, "'%s' cannot be the name of an extent", name);
	if (!t->n_companions)
		fs_raise_file_limit(); /* many extents are many open files */
	grown = reallocarray(t->companions, t->n_companions + 1, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	t->companions = grown;
	rc = atomic_file_begin(&grown[t->n_companions], path,
			       t->flags & TARGET_REPLACE ? 0 : FS_NO_REPLACE, e);
	if (rc == 0)
		*ret_fd = grown[t->n_companions++].fd;
	return rc;
}

/* The image's file name without its folder and ".vmdk". */
static char *stem_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t len = strlen(name);

	if (len > 5 && strcasecmp(name + len - 5, ".vmdk") == 0)
		len -= 5;
	return strndup(name, len);
}

/* ---- the image's own file -------------------------------------------------------------------- */

static int open_device(struct target *t, struct err *e)
{
	/* Exclusively: not while it is mounted. */
	t->fd = open(t->path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (t->fd < 0)
		return err_errno(e, errno, "opening the device '%s'", t->path);
	t->device = true;
	return 0;
}

static int begin_file(struct target *t, struct err *e)
{
	bool replace = t->flags & TARGET_REPLACE;
	struct stat st;
	int rc;

	if (stat(t->path, &st) == 0) {
		if (S_ISBLK(st.st_mode)) {
			if (t->flags & TARGET_DEVICE)
				return open_device(t, e);
			return err_set(e, EEXIST,
				       "'%s' is a block device; convert --device "
				       "overwrites it",
				       t->path);
		}
		if (!S_ISREG(st.st_mode))
			return err_set(e, EEXIST, "'%s' exists and is not a regular file", t->path);
		if (!replace)
			return err_set(e, EEXIST, "'%s' exists already; --force replaces it",
				       t->path);
	}
	if (t->flags & TARGET_DEVICE)
		return err_set(e, EINVAL, "'%s' is not a block device", t->path);
	/* The new file would take the link's place, and what it leads to would stay. */
	if (replace && lstat(t->path, &st) == 0 && S_ISLNK(st.st_mode))
		return err_set(e, EEXIST, "'%s' is a symbolic link: not replaced", t->path);
	rc = atomic_file_begin(&t->file, t->path, replace ? 0 : FS_NO_REPLACE, e);
	t->fd = t->file.fd;
	return rc;
}

int target_begin(struct target *t, const char *path, unsigned flags, struct image_create_opts *o,
		 struct err *e)
{
	int rc;

	*t = TARGET_INIT;
	t->path = t->name = path;
	t->flags = flags;
	if (strcmp(path, "-") == 0) {
		t->name = "standard output";
		t->fd = STDOUT_FILENO;
		t->pipe = o->pipe = true;
		return 0;
	}
	t->stem = stem_of(path);
	if (!t->stem)
		return err_nomem(e);
	rc = begin_file(t, e);
	if (rc)
		return rc;
	t->hook = (struct image_companions){.create = companion_create, .ctx = t, .stem = t->stem};
	o->companions = t->device ? NULL : &t->hook;
	return 0;
}

void target_unlink(const struct target *t)
{
	unlink(t->path);
	for (size_t i = 0; i < t->n_companions; i++)
		unlink(t->companions[i].path);
}

int target_commit(struct target *t, struct err *e)
{
	unsigned mode = fs_file_mode();
	size_t done = 0;
	int rc = 0;

	if (t->pipe)
		return 0;
	if (t->device)
		return fsync(t->fd) < 0 ? err_errno(e, errno, "writing '%s'", t->path) : 0;
	for (; rc == 0 && done < t->n_companions; done++) {
		AUTO_FREE char *path = strdup(t->companions[done].path);

		rc = atomic_file_commit(&t->companions[done], mode, e);
		/* Kept for taking it back. */
		t->companions[done].path = STEAL(path);
	}
	if (rc == 0)
		rc = atomic_file_commit(&t->file, mode, e);
	else
		done--; /* the last one was not */
	for (size_t i = 0; rc < 0 && i < done; i++)
		unlink(t->companions[i].path);
	return rc;
}

void target_abort(struct target *t)
{
	if (t->device)
		close(t->fd);
	atomic_file_abort(&t->file);
	for (size_t i = 0; i < t->n_companions; i++)
		atomic_file_abort(&t->companions[i]);
	free(t->companions);
	free(t->stem);
	*t = TARGET_INIT;
}
