/* SPDX-License-Identifier: Apache-2.0 */
/* RAW, shared by the files format/raw*.c alone. */
#ifndef IMGCONV_FORMAT_RAW_H
#define IMGCONV_FORMAT_RAW_H

#include "imgconv/format.h"

struct raw_gzip;

struct raw_writer {
	struct image_writer common;
	bool is_device;
	uint64_t device_size;
	uint64_t end;          /* all before it is written or zero: devices and streams */
	struct raw_gzip *gzip; /* NULL: not compressed */
};

static inline struct raw_writer *to_raw_writer(struct image_writer *w)
{
	return (struct raw_writer *)w;
}

/* raw_gzip.c */
int raw_gzip_begin(struct raw_writer *w, const struct image_create_opts *o, struct err *e);
void raw_gzip_free(struct raw_writer *w);
int raw_gzip_encoder_new(const struct image_writer *w, void **ret, struct err *e);
size_t raw_gzip_encode(const struct image_writer *w, void *encoder, const void *grain, size_t len,
		       void *out);
void raw_gzip_encoder_free(void *encoder);
int raw_gzip_write(struct image_writer *w, const void *data, size_t len, uint64_t off,
		   struct err *e);
int raw_gzip_finish(struct raw_writer *w, struct err *e);
uint64_t raw_gzip_full_size(const struct raw_writer *w);

#endif
