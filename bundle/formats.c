/* SPDX-License-Identifier: Apache-2.0 */
/* The list of delivery formats. */
#include "bundle/format.h"

const struct bundle_format *const bundle_formats[] = {
	&bundle_format_ec2,
	&bundle_format_ova,
	NULL,
};

const struct bundle_format *bundle_format_by_name(const char *name)
{
	for (size_t i = 0; bundle_formats[i]; i++) {
		if (!strcmp(bundle_formats[i]->name, name))
			return bundle_formats[i];
	}
	return NULL;
}
