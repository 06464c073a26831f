/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAW as gzip: the disk as a row of gzip members (RFC 1952, 2.2), which gunzip and all its kind
 * join. One member a grain, so that grains are compressed side by side; zeros are members that were
 * made beforehand. Written front to back, into a file or a pipe.
 */
#include <libdeflate.h>

#include "imgconv/format/raw.h"
#include "lib/fs.h"
#include "lib/stop.h"

#define GZIP_GRAIN ((uint32_t)(256 * KIB))
#define GZIP_DEFAULT_LEVEL 6
/* Zeros are written in pieces of this size, as long as they are that long. */
#define ZEROS_LONG (32 * MIB)

struct raw_gzip {
	unsigned level;
	uint64_t file_end;
	uint8_t *zeros; /* a member of ZEROS_LONG zeros */
	size_t zeros_len;
};

void raw_gzip_free(struct raw_writer *w)
{
	if (w->gzip)
		free(w->gzip->zeros);
	free(w->gzip);
}

static int compress_zeros(struct libdeflate_compressor *c, size_t n, uint8_t **ret, size_t *ret_len,
			  struct err *e)
{
	size_t room = libdeflate_gzip_compress_bound(c, n);
	AUTO_FREE uint8_t *in = calloc(1, n);
	AUTO_FREE uint8_t *out = malloc(room);

	if (!in || !out)
		return err_nomem(e);
	*ret_len = libdeflate_gzip_compress(c, in, n, out, room);
	*ret = realloc(out, *ret_len);
	if (!*ret)
		return err_nomem(e);
	(void)STEAL(out);
	return 0;
}

static int make_zeros(size_t n, uint8_t **ret, size_t *ret_len, struct err *e)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(1);
	int rc = c ? compress_zeros(c, n, ret, ret_len, e) : err_nomem(e);

	if (c)
		libdeflate_free_compressor(c);
	return rc;
}

int raw_gzip_begin(struct raw_writer *w, const struct image_create_opts *o, struct err *e)
{
	struct raw_gzip *g = calloc(1, sizeof(*g));

	if (!g)
		return err_nomem(e);
	w->gzip = g;
	if (w->is_device)
		return err_set(e, ENOTSUP, "a device takes no compressed disk");
	g->level = o->level ? o->level : GZIP_DEFAULT_LEVEL;
	if (g->level > 12)
		return err_set(e, EINVAL, "gzip's levels are 1 to 12");
	w->common.grain = GZIP_GRAIN;
	w->common.encodes = true;
	/* Deflate stores what it cannot compress, with 5 bytes for each 64 KiB at most. */
	w->common.encoded_max = GZIP_GRAIN + GZIP_GRAIN / 1024 + 64;
	return 0;
}

int raw_gzip_encoder_new(const struct image_writer *iw, void **ret, struct err *e)
{
	const struct raw_writer *w = (const struct raw_writer *)iw;

	*ret = libdeflate_alloc_compressor((int)w->gzip->level);
	return *ret ? 0 : err_nomem(e);
}

void raw_gzip_encoder_free(void *encoder)
{
	libdeflate_free_compressor(encoder);
}

size_t raw_gzip_encode(const struct image_writer *w, void *encoder, const void *grain, size_t len,
		       void *out)
{
	return libdeflate_gzip_compress(encoder, grain, len, out, w->encoded_max);
}

static int append(struct raw_writer *w, const void *data, size_t len, struct err *e)
{
	int rc = w->common.pipe ? fs_write(w->common.fd, data, len, e)
				: fs_pwrite(w->common.fd, data, len, w->gzip->file_end, e);

	w->gzip->file_end += len;
	return rc;
}

/* Members of zeros from the end of what is written up to `end`. */
static int append_zeros(struct raw_writer *w, uint64_t end, struct err *e)
{
	struct raw_gzip *g = w->gzip;
	AUTO_FREE uint8_t *rest = NULL;
	size_t rest_len = 0;
	int rc = 0;

	while (rc == 0 && end - w->end >= ZEROS_LONG) {
		if (!g->zeros)
			rc = make_zeros(ZEROS_LONG, &g->zeros, &g->zeros_len, e);
		if (rc == 0)
			rc = append(w, g->zeros, g->zeros_len, e);
		if (rc == 0)
			rc = stop_check(e);
		w->end += ZEROS_LONG;
	}
	if (rc || w->end == end)
		return rc;
	rc = make_zeros((size_t)(end - w->end), &rest, &rest_len, e);
	w->end = end;
	return rc < 0 ? rc : append(w, rest, rest_len, e);
}

int raw_gzip_write(struct image_writer *iw, const void *data, size_t len, uint64_t off,
		   struct err *e)
{
	struct raw_writer *w = to_raw_writer(iw);
	int rc = append_zeros(w, off, e);

	w->end = MIN(off + iw->grain, iw->size);
	return rc < 0 ? rc : append(w, data, len, e);
}

int raw_gzip_finish(struct raw_writer *w, struct err *e)
{
	return append_zeros(w, w->common.size, e);
}

uint64_t raw_gzip_full_size(const struct raw_writer *w)
{
	return div_up(w->common.size, w->common.grain) * w->common.encoded_max;
}
