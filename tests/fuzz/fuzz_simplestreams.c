/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simplestreams, index and products. Besides not crashing: each image has an id and, if it is a
 * file, an address of the web.
 */
#include "tests/fuzz/catalog_image.h"

static int take_stream(void *ctx, const char *datatype, const char *path, struct err *e)
{
	(void)ctx;
	(void)e;
	if (!datatype || !path)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e;

	(void)simplestreams_index("fuzz", data, size, take_stream, NULL, &e);
	(void)simplestreams_products("fuzz", data, size, "https://example.org/a/", check_image,
				     NULL, &e);
	return 0;
}
