/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of image formats. */
#include "imgconv/format.h"

/* Formats with a magic number first, in the order in which they are probed; raw is what is left
 * and so must be last. */
const struct image_format *const image_formats[] = {
	&image_format_qcow2, &image_format_vmdk, &image_format_vdi,
	&image_format_vhd,   &image_format_raw,  NULL,
};

const struct image_format *image_format_by_name(const char *name)
{
	for (size_t i = 0; image_formats[i]; i++) {
		if (strcmp(image_formats[i]->name, name) == 0)
			return image_formats[i];
	}
	return NULL;
}
