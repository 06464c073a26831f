/* SPDX-License-Identifier: Apache-2.0 */
/* Output that appears complete or not at all: see lib/fs.h. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/stop.h"
#include "lib/str.h"

/* A temporary name beside path. A long name still leaves room for the rest: NAME_MAX is 255. */
static char *temporary_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	int dir_len = slash ? (int)(slash + 1 - path) : 0;
	unsigned char noise[6];
	char hex[2 * sizeof(noise) + 1];

	if (getrandom(noise, sizeof(noise), 0) != (ssize_t)sizeof(noise))
		return NULL;
	hex_encode(noise, sizeof(noise), hex);
	return str_format("%.*s.%.200s.%s.tmp", dir_len, path, path + dir_len, hex);
}

/*
 * A file without a name, which is gone with the process, however it ends; else (some file systems
 * have none) a file with a temporary name.
 */
static int open_temporary(struct atomic_file *f, struct err *e)
{
	AUTO_FREE char *folder = path_folder(f->path);

	if (!folder)
		return err_nomem(e);
	f->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (f->fd >= 0 && access("/proc/self/fd", X_OK) == 0)
		return 0;
	if (f->fd >= 0)
		close(steal_fd(&f->fd));
	f->tmp = temporary_name(f->path);
	if (!f->tmp)
		return err_nomem(e);
	f->fd = open(f->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (f->fd < 0) {
		int code = errno;

		free(STEAL(f->tmp));
		return err_errno(e, code, "making a file beside '%s'", f->path);
	}
	f->guard = stop_guard_file(f->tmp);
	return 0;
}

/* Who is root could take the place of /dev/null, or of /dev/stdout, a link into /proc. */
static bool is_special(const char *path)
{
	char target[8] = "";
	struct stat st;

	if (lstat(path, &st) < 0)
		return false;
	if (S_ISLNK(st.st_mode))
		return readlink(path, target, sizeof(target) - 1) > 0 &&
		       str_has_prefix(target, "/proc/");
	return !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

int atomic_file_begin(struct atomic_file *f, const char *path, unsigned flags, struct err *e)
{
	const char *slash = strrchr(path, '/');
	int rc;

	*f = ATOMIC_FILE_INIT;
	f->flags = flags;
	if (!*(slash ? slash + 1 : path))
		return err_set(e, EISDIR, "'%s' is not a file name", path);
	if ((flags & FS_NO_REPLACE) && access(path, F_OK) == 0)
		return err_set(e, EEXIST, "'%s' exists already", path);
	if (is_special(path))
		return err_set(e, EINVAL, "'%s' exists and is not a regular file", path);
	f->path = strdup(path);
	rc = f->path ? open_temporary(f, e) : err_nomem(e);
	if (rc < 0)
		atomic_file_abort(f);
	return rc;
}

/* The folder's entry is on disk too. Some file systems cannot sync a folder: not an error. */
static void sync_folder(const char *path)
{
	AUTO_FREE char *dir = path_folder(path);
	AUTO_FD int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0)
		(void)fsync(fd);
}

/* Gives a file without a name the name `path`, where nothing stands. Returns -1 as link(2). */
static int link_nameless(int fd, const char *path)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

/* To take the place of another file it first needs a name of its own. */
static int name_temporarily(struct atomic_file *f, int fd, struct err *e)
{
	f->tmp = temporary_name(f->path);
	if (!f->tmp)
		return err_nomem(e);
	if (link_nameless(fd, f->tmp) < 0) {
		int code = errno;

		free(STEAL(f->tmp));
		return err_errno(e, code, "naming the output '%s'", f->path);
	}
	f->guard = stop_guard_file(f->tmp);
	return 0;
}

static int give_name(struct atomic_file *f, int fd, struct err *e)
{
	int rc;

	if (f->flags & FS_NO_REPLACE) {
		/* renameat2's RENAME_NOREPLACE is not on every file system; link(2) is. */
		rc = f->tmp ? link(f->tmp, f->path) : link_nameless(fd, f->path);
		if (rc < 0)
			return err_errno(e, errno, "naming the output '%s'", f->path);
		if (f->tmp)
			unlink(f->tmp);
	} else {
		rc = f->tmp ? 0 : name_temporarily(f, fd, e);
		if (rc < 0)
			return rc;
		if (rename(f->tmp, f->path) < 0)
			return err_errno(e, errno, "naming the output '%s'", f->path);
	}
	free(STEAL(f->tmp));
	return 0;
}

int atomic_file_commit(struct atomic_file *f, unsigned mode, struct err *e)
{
	int rc = 0;

	if (fsync(f->fd) < 0 && errno != EINVAL && errno != EROFS)
		rc = err_errno(e, errno, "writing '%s'", f->path);
	if (rc == 0 && fchmod(f->fd, mode) < 0)
		rc = err_errno(e, errno, "setting the mode of '%s'", f->path);
	if (rc == 0)
		rc = give_name(f, f->fd, e);
	if (rc == 0)
		sync_folder(f->path);
	atomic_file_abort(f);
	return rc;
}

void atomic_file_abort(struct atomic_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->tmp)
		unlink(f->tmp);
	stop_unguard_file(f->guard);
	free(f->tmp);
	free(f->path);
	*f = ATOMIC_FILE_INIT;
}

unsigned fs_file_mode(void)
{
	mode_t mask = umask(022);

	umask(mask);
	return 0666 & ~(unsigned)mask;
}

int fs_write_file(const char *path, const void *data, size_t len, unsigned mode, struct err *e)
{
	AUTO(atomic_file_abort) struct atomic_file f = ATOMIC_FILE_INIT;
	int rc = atomic_file_begin(&f, path, 0, e);

	if (rc < 0)
		return rc;
	rc = fs_write(f.fd, data, len, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", path);
	return atomic_file_commit(&f, mode, e);
}
