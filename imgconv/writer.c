/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub's writing side: any ascending writes become grains; zeros are left out. What is to be
 * encoded, and what is copied, goes through the thread pool (batch.c).
 */
#include <limits.h>
#include <sys/stat.h>

#include "imgconv/options.h"
#include "imgconv/writer.h"
#include "lib/fs.h"

/* Memory for batches under way, and the most that one holds. */
#define BATCH_BUDGET (24 * MIB)
#define BATCH_MAX MIB

/* ---- writes of any alignment --------------------------------------------------------------- */

/* A run of grains that are not zero, at once. */
static int emit_run(struct image_writer *w, const uint8_t *data, size_t len, uint64_t off,
		    struct err *e)
{
	int rc = writer_count_data(w, len, e);

	if (rc == 0 && !writer_places(w))
		return w->format->write(w, data, len, off, e);
	while (rc == 0 && len) {
		struct image_place place = {0};

		rc = w->format->place(w, off, len, &place, e);
		if (rc == 0)
			rc = fs_pwrite(place.fd, data, place.len, place.off, e);
		data += place.len;
		off += place.len;
		len -= place.len;
	}
	return rc;
}

/* Whole grains (or the disk's end): writes the runs that are not zero. */
static int emit(struct image_writer *w, const uint8_t *data, size_t len, uint64_t off,
		struct err *e)
{
	size_t at = 0;

	if (w->encodes)
		return writer_submit_data(w, data, len, off, e);
	while (at < len) {
		size_t end = at;
		int rc;

		while (end < len && !mem_is_zero(data + end, MIN((size_t)w->grain, len - end)))
			end += MIN((size_t)w->grain, len - end);
		if (end > at) {
			rc = emit_run(w, data + at, end - at, off + at, e);
			if (rc < 0)
				return rc;
		}
		at = end + MIN((size_t)w->grain, len - end); /* the zero grain behind the run */
	}
	return 0;
}

static int emit_partial(struct image_writer *w, struct err *e)
{
	struct writer_stream *s = w->stream;

	if (!s->partial_used)
		return 0;
	s->partial_used = false;
	return emit(w, s->partial, (size_t)MIN((uint64_t)w->grain, w->size - s->partial_off),
		    s->partial_off, e);
}

/* Bytes from off that share its grain; returns how many were taken. */
static int add_to_partial(struct image_writer *w, const uint8_t *data, size_t len, uint64_t off,
			  size_t *ret_taken, struct err *e)
{
	struct writer_stream *s = w->stream;
	size_t in_grain = (size_t)(off & (w->grain - 1));
	size_t n = MIN(len, w->grain - in_grain);

	if (!s->partial && !(s->partial = malloc(w->grain)))
		return err_nomem(e);
	if (!s->partial_used) {
		memset(s->partial, 0, w->grain);
		s->partial_off = off - in_grain;
		s->partial_used = true;
	}
	memcpy(s->partial + in_grain, data, n);
	*ret_taken = n;
	if (in_grain + n == w->grain || off + n == w->size)
		return emit_partial(w, e);
	return 0;
}

static int feed(struct image_writer *w, const uint8_t *data, size_t len, uint64_t off,
		struct err *e)
{
	struct writer_stream *s = w->stream;
	int rc = 0;

	while (rc == 0 && len) {
		size_t n = len - len % w->grain;

		if (off + len == w->size)
			n = len;
		if (s->partial_used && off - s->partial_off >= w->grain)
			rc = emit_partial(w, e);
		if (rc == 0 && (off % w->grain || !n))
			rc = add_to_partial(w, data, len, off, &n, e);
		else if (rc == 0)
			rc = emit(w, data, n, off, e);
		data += n;
		off += n;
		len -= n;
	}
	return rc;
}

int image_writer_write(struct image_writer *w, const void *data, size_t len, uint64_t off,
		       struct err *e)
{
	int rc;

