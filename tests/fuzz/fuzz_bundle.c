/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What decryption gives, by both later stages: two bytes that choose the pieces, eight of the
 * file's size (big endian), a gzip stream with a tar archive in it. The output stays bounded by
 * the size, whatever the stream says.
 */
#include "bundle/gunzip.h"
#include "bundle/tar.h"

/* Over the size: headers, a sparse map, trailer. */
#define OVERHEAD (128 * MIB)

static int unpack(struct gunzip *g, struct tar_reader *t, uint64_t limit, struct err *e)
{
	static uint8_t out[65536];
	size_t n;

	do {
		int rc = gunzip_output(g, out, sizeof(out), &n, e);

		if (rc == 0)
			rc = tar_reader_feed(t, out, n, e);
		if (rc < 0)
			return rc;
		limit = limit < n ? 0 : limit - n;
		if (!limit)
			abort();
	} while (n == sizeof(out));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(gunzip_free) struct gunzip *g = NULL;
	AUTO(tar_reader_free) struct tar_reader *t = NULL;
	struct err e = {0};
	uint64_t file_size;
	size_t step;
	int rc;

	if (size < 10)
		return 0;
	step = 1 + be16_get(data);
	file_size = be64_get(data + 2) & INT64_MAX;
	data += 10;
	size -= 10;
	rc = gunzip_new(&g, &e);
	if (rc == 0)
		rc = tar_reader_new(file_size, NULL, &t, &e);
	for (size_t i = 0; rc == 0 && i < size; i += step) {
		gunzip_input(g, data + i, MIN(step, size - i));
		rc = unpack(g, t, file_size + OVERHEAD, &e);
	}
	if (rc == 0)
		rc = gunzip_finish(g, &e);
	if (rc == 0)
		(void)tar_reader_finish(t, &e);
	return 0;
}
