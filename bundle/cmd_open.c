/* SPDX-License-Identifier: Apache-2.0 */
/* bundle open: a bundle becomes an image, in one pass and appearing complete or not at all. */
#include "bundle/cmd.h"
#include "imgconv/args.h"
#include "lib/str.h"

enum {
	OPT_DISK = 1024,
	OPT_MAX_OUTPUT,
	OPT_OPTIONS,
};

static int take_option(struct open_args *o, struct create_args *wishes, int opt, char *arg,
		       struct err *e)
{
	uint64_t n = 0;
	int rc;

	if (bundle_args_take(&o->ec2, opt, arg))
		return 0;
	rc = transfer_take_option(&o->s3, opt, arg, e);
	if (rc != 0)
		return rc;
	switch (opt) {
	case 'O':
		o->output_format = arg;
		return 0;
	case 'c':
		if (o->create.compression == IMAGE_COMPRESS_NONE)
			o->create.compression = IMAGE_COMPRESS_ZLIB;
		return 0;
	case 'f':
		o->replace = true;
		return 0;
	case OPT_OPTIONS:
		return create_args_add(wishes, &o->create, arg, e);
	case OPT_MAX_OUTPUT:
		return str_to_size(arg, &o->max_output, e);
	default:
		rc = str_to_u64(arg, 1, 4096, &n, e);
		o->disk = (unsigned)n;
		return rc;
	}
}

int cmd_open(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		BUNDLE_LONGOPTS,
		TRANSFER_LONGOPTS,
		{"output-format", required_argument, NULL, 'O'},
		{"compress", no_argument, NULL, 'c'},
		{"force", no_argument, NULL, 'f'},
		{"options", required_argument, NULL, OPT_OPTIONS},
		{"disk", required_argument, NULL, OPT_DISK},
		{"max-output", required_argument, NULL, OPT_MAX_OUTPUT},
		{0},
	};
	struct open_args o = {.output_format = "raw", .max_output = UINT64_MAX};
	struct create_args wishes = {0};
	struct err e = {0};
	int opt;

	bundle_args_init(&o.ec2);
	while ((opt = cli_getopt(self, argc, argv, BUNDLE_SHORTOPTS "j:O:cf", options)) != -1) {
		if (take_option(&o, &wishes, opt, optarg, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (bundle_args_check(self, &o.ec2))
		return EXIT_USAGE;
	if (argc - optind != 2)
		return cli_usage(self, "BUNDLE and OUTPUT are needed");
	o.ec2.manifest = o.input = argv[optind];
	o.output = argv[optind + 1];
	if (image_format_options(o.output_format) &&
	    image_create_check(o.output_format, &o.create, &e) < 0)
		return cli_usage(self, "%s", e.msg);
	if (!strcmp(o.output, "-"))
		return cli_usage(self, "the image is proven at its end only: it cannot go to '-'");
	if (open_delivery(&o, OPEN_IMAGE, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
