/* SPDX-License-Identifier: Apache-2.0 */
/* bundle info: what a manifest or a descriptor says. */
#include "bundle/cmd.h"
#include "bundle/open.h"

int cmd_info(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'}, TRANSFER_LONGOPTS, {0}};
	struct open_args o = {.show = CLI_TEXT};
	struct err e = {0};
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "o:j:", options)) != -1) {
		int rc = opt == 'o' ? cli_output_parse(optarg, &o.show, &e)
				    : transfer_take_option(&o.s3, opt, optarg, &e);

		if (rc < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (argc - optind != 1)
		return cli_usage(self, "one BUNDLE is needed");
	o.input = argv[optind];
	if (open_delivery(&o, OPEN_INFO, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
