/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes, folders, paths: see lib/fs.h. */
#include "lib/fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "lib/str.h"

int fs_pread(int fd, void *buf, size_t len, uint64_t off, struct err *e)
{
	char *p = buf;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "reading at 0x%llx", (unsigned long long)off);
		if (n == 0)
			return err_set(e, EBADMSG, "the file ends at 0x%llx",
				       (unsigned long long)off);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int fs_pwrite(int fd, const void *buf, size_t len, uint64_t off, struct err *e)
{
	const char *p = buf;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "writing at 0x%llx", (unsigned long long)off);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int fs_write(int fd, const void *buf, size_t len, struct err *e)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "writing");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fs_read_fd(int fd, const char *name, size_t limit, struct buf *out, struct err *e)
{
	size_t start = out->len;

	for (;;) {
		ssize_t n;

		if (buf_reserve(out, 64 * KIB) < 0)
			return err_nomem(e);
		n = read(fd, out->data + out->len, 64 * KIB);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "reading '%s'", name);
		if (n == 0)
			return 0;
		out->len += (size_t)n;
		out->data[out->len] = '\0';
		if (out->len - start > limit)
			return err_set(e, EFBIG, "'%s' is larger than %zu bytes", name, limit);
	}
}

int fs_read_file(const char *path, size_t limit, struct buf *out, struct err *e)
{
	AUTO_FD int fd = -1;

	if (strcmp(path, "-") == 0)
		return fs_read_fd(STDIN_FILENO, "standard input", limit, out, e);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "opening '%s'", path);
	return fs_read_fd(fd, path, limit, out, e);
}

int fs_memory_file(const char *name, const void *data, size_t len, int *ret_fd, struct err *e)
{
	AUTO_FD int fd = memfd_create(name, MFD_CLOEXEC);
	int rc = fd < 0 ? err_errno(e, errno, "making a file in memory")
			: fs_write(fd, data, len, e);

	if (rc == 0 && lseek(fd, 0, SEEK_SET) < 0)
		rc = err_errno(e, errno, "a file in memory");
	if (rc == 0)
		*ret_fd = steal_fd(&fd);
	return rc;
}

int fs_mkdir_p(const char *path, unsigned mode, struct err *e)
{
	AUTO_FREE char *p = strdup(path);

	if (!p)
		return err_nomem(e);
	for (char *slash = p + 1; *p; slash++) {
		char c = *slash;

		if (c && c != '/')
			continue;
		*slash = '\0';
		if (mkdir(p, mode) < 0 && errno != EEXIST)
			return err_errno(e, errno, "making folder '%s'", p);
		*slash = c;
		if (!c)
			break;
	}
	return 0;
}

/* Empties the folder that dir_fd is (and consumes it). */
static int empty_dir(int dir_fd, unsigned depth, struct err *e)
{
	DIR *dir = fdopendir(dir_fd);
	struct dirent *d;
	int rc = 0;

	if (!dir) {
		rc = err_errno(e, errno, "opening a folder");
		close(dir_fd);
		return rc;
	}
	while (rc == 0 && (d = readdir(dir))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), d->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno == EISDIR || errno == EPERM || errno == ENOTEMPTY) {
			int fd = openat(dirfd(dir), d->d_name,
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (fd >= 0 && depth < 64) {
				rc = empty_dir(fd, depth + 1, e);
				if (rc == 0 && unlinkat(dirfd(dir), d->d_name, AT_REMOVEDIR) < 0)
					rc = err_errno(e, errno, "removing '%s'", d->d_name);
				continue;
			}
			if (fd >= 0)
				close(fd);
		}
		rc = err_errno(e, errno, "removing '%s'", d->d_name);
	}
	closedir(dir);
	return rc;
}

int fs_remove_tree(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "opening '%s'", path);
	rc = empty_dir(fd, 0, e);
	if (rc < 0)
		return err_wrap(e, "removing '%s'", path);
	if (rmdir(path) < 0 && errno != ENOENT)
		return err_errno(e, errno, "removing '%s'", path);
	return 0;
}

int fs_make_temp_dir(const char *prefix, char **ret, struct err *e)
{
	AUTO_FREE char *path = str_format("%s.XXXXXX", prefix);

	if (!path)
		return err_nomem(e);
	if (!mkdtemp(path))
		return err_errno(e, errno, "making a folder '%s'", path);
	*ret = STEAL(path);
	return 0;
}

char *path_join(const char *dir, const char *name)
{
	return str_format("%s%s%s", dir, *dir && !str_has_suffix(dir, "/") ? "/" : "", name);
}

char *path_folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool name_is_plain(const char *name)
{
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strlen(name) > NAME_MAX)
		return false;
	for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
		if (*p == '/' || *p < 0x20 || *p == 0x7f)
			return false;
	}
	return true;
}

/* The folder of the running program; the caller's to free. */
static int program_dir(char **ret, struct err *e)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (n < 0)
		return err_errno(e, errno, "reading '/proc/self/exe'");
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	*ret = strdup(path);
	return *ret ? 0 : err_nomem(e);
}

int fs_data_dir(char **ret, struct err *e)
{
	const char *given = getenv("ACCLIMATE_DATADIR");
	AUTO_FREE char *dir = NULL, *path = NULL;
	int rc;

	if (given && *given) {
		path = strdup(given);
	} else {
		rc = program_dir(&dir, e);
		if (rc < 0)
			return rc;
		path = str_format("%s/../share/acclimate", dir);
	}
	if (!path)
		return err_nomem(e);
	if (access(path, R_OK | X_OK) < 0)
		return err_errno(e, errno, "the toolkit's data folder '%s'", path);
	*ret = STEAL(path);
	return 0;
}

int fs_sibling_program(const char *name, char **ret, struct err *e)
{
	AUTO_FREE char *dir = NULL, *path = NULL;
	int rc = program_dir(&dir, e);

	if (rc < 0)
		return rc;
	path = path_join(dir, name);
	if (!path)
		return err_nomem(e);
	if (access(path, X_OK) < 0)
		return err_errno(e, errno, "the program '%s'", path);
	*ret = STEAL(path);
	return 0;
}

void fs_raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}
