/* SPDX-License-Identifier: Apache-2.0 */
/* See bundle/part_keep.h. */
#include "bundle/part_keep.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/str.h"

#define STEP (256 * KIB)

static char *path_of(const char *dir, size_t index)
{
	return str_format("%s/part.%zu", dir, index);
}

static bool has_digest(const char hex[2 * DIGEST_MAX + 1], const struct manifest *m, size_t index)
{
	return strcmp(hex, m->parts[index].digest) == 0;
}

/* Whether the file is the part; it is at its beginning then. */
static int check_file(int fd, uint64_t size, const struct manifest *m, size_t index)
{
	AUTO(digest_free) struct digest *d = NULL;
	AUTO_FREE char *buf = malloc(STEP);
	char hex[2 * DIGEST_MAX + 1];

	if (!buf || digest_new(DIGEST_SHA1, &d, NULL) < 0)
		return -ENOMEM;
	for (uint64_t at = 0; at < size; at += STEP) {
		size_t n = (size_t)MIN(size - at, (uint64_t)STEP);

		if (fs_pread(fd, buf, n, at, NULL) < 0)
			return -EIO;
		digest_add(d, buf, n);
	}
	digest_final_hex(d, hex);
	return has_digest(hex, m, index) ? 0 : -EBADMSG;
}

uint64_t part_keep_find(const char *dir, const struct manifest *m, size_t index, int *ret_fd)
{
	AUTO_FREE char *path = path_of(dir, index);
	AUTO_FD int fd = path ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    (uint64_t)st.st_size > BUNDLE_PART_LIMIT ||
	    check_file(fd, (uint64_t)st.st_size, m, index) < 0)
		return 0;
	*ret_fd = steal_fd(&fd);
	return (uint64_t)st.st_size;
}

int part_keep_put(const char *dir, const struct manifest *m, size_t index, const struct buf *data,
		  int *ret_fd, struct err *e)
{
	AUTO_FREE char *path = path_of(dir, index);
	AUTO(digest_free) struct digest *d = NULL;
	char hex[2 * DIGEST_MAX + 1];
	AUTO_FD int fd = -1;
	int rc = path ? digest_new(DIGEST_SHA1, &d, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	digest_add(d, data->data, data->len);
	digest_final_hex(d, hex);
	if (!has_digest(hex, m, index))
		return err_set(e, EBADMSG, "part %zu has another digest", index);
	/* Whoever reads it has no business with writing it. */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	*ret_fd = fd >= 0 ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (*ret_fd < 0)
		return err_errno(e, errno, "making '%s'", path);
	rc = fs_write(fd, data->data, data->len, e);
	if (rc < 0) {
		close(steal_fd(ret_fd));
		return err_wrap(e, "writing '%s'", path);
	}
	return 0;
}