	if (w->stream->failed)
		return err_set(e, EIO, "'%s': an earlier write failed", w->name);
	if (!range_within(off, len, w->size))
		return err_set(e, EINVAL, "'%s': %zu bytes at 0x%llx reach past the disk's end",
			       w->name, len, (unsigned long long)off);
	if (w->over_backing)
		return err_set(e, EINVAL, "'%s' is made over a backing file", w->name);
	if (off < w->position)
		return err_set(e, EINVAL, "'%s': a write at 0x%llx comes after one up to 0x%llx",
			       w->name, (unsigned long long)off, (unsigned long long)w->position);
	rc = feed(w, data, len, off, e);
	if (rc < 0) {
		w->stream->failed = true;
		return err_wrap(e, "writing '%s'", w->name);
	}
	w->position = off + len;
	return 0;
}

int image_writer_reserve(struct image_writer *w, uint64_t off, uint64_t len, uint64_t align,
			 image_place_fn *fn, void *ctx, struct err *e)
{
	uint64_t end = off + len;

	if (!writer_places(w) || w->encodes || w->over_backing)
		return err_set(e, ENOTSUP, "'%s': its data have no places beforehand", w->name);
	if (w->stream->failed || w->stream->partial_used || !range_within(off, len, w->size) ||
	    off < w->position || off % w->grain || (end % w->grain && end != w->size))
		return err_set(e, EINVAL, "'%s': no room can be kept at 0x%llx", w->name,
			       (unsigned long long)off);
	w->align = align;
	while (off < end) {
		size_t want = (size_t)MIN(end - off, (uint64_t)SSIZE_MAX);
		struct image_place place = {0};
		int rc = w->format->place(w, off, want, &place, e);

		if (rc == 0)
			rc = fn(ctx, off, place.off, place.len, e);
		if (rc < 0) {
			w->stream->failed = true;
			return err_wrap(e, "writing '%s'", w->name);
		}
		off += place.len;
	}
	w->position = end;
	return 0;
}

/* ---- life of a writer ---------------------------------------------------------------------- */

int image_writer_init(struct image_writer *w, const struct image_format *f, int fd,
		      const char *name, uint64_t size, const struct image_create_opts *o,
		      struct err *e)
{
	w->format = f;
	w->fd = fd;
	w->size = size;
	w->threads = o ? o->threads : 0;
	w->over_backing = o && o->backing_file;
	w->pipe = o && o->pipe;
	w->name = strdup(name);
	return w->name ? 0 : err_nomem(e);
}

void image_writer_discard(struct image_writer *w)
{
	w->format->free(w);
	free(w->name);
	free(w);
}

/* The stream that feeds a new writer: its sizes follow from grain and threads. */
static int stream_new(struct image_writer *w, const struct image_create_opts *o, struct err *e)
{
	struct writer_stream *s = calloc(1, sizeof(*s));
	size_t copies = w->encodes ? 2 : 1;

	if (!s)
		return err_nomem(e);
	w->stream = s;
	pthread_mutex_init(&s->write_lock, NULL);
	s->max_data = o ? o->max_data : 0;
	if (!w->encoded_max)
		w->encoded_max = w->grain;
	s->window = 2 * (size_t)MIN(w->threads ? w->threads : pool_default_threads(),
				    (unsigned)WRITER_THREADS_MAX) +
		    2;
	s->batch_size = MAX(w->grain, BATCH_MAX);
	while (s->batch_size > w->grain && s->batch_size > 128 * KIB &&
	       s->window * s->batch_size * copies > BATCH_BUDGET)
		s->batch_size /= 2;
	while (s->window > 2 && s->window * s->batch_size * copies > BATCH_BUDGET)
		s->window--;
	return 0;
}

/* A regular file must be empty; of a device what it holds is of no account. */
static int check_target(int fd, const char *name, struct err *e)
{
	struct stat st;
	uint64_t size = 0;
	int rc = 0;

	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "'%s'", name);
	if (!S_ISBLK(st.st_mode))
		rc = image_fd_size(fd, &size, e);

	if (rc < 0)
		return err_wrap(e, "'%s'", name);
	if (size)
		return err_set(e, EINVAL, "'%s' is not empty", name);
	return 0;
}

