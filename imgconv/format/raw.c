/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAW: the guest's bytes, one after the other; a regular file or a block device.
 *
 * The disk is as large as the file, whatever that is: a size that is no multiple of 512 is kept
 * (other formats' writers need such a multiple; the caller rounds up). Holes are known by
 * SEEK_DATA. A checkpoint is a record behind the disk's end (see checkpoint.c).
 */
#include <fcntl.h>

#include "imgconv/format.h"
#include "lib/fs.h"

/* The unit in which zeros are left out: a block of most file systems. */
#define RAW_GRAIN 4096u

static int raw_open(const struct image_source *src, struct image **ret, struct err *e)
{
	AUTO(image_discard) struct image *im = calloc(1, sizeof(*im));
	int rc;

	if (!im)
		return err_nomem(e);
	rc = image_init(im, &image_format_raw, src, e);
	if (rc)
		return rc;
	im->size = im->file_size;
	*ret = STEAL(im);
	return 0;
}

static void raw_close(struct image *im)
{
	(void)im; /* has nothing but the common part */
}

static int raw_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e)
{
	return fs_pread(im->fd, buf, len, off, e);
}

static int raw_pwrite(struct image *im, const void *buf, size_t len, uint64_t off, struct err *e)
{
	return fs_pwrite(im->fd, buf, len, off, e);
}

static int raw_flush(struct image *im, struct err *e)
{
	return fdatasync(im->fd) < 0 ? err_errno(e, errno, "fdatasync") : 0;
}

static int raw_next_extent(struct image *im, uint64_t off, struct extent *ret, struct err *e)
{
	off_t data = lseek(im->fd, (off_t)off, SEEK_DATA);
	off_t hole;

	*ret = (struct extent){.start = off, .length = im->size - off, .kind = EXTENT_DATA};
	if (data < 0 && errno == ENXIO) {
		ret->kind = EXTENT_HOLE;
		return 0;
	}
	if (data < 0) /* not known here: all is data */
		return 0;
	if ((uint64_t)data > off) {
		ret->kind = EXTENT_HOLE;
		ret->length = (uint64_t)data - off;
		return 0;
	}
	hole = lseek(im->fd, (off_t)off, SEEK_HOLE);
	if (hole < 0)
		return err_errno(e, errno, "SEEK_HOLE at 0x%llx", (unsigned long long)off);
	if ((uint64_t)hole > off)
		ret->length = (uint64_t)hole - off;
	return 0;
}

/* ---- writing ------------------------------------------------------------------------------- */

static int raw_new_writer(int fd, const char *name, uint64_t size,
			  const struct image_create_opts *o, struct image_writer **ret,
			  struct err *e)
{
	AUTO(image_writer_discard) struct image_writer *w = NULL;
	int rc;

	if (o && (o->cluster_size || o->compression != IMAGE_COMPRESS_NONE || o->level ||
		  o->backing_file))
		return err_set(e, ENOTSUP,
			       "RAW has neither clusters nor compression nor a backing file");
	w = calloc(1, sizeof(*w));
	if (!w)
		return err_nomem(e);
	rc = image_writer_init(w, &image_format_raw, fd, name, size, o, e);
	if (rc)
		return rc;
	w->grain = RAW_GRAIN;
	*ret = STEAL(w);
	return 0;
}

static void raw_free(struct image_writer *w)
{
	(void)w;
}

static int raw_write(struct image_writer *w, const void *data, size_t len, uint64_t off,
		     struct err *e)
{
	return fs_pwrite(w->fd, data, len, off, e);
}

static int set_length(struct image_writer *w, uint64_t length, struct err *e)
{
	if (ftruncate(w->fd, (off_t)length) < 0)
		return err_errno(e, errno, "setting the file's size to %llu bytes",
				 (unsigned long long)length);
	return 0;
}

static int raw_finish(struct image_writer *w, struct err *e)
{
	return set_length(w, w->size, e);
}

static int raw_checkpoint(struct image_writer *w, uint64_t position, struct err *e)
{
	struct image_checkpoint c = {
		.size = w->size, .position = position, .file_end = position, .grain = w->grain};
	uint8_t record[IMAGE_CHECKPOINT_SIZE];
	int rc;

	if (fdatasync(w->fd) < 0)
		return err_errno(e, errno, "fdatasync");
	image_checkpoint_encode(&c, record);
	rc = fs_pwrite(w->fd, record, sizeof(record), w->size, e);
	if (rc == 0 && fdatasync(w->fd) < 0)
		rc = err_errno(e, errno, "fdatasync");
	return rc;
}

/* Zeros in place of all between the checkpoint and its record. */
static int forget_tail(struct image_writer *w, struct err *e)
{
	uint64_t len = w->size - w->position;
	int rc;

	if (!len || fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)w->position,
			      (off_t)len) == 0)
		return 0;
	rc = set_length(w, w->position, e);
	return rc < 0 ? rc : raw_checkpoint(w, w->position, e);
}

static int raw_resume(int fd, const char *name, const struct image_create_opts *o,
		      struct image_writer **ret, struct err *e)
{
	AUTO(image_writer_discard) struct image_writer *w = NULL;
	uint8_t record[IMAGE_CHECKPOINT_SIZE];
	struct image_checkpoint c;
	uint64_t file_size;
	int rc = image_fd_size(fd, &file_size, e);

	if (rc)
		return rc;
	if (file_size < sizeof(record))
		return err_set(e, EBADMSG, "there is no checkpoint in the file");
	rc = fs_pread(fd, record, sizeof(record), file_size - sizeof(record), e);
	if (rc == 0)
		rc = image_checkpoint_decode(record, &c, e);
	if (rc)
		return rc;
	if (c.size != file_size - sizeof(record) || c.grain != RAW_GRAIN ||
	    (c.position % c.grain && c.position != c.size))
		return err_set(e, EBADMSG, "the checkpoint does not fit the file");
	rc = raw_new_writer(fd, name, c.size, o, &w, e);
	if (rc)
		return rc;
	w->position = c.position;
	rc = forget_tail(w, e);
	if (rc)
		return rc;
	*ret = STEAL(w);
	return 0;
}

const struct image_format image_format_raw = {
	.name = "raw",
	.summary = "the guest's bytes as they are",
	.max_size = INT64_MAX - (1 << 20),
	.open = raw_open,
	.pread = raw_pread,
	.pwrite = raw_pwrite,
	.flush = raw_flush,
	.next_extent = raw_next_extent,
	.close = raw_close,
	.create = raw_new_writer,
	.write = raw_write,
	.finish = raw_finish,
	.checkpoint = raw_checkpoint,
	.resume = raw_resume,
	.free = raw_free,
};
