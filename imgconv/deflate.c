/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a deflate codec, and ISA-L's: see imgconv/deflate.h. */
#include "imgconv/deflate.h"

#include <isa-l/igzip_lib.h>

#define PIECES 8
#define PIECE (DEFLATE_LOOK / PIECES)

struct deflate_fast {
	struct isal_zstream stream;
	uint8_t buffer[ISAL_DEF_LVL2_SMALL];
};

static bool is_text(size_t c)
{
	return (c >= ' ' && c <= '~') || (c >= '\t' && c <= '\r');
}

struct deflate_look deflate_look(const uint8_t *in, size_t len)
{
	struct deflate_look l = {0};
	uint32_t count[256] = {0};

	for (size_t piece = 0; piece < PIECES; piece++) {
		const uint8_t *p = in + len / PIECES * piece + PIECE;

		for (size_t i = 0; i < PIECE; i++) {
			count[p[i]]++;
			l.repeats += p[i] == (p - 8)[i];
		}
	}
	for (size_t c = 0; c < ARRAY_SIZE(count); c++) {
		l.squares += (uint64_t)count[c] * count[c];
		l.text += is_text(c) ? count[c] : 0;
	}
	return l;
}

int deflate_fast_new(struct deflate_fast **ret, struct err *e)
{
	*ret = malloc(sizeof(**ret));
	return *ret ? 0 : err_nomem(e);
}

void deflate_fast_free(struct deflate_fast *f)
{
	free(f);
}

size_t deflate_fast(struct deflate_fast *f, bool zlib, const void *in, size_t in_len, void *out,
		    size_t room)
{
	struct isal_zstream *s = &f->stream;

	isal_deflate_stateless_init(s);
	s->gzip_flag = zlib ? IGZIP_ZLIB : IGZIP_DEFLATE;
	s->level = 2;
	s->level_buf = f->buffer;
	s->level_buf_size = sizeof(f->buffer);
	s->end_of_stream = 1;
	s->next_in = (uint8_t *)(uintptr_t)in; /* it is not written to */
	s->avail_in = (uint32_t)in_len;
	s->next_out = out;
	s->avail_out = (uint32_t)room;
	return isal_deflate_stateless(s) == COMP_OK && !s->avail_in ? s->total_out : 0;
}
