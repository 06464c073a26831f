/* SPDX-License-Identifier: Apache-2.0 */
/* bundle verify: everything that can be checked, without writing anything. */
#include "bundle/cmd.h"

int cmd_verify(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {BUNDLE_LONGOPTS, TRANSFER_LONGOPTS, {0}};
	struct open_args o = {0};
	struct err e = {0};
	int opt, rc;

	bundle_args_init(&o.ec2);
	while ((opt = cli_getopt(self, argc, argv, BUNDLE_SHORTOPTS "j:", options)) != -1) {
		if (!bundle_args_take(&o.ec2, opt, optarg) &&
		    transfer_take_option(&o.s3, opt, optarg, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (bundle_args_check(self, &o.ec2))
		return EXIT_USAGE;
	if (argc - optind != 1)
		return cli_usage(self, "one BUNDLE is needed");
	o.ec2.manifest = o.input = argv[optind];
	rc = open_delivery(&o, OPEN_VERIFY, &e);
	if (rc < 0 && rc != -EBADMSG)
		return cli_fail(&e);
	if (rc < 0) {
		(void)cli_fail(&e);
		return EXIT_FOUND;
	}
	return cli_finish(EXIT_OK);
}
