/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a bundle as files of one folder. The names come from the manifest, which anybody may
 * have written: a name is a plain file name of that folder, and neither a symbolic link nor
 * anything but a regular file is opened for it.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "bundle/bundle.h"

struct part_dir {
	const struct manifest *m;
	char *path;
	int dir_fd;
	int fd; /* of the part that is being read, -1 if none */
	size_t index;
};

static void part_dir_free(struct part_dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	if (d->dir_fd >= 0)
		close(d->dir_fd);
	free(d->path);
	free(d);
}
DEFINE_AUTO(struct part_dir *, part_dir_free);

static int open_part(struct part_dir *d, size_t index, struct err *e)
{
	const char *name = d->m->parts[index].filename;
	struct stat st;

	if (d->fd >= 0)
		close(d->fd);
	d->index = index;
	/* Not to wait for a FIFO's writer; it is refused below. */
	d->fd = openat(d->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (d->fd < 0 && errno == ELOOP)
		return err_set(e, ELOOP, "'%s/%s' is a symbolic link", d->path, name);
	if (d->fd < 0 || fstat(d->fd, &st) < 0)
		return err_errno(e, errno, "opening '%s/%s'", d->path, name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EACCES, "'%s/%s' is no regular file", d->path, name);
	(void)posix_fadvise(d->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* only a hint */
	return 0;
}

static int part_dir_read(void *ctx, size_t index, void *buf, size_t len, size_t *ret_len,
			 struct err *e)
{
	struct part_dir *d = ctx;
	ssize_t n;

	if (d->fd < 0 || d->index != index) {
		int rc = open_part(d, index, e);

		if (rc < 0)
			return rc;
	}
	do {
		n = read(d->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(e, errno, "reading '%s/%s'", d->path, d->m->parts[index].filename);
	*ret_len = (size_t)n;
	return 0;
}

int part_source_dir(const char *dir, const struct manifest *m, struct part_source *ret,
		    struct err *e)
{
	AUTO(part_dir_free) struct part_dir *d = calloc(1, sizeof(*d));

	if (!d)
		return err_nomem(e);
	d->m = m;
	d->fd = -1;
	d->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->dir_fd < 0)
		return err_errno(e, errno, "opening folder '%s'", dir);
	d->path = strdup(dir);
	if (!d->path)
		return err_nomem(e);
	*ret = (struct part_source){.read = part_dir_read, .ctx = STEAL(d)};
	return 0;
}

void part_source_dir_free(struct part_source *s)
{
	if (s->ctx)
		part_dir_free(s->ctx);
	*s = (struct part_source){0};
}
