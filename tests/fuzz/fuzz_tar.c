/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tar archives: two bytes that choose in which pieces the archive is fed, eight of the file's size
 * (big endian; the largest: any), the archive. In pieces and at once must give the same, and the sink must get
 * ascending ranges within the size.
 */
#include "bundle/tar.h"

struct seen {
	uint64_t size, end, bytes, sum;
};

static int take(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct seen *s = ctx;
	const uint8_t *p = data;

	(void)e;
	if (!len || off < s->end || !range_within(off, len, s->size))
		abort();
	for (size_t i = 0; i < len; i++)
		s->sum = s->sum * 31 + p[i] + off + i;
	s->end = off + len;
	s->bytes += len;
	return 0;
}

static int begin(void *ctx, uint64_t size, struct err *e)
{
	struct seen *s = ctx;

	(void)e;
	if (s->end || (s->size != TAR_SIZE_ANY && s->size != size))
		abort();
	s->size = size;
	return 0;
}

static int run(const uint8_t *data, size_t size, uint64_t file_size, size_t step, struct seen *s)
{
	AUTO(tar_reader_free) struct tar_reader *t = NULL;
	const struct bundle_sink sink = {.write = take, .ctx = s, .begin = begin};
	struct err e = {0};
	int rc;

	*s = (struct seen){.size = file_size};
	rc = tar_reader_new(file_size, &sink, &t, &e);
	for (size_t i = 0; rc == 0 && i < size; i += step)
		rc = tar_reader_feed(t, data + i, MIN(step, size - i), &e);
	if (rc == 0)
		rc = tar_reader_finish(t, &e);
	if (rc < 0 && (!e.code || !*e.msg))
		abort();
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, pieces;
	uint64_t file_size;
	size_t step;

	if (size < 10)
		return 0;
	step = 1 + be16_get(data) % 2000;
	file_size = be64_get(data + 2) & INT64_MAX;
	if (file_size == INT64_MAX)
		file_size = TAR_SIZE_ANY;
	data += 10;
	size -= 10;
	if ((run(data, size, file_size, size ? size : 1, &whole) < 0) !=
		    (run(data, size, file_size, step, &pieces) < 0) ||
	    whole.end != pieces.end || whole.bytes != pieces.bytes || whole.sum != pieces.sum)
		abort();
	return 0;
}
