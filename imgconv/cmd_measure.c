/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv measure: how large an image would become in another format. */
#include <stdio.h>

#include "imgconv/args.h"
#include "imgconv/commands.h"
#include "imgconv/confine.h"
#include "lib/json.h"
#include "lib/sandbox.h"
#include "lib/str.h"

struct measurement {
	char *source;  /* NULL: an empty disk of `size` */
	uint64_t size; /* UINT64_MAX: not given */
	struct image_open_opts open;
	const char *format;
	struct image_create_opts create;
	struct create_args options; /* of create */
	bool scan;
	enum cli_output output;
};

static int measure(const struct measurement *a, struct image_measure *ret, struct err *e)
{
	AUTO(image_close) struct image *src = NULL;
	struct progress *p;
	int rc = a->source ? image_open(a->source, &a->open, &src, e) : 0;

	if (rc < 0)
		return rc;
	p = progress_start("measuring", src ? image_size(src) : a->size);
	rc = image_measure(src, a->size, a->format, &a->create, a->scan, ret, p, e);
	progress_end(p, rc == 0);
	return rc;
}

/* ---- showing ------------------------------------------------------------------------------- */

static void show_size(const char *what, const char *how, uint64_t bytes)
{
	char text[16];

	size_to_text(bytes, text);
	printf("%-20s%s%llu bytes (%s)\n", what, how, (unsigned long long)bytes, text);
}

static void show_text(const struct measurement *a, const struct image_measure *m)
{
	const char *how = m->exact ? "" : "at most ";

	printf("%-20s%s\n", "format:", a->format);
	show_size("virtual size:", "", m->size);
	show_size("required:", how, m->required);
	show_size("allocated:", how, m->allocated);
	if (m->fully_allocated != UINT64_MAX)
		show_size("fully allocated:", "", m->fully_allocated);
}

static int show_json(const struct measurement *a, const struct image_measure *m, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "format", a->format);
	jsonw_u64(&w, "virtual-size", m->size);
	jsonw_u64(&w, "required", m->required);
	jsonw_u64(&w, "allocated", m->allocated);
	if (m->fully_allocated != UINT64_MAX)
		jsonw_u64(&w, "fully-allocated", m->fully_allocated);
	jsonw_bool(&w, "exact", m->exact);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fwrite(buf_str(&out), 1, out.len, stdout);
	return rc;
}

/* In a sandbox. */
static int measure_and_show(void *ctx, struct err *e)
{
	const struct measurement *a = ctx;
	struct image_measure m;
	int rc = measure(a, &m, e);

	if (rc == 0 && a->output == CLI_JSON)
		return show_json(a, &m, e);
	if (rc == 0)
		show_text(a, &m);
	return rc;
}

/* Files in memory are what an image is measured by. */
static int measure_confined(struct measurement *a, struct err *e)
{
	const struct confine_file files[] = {
		{.path = a->source, .beneath = confine_beneath(&a->open)},
		{.path = a->open.parent},
	};
	const struct confine c = {
		.flags = SANDBOX_MEMORY_FILES,
		.files = files,
		.n_files = ARRAY_SIZE(files),
		.run = measure_and_show,
		.ctx = a,
	};

	return confine_run(&c, e);
}

/* ---- the command --------------------------------------------------------------------------- */

enum {
	OPT_SIZE = 256,
	OPT_OUTPUT,
};

static int take_option(struct measurement *a, int opt, char *arg, struct err *e)
{
	switch (opt) {
	case 'f':
		a->open.format = arg;
		break;
	case 'O':
		a->format = arg;
		break;
	case 'o':
		return create_args_add(&a->options, &a->create, arg, e);
	case 'c':
		if (a->create.compression == IMAGE_COMPRESS_NONE)
			a->create.compression = IMAGE_COMPRESS_ZLIB;
		break;
	case 's':
		a->scan = true;
		break;
	case OPT_SIZE:
		return str_to_size(arg, &a->size, e);
	case OPT_OUTPUT:
		return cli_output_parse(arg, &a->output, e);
	default:
		(void)open_args_take(&a->open, opt, arg);
	}
	return 0;
}

/* 0, or an exit status. */
static int parse_args(const struct cli_command *self, struct measurement *a, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{"output-format", required_argument, NULL, 'O'},
		{"options", required_argument, NULL, 'o'},
		{"compress", no_argument, NULL, 'c'},
		{"scan", no_argument, NULL, 's'},
		{"size", required_argument, NULL, OPT_SIZE},
		{"output", required_argument, NULL, OPT_OUTPUT},
		OPEN_LONGOPTS,
		{NULL, 0, NULL, 0},
	};
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "f:O:o:cs", longopts)) != -1) {
		if (take_option(a, opt, optarg, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (argc - optind != (a->size == UINT64_MAX))
		return cli_usage(self, "give an image, or --size");
	if (a->size != UINT64_MAX &&
	    (a->open.format || a->open.flags || a->open.snapshot || a->open.parent || a->scan))
		return cli_usage(self, "--size is of an empty disk, which has nothing to read");
	if (!a->format)
		return cli_usage(self, "give the output's format with -O");
	if (image_format_options(a->format) && image_create_check(a->format, &a->create, &e) < 0)
		return cli_usage(self, "%s", e.msg);
	a->source = argv[optind];
	return 0;
}

int cmd_measure(const struct cli_command *self, int argc, char **argv)
{
	struct measurement a = {.size = UINT64_MAX};
	struct err e;
	int status = parse_args(self, &a, argc, argv);

	if (status != 0)
		return status;
	if (measure_confined(&a, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
