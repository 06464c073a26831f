/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv map: where a guest's disk has data, and where zeros. */
#include <stdio.h>

#include "imgconv/args.h"
#include "imgconv/commands.h"
#include "imgconv/confine.h"
#include "lib/json.h"
#include "lib/str.h"

/* The unit in which data are found to be zeros: a block of most file systems. */
#define SCAN_UNIT 4096u
/* What is printed at once. */
#define PRINT_AT (64 * KIB)

struct view {
	char *path;
	struct image_open_opts open;
	bool scan;
	enum cli_output output;
	struct buf out;
	struct jsonw json;
	uint64_t bytes[3], extents[3]; /* of each kind */
};

static const char *const kinds[] = {
	[EXTENT_DATA] = "data",
	[EXTENT_ZERO] = "zero",
	[EXTENT_HOLE] = "hole",
};

/* An image may have more extents than there is memory for. */
static int print_some(struct view *v, size_t at, struct err *e)
{
	if (v->out.len < at)
		return 0;
	if (fwrite(buf_str(&v->out), 1, v->out.len, stdout) != v->out.len)
		return err_errno(e, errno, "writing standard output");
	buf_clear(&v->out);
	return 0;
}

static int tell(void *ctx, const struct extent *x, struct err *e)
{
	struct view *v = ctx;

	v->bytes[x->kind] += x->length;
	v->extents[x->kind]++;
	if (v->output == CLI_TEXT) {
		buf_addf(&v->out, "%20llu %20llu  %s\n", (unsigned long long)x->start,
			 (unsigned long long)x->length, kinds[x->kind]);
	} else {
		jsonw_object(&v->json, NULL);
		jsonw_u64(&v->json, "start", x->start);
		jsonw_u64(&v->json, "length", x->length);
		jsonw_string(&v->json, "kind", kinds[x->kind]);
		jsonw_close(&v->json);
	}
	return print_some(v, PRINT_AT, e);
}

static void add_summary(struct view *v, uint64_t size)
{
	buf_addf(&v->out, "\n%20s %20llu  bytes\n", "disk", (unsigned long long)size);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char text[16];

		size_to_text(v->bytes[i], text);
		buf_addf(&v->out, "%20s %20llu  bytes (%s) in %llu extent%s\n", kinds[i],
			 (unsigned long long)v->bytes[i], text, (unsigned long long)v->extents[i],
			 v->extents[i] == 1 ? "" : "s");
	}
}

/* On a terminal the extents are progress enough. */
static struct progress *start_progress(const struct image *im)
{
	return isatty(STDOUT_FILENO) ? NULL : progress_start("mapping", image_size(im));
}

/* In a sandbox. */
static int map(void *ctx, struct err *e)
{
	struct view *v = ctx;
	AUTO(image_close) struct image *im = NULL;
	struct progress *p;
	int rc = image_open(v->path, &v->open, &im, e);

	if (rc < 0)
		return rc;
	if (v->output == CLI_JSON) {
		jsonw_begin(&v->json, &v->out, true);
		jsonw_array(&v->json, NULL);
	} else {
		buf_addf(&v->out, "%20s %20s  %s\n", "start", "length", "kind");
	}
	p = start_progress(im);
	rc = image_map(im, v->scan ? SCAN_UNIT : 0, tell, v, p, e);
	progress_end(p, rc == 0);
	if (rc < 0)
		return rc;
	if (v->output == CLI_JSON) {
		jsonw_close(&v->json);
		rc = jsonw_end(&v->json, e);
	} else {
		add_summary(v, image_size(im));
	}
	return rc < 0 ? rc : print_some(v, 0, e);
}

int cmd_map(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{"output", required_argument, NULL, 'o'},
		{"scan", no_argument, NULL, 's'},
		OPEN_LONGOPTS,
		{NULL, 0, NULL, 0},
	};
	struct view v = {0};
	struct err e;
	int opt, rc;

	while ((opt = cli_getopt(self, argc, argv, "f:o:s", longopts)) != -1) {
		if (opt == 'f')
			v.open.format = optarg;
		else if (opt == 's')
			v.scan = true;
		else if (opt == 'o' && cli_output_parse(optarg, &v.output, &e) < 0)
			return cli_usage(self, "%s", e.msg);
		else
			(void)open_args_take(&v.open, opt, optarg);
	}
	if (argc - optind != 1)
		return cli_usage(self, "give an image");
	v.path = argv[optind];
	rc = confine_images(&v.path, 1, &v.open, map, &v, &e);
	buf_release(&v.out);
	return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
