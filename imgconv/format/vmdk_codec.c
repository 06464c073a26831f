/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed grains of VMDK: each a zlib stream (RFC 1950) of its own, by libdeflate; one that nothing
 * makes smaller, which takes libdeflate's search as long as any, by ISA-L.
 */
#include <libdeflate.h>

#include "imgconv/deflate.h"
#include "imgconv/format/vmdk.h"

/*
 * The levels where none is asked for: the fastest that stays below 1.02 x what zlib's level 6 makes of
 * a system's disk, and of text, from which a thorough search gets more.
 */
#define LEVEL_ANY 4
#define LEVEL_TEXT 6

struct vmdk_encoder {
	struct libdeflate_compressor *any;
	/* NULL: all is done by the level that was asked for. */
	struct libdeflate_compressor *text;
	struct deflate_fast *fast;
};

struct vmdk_decoder {
	struct libdeflate_decompressor *zlib;
};

int vmdk_decoder_new(struct vmdk_decoder **ret, struct err *e)
{
	struct vmdk_decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return err_nomem(e);
	d->zlib = libdeflate_alloc_decompressor();
	if (!d->zlib) {
		free(d);
		return err_nomem(e);
	}
	*ret = d;
	return 0;
}

void vmdk_decoder_free(struct vmdk_decoder *d)
{
	libdeflate_free_decompressor(d->zlib);
	free(d);
}

int vmdk_decode(struct vmdk_decoder *d, const void *in, size_t in_len, void *out, size_t out_len,
		size_t least, struct err *e)
{
	size_t used = 0, made = 0;
	enum libdeflate_result result =
		libdeflate_zlib_decompress_ex(d->zlib, in, in_len, out, out_len, &used, &made);

	if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
		return err_set(e, EBADMSG, "the grain inflates to more than %zu bytes", out_len);
	if (result != LIBDEFLATE_SUCCESS)
		return err_set(e, EBADMSG, "the compressed grain is damaged");
	if (made < least)
		return err_set(e, EBADMSG, "the grain inflates to fewer than %zu bytes", least);
	memset((uint8_t *)out + made, 0, out_len - made);
	return 0;
}

size_t vmdk_encoded_max(size_t len)
{
	return libdeflate_zlib_compress_bound(NULL, len);
}

int vmdk_encoder_new(unsigned level, struct vmdk_encoder **ret, struct err *e)
{
	struct vmdk_encoder *enc = calloc(1, sizeof(*enc));
	int rc = 0;

	if (!enc)
		return err_nomem(e);
	enc->any = libdeflate_alloc_compressor(level ? (int)level : LEVEL_ANY);
	if (!level) {
		enc->text = libdeflate_alloc_compressor(LEVEL_TEXT);
		rc = deflate_fast_new(&enc->fast, e);
	}
	if (rc == 0 && (!enc->any || (!level && !enc->text)))
		rc = err_nomem(e);
	if (rc) {
		vmdk_encoder_free(enc);
		return rc;
	}
	*ret = enc;
	return 0;
}

void vmdk_encoder_free(void *encoder)
{
	struct vmdk_encoder *enc = encoder;

	if (enc->any)
		libdeflate_free_compressor(enc->any);
	if (enc->text)
		libdeflate_free_compressor(enc->text);
	deflate_fast_free(enc->fast);
	free(enc);
}

/* All values about as frequent as each other: what is compressed or encrypted already. */
static bool is_random(const struct deflate_look *l)
{
	return l->squares < (uint64_t)DEFLATE_LOOK * DEFLATE_LOOK / 160;
}

/* But for a few bytes, as of letters beyond ASCII. */
static bool is_text(const struct deflate_look *l)
{
	return l->text >= DEFLATE_LOOK - DEFLATE_LOOK / 128;
}

size_t vmdk_encode(struct vmdk_encoder *enc, const void *in, size_t in_len, void *out)
{
	struct libdeflate_compressor *c = enc->any;
	size_t room = vmdk_encoded_max(in_len);

	if (enc->text && in_len >= DEFLATE_LOOK_MIN) {
		struct deflate_look l = deflate_look(in, in_len);
		size_t n = is_random(&l) ? deflate_fast(enc->fast, true, in, in_len, out, room) : 0;

		if (n)
			return n;
		if (is_text(&l))
			c = enc->text;
	}
	return libdeflate_zlib_compress(c, in, in_len, out, room);
}
