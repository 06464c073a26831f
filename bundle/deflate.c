/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip (RFC 1952) by ISA-L's igzip. A piece begins with nothing to refer back to and ends with a
 * full flush, an empty stored block on a byte's boundary, so that pieces stand behind each other in
 * one member. One member, because some readers of bundles stop after the first.
 *
 * igzip's level 2 makes Debian's files 8 % larger than gzip -6 does, at 25 times the speed.
 */
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <zlib.h>

#include "bundle/deflate.h"

#define LEVEL 2
#define LEVEL_BUF ISAL_DEF_LVL2_DEFAULT

struct deflate {
	struct isal_zstream stream;
	uint8_t level_buf[LEVEL_BUF];
};

int deflate_new(struct deflate **ret, struct err *e)
{
	*ret = malloc(sizeof(**ret));
	return *ret ? 0 : err_nomem(e);
}

void deflate_free(struct deflate *d)
{
	free(d);
}

size_t deflate_bound(size_t len)
{
	/* Fixed Huffman codes make at most 9 bits of a byte. */
	return len + len / 8 + 1024;
}

int deflate_piece(struct deflate *d, const void *data, size_t len, bool last, void *out,
		  size_t *ret_len, uint32_t *ret_crc, struct err *e)
{
	struct isal_zstream *s = &d->stream;
	int rc;

	isal_deflate_init(s);
	s->level = LEVEL;
	s->level_buf = d->level_buf;
	s->level_buf_size = sizeof(d->level_buf);
	s->gzip_flag = IGZIP_DEFLATE;
	s->flush = last ? NO_FLUSH : FULL_FLUSH;
	s->end_of_stream = last;
	s->next_in = (uint8_t *)(uintptr_t)data; /* igzip does not write there */
	s->avail_in = (uint32_t)len;
	s->next_out = out;
	s->avail_out = (uint32_t)deflate_bound(len);
	rc = isal_deflate(s);
	if (rc != COMP_OK || s->avail_in || !s->avail_out)
		return err_set(e, EIO, "igzip failed (%d)", rc);
	*ret_len = s->total_out;
	*ret_crc = crc32_gzip_refl(0, data, len);
	return 0;
}

void gzip_header(uint8_t out[GZIP_HEADER])
{
	/* magic, deflate, no flags, no time, fast, Unix */
	memcpy(out, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\x03", GZIP_HEADER);
}

void gzip_trailer(uint8_t out[GZIP_TRAILER], uint32_t crc, uint64_t len)
{
	le32_put(out, crc);
	le32_put(out + 4, (uint32_t)len);
}

uint32_t gzip_crc_join(uint32_t crc_a, uint32_t crc_b, uint64_t len_b)
{
	return (uint32_t)crc32_combine(crc_a, crc_b, (z_off_t)len_b);
}
