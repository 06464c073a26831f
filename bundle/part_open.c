/* SPDX-License-Identifier: Apache-2.0 */
/* Parts as files that somebody opens: see bundle/bundle.h. */
#include <fcntl.h>

#include "bundle/bundle.h"

struct part_files {
	int (*open)(void *ctx, const char *name, int *ret_fd, struct err *e);
	void *ctx;
	const struct manifest *m;
	int fd; /* of the part that is being read, -1 if none */
	size_t index;
};

static int next_part(struct part_files *p, size_t index, struct err *e)
{
	int rc;

	if (p->fd >= 0)
		close(steal_fd(&p->fd));
	p->index = index;
	rc = p->open(p->ctx, p->m->parts[index].filename, &p->fd, e);
	if (rc == 0)
		(void)posix_fadvise(p->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* only a hint */
	return rc;
}

static int read_part(void *ctx, size_t index, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	struct part_files *p = ctx;
	ssize_t n;

	if (p->fd < 0 || p->index != index) {
		int rc = next_part(p, index, e);

		if (rc < 0)
			return rc;
	}
	do {
		n = read(p->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(e, errno, "reading '%s'", p->m->parts[index].filename);
	*ret_len = (size_t)n;
	return 0;
}

int part_source_open(int (*open)(void *ctx, const char *name, int *ret_fd, struct err *e),
		     void *ctx, const struct manifest *m, struct part_source *ret, struct err *e)
{
	struct part_files *p = calloc(1, sizeof(*p));

	if (!p)
		return err_nomem(e);
	*p = (struct part_files){.open = open, .ctx = ctx, .m = m, .fd = -1};
	*ret = (struct part_source){.read = read_part, .ctx = p};
	return 0;
}

void part_source_open_free(struct part_source *s)
{
	struct part_files *p = s->ctx;

	if (p && p->fd >= 0)
		close(p->fd);
	free(p);
	*s = (struct part_source){0};
}
