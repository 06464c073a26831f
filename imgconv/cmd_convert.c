/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv convert: one image into another format, or a stream into an image, or out of it. */
#include <stdio.h>

#include "imgconv/cmd_convert.h"
#include "imgconv/commands.h"
#include "lib/str.h"

#define TIMEOUT_MAX_S (366 * 24 * 3600)

enum {
	OPT_DIGEST = 256,
	OPT_VERIFY,
	OPT_FORCE,
	OPT_DEVICE,
	OPT_SIZE,
	OPT_MAX_OUTPUT,
	OPT_VIA_QEMU,
	OPT_TIMEOUT,
};

static int take_option(struct convert *c, int opt, char *arg, struct err *e)
{
	uint64_t threads = 0;
	int rc = 0;

	switch (opt) {
	case 'f':
		c->open.format = arg;
		break;
	case 'O':
		c->format = arg;
		break;
	case 'o':
		return create_args_add(&c->options, &c->create, arg, e);
	case 'c':
		if (c->create.compression == IMAGE_COMPRESS_NONE)
			c->create.compression = IMAGE_COMPRESS_ZLIB;
		break;
	case 'j':
		rc = str_to_u64(arg, 1, 1024, &threads, e);
		c->create.threads = (unsigned)threads;
		return rc;
	case OPT_DIGEST:
		rc = digest_by_name(arg, &c->digest_kind, e);
		/* The last one counts. */
		if (c->digest)
			digest_free(STEAL(c->digest));
		return rc < 0 ? rc : digest_new(c->digest_kind, &c->digest, e);
	case OPT_VERIFY:
		c->verify = true;
		break;
	case OPT_FORCE:
		c->target_flags |= TARGET_REPLACE;
		break;
	case OPT_DEVICE:
		c->target_flags |= TARGET_DEVICE;
		break;
	case OPT_SIZE:
		return str_to_size(arg, &c->size, e);
	case OPT_MAX_OUTPUT:
		return str_to_size(arg, &c->max_output, e);
	case OPT_VIA_QEMU:
		c->via_qemu = true;
		break;
	case OPT_TIMEOUT:
		return str_to_u64(arg, 0, TIMEOUT_MAX_S, &c->timeout_s, e);
	default:
		if (!open_args_take(&c->open, opt, arg))
			return change_args_take(&c->changes, opt, arg, e);
	}
	return 0;
}

