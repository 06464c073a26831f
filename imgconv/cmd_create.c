/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv create: a new image of an empty disk. */
#include <stdio.h>

#include "imgconv/args.h"
#include "imgconv/commands.h"
#include "imgconv/target.h"
#include "lib/str.h"

struct creation {
	const char *format;
	struct image_create_opts create;
	struct create_args options; /* of create */
	unsigned target_flags;
	uint64_t size;
	const char *path;
};

static int create(struct creation *c, struct err *e)
{
	AUTO(target_abort) struct target t = TARGET_INIT;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	uint64_t padded = image_padded_size(c->format, c->size, &c->create);
	int rc;

	if (padded != c->size)
		return err_set(e, EINVAL,
			       "%llu bytes: the next size that such an image can have is %llu",
			       (unsigned long long)c->size, (unsigned long long)padded);
	rc = target_begin(&t, c->path, c->target_flags, &c->create, e);
	if (rc == 0)
		rc = image_create(t.fd, t.name, c->format, c->size, &c->create, &w, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	return rc < 0 ? rc : target_commit(&t, e);
}

/* 0, or an exit status. */
static int parse_args(const struct cli_command *self, struct creation *c, int argc, char **argv)
{
	enum {
		OPT_FORCE = 256
	};
	static const struct option longopts[] = {
		{"output-format", required_argument, NULL, 'O'},
		{"options", required_argument, NULL, 'o'},
		{"force", no_argument, NULL, OPT_FORCE},
		{NULL, 0, NULL, 0},
	};
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "O:o:", longopts)) != -1) {
		if (opt == 'O')
			c->format = optarg;
		else if (opt == OPT_FORCE)
			c->target_flags |= TARGET_REPLACE;
		else if (create_args_add(&c->options, &c->create, optarg, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (argc - optind != 2)
		return cli_usage(self, "give the new image and its size");
	if (!c->format)
		return cli_usage(self, "give the image's format with -O");
	if (image_format_options(c->format) && image_create_check(c->format, &c->create, &e) < 0)
		return cli_usage(self, "%s", e.msg);
	c->path = argv[optind];
	if (strcmp(c->path, "-") == 0)
		return cli_usage(self, "an empty image is made as a file");
	if (str_to_size(argv[optind + 1], &c->size, &e) < 0)
		return cli_usage(self, "%s", e.msg);
	return 0;
}

int cmd_create(const struct cli_command *self, int argc, char **argv)
{
	struct creation c = {0};
	struct err e;
	int status = parse_args(self, &c, argc, argv);

	if (status != 0)
		return status;
	if (create(&c, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
