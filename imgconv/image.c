/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's reading side: opening by name or content, bounds, backing files, facts. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/files.h"
#include "imgconv/foreign.h"
#include "lib/fs.h"
#include "lib/stop.h"

/* Where the volume descriptor of ISO 9660 has its name (ECMA-119, 8.1.2, sector 16). */
#define ISO_MAGIC_OFFSET 32769

int image_fd_size(int fd, uint64_t *ret, struct err *e)
{
	struct stat st;
	off_t end;

	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "fstat");
	if (S_ISREG(st.st_mode)) {
		*ret = (uint64_t)st.st_size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return err_set(e, EINVAL, "neither a regular file nor a block device");
	end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return err_errno(e, errno, "asking for the device's size");
	*ret = (uint64_t)end;
	return 0;
}

static bool is_iso(const struct image_source *src, uint64_t file_size)
{
	uint8_t magic[5];

	return file_size >= ISO_MAGIC_OFFSET + sizeof(magic) &&
	       fs_pread(src->fd, magic, sizeof(magic), src->base + ISO_MAGIC_OFFSET, NULL) == 0 &&
	       memcmp(magic, "CD001", sizeof(magic)) == 0;
}

static int source_size(const struct image_source *src, uint64_t *ret, struct err *e)
{
	int rc = image_fd_size(src->fd, ret, e);

	if (rc < 0 || !src->is_part)
		return rc;
	if (!range_within(src->base, src->length, *ret))
		return err_set(e, EBADMSG, "the file ends at 0x%llx", (unsigned long long)*ret);
	*ret = src->length;
	return 0;
}

static int read_head(const struct image_source *src, uint8_t data[IMAGE_HEAD_MAX],
		     uint8_t tail[IMAGE_TAIL_SIZE], struct image_head *ret, struct err *e)
{
	int rc;

	*ret = (struct image_head){.data = data};
	rc = source_size(src, &ret->file_size, e);
	if (rc)
		return rc;
	ret->len = (size_t)MIN(ret->file_size, (uint64_t)IMAGE_HEAD_MAX);
	rc = fs_pread(src->fd, data, ret->len, src->base, e);
	if (rc == 0 && ret->file_size >= IMAGE_TAIL_SIZE) {
		ret->tail = tail;
		rc = fs_pread(src->fd, tail, IMAGE_TAIL_SIZE,
			      src->base + ret->file_size - IMAGE_TAIL_SIZE, e);
	}
	return rc;
}

int image_head_read(int fd, uint8_t data[IMAGE_HEAD_MAX], uint8_t tail[IMAGE_TAIL_SIZE],
		    struct image_head *ret, struct err *e)
{
	const struct image_source whole = {.fd = fd};

	return read_head(&whole, data, tail, ret, e);
}

/* The one format that the content has; more than one is refused. */
static int probe(const struct image_source *src, const struct image_format **ret, struct err *e)
{
	AUTO_FREE uint8_t *data = malloc(IMAGE_HEAD_MAX);
	struct image_head head;
	uint8_t tail[IMAGE_TAIL_SIZE];
	const struct image_format *found = NULL;
	const struct foreign_format *foreign;
	const char *other;
	int rc;

	if (!data)
		return err_nomem(e);
	rc = read_head(src, data, tail, &head, e);
	if (rc)
		return rc;
	for (size_t i = 0; image_formats[i]; i++) {
		const struct image_format *f = image_formats[i];

		if (!f->probe || !f->probe(&head))
			continue;
		if (found)
			return err_set(e, EACCES, "looks like both %s and %s: name the format",
				       found->name, f->name);
		found = f;
	}
	foreign = foreign_find(&head);
	other = foreign ? foreign_name(foreign) : NULL;
	if (found && !other && is_iso(src, head.file_size))
		other = "ISO 9660";
	if (found && other)
		return err_set(e, EACCES, "looks like both %s and %s: name the format", found->name,
			       other);
	if (foreign)
		return err_set(e, ENOTSUP, "%s images are not supported (%s)", other,
			       foreign_advice(foreign));
	*ret = found ? found : &image_format_raw;
	return 0;
}

static int open_source(const struct image_source *src, const char *format, struct image **ret,
		       struct err *e)
{
	const struct image_format *f = NULL;
	int rc;

	if (format) {
		f = image_format_by_name(format);
		if (!f)
			return err_set(e, ENOTSUP, "unknown image format '%s'", format);
	} else {
		rc = probe(src, &f, e);
		if (rc)
			return err_wrap(e, "'%s'", src->name);
	}
	if (src->flags & IMAGE_RDWR && !f->pwrite)
		return err_set(e, ENOTSUP,
			       "'%s': %s images are not changed in place: convert it first",
			       src->name, f->name);
	if (src->snapshot && !f->has_snapshots)
		return err_set(e, ENOTSUP, "'%s': %s images have no internal snapshots", src->name,
			       f->name);
	if (src->parent && !f->has_parent)
		return err_set(e, ENOTSUP, "'%s': %s images have no parent", src->name, f->name);
	rc = f->open(src, ret, e);
	return rc < 0 ? err_wrap(e, "'%s'", src->name) : 0;
}

