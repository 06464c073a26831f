/* SPDX-License-Identifier: Apache-2.0 */
/* bundle download: what a cloud delivers, out of S3. */
#include "bundle/cmd.h"
#include "bundle/transfer.h"

static int download(const struct transfer *t, const char *url, const char *folder, struct err *e)
{
	AUTO(s3_url_release) struct s3_url from = {0};
	int rc = s3_url_parse(url, &from, e);

	return rc < 0 ? rc : transfer_download(t, &from, folder, e);
}

int cmd_download(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		TRANSFER_LONGOPTS,
		{"force", no_argument, NULL, 'f'},
		{0},
	};
	struct transfer t = {0};
	struct err e = {0};
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "j:f", options)) != -1) {
		int rc = transfer_take_option(&t, opt, optarg, &e);

		if (rc < 0)
			return cli_usage(self, "%s", e.msg);
		if (opt == 'f')
			t.replace = true;
	}
	if (argc - optind != 2)
		return cli_usage(self, "s3://BUCKET/KEY and DIR are needed");
	if (!*argv[optind + 1])
		return cli_usage(self, "'' is no folder");
	if (download(&t, argv[optind], argv[optind + 1], &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
