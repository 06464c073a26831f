/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed grains of VMDK: each a zlib stream (RFC 1950) of its own, by libdeflate. */
#include <libdeflate.h>

#include "imgconv/format/vmdk.h"

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

int vmdk_encoder_new(unsigned level, void **ret, struct err *e)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor((int)level);

	if (!c)
		return err_nomem(e);
	*ret = c;
	return 0;
}

void vmdk_encoder_free(void *encoder)
{
	libdeflate_free_compressor(encoder);
}

size_t vmdk_encode(void *encoder, const void *in, size_t in_len, void *out)
{
	return libdeflate_zlib_compress(encoder, in, in_len, out, vmdk_encoded_max(in_len));
}