/* What an image is opened from, by the caller's wishes (NULL: none). */
static struct image_source source_of(const char *name, const struct image_open_opts *o)
{
	struct image_source src = {.fd = -1, .name = name};

	if (o) {
		src.flags = o->flags;
		src.snapshot = o->snapshot;
		src.parent = o->parent;
	}
	return src;
}

int image_open_fd(int fd, const char *name, const struct image_open_opts *o, struct image **ret,
		  struct err *e)
{
	struct image_source src = source_of(name, o);

	src.fd = fd;
	return open_source(&src, o ? o->format : NULL, ret, e);
}

int image_open_part(int fd, uint64_t off, uint64_t len, const char *name,
		    const struct image_open_opts *o, struct image **ret, struct err *e)
{
	struct image_source src = source_of(name, o);

	if (src.flags & IMAGE_RDWR)
		return err_set(e, EINVAL, "'%s': a part of a file is not changed", name);
	src.fd = fd;
	src.is_part = true;
	src.base = off;
	src.length = len;
	return open_source(&src, o ? o->format : NULL, ret, e);
}

int image_open(const char *path, const struct image_open_opts *o, struct image **ret, struct err *e)
{
	struct image_source src = source_of(path, o);
	AUTO_FD int fd = -1;
	int rc;

	src.path = path;
	rc = image_opener->open(path, src.flags & IMAGE_RDWR, &fd, e);
	if (rc < 0)
		return rc;
	src.fd = fd;
	rc = open_source(&src, o ? o->format : NULL, ret, e);
	if (rc == 0)
		(void)steal_fd(&fd);
	return rc;
}

int image_init(struct image *im, const struct image_format *f, const struct image_source *src,
	       struct err *e)
{
	int rc;

	im->format = f;
	im->fd = src->fd;
	im->flags = src->flags;
	im->depth = src->depth;
	im->is_part = src->is_part;
	im->base = src->base;
	rc = source_size(src, &im->file_size, e);
	if (rc)
		return rc;
	im->name = strdup(src->name);
	if (!im->name || (src->path && !(im->path = strdup(src->path))))
		return err_nomem(e);
	return 0;
}

void image_discard(struct image *im)
{
	im->format->close(im);
	free(im->name);
	free(im->path);
	free(im);
}

void image_close(struct image *im)
{
	int fd = im->fd;

	(void)image_flush(im, NULL);
	image_discard(im);
	close(fd);
}

/* ---- files that an image names ------------------------------------------------------------ */

/* Opens what lies below the folder of im; *ret_path is how it is called from here. */
static int open_beneath(const struct image *im, const char *name, size_t len, char **ret_path,
			int *ret_fd, struct err *e)
{
	AUTO_FREE char *plain = strndup(name, len);
	AUTO_FREE char *folder = NULL;

	if (!plain)
		return err_nomem(e);
	if (strlen(plain) != len || !len)
		return err_set(e, EBADMSG, "the file's name is empty or has a NUL inside");
	if (!im->path)
		return err_set(e, EACCES, "the image names the file '%s', but has no path itself",
			       plain);
	folder = image_folder_of(im->path);
	if (!folder)
		return err_nomem(e);
	return image_opener->open_beneath(folder, plain, ret_path, ret_fd, e);
}

int image_open_beneath(const struct image *im, const char *name, size_t len, int *ret_fd,
		       struct err *e)
{
	AUTO_FREE char *path = NULL;
	AUTO_FD int fd = -1;
	struct stat st;
	int rc = open_beneath(im, name, len, &path, &fd, e);

	if (rc)
		return rc;
	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "'%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EACCES, "'%s' is not a regular file", path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int image_open_backing(const struct image *im, const char *name, size_t len, const char *format,
		       struct image **ret, struct err *e)
{
	struct image_source src = {.flags = im->flags & IMAGE_ALLOW_BACKING,
				   .depth = im->depth + 1};
	AUTO_FREE char *path = NULL;
	AUTO_FD int fd = -1;
	int rc;

