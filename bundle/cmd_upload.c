/* SPDX-License-Identifier: Apache-2.0 */
/* bundle upload: a bundle for EC2 into S3. */
#include "bundle/cmd.h"
#include "bundle/transfer.h"

/* The folder of the parts: as given, or the manifest's. */
static int upload(const struct transfer *t, const char *manifest, const char *parts,
		  const char *url, struct err *e)
{
	AUTO(s3_url_release) struct s3_url to = {0};
	const char *slash = strrchr(manifest, '/');
	AUTO_FREE char *folder = NULL;
	int rc = s3_url_parse(url, &to, e);

	if (rc < 0)
		return rc;
	if (parts)
		folder = strdup(parts);
	else
		folder = slash ? strndup(manifest,
					 slash == manifest ? 1 : (size_t)(slash - manifest))
			       : strdup(".");
	return folder ? transfer_upload(t, manifest, folder, &to, e) : err_nomem(e);
}

int cmd_upload(const struct cli_command *self, int argc, char **argv)
{
	enum {
		OPT_ACL = 1024
	};
	static const struct option options[] = {
		TRANSFER_LONGOPTS,
		{"acl", required_argument, NULL, OPT_ACL},
		{"parts", required_argument, NULL, 'd'},
		{0},
	};
	struct transfer t = {.acl = "aws-exec-read"};
	const char *parts = NULL;
	struct err e = {0};
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "j:d:", options)) != -1) {
		int rc = transfer_take_option(&t, opt, optarg, &e);

		if (rc < 0)
			return cli_usage(self, "%s", e.msg);
		if (opt == OPT_ACL)
			t.acl = *optarg ? optarg : NULL;
		else if (opt == 'd')
			parts = optarg;
	}
	if (argc - optind != 2)
		return cli_usage(self, "MANIFEST and s3://BUCKET[/PREFIX] are needed");
	if (!strcmp(argv[optind], "-"))
		return cli_usage(self, "the manifest's name is needed: it cannot be '-'");
	if (upload(&t, argv[optind], parts, argv[optind + 1], &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
