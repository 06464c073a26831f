/* SPDX-License-Identifier: Apache-2.0 */
/* OpenNebula's marketplace, as JSON and as YAML. */
#include "tests/fuzz/catalog_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e;

	(void)opennebula_json("fuzz", data, size, "https://example.org/", check_image, NULL, &e);
	(void)opennebula_yaml("fuzz", data, size, "id", check_image, NULL, &e);
	return 0;
}