	if (src.depth >= IMAGE_MAX_DEPTH)
		return err_set(e, ELOOP, "more than %d images in the backing chain",
			       IMAGE_MAX_DEPTH);
	if (!format || !*format)
		return err_set(e, EACCES,
			       "the format of the backing file '%.*s' is not named, and is not "
			       "guessed",
			       (int)MIN(len, (size_t)INT_MAX), name);
	rc = open_beneath(im, name, len, &path, &fd, e);
	if (rc < 0)
		return err_wrap(e, "backing file");
	src.fd = fd;
	src.name = src.path = path;
	rc = open_source(&src, format, ret, e);
	if (rc < 0)
		return err_wrap(e, "backing file");
	(void)steal_fd(&fd);
	return 0;
}

/* ---- reading and writing ------------------------------------------------------------------- */

uint64_t image_size(const struct image *im)
{
	return im->size;
}

const char *image_format_name(const struct image *im)
{
	return im->format->name;
}

const char *image_name(const struct image *im)
{
	return im->name;
}

static int check_range(const struct image *im, size_t len, uint64_t off, struct err *e)
{
	if (range_within(off, len, im->size))
		return 0;
	return err_set(e, EINVAL, "'%s': %zu bytes at 0x%llx reach past the disk's end", im->name,
		       len, (unsigned long long)off);
}

int image_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e)
{
	int rc = check_range(im, len, off, e);

	if (rc < 0 || !len)
		return rc;
	rc = im->format->pread(im, buf, len, off, e);
	return rc < 0 ? err_wrap(e, "reading '%s'", im->name) : 0;
}

bool image_changes(const struct image *im)
{
	return im->format->pwrite != NULL;
}

int image_pwrite(struct image *im, const void *buf, size_t len, uint64_t off, struct err *e)
{
	int rc = check_range(im, len, off, e);

	if (rc < 0 || !len)
		return rc;
	if (!(im->flags & IMAGE_RDWR))
		return err_set(e, EBADF, "'%s' was opened for reading only", im->name);
	rc = im->format->pwrite(im, buf, len, off, e);
	return rc < 0 ? err_wrap(e, "writing '%s'", im->name) : 0;
}

int image_flush(struct image *im, struct err *e)
{
	int rc;

	if (!(im->flags & IMAGE_RDWR))
		return 0;
	rc = im->format->flush(im, e);
	return rc < 0 ? err_wrap(e, "writing '%s'", im->name) : 0;
}

int image_next_extent(struct image *im, uint64_t off, struct extent *ret, struct err *e)
{
	int rc;

	if (off >= im->size)
		return check_range(im, 1, off, e);
	rc = im->format->next_extent(im, off, ret, e);
	if (rc < 0)
		return err_wrap(e, "reading '%s'", im->name);
	ret->length = MIN(ret->length, im->size - off);
	return 0;
}

/* ---- another size -------------------------------------------------------------------------- */

#define SCAN_PIECE (256 * KIB)

/* That all from `off` on is zeros. */
static int check_zero_from(struct image *im, uint64_t off, struct err *e)
{
	AUTO_FREE uint8_t *buf = malloc(SCAN_PIECE);

	if (!buf)
		return err_nomem(e);
	while (off < im->size) {
		struct extent x;
		int rc = stop_check(e);

		if (rc == 0)
			rc = image_next_extent(im, off, &x, e);
		if (rc == 0 && x.kind == EXTENT_DATA) {
			x.length = MIN(x.length, SCAN_PIECE);
			rc = image_pread(im, buf, (size_t)x.length, off, e);
			if (rc == 0 && !mem_is_zero(buf, (size_t)x.length))
				return err_set(e, ENOSPC,
					       "'%s': there are data at 0x%llx or soon behind it, "
					       "which a smaller disk would lose",
					       im->name, (unsigned long long)off);
		}
		if (rc)
			return rc;
		off += x.length;
	}
	return 0;
}

bool image_resizes(const struct image *im)
{
	return im->format->resize != NULL;
}

int image_clip(struct image *im, uint64_t size, struct err *e)
{
	int rc = check_zero_from(im, size, e);

	if (rc == 0)
		im->size = MIN(im->size, size);
	return rc;
}

int image_resize(struct image *im, uint64_t size, struct err *e)
{
	int rc;

	if (!(im->flags & IMAGE_RDWR))
		return err_set(e, EBADF, "'%s' was opened for reading only", im->name);
	if (!im->format->resize)
		return err_set(e, ENOTSUP, "'%s': %s images are not resized in place", im->name,
			       im->format->name);
	if (!size || size > im->format->max_size)
		return err_set(e, EINVAL, "'%s': a %s image cannot have %llu bytes", im->name,
			       im->format->name, (unsigned long long)size);
	rc = size < im->size ? check_zero_from(im, size, e) : 0;
	if (rc == 0 && size != im->size) {
		rc = im->format->resize(im, size, e);
		if (rc < 0)
			return err_wrap(e, "resizing '%s'", im->name);
		im->size = size;
	}
	return rc;
}
