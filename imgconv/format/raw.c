/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAW: the guest's bytes, one after the other; a regular file or a block device.
 *
 * The disk is as large as the file, whatever that is: a size that is no multiple of 512 is kept
 * (other formats' writers need such a multiple; the caller rounds up). Holes are known by
 * SEEK_DATA. A checkpoint is a record behind the disk's end (see checkpoint.c).
 *
 * What is not written of a new file is a hole; of a device it is zeroed, up to the device's end,
 * so that nothing shines through of what was there; into a pipe zeros are written.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "imgconv/format/raw.h"
#include "lib/fs.h"
#include "lib/stop.h"

/* The unit in which zeros are left out: a block of most file systems. */
#define RAW_GRAIN 4096u
#define STREAM_PIECE MIB

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
	return image_file_read(im, buf, len, off, e);
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
	return image_file_extent(im, off, im->size, ret, e);
}

static int raw_resize(struct image *im, uint64_t size, struct err *e)
{
	if (ftruncate(im->fd, (off_t)size) < 0)
		return err_errno(e, errno, "setting the file's size to %llu bytes",
				 (unsigned long long)size);
	return 0;
}

/* ---- from a pipe --------------------------------------------------------------------------- */

struct raw_stream {
	struct image_stream common;
	uint64_t off;
	uint8_t *buf;
};

static void raw_stream_close(struct image_stream *s)
{
	free(((struct raw_stream *)s)->buf);
}

static int raw_stream_open(int fd, const char *name, uint64_t size, struct image_stream **ret,
			   struct err *e)
{
	AUTO(image_stream_discard) struct image_stream *s = NULL;
	struct raw_stream *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return err_nomem(e);
	s = &r->common;
	rc = image_stream_init(s, &image_format_raw, fd, name, e);
	if (rc)
		return rc;
	r->buf = malloc(STREAM_PIECE);
	if (!r->buf)
		return err_nomem(e);
	s->size = size;
	*ret = STEAL(s);
	return 0;
}

/* Reads up to len bytes, less only at the end. */
static int read_pipe(int fd, uint8_t *buf, size_t len, size_t *ret, struct err *e)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, buf + done, len - done);
		int rc = stop_check(e);

		if (rc)
			return rc;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "reading");
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*ret = done;
	return 0;
}

/* The stream must be of the size that was given: more or less is an error. */
static int raw_stream_next(struct image_stream *s, uint64_t *ret_off, const uint8_t **ret_data,
			   size_t *ret_len, struct err *e)
{
	struct raw_stream *r = (struct raw_stream *)s;
	size_t n = 0;
	int rc = read_pipe(s->fd, r->buf, STREAM_PIECE, &n, e);

	if (rc)
		return rc;
	if (n > s->size - r->off)
		return err_set(e, EFBIG, "the stream is longer than the disk's %llu bytes",
			       (unsigned long long)s->size);
	if (!n && r->off < s->size)
		return err_set(e, EBADMSG, "the stream ends after %llu of %llu bytes",
			       (unsigned long long)r->off, (unsigned long long)s->size);
	*ret_off = r->off;
	*ret_data = r->buf;
	*ret_len = n;
	r->off += n;
	return n ? 1 : 0;
}

/* ---- writing ------------------------------------------------------------------------------- */

/* What kind of file it is to be. */
static int look_at_target(struct raw_writer *w, struct err *e)
{
	struct stat st;
	int rc;

	if (fstat(w->common.fd, &st) < 0)
		return err_errno(e, errno, "fstat");
	w->is_device = S_ISBLK(st.st_mode);
	if (!w->is_device)
		return 0;
	rc = image_fd_size(w->common.fd, &w->device_size, e);
	if (rc == 0 && w->common.size > w->device_size)
		rc = err_set(e, ENOSPC, "the device has %llu bytes, the disk %llu",
			     (unsigned long long)w->device_size,
			     (unsigned long long)w->common.size);
	return rc;
}

/* Any size is a raw disk's. */
static uint64_t raw_padded_size(uint64_t size, const struct image_create_opts *o)
{
	(void)o;
	return size;
}

static int raw_new_writer(int fd, const char *name, uint64_t size,
			  const struct image_create_opts *o, struct image_writer **ret,
			  struct err *e)
{
	AUTO(image_writer_discard) struct image_writer *w = NULL;
	struct raw_writer *rw = calloc(1, sizeof(*rw));
	int rc;

