/* SPDX-License-Identifier: Apache-2.0 */
/* Output that appears complete or not at all: see lib/fs.h. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/stop.h"
#include "lib/str.h"

int atomic_file_begin(struct atomic_file *f, const char *path, unsigned flags, struct err *e)
{
	const char *slash = strrchr(path, '/');
	int dir_len = slash ? (int)(slash + 1 - path) : 0;
	const char *name = slash ? slash + 1 : path;

	*f = ATOMIC_FILE_INIT;
	f->flags = flags;
	if (!*name)
		return err_set(e, EISDIR, "'%s' is not a file name", path);
	if ((flags & FS_NO_REPLACE) && access(path, F_OK) == 0)
		return err_set(e, EEXIST, "'%s' exists already", path);
	f->path = strdup(path);
	/* A long name still leaves room for the rest: NAME_MAX is 255. */
	f->tmp = str_format("%.*s.%.200s.XXXXXX.tmp", dir_len, path, name);
	if (!f->path || !f->tmp) {
		atomic_file_abort(f);
		return err_nomem(e);
	}
	f->fd = mkostemps(f->tmp, 4, O_CLOEXEC);
	if (f->fd < 0) {
		int code = errno;

		free(STEAL(f->tmp));
		atomic_file_abort(f);
		return err_errno(e, code, "making a file beside '%s'", path);
	}
	f->guard = stop_guard_file(f->tmp);
	return 0;
}

/* The folder's entry is on disk too. Some file systems cannot sync a folder: not an error. */
static void sync_folder(const char *path)
{
	AUTO_FREE char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	AUTO_FD int fd = -1;

	if (!dir)
		return;
	if (slash)
		slash[slash == dir ? 1 : 0] = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		(void)fsync(fd);
}

int atomic_file_commit(struct atomic_file *f, unsigned mode, struct err *e)
{
	int fd = steal_fd(&f->fd);
	int rc = 0;

	if (fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
		rc = err_errno(e, errno, "writing '%s'", f->path);
	if (rc == 0 && fchmod(fd, mode) < 0)
		rc = err_errno(e, errno, "setting the mode of '%s'", f->path);
	if (close(fd) < 0 && rc == 0)
		rc = err_errno(e, errno, "writing '%s'", f->path);
	if (rc == 0 && (f->flags & FS_NO_REPLACE)) {
		/* renameat2's RENAME_NOREPLACE is not on every file system; link(2) is. */
		if (link(f->tmp, f->path) == 0)
			unlink(f->tmp);
		else
			rc = err_errno(e, errno, "naming the output '%s'", f->path);
	} else if (rc == 0 && rename(f->tmp, f->path) < 0) {
		rc = err_errno(e, errno, "naming the output '%s'", f->path);
	}
	if (rc == 0) {
		free(STEAL(f->tmp));
		stop_unguard_file(f->guard);
		f->guard = -1;
		sync_folder(f->path);
	}
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