int image_create(int fd, const char *name, const char *format, uint64_t size,
		 const struct image_create_opts *o, struct image_writer **ret, struct err *e)
{
	const struct image_format *f = image_format_by_name(format);
	struct image_writer *w = NULL;
	int rc;

	if (!f || !f->create)
		return err_set(e, ENOTSUP, "cannot write images of the format '%s'", format);
	rc = image_options_check(f, o, e);
	if (rc == 0 && !(o && o->pipe))
		rc = check_target(fd, name, e);
	if (rc < 0)
		return rc;
	if (!size)
		return err_set(e, EINVAL, "'%s' would be a disk of 0 bytes", name);
	if (size > f->max_size)
		return err_set(e, EINVAL, "'%s': %llu bytes are more than a %s image holds", name,
			       (unsigned long long)size, f->name);
	rc = f->create(fd, name, size, o, &w, e);
	if (rc < 0)
		return err_wrap(e, "creating '%s'", name);
	rc = stream_new(w, o, e);
	if (rc < 0) {
		image_writer_discard(w);
		return rc;
	}
	*ret = w;
	return 0;
}

/* All that was written reaches the format; the last grain's missing bytes are zero. */
static int flush_stream(struct image_writer *w, bool partial, struct err *e)
{
	int rc = 0;

	if (w->stream->failed)
		return err_set(e, EIO, "an earlier write failed");
	if (partial)
		rc = emit_partial(w, e);
	if (rc == 0)
		rc = writer_submit_filling(w, e);
	if (rc == 0)
		rc = writer_drain(w, e);
	return rc;
}

/* QCOW2 places its tables by the size that it was created with, and they may be larger than needed. */
int image_writer_shorten(struct image_writer *w, uint64_t size, struct err *e)
{
	if (strcmp(w->format->name, "qcow2") != 0)
		return err_set(e, ENOTSUP, "the size of a %s image cannot change", w->format->name);
	if (!size || size % 512 || size > w->size || size < w->position)
		return err_set(e, EINVAL, "'%s' cannot end at %llu bytes", w->name,
			       (unsigned long long)size);
	w->size = size;
	return 0;
}

int image_writer_finish(struct image_writer *w, struct err *e)
{
	int rc = flush_stream(w, true, e);

	if (rc == 0)
		rc = w->format->finish(w, e);
	w->stream->failed = true; /* nothing can follow */
	return rc < 0 ? err_wrap(e, "writing '%s'", w->name) : 0;
}

bool image_writer_over_limit(const struct image_writer *w)
{
	return w->stream->over_limit;
}

void image_writer_free(struct image_writer *w)
{
	struct writer_stream *s = w->stream;

	writer_end_pool(w);
	writer_free_batches(w);
	free(s->partial);
	pthread_mutex_destroy(&s->write_lock);
	free(s);
	image_writer_discard(w);
}

/* ---- checkpoints --------------------------------------------------------------------------- */

int image_writer_checkpoint(struct image_writer *w, struct err *e)
{
	uint64_t position = w->position;
	int rc;

	if (!w->format->checkpoint)
		return err_set(e, ENOTSUP, "'%s': %s images have no checkpoints", w->name,
			       w->format->name);
	rc = flush_stream(w, false, e);
	if (position != w->size)
		position -= position % w->grain;
	if (rc == 0)
		rc = w->format->checkpoint(w, position, e);
	if (rc < 0) {
		w->stream->failed = true;
		return err_wrap(e, "writing '%s'", w->name);
	}
	return 0;
}

int image_writer_resume(int fd, const char *name, const char *format,
			const struct image_create_opts *o, uint64_t *ret_position,
			struct image_writer **ret, struct err *e)
{
	const struct image_format *f = image_format_by_name(format);
	struct image_writer *w = NULL;
	int rc;

	if (!f || !f->resume)
		return err_set(e, ENOTSUP, "cannot write images of the format '%s'", format);
	rc = f->resume(fd, name, o, &w, e);
	if (rc < 0)
		return err_wrap(e, "resuming '%s'", name);
	rc = stream_new(w, o, e);
	if (rc < 0) {
		image_writer_discard(w);
		return rc;
	}
	*ret_position = w->position;
	*ret = w;
	return 0;
}