	if (!rw)
		return err_nomem(e);
	w = &rw->common;
	rc = image_writer_init(w, &image_format_raw, fd, name, size, o, e);
	if (rc == 0)
		rc = look_at_target(rw, e);
	if (rc)
		return rc;
	w->grain = RAW_GRAIN;
	w->fixed = !rw->is_device;
	if (o && o->compression == IMAGE_COMPRESS_GZIP) {
		rc = raw_gzip_begin(rw, o, e);
		if (rc)
			return rc;
	}
	*ret = STEAL(w);
	return 0;
}

static void raw_free(struct image_writer *w)
{
	raw_gzip_free(to_raw_writer(w));
}

/* Zeros up to `end`, as bytes. */
static int write_zeros(struct raw_writer *w, uint64_t end, struct err *e)
{
	static const uint8_t zeros[64 * KIB];
	int rc = 0;

	while (rc == 0 && w->end < end) {
		size_t n = (size_t)MIN(end - w->end, (uint64_t)sizeof(zeros));

		rc = w->common.pipe ? fs_write(w->common.fd, zeros, n, e)
				    : fs_pwrite(w->common.fd, zeros, n, w->end, e);
		if (rc == 0)
			rc = stop_check(e);
		w->end += n;
	}
	return rc;
}

/* Zeros on a device up to `end`, by the device itself where it can. */
static int zero_device(struct raw_writer *w, uint64_t end, struct err *e)
{
	uint64_t range[2] = {w->end, end - w->end};

	if (end > w->end && range[0] % 512 == 0 && range[1] % 512 == 0 &&
	    ioctl(w->common.fd, BLKZEROOUT, range) == 0) {
		w->end = end;
		return 0;
	}
	return write_zeros(w, end, e);
}

static int raw_place(struct image_writer *w, uint64_t off, size_t len, struct image_place *ret,
		     struct err *e)
{
	struct raw_writer *rw = to_raw_writer(w);

	*ret = (struct image_place){.fd = w->fd, .off = off, .len = len};
	if (rw->is_device) {
		int rc = zero_device(rw, off, e);

		rw->end = off + len;
		return rc;
	}
	return 0;
}

/* Into a pipe. */
static int raw_write(struct image_writer *w, const void *data, size_t len, uint64_t off,
		     struct err *e)
{
	struct raw_writer *rw = to_raw_writer(w);
	int rc = write_zeros(rw, off, e);

	if (rc == 0)
		rc = fs_write(w->fd, data, len, e);
	rw->end = off + len;
	return rc;
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
	struct raw_writer *rw = to_raw_writer(w);

	if (rw->gzip)
		return raw_gzip_finish(rw, e);
	if (w->pipe)
		return write_zeros(rw, w->size, e);
	if (rw->is_device)
		return zero_device(rw, rw->device_size, e);
	return set_length(w, w->size, e);
}

static uint64_t raw_full_size(const struct image_writer *w)
{
	const struct raw_writer *rw = (const struct raw_writer *)w;

	return rw->gzip ? raw_gzip_full_size(rw) : w->size;
}

static int raw_checkpoint(struct image_writer *w, uint64_t position, struct err *e)
{
	struct image_checkpoint c = {
		.size = w->size, .position = position, .file_end = position, .grain = w->grain};
	uint8_t record[IMAGE_CHECKPOINT_SIZE];
	int rc;

	if (to_raw_writer(w)->gzip || w->pipe)
		return err_set(e, ENOTSUP, "a stream has no checkpoints");
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

static const char *raw_why_no_pipe(const struct image_create_opts *o)
{
	(void)o;
	return NULL;
}

const struct image_format image_format_raw = {
	.name = "raw",
	.summary = "the guest's bytes as they are",
	.max_size = INT64_MAX - (1 << 20),
	.takes = FORMAT_TAKES_GZIP,
	.open = raw_open,
	.pread = raw_pread,
	.pwrite = raw_pwrite,
	.flush = raw_flush,
	.next_extent = raw_next_extent,
	.resize = raw_resize,
	.close = raw_close,
	.padded_size = raw_padded_size,
	.create = raw_new_writer,
	.why_no_pipe = raw_why_no_pipe,
	.place = raw_place,
	.write = raw_write,
	.encoder_new = raw_gzip_encoder_new,
	.encode = raw_gzip_encode,
	.encoder_free = raw_gzip_encoder_free,
	.write_encoded = raw_gzip_write,
	.finish = raw_finish,
	.checkpoint = raw_checkpoint,
	.resume = raw_resume,
	.full_size = raw_full_size,
	.free = raw_free,
	.stream_open = raw_stream_open,
	.stream_next = raw_stream_next,
	.stream_close = raw_stream_close,
};
