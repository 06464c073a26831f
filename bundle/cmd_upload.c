/* SPDX-License-Identifier: Apache-2.0 */
/* bundle upload: what a cloud wants, into S3. */
#include "bundle/cmd.h"
#include "bundle/transfer.h"

/* The folder of the parts: as given, or the manifest's. */
static int upload_bundle(const struct transfer *t, const char *manifest, const char *parts,
			 const struct s3_url *to, struct err *e)
{
	const char *slash = strrchr(manifest, '/');
	AUTO_FREE char *folder = NULL;

	if (parts)
		folder = strdup(parts);
	else
		folder = slash ? strndup(manifest,
					 slash == manifest ? 1 : (size_t)(slash - manifest))
			       : strdup(".");
	return folder ? transfer_upload(t, manifest, folder, to, e) : err_nomem(e);
}

/* acl: NULL: what is usual. EC2 is to read a bundle; of other files the bucket's default holds. */
static int upload_one(struct transfer *t, const char *acl, const char *path, const char *parts,
		      const char *url, struct err *e)
{
	AUTO(s3_url_release) struct s3_url to = {0};
	bool is_manifest = false;
	int rc = s3_url_parse(url, &to, e);

	if (rc == 0)
		rc = transfer_names_manifest(path, &is_manifest, e);
	if (rc < 0)
		return rc;
	t->acl = acl ? (*acl ? acl : NULL) : is_manifest ? "aws-exec-read" : NULL;
	return is_manifest ? upload_bundle(t, path, parts, &to, e)
			   : transfer_upload_file(t, path, &to, e);
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
	struct transfer t = {0};
	const char *parts = NULL, *acl = NULL;
	struct err e = {0};
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "j:d:", options)) != -1) {
		int rc = transfer_take_option(&t, opt, optarg, &e);

		if (rc < 0)
			return cli_usage(self, "%s", e.msg);
		if (opt == OPT_ACL)
			acl = optarg;
		else if (opt == 'd')
			parts = optarg;
	}
	if (argc - optind < 2)
		return cli_usage(self, "FILE and s3://BUCKET[/PREFIX] are needed");
	for (int i = optind; i < argc - 1; i++) {
		if (!strcmp(argv[i], "-"))
			return cli_usage(self, "a name is needed: it cannot be '-'");
	}
	for (; optind < argc - 1; optind++) {
		if (upload_one(&t, acl, argv[optind], parts, argv[argc - 1], &e) < 0)
			return cli_fail(&e);
	}
	return cli_finish(EXIT_OK);
}
