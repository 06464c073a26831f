/* SPDX-License-Identifier: Apache-2.0 */
/* The options that say which sources to ask, and as whom: see catalog/commands.h. */
#include "catalog/commands.h"

const char *env_or(const char *name, const char *other)
{
	const char *v = getenv(name);

	return v && *v ? v : (v = getenv(other)) && *v ? v : NULL;
}

bool cloud_option(struct cloud_options *o, int opt)
{
	switch (opt) {
	case OPT_PROFILE:
		o->aws.profile = optarg;
		return true;
	case OPT_REGION:
		o->aws.region = optarg;
		return true;
	case OPT_ENDPOINT:
		o->aws.endpoint_url = optarg;
		return true;
	case OPT_SOURCE:
		o->source = optarg;
		return true;
	case OPT_OFFLINE:
		o->freshness = FRESH_OFFLINE;
		return true;
	case OPT_REFRESH:
		o->freshness = FRESH_ALWAYS;
		return true;
	default:
		return false;
	}
}
