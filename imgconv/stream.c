/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an image front to back, from a pipe. */
#include <stdio.h>

#include "imgconv/format.h"
#include "lib/fs.h"
#include "lib/stop.h"

int image_stream_init(struct image_stream *s, const struct image_format *f, int fd,
		      const char *name, struct err *e)
{
	s->format = f;
	s->fd = fd;
	s->name = strdup(name);
	return s->name ? 0 : err_nomem(e);
}

void image_stream_discard(struct image_stream *s)
{
	if (s->format->stream_close)
		s->format->stream_close(s);
	free(s->name);
	free(s);
}

void image_stream_free(struct image_stream *s)
{
	image_stream_discard(s);
}

uint64_t image_stream_size(const struct image_stream *s)
{
	return s->size;
}

bool image_format_streams(const char *format)
{
	const struct image_format *f = image_format_by_name(format);

	return f && f->stream_open;
}

int image_stream_open(int fd, const char *name, const char *format, uint64_t size,
		      struct image_stream **ret, struct err *e)
{
	const struct image_format *f = image_format_by_name(format);
	int rc;

	if (!f)
		return err_set(e, ENOTSUP, "unknown image format '%s'", format);
	if (!f->stream_open)
		return err_set(e, ENOTSUP,
			       "%s: %s images cannot be read from a pipe: they need to be read "
			       "back and forth",
			       name, f->name);
	rc = f->stream_open(fd, name, size, ret, e);
	return rc < 0 ? err_wrap(e, "%s", name) : 0;
}

int image_digest_zeros(struct digest *d, uint64_t n, struct err *e)
{
	static const uint8_t zeros[64 * KIB];
	int rc = 0;

	while (rc == 0 && n) {
		size_t piece = (size_t)MIN(n, (uint64_t)sizeof(zeros));

		digest_add(d, zeros, piece);
		n -= piece;
		rc = stop_check(e);
	}
	return rc;
}

int image_stream_copy(struct image_stream *s, struct image_writer *w, struct digest *digest,
		      struct progress *p, struct err *e)
{
	uint64_t done = 0;

	for (;;) {
		const uint8_t *data = NULL;
		uint64_t off = 0;
		size_t len = 0;
		int rc = stop_check(e);

		if (rc == 0) {
			rc = s->format->stream_next(s, &off, &data, &len, e);
			if (rc < 0)
				return err_wrap(e, "%s", s->name);
		}
		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
		if (off < done || !range_within(off, len, s->size))
			return err_set(e, EBADMSG,
				       "%s: %zu bytes at 0x%llx of the disk are out of place",
				       s->name, len, (unsigned long long)off);
		rc = w ? image_writer_write(w, data, len, off, e) : 0;
		if (rc)
			return rc;
		/* What is skipped reads as zeros. */
		if (digest) {
			rc = image_digest_zeros(digest, off - done, e);
			digest_add(digest, data, len);
		}
		if (rc)
			return rc;
		done = off + len;
		progress_set(p, done);
	}
	progress_set(p, s->size);
	return digest ? image_digest_zeros(digest, s->size - done, e) : 0;
}
