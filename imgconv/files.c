/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the files of images: see imgconv/files.h. */
#include "imgconv/files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "lib/fs.h"
#include "lib/str.h"

/* O_NONBLOCK so that a FIFO is refused instead of waited for. */
#define OPEN_FLAGS (O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

const struct image_opener *image_opener = &image_opener_self;

char *image_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int open_path(const char *path, bool writable, int *ret_fd, struct err *e)
{
	*ret_fd = open(path, OPEN_FLAGS | (writable ? O_RDWR : O_RDONLY));
	if (*ret_fd < 0)
		return err_errno(e, errno, "opening '%s'", path);
	return 0;
}

static int openat2_beneath(int dir, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

int image_open_in(int dir, const char *folder, const char *name, char **ret_path, int *ret_fd,
		  struct err *e)
{
	AUTO_FREE char *real = NULL;
	AUTO_FREE char *path = NULL;
	const char *below = name;

	if (name[0] == '/') {
		real = realpath(folder, NULL);
		if (!real)
			return err_errno(e, errno, "resolving '%s'", folder);
		if (str_has_prefix(name, real) && name[strlen(real)] == '/')
			below = name + strlen(real) + 1;
	}
	path = path_join(folder, below);
	if (!path)
		return err_nomem(e);
	*ret_fd = openat2_beneath(dir, below, OPEN_FLAGS | O_RDONLY);
	if (*ret_fd < 0 && (errno == EXDEV || errno == ELOOP))
		return err_set(e, EACCES, "the file '%s' is not below the image's folder", name);
	if (*ret_fd < 0)
		return err_errno(e, errno, "opening '%s'", name);
	*ret_path = STEAL(path);
	return 0;
}

static int not_below(const char *folder, struct err *e)
{
	return err_set(e, EACCES, "the folder '%s' is not below the image's", folder);
}

int image_open_folder(const char *root, const char *folder, int *ret_fd, struct err *e)
{
	AUTO_FD int top = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	size_t len = strlen(root);
	const char *rest = folder + len;

	if (top < 0)
		return err_errno(e, errno, "opening the folder '%s'", root);
	if (!str_has_prefix(folder, root) || (*rest && *rest != '/' && root[len - 1] != '/'))
		return not_below(folder, e);
	rest += strspn(rest, "/");
	if (!*rest) {
		*ret_fd = steal_fd(&top);
		return 0;
	}
	*ret_fd = openat2_beneath(top, rest, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0 && (errno == EXDEV || errno == ELOOP))
		return not_below(folder, e);
	if (*ret_fd < 0)
		return err_errno(e, errno, "opening the folder '%s'", folder);
	return 0;
}

static int open_beneath(const char *folder, const char *name, char **ret_path, int *ret_fd,
			struct err *e)
{
	AUTO_FD int dir = -1;
	int rc = image_open_folder(folder, folder, &dir, e);

	return rc < 0 ? rc : image_open_in(dir, folder, name, ret_path, ret_fd, e);
}

const struct image_opener image_opener_self = {.open = open_path, .open_beneath = open_beneath};
