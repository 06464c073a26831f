/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simplestreams, index and products. Besides not crashing: each image has an id and, if it is a
 * file, an address of the web.
 */
#include "catalog/parse.h"
#include "lib/str.h"

static int take_stream(void *ctx, const char *datatype, const char *path, struct err *e)
{
	(void)ctx;
	(void)e;
	if (!datatype || !path)
		abort();
	return 0;
}

static int take_image(void *ctx, const struct catalog_image *im)
{
	AUTO(catalog_image_release) struct catalog_image copy = {0};

	(void)ctx;
	if (!im->id || !*im->id)
		abort();
	if (im->delivery == DELIVERY_FILE && !str_has_prefix(im->url, "http"))
		abort();
	return catalog_image_copy(im, &copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e;

	(void)simplestreams_index("fuzz", data, size, take_stream, NULL, &e);
	(void)simplestreams_products("fuzz", data, size, "https://example.org/a/", take_image, NULL,
				     &e);
	return 0;
}
