/* SPDX-License-Identifier: Apache-2.0 */
/* The XML of DescribeImages and of ListObjectsV2. */
#include "tests/fuzz/catalog_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(xml_free) struct xml_node *root = NULL;
	AUTO_FREE char *next = NULL;
	const struct xml_node *set;
	struct err e;

	(void)s3_objects("fuzz", data, size, "bucket", check_image, NULL, &next, &e);
	if (xml_parse("fuzz", data, size, NULL, &root, &e) < 0)
		return 0;
	set = xml_child(root, "imagesSet");
	for (const struct xml_node *i = xml_child(set, "item"); i; i = xml_next(i, "item")) {
		AUTO(catalog_image_release) struct catalog_image im = {0};

		if (ec2_image(i, &im, &e) == 0)
			(void)check_image(NULL, &im);
	}
	return 0;
}
