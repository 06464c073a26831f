/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of Glance, answers of Keystone. */
#include "tests/fuzz/catalog_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *next = NULL, *endpoint = NULL;
	struct err e;

	(void)glance_images("fuzz", data, size, "http://127.0.0.1:9292", check_image, NULL, &next,
			    &e);
	(void)keystone_endpoint("fuzz", data, size, size % 2 ? "one" : NULL, &endpoint, &e);
	return 0;
}
