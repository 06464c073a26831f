/* SPDX-License-Identifier: Apache-2.0 */
/* The registries of sources and deliveries, and what both share: see catalog/source.h. */
#include "catalog/source.h"

const struct source_type *const source_types[] = {
	&source_ec2, /* ami-..., emi-... */
	&source_ebs, /* snap-... */
	&source_s3,  /* s3://... */
	&source_ssm,    &source_simplestreams, &source_opennebula,
	&source_glance, &source_directory,     NULL,
};

const struct delivery_type *const delivery_types[] = {
	&delivery_s3_bundle,
	&delivery_ebs,
	NULL,
};

void fetch_report_release(struct fetch_report *r)
{
	buf_release(&r->verified);
	buf_release(&r->warnings);
}
