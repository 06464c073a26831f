/* SPDX-License-Identifier: Apache-2.0 */
/* Options of all commands that open bundles for EC2. */
#include "bundle/cmd.h"

static const char *from_environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

void bundle_args_init(struct bundle_args *a)
{
	*a = (struct bundle_args){
		.key = from_environment("EC2_PRIVATE_KEY"),
		.cert = from_environment("EC2_CERT"),
	};
}

bool bundle_args_take(struct bundle_args *a, int opt, const char *value)
{
	switch (opt) {
	case 'k':
		a->key = value;
		return true;
	case 'd':
		a->parts_dir = value;
		return true;
	case OPT_CERT:
		a->cert = value;
		a->own_cert = true;
		return true;
	case OPT_REQUIRE_SIGNATURE:
		a->require_signature = true;
		return true;
	case OPT_IGNORE_SIGNATURE:
		a->ignore_signature = true;
		return true;
	default:
		return false;
	}
}

int bundle_args_check(const struct cli_command *self, const struct bundle_args *a)
{
	if (a->require_signature && a->ignore_signature)
		return cli_usage(self, "a signature is either required or ignored");
	return 0;
}
