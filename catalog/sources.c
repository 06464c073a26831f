/* SPDX-License-Identifier: Apache-2.0 */
/* The registries of sources and deliveries, and what both share: see catalog/source.h. */
#include "catalog/source.h"

const struct source_type *const source_types[] = {
	&source_ec2, /* ami-..., emi-... */
	NULL,
};

const struct delivery_type *const delivery_types[] = {
	&delivery_s3_bundle,
	&delivery_ebs,
	NULL,
};

void catalog_image_release(struct catalog_image *im)
{
	char *const strings[] = {
		im->id,
		im->name,
		im->description,
		im->state,
		im->owner,
		im->owner_alias,
		im->architecture,
		im->root_device_type,
		im->boot_mode,
		im->platform,
		im->root_device_name,
		im->virtualization,
		im->location,
		im->creation_date,
		im->kernel_id,
		im->ramdisk_id,
		im->product_codes,
		im->why_not,
		im->bucket,
		im->key,
		im->snapshot,
	};

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		free(strings[i]);
	*im = (struct catalog_image){0};
}

void fetch_report_release(struct fetch_report *r)
{
	buf_release(&r->verified);
	buf_release(&r->warnings);
}
