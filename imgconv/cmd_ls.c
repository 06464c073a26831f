/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv ls: the files in an image's file system. */
#include "imgconv/args.h"
#include "imgconv/commands.h"
#include "imgconv/confine.h"
#include "imgconv/inject/root.h"
#include "imgconv/look.h"
#include "lib/str.h"

enum {
	OPT_PARTITION = 256,
	OPT_VOLUME,
};

struct look {
	struct image_open_opts open;
	uint64_t partition; /* 0: the root is found */
	const char *volume; /* NULL: likewise */
	const char *image, *path;
	bool recursive;
	enum cli_output output;
};

/* In a sandbox. */
static int look(void *ctx, struct err *e)
{
	const struct look *l = ctx;
	AUTO(image_close) struct image *im = NULL;
	AUTO(guest_fs_close) struct guest_fs *fs = NULL;
	unsigned partition;
	int rc = image_open(l->image, &l->open, &im, e);

	if (rc >= 0)
		rc = root_open(im, (unsigned)l->partition, l->volume, 0, &fs, &partition, e);
	return rc < 0 ? rc : look_list(fs, l->path, l->recursive, l->output, e);
}

static int take_option(struct look *l, int opt, struct err *e)
{
	switch (opt) {
	case 'f':
		l->open.format = optarg;
		return 0;
	case 'o':
		return cli_output_parse(optarg, &l->output, e);
	case 'R':
		l->recursive = true;
		return 0;
	case OPT_PARTITION:
		return str_to_u64(optarg, 1, 128, &l->partition, e);
	case OPT_VOLUME:
		l->volume = optarg;
		return 0;
	default:
		(void)open_args_take(&l->open, opt, optarg);
		return 0;
	}
}

int cmd_ls(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{"output", required_argument, NULL, 'o'},
		{"recursive", no_argument, NULL, 'R'},
		{"partition", required_argument, NULL, OPT_PARTITION},
		{"volume", required_argument, NULL, OPT_VOLUME},
		OPEN_LONGOPTS,
		{NULL, 0, NULL, 0},
	};
	struct look l = {.path = "/", .output = CLI_TEXT};
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "f:o:R", longopts)) != -1) {
		if (take_option(&l, opt, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (argc - optind != 1 && argc - optind != 2)
		return cli_usage(self, "give an image, and a path in the guest");
	l.image = argv[optind];
	if (argc - optind == 2)
		l.path = argv[optind + 1];
	if (confine_look(argv[optind], &l.open, look, &l, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
