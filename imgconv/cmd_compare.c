/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv compare: whether the guests of two images see the same disk. */
#include <stdio.h>

#include "imgconv/args.h"
#include "imgconv/commands.h"
#include "imgconv/confine.h"
#include "lib/json.h"
#include "lib/log.h"

struct comparison {
	const char *paths[2];
	struct image_open_opts open[2];
	bool strict;
	enum cli_output output;
	/* What came out. */
	uint64_t sizes[2];
	bool equal;
	uint64_t where; /* the first byte that differs; UINT64_MAX: none does */
};

/* Returns 1 if the sizes are all that has to be known. */
static int compare_sizes(struct comparison *c)
{
	if (c->sizes[0] == c->sizes[1])
		return 0;
	if (!c->strict)
		log_warn("sizes differ: %llu and %llu bytes; what is missing counts as zeros",
			 (unsigned long long)c->sizes[0], (unsigned long long)c->sizes[1]);
	return c->strict;
}

static int compare(struct comparison *c, struct err *e)
{
	AUTO(image_close) struct image *a = NULL;
	AUTO(image_close) struct image *b = NULL;
	struct progress *p;
	int rc = image_open(c->paths[0], &c->open[0], &a, e);

	if (rc == 0)
		rc = image_open(c->paths[1], &c->open[1], &b, e);
	if (rc < 0)
		return rc;
	c->sizes[0] = image_size(a);
	c->sizes[1] = image_size(b);
	if (compare_sizes(c))
		return 0;
	p = progress_start("comparing", MAX(c->sizes[0], c->sizes[1]));
	rc = image_compare(a, b, &c->where, p, e);
	progress_end(p, rc >= 0);
	c->equal = rc == 0;
	return rc < 0 ? rc : 0;
}

static int show_json(const struct comparison *c, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_bool(&w, "equal", c->equal);
	if (c->where == UINT64_MAX)
		jsonw_null(&w, "first-difference");
	else
		jsonw_u64(&w, "first-difference", c->where);
	jsonw_array(&w, "sizes");
	jsonw_u64(&w, NULL, c->sizes[0]);
	jsonw_u64(&w, NULL, c->sizes[1]);
	jsonw_close(&w);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fwrite(buf_str(&out), 1, out.len, stdout);
	return rc;
}

static int show(const struct comparison *c, struct err *e)
{
	if (c->output == CLI_JSON)
		return show_json(c, e);
	if (c->where != UINT64_MAX)
		printf("first difference at byte %llu\n", (unsigned long long)c->where);
	else if (!c->equal)
		printf("sizes differ: %llu and %llu bytes\n", (unsigned long long)c->sizes[0],
		       (unsigned long long)c->sizes[1]);
	return 0;
}

/* In a sandbox. 1: they differ. */
static int compare_and_show(void *ctx, struct err *e)
{
	struct comparison *c = ctx;
	int rc = compare(c, e);

	if (rc == 0)
		rc = show(c, e);
	return rc < 0 ? rc : !c->equal;
}

static int compare_confined(struct comparison *c, struct err *e)
{
	const struct confine_file files[] = {
		{.path = c->paths[0], .beneath = confine_beneath(&c->open[0])},
		{.path = c->paths[1], .beneath = confine_beneath(&c->open[1])},
		{.path = c->open[0].parent},
	};
	const struct confine confine = {
		.files = files,
		.n_files = ARRAY_SIZE(files),
		.run = compare_and_show,
		.ctx = c,
	};

	return confine_run(&confine, e);
}

/* Flags are for both images; what has a value of its own is the first one's. */
static int take_option(struct comparison *c, int opt, const char *arg, struct err *e)
{
	switch (opt) {
	case 'f':
		c->open[0].format = arg;
		break;
	case 'F':
		c->open[1].format = arg;
		break;
	case 'o':
		return cli_output_parse(arg, &c->output, e);
	case 's':
		c->strict = true;
		break;
	default:
		(void)open_args_take(&c->open[0], opt, arg);
		if (opt != OPT_SNAPSHOT && opt != OPT_PARENT)
			(void)open_args_take(&c->open[1], opt, arg);
	}
	return 0;
}

int cmd_compare(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{"second-format", required_argument, NULL, 'F'},
		{"output", required_argument, NULL, 'o'},
		{"strict", no_argument, NULL, 's'},
		OPEN_LONGOPTS,
		{NULL, 0, NULL, 0},
	};
	struct comparison c = {.where = UINT64_MAX};
	struct err e;
	int opt, rc;

	while ((opt = cli_getopt(self, argc, argv, "f:F:o:s", longopts)) != -1) {
		if (take_option(&c, opt, optarg, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (argc - optind != 2)
		return cli_usage(self, "give two images");
	c.paths[0] = argv[optind];
	c.paths[1] = argv[optind + 1];
	rc = compare_confined(&c, &e);
	if (rc < 0)
		return cli_fail(&e);
	return cli_finish(rc ? EXIT_FOUND : EXIT_OK);
}
