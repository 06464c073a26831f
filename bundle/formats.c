/* SPDX-License-Identifier: Apache-2.0 */
/* The list of delivery formats, in the order in which they are recognised. */
#include "bundle/format.h"

const struct bundle_format *const bundle_formats[] = {
	&bundle_format_ova,
	&bundle_format_ec2, /* all other XML */
	&bundle_format_gce,
	&bundle_format_azure,
	&bundle_format_openstack,
	&bundle_format_opennebula,
	&bundle_format_image, /* takes all that is left */
	NULL,
};

const struct bundle_format *bundle_format_by_name(const char *name)
{
	for (size_t i = 0; bundle_formats[i]; i++) {
		if (bundle_formats[i]->run && !strcmp(bundle_formats[i]->name, name))
			return bundle_formats[i];
	}
	return NULL;
}
