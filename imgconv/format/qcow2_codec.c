/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed clusters of QCOW2: raw deflate (RFC 1951) by libdeflate and ISA-L, zstd frames
 * (RFC 8878).
 *
 * QEMU writes deflate with a window of 4 KiB and reads whole clusters at once, for which the
 * window does not matter; we write with 32 KiB.
 *
 * Where no level is asked for, each cluster gets the codec that repays its time, by a look at a
 * few of its bytes (docs/decisions/0005): ISA-L's level 2 is four times as fast as libdeflate's
 * level 4, and on half of the clusters of a system's disk nearly as good.
 */
#include <libdeflate.h>
#include <zstd.h>

#include "imgconv/deflate.h"
#include "imgconv/format/qcow2.h"

#define ZSTD_DEFAULT_LEVEL 3
/* libdeflate's level for clusters that repay it, and for clusters too small for a choice, whose
 * codecs spend their time on beginning. */
#define ZLIB_THOROUGH_LEVEL 4
#define ZLIB_SMALL_LEVEL 6

struct qcow2_decoder {
	struct libdeflate_decompressor *deflate;
	ZSTD_DCtx *zstd;
};

struct qcow2_encoder {
	struct libdeflate_compressor *deflate;
	ZSTD_CCtx *zstd;
	unsigned level;
	struct deflate_fast *fast; /* NULL: there is no choice */
};

int qcow2_decoder_new(enum qcow2_compression c, struct qcow2_decoder **ret, struct err *e)
{
	struct qcow2_decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return err_nomem(e);
	if (c == QCOW2_ZSTD)
		d->zstd = ZSTD_createDCtx();
	else
		d->deflate = libdeflate_alloc_decompressor();
	if (!d->zstd && !d->deflate) {
		free(d);
		return err_nomem(e);
	}
	*ret = d;
	return 0;
}

void qcow2_decoder_free(struct qcow2_decoder *d)
{
	ZSTD_freeDCtx(d->zstd);
	if (d->deflate)
		libdeflate_free_decompressor(d->deflate);
	free(d);
}

static int wrong_length(size_t out_len, const char *how, struct err *e)
{
	return err_set(e, EBADMSG, "the compressed cluster inflates to %s than %zu bytes", how,
		       out_len);
}

/* Frames follow each other until the cluster is full. */
static int decode_zstd(ZSTD_DCtx *d, const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len,
		       struct err *e)
{
	size_t total = 0;

	while (total < out_len) {
		size_t frame, n;

		if (!in_len)
			return wrong_length(out_len, "fewer", e);
		/* Whole frames are decoded without a window of their own, whatever size the
		 * frame's header asks for. */
		frame = ZSTD_findFrameCompressedSize(in, in_len);
		if (ZSTD_isError(frame))
			return err_set(e, EBADMSG, "the compressed cluster is damaged: %s",
				       ZSTD_getErrorName(frame));
		n = ZSTD_decompressDCtx(d, out + total, out_len - total, in, frame);
		if (ZSTD_isError(n)) {
			unsigned long long content = ZSTD_getFrameContentSize(in, frame);

			if (content < ZSTD_CONTENTSIZE_ERROR && content > out_len - total)
				return wrong_length(out_len, "more", e);
			return err_set(e, EBADMSG, "the compressed cluster is damaged: %s",
				       ZSTD_getErrorName(n));
		}
		total += n;
		in += frame;
		in_len -= frame;
	}
	return 0;
}

int qcow2_decode(struct qcow2_decoder *d, const void *in, size_t in_len, void *out, size_t out_len,
		 struct err *e)
{
	enum libdeflate_result result;
	size_t used = 0, made = 0;

	if (d->zstd)
		return decode_zstd(d->zstd, in, in_len, out, out_len, e);
	result = libdeflate_deflate_decompress_ex(d->deflate, in, in_len, out, out_len, &used,
						  &made);
	if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
		return wrong_length(out_len, "more", e);
	if (result != LIBDEFLATE_SUCCESS)
		return err_set(e, EBADMSG, "the compressed cluster is damaged");
	if (made != out_len)
		return wrong_length(out_len, "fewer", e);
	return 0;
}

static int new_deflate(struct qcow2_encoder *enc, unsigned level, size_t cluster_size,
		       struct err *e)
{
	bool choice = !level && cluster_size >= DEFLATE_LOOK_MIN;

	if (!level)
		level = choice ? ZLIB_THOROUGH_LEVEL : ZLIB_SMALL_LEVEL;
	enc->deflate = libdeflate_alloc_compressor((int)level);
	if (!enc->deflate)
		return err_nomem(e);
	return choice ? deflate_fast_new(&enc->fast, e) : 0;
}

int qcow2_encoder_new(enum qcow2_compression c, unsigned level, size_t cluster_size,
		      struct qcow2_encoder **ret, struct err *e)
{
	struct qcow2_encoder *enc = calloc(1, sizeof(*enc));
	int rc = 0;

	if (!enc)
		return err_nomem(e);
	if (c == QCOW2_ZSTD) {
		enc->level = level ? level : ZSTD_DEFAULT_LEVEL;
		enc->zstd = ZSTD_createCCtx();
		rc = enc->zstd ? 0 : err_nomem(e);
	} else {
		rc = new_deflate(enc, level, cluster_size, e);
	}
	if (rc) {
		qcow2_encoder_free(enc);
		return rc;
	}
	*ret = enc;
	return 0;
}

void qcow2_encoder_free(void *encoder)
{
	struct qcow2_encoder *enc = encoder;

	ZSTD_freeCCtx(enc->zstd);
	if (enc->deflate)
		libdeflate_free_compressor(enc->deflate);
	deflate_fast_free(enc->fast);
	free(enc);
}

/*
 * True if the cluster is likely to become much smaller by a thorough search: a byte is often the
 * same as the one 8 before (tables of pointers, of relocations, of symbols), or few values are
 * frequent (text, zeros between other bytes). Machine code and what is compressed already are not.
 */
static bool repays_search(const uint8_t *in, size_t len)
{
	struct deflate_look l = deflate_look(in, len);

	return l.repeats > DEFLATE_LOOK / 16 * 3 ||
	       l.squares > (uint64_t)DEFLATE_LOOK * DEFLATE_LOOK / 20;
}

size_t qcow2_encode(struct qcow2_encoder *enc, const void *in, size_t in_len, void *out)
{
	size_t n;

	if (enc->fast && !repays_search(in, in_len))
		return deflate_fast(enc->fast, false, in, in_len, out, in_len - 1);
	if (enc->deflate)
		return libdeflate_deflate_compress(enc->deflate, in, in_len, out, in_len - 1);
	n = ZSTD_compressCCtx(enc->zstd, out, in_len - 1, in, in_len, (int)enc->level);
	return ZSTD_isError(n) ? 0 : n;
}
