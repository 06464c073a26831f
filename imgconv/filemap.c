/* SPDX-License-Identifier: Apache-2.0 */
/* The file of an image: its bytes, and where it has holes itself. */
#include "imgconv/format.h"
#include "lib/fs.h"
#include "lib/mapped.h"

int image_file_read(const struct image *im, void *buf, size_t len, uint64_t off, struct err *e)
{
	if (im->is_part && !range_within(off, len, im->file_size))
		return err_set(e, EBADMSG, "the file ends at 0x%llx",
			       (unsigned long long)im->file_size);
	return fs_pread(im->fd, buf, len, im->base + off, e);
}

int image_file_read_some(const struct image *im, void *buf, size_t len, uint64_t off,
			 size_t *ret_len, struct err *e)
{
	size_t done = 0;

	if (im->is_part)
		len = off < im->file_size ? (size_t)MIN((uint64_t)len, im->file_size - off) : 0;
	while (done < len) {
		ssize_t n = pread(im->fd, (char *)buf + done, len - done,
				  (off_t)(im->base + off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "reading at 0x%llx", (unsigned long long)off);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*ret_len = done;
	return 0;
}

void *image_file_map(const struct image *im, uint64_t off, size_t len)
{
	return mapped_get(im->fd, im->base + off, len);
}

/* That the file still has its first `least` bytes. */
static int check_length(int fd, uint64_t least, struct err *e)
{
	uint64_t now;
	int rc = image_fd_size(fd, &now, e);

	if (rc == 0 && now < least)
		rc = err_set(e, EBADMSG,
			     "the file became shorter while it was read: it ends at 0x%llx",
			     (unsigned long long)now);
	return rc;
}

int image_file_check_length(const struct image *im, struct err *e)
{
	return check_length(im->fd, im->base + im->file_size, e);
}

int image_fd_extent(int fd, uint64_t file_size, uint64_t off, uint64_t end, struct extent *ret,
		    struct err *e)
{
	off_t data = lseek(fd, (off_t)off, SEEK_DATA);
	off_t hole;

	*ret = (struct extent){.start = off, .length = end - off, .kind = EXTENT_DATA};
	if (data < 0 && errno == ENXIO) {
		ret->kind = EXTENT_HOLE;
		/* Behind the file's end there is a hole, too. */
		return check_length(fd, MIN(end, file_size), e);
	}
	if (data < 0) /* not known here: all is data */
		return 0;
	if ((uint64_t)data > off) {
		ret->kind = EXTENT_HOLE;
		ret->length = MIN((uint64_t)data, end) - off;
		return 0;
	}
	hole = lseek(fd, (off_t)off, SEEK_HOLE);
	if (hole < 0)
		return err_errno(e, errno, "SEEK_HOLE at 0x%llx", (unsigned long long)off);
	if ((uint64_t)hole > off)
		ret->length = MIN((uint64_t)hole, end) - off;
	return 0;
}

int image_file_extent(const struct image *im, uint64_t off, uint64_t end, struct extent *ret,
		      struct err *e)
{
	int rc = image_fd_extent(im->fd, im->base + im->file_size, im->base + off, im->base + end,
				 ret, e);

	ret->start -= im->base;
	return rc;
}