/* 0, or an exit status. */
static int parse_args(const struct cli_command *self, struct convert *c, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{"output-format", required_argument, NULL, 'O'},
		{"options", required_argument, NULL, 'o'},
		{"compress", no_argument, NULL, 'c'},
		{"threads", required_argument, NULL, 'j'},
		{"digest", required_argument, NULL, OPT_DIGEST},
		{"verify", no_argument, NULL, OPT_VERIFY},
		{"force", no_argument, NULL, OPT_FORCE},
		{"device", no_argument, NULL, OPT_DEVICE},
		{"size", required_argument, NULL, OPT_SIZE},
		{"max-output", required_argument, NULL, OPT_MAX_OUTPUT},
		{"via-qemu", no_argument, NULL, OPT_VIA_QEMU},
		{"timeout", required_argument, NULL, OPT_TIMEOUT},
		OPEN_LONGOPTS,
		CHANGE_LONGOPTS,
		{NULL, 0, NULL, 0},
	};
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "f:O:o:cj:", longopts)) != -1) {
		int rc = take_option(c, opt, optarg, &e);

		/* What a file holds that is to go in is no matter of usage. */
		if (rc < 0 && opt >= CHANGE_OPT_OVERLAY && !c->changes.misused)
			return cli_fail(&e);
		if (rc < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (argc - optind != 2)
		return cli_usage(self, "give a source and a target");
	if (!c->format)
		return cli_usage(self, "give the output's format with -O");
	/* Who names a partition may take it for what is converted: it is all of the disk. */
	if (!c->changes.any && change_args_where(&c->changes))
		return cli_usage(self, "%s is for changes to the guest's files, and there are none",
				 change_args_where(&c->changes));
	if (image_format_options(c->format) && image_create_check(c->format, &c->create, &e) < 0)
		return cli_usage(self, "%s", e.msg);
	c->source = argv[optind];
	c->target = argv[optind + 1];
	return 0;
}

/* What cannot be, and why; 0 or an exit status. */
static int check_streams(const struct cli_command *self, const struct convert *c)
{
	bool in = convert_source_is_pipe(c);
	bool out = strcmp(c->target, "-") == 0;
	bool raw = c->open.format && strcmp(c->open.format, "raw") == 0;
	const char *why = out ? image_why_no_pipe(c->format, &c->create) : NULL;

	if (why)
		return cli_usage(self, "%s cannot be written to standard output: %s", c->format,
				 why);
	if (out && c->target_flags & TARGET_DEVICE)
		return cli_usage(self, "--device is for a device, not for standard output");
	if (out && isatty(STDOUT_FILENO))
		return cli_usage(self, "an image is not written to a terminal");
	if (out && c->verify)
		return cli_usage(self, "standard output cannot be read back for --verify");
	if (c->verify && c->create.compression == IMAGE_COMPRESS_GZIP)
		return cli_usage(self, "compression=gzip cannot be read back for --verify");
	if (in && !c->open.format)
		return cli_usage(self, "name the format of what comes through the pipe with -f");
	if (in && image_format_options(c->open.format) && !image_format_streams(c->open.format))
		return cli_usage(self,
				 "%s images cannot be read from a pipe: they need to be read back "
				 "and forth",
				 c->open.format);
	if (in && raw && c->size == UINT64_MAX)
		return cli_usage(self, "give the size of the disk in the pipe with --size");
	if (in && c->changes.any)
		return cli_usage(self, "what comes through a pipe cannot be changed on the way");
	if (in && (c->open.flags || c->open.parent || c->open.snapshot))
		return cli_usage(self, "what comes through a pipe has no snapshots, and needs no "
				       "other file");
	if (in && c->verify)
		return cli_usage(self, "a pipe cannot be read twice for --verify");
	if (!(in && raw) && c->size != UINT64_MAX)
		return cli_usage(self, "--size is for raw from a pipe");
	return 0;
}

/* What does not go together with --via-qemu; 0 or an exit status. */
static int check_via_qemu(const struct cli_command *self, const struct convert *c)
{
	if (!c->via_qemu && c->timeout_s != UINT64_MAX)
		return cli_usage(self, "--timeout is for --via-qemu");
	if (!c->via_qemu)
		return 0;
	if (c->open.format)
		return cli_usage(self, "--via-qemu recognises the format by itself: give no -f");
	if (c->open.flags || c->open.parent || c->open.snapshot)
		return cli_usage(self, "--via-qemu reads one file alone, and the disk as it is");
	if (strcmp(c->source, "-") == 0)
		return cli_usage(self, "--via-qemu needs the source to be a file");
	return 0;
}

int cmd_convert(const struct cli_command *self, int argc, char **argv)
{
	struct convert c = {.size = UINT64_MAX,
			    .max_output = UINT64_MAX,
			    .timeout_s = UINT64_MAX,
			    .raw_fd = -1,
			    .t = TARGET_INIT};
	AUTO(digest_free) struct digest *digest = NULL;
	AUTO(overlay_free) struct overlay *overlay = NULL;
	struct err e;
	int status;

	if (change_args_begin(&c.changes, &e) < 0)
		return cli_fail(&e);
	overlay = c.changes.overlay;
	status = parse_args(self, &c, argc, argv);
	digest = c.digest;
	if (status == 0) {
		ANALYZER_KNOWS(c.source && c.target);
		status = check_streams(self, &c);
		if (status == 0)
			status = check_via_qemu(self, &c);
	}
	if (status != 0)
		return status;
	if (convert_run(&c, &e) < 0)
		return cli_fail(&e);
	if (c.digest) {
		/* Standard output may be the image. */
		fprintf(strcmp(c.target, "-") == 0 ? stderr : stdout, "%s:%.*s\n",
			digest_name(c.digest_kind), (int)sizeof(c.hex), c.hex);
	}
	return cli_finish(EXIT_OK);
}
