/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of conversions: extents of any image into any writer; and comparing two images. */
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "imgconv/writer.h"
#include "lib/mapped.h"
#include "lib/stop.h"

/* Queues what is left of [start, end) behind *next_job, in batches that end at multiples of the
 * batch size so that neighbouring extents share reads. */
static int submit_range(struct image *src, struct image_writer *w, uint64_t start, uint64_t end,
			uint64_t *next_job, struct err *e)
{
	uint64_t batch = w->stream->batch_size;
	uint64_t off = MAX(start - start % w->grain, *next_job);

	end = MIN(round_up(end, w->grain), src->size);
	while (off < end) {
		uint64_t len = MIN(batch - off % batch, end - off);
		int rc = writer_submit_copy(w, src, off, (size_t)len, e);

		if (rc)
			return rc;
		off += len;
		*next_job = off;
	}
	return 0;
}

static int copy_extents(struct image *src, struct image_writer *w, struct err *e)
{
	uint64_t next_job = 0;
	uint64_t off = 0;

	while (off < src->size) {
		struct extent x = {0};
		int rc = stop_check(e);

		if (rc == 0)
			rc = image_next_extent(src, off, &x, e);
		if (rc == 0 && src->format->claim) {
			rc = src->format->claim(src, off, x.length, e);
			if (rc < 0)
				err_wrap(e, "reading '%s'", src->name);
		}
		if (rc == 0 && x.kind == EXTENT_DATA)
			rc = submit_range(src, w, off, off + x.length, &next_job, e);
		if (rc)
			return rc;
		off += x.length;
	}
	return writer_drain(w, e);
}

/*
 * Lets the file system share the source's blocks with the target, where both keep the disk as it
 * is and the file system can (Btrfs, XFS): no byte is moved. False: it has to be copied; what was
 * shared by then is the same data at the same places.
 */
static bool share_blocks(struct image *src, struct image_writer *w)
{
	uint64_t off = 0;

	if (src->format != &image_format_raw || !writer_is_fixed(w))
		return false;
	while (off < src->size) {
		size_t len = (size_t)MIN(src->size - off, (uint64_t)SSIZE_MAX);
		struct image_place place = {0};
		struct file_clone_range range = {.src_fd = src->fd, .src_offset = src->base + off};
		struct err e;

		if (w->format->place(w, off, len, &place, &e) < 0)
			return false;
		range.src_length = place.len;
		range.dest_offset = place.off;
		if (ioctl(place.fd, FICLONERANGE, &range) < 0)
			return false;
		off += place.len;
	}
	return true;
}

/*
 * A raw source's bytes need not be copied into a buffer of ours to go into a file as they are. What
 * is compressed, or added to a digest, is looked at more than once: a source that somebody writes to
 * must not change in between.
 */
static bool maps_source(const struct image *src, const struct image_writer *w,
			const struct digest *digest)
{
	return src->format == &image_format_raw && writer_places(w) && !w->encodes && !digest &&
	       mapped_allowed();
}

int image_copy_digest(struct image *src, struct image_writer *w, struct digest *digest,
		      struct progress *p, struct err *e)
{
	struct writer_stream *s = w->stream;
	int rc;

	if (w->position || s->failed || w->over_backing || w->size < src->size)
		return err_set(e, EINVAL, "copying '%s' needs a new and large enough image",
			       src->name);
	s->digest = digest;
	s->digest_off = 0;
	s->progress = p;
	s->maps = maps_source(src, w, digest);
	rc = writer_start_pool(w, e);
	if (rc == 0 && (digest || !share_blocks(src, w)))
		rc = copy_extents(src, w, e);
	/* What a mapped page had behind a new end has become zeros. */
	if (rc == 0 && src->format == &image_format_raw) {
		rc = image_file_check_length(src, e);
		if (rc < 0)
			err_wrap(e, "reading '%s'", src->name);
	}
	if (rc == 0 && digest)
		rc = writer_digest_zeros(s, src->size, e);
	s->digest = NULL;
	s->progress = NULL;
	s->maps = false;
	if (rc < 0) {
		writer_end_pool(w); /* no worker reads src any more */
		s->failed = true;
		return rc;
	}
	w->position = src->size;
	progress_set(p, src->size);
	return 0;
}

int image_copy(struct image *src, struct image_writer *w, struct progress *p, struct err *e)
{
	return image_copy_digest(src, w, NULL, p, e);
}
