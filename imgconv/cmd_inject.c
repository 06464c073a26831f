/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv inject: files into (and out of) the file system inside an image, without starting it. */
#include <stdio.h>

#include "imgconv/args.h"
#include "imgconv/changes.h"
#include "imgconv/commands.h"
#include "imgconv/inject/root.h"
#include "imgconv/layer.h"
#include "imgconv/look.h"
#include "imgconv/remake.h"

struct inject {
	const char *image, *format;
	struct change_args changes;
	const char *list, *cat;
	enum cli_output output;
	struct atomic_file copy; /* where the format knows no changes in place */
};

enum {
	OPT_DRY_RUN = 256,
	OPT_LIST,
	OPT_CAT,
};

static int parse_option(struct inject *x, int opt, struct err *e)
{
	switch (opt) {
	case OPT_DRY_RUN:
		x->changes.opts.dry_run = true;
		return 0;
	case OPT_LIST:
		x->list = optarg;
		return 0;
	case OPT_CAT:
		x->cat = optarg;
		return 0;
	case 'f':
		x->format = optarg;
		return 0;
	case 'o':
		return cli_output_parse(optarg, &x->output, e);
	default:
		return change_args_take(&x->changes, opt, optarg, e);
	}
}

/* 0, an exit status, or a negative errno. */
static int parse_args(const struct cli_command *self, struct inject *x, int argc, char **argv,
		      struct err *e)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{"output", required_argument, NULL, 'o'},
		CHANGE_LONGOPTS,
		{"dry-run", no_argument, NULL, OPT_DRY_RUN},
		{"list", required_argument, NULL, OPT_LIST},
		{"cat", required_argument, NULL, OPT_CAT},
		{NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "f:o:", longopts)) != -1) {
		int rc = parse_option(x, opt, e);

		if (rc < 0 && (opt == 'o' || x->changes.misused))
			return cli_usage(self, "%s", e->msg);
		if (rc < 0)
			return rc;
	}
	if (argc - optind != 1)
		return cli_usage(self, "give one image");
	if ((x->list != NULL) + (x->cat != NULL) + x->changes.any != 1)
		return cli_usage(self,
				 "give something to put in or to delete, or --list, or --cat");
	if (!x->changes.any && (x->changes.opts.dry_run || x->changes.opts.replay_journal))
		return cli_usage(self, "--dry-run and --replay-journal are for changes");
	x->image = argv[optind];
	return 0;
}

static int look_inside(const struct inject *x, struct image *im, struct err *e)
{
	AUTO(guest_fs_close) struct guest_fs *fs = NULL;
	unsigned partition;
	int rc = root_open(im, x->changes.opts.partition, x->changes.opts.volume, 0, &fs,
			   &partition, e);

	if (rc < 0)
		return rc;
	return x->list ? look_list(fs, x->list, false, x->output, e) : look_cat(fs, x->cat, e);
}

static int show(const struct inject *x, const struct inject_report *r, struct err *e)
{
	bool dry_run = x->changes.opts.dry_run;
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	if (x->output == CLI_TEXT) {
		rc = change_tell(r, dry_run, e);
		printf("%s", buf_str(&r->changes));
		return rc;
	}
	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "image", x->image);
	jsonw_u64(&w, "partition", r->partition);
	if (*r->volume)
		jsonw_string(&w, "volume", r->volume);
	jsonw_string(&w, "distribution", r->distro);
	jsonw_string(&w, "init", r->init);
	jsonw_bool(&w, "dry-run", dry_run);
	change_json(&w, &r->changes);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc >= 0)
		printf("%s", buf_str(&out));
	return rc;
}

static bool writes(const struct inject *x)
{
	return x->changes.any && !x->changes.opts.dry_run;
}

static int apply(const struct inject *x, struct image *im, struct inject_report *r, struct err *e)
{
	return inject_apply(im, x->changes.overlay, &x->changes.opts, r, e);
}

static int apply_in_place(const struct inject *x, const char *format, struct err *e)
{
	AUTO(inject_report_release) struct inject_report r = {0};
	struct image_open_opts o = {.format = format, .flags = IMAGE_RDWR};
	AUTO(image_close) struct image *im = NULL;
	int rc = image_open(x->image, &o, &im, e);

	if (rc >= 0)
		rc = apply(x, im, &r, e);
	return rc < 0 ? rc : show(x, &r, e);
}

/* In a sandbox. 1: images of that format are not changed in place. */
static int run(void *ctx, struct err *e)
{
	struct inject *x = ctx;
	AUTO(inject_report_release) struct inject_report r = {0};
	struct image_open_opts o = {.format = x->format};
	AUTO(image_close) struct image *im = NULL;
	int rc = image_open(x->image, &o, &im, e);

	if (rc >= 0 && !x->changes.any)
		return look_inside(x, im, e);
	if (rc >= 0 && writes(x))
		return image_changes(im) ? apply_in_place(x, image_format_name(im), e) : 1;
	if (rc >= 0)
		rc = apply(x, im, &r, e);
	return rc < 0 ? rc : show(x, &r, e);
}

/* In a sandbox: the image anew, with the changes in it. */
static int run_copy(void *ctx, struct err *e)
{
	struct inject *x = ctx;
	AUTO(inject_report_release) struct inject_report r = {0};
	struct image_open_opts o = {.format = x->format};
	AUTO(image_close) struct image *im = NULL;
	AUTO(image_close) struct image *layer = NULL;
	AUTO_BUF wishes = BUF_INIT;
	struct image_create_opts create = {0};
	struct create_args options = {0};
	int rc = image_open(x->image, &o, &im, e);

	if (rc >= 0)
		rc = remake_options(im, &wishes, e);
	if (rc >= 0 && wishes.len)
		rc = create_args_add(&options, &create, wishes.data, e);
	if (rc >= 0)
		rc = image_layer_new(im, &layer, e);
	if (rc >= 0)
		rc = apply(x, layer, &r, e);
	if (rc >= 0)
		rc = image_layer_seal(layer, e);
	if (rc >= 0)
		rc = remake_write(x->copy.fd, im, layer, &create, image_size(im), "writing anew",
				  e);
	return rc < 0 ? rc : show(x, &r, e);
}

/* The image and the file system inside are hostile: another process reads and changes them. */
static int run_confined(struct inject *x, struct err *e)
{
	struct confine_file file = {.path = x->image, .writable = writes(x)};
	const struct confine c = {
		.files = &file, .n_files = 1, .appliance = true, .run = run, .ctx = x};
	const struct confine copy = {
		.files = &file, .n_files = 1, .appliance = true, .run = run_copy, .ctx = x};
	int rc = confine_run(&c, e);

	return rc > 0 ? remake_run(x->image, &copy, &x->copy, e) : rc;
}

int cmd_inject(const struct cli_command *self, int argc, char **argv)
{
	struct inject x = {.output = CLI_TEXT, .copy = ATOMIC_FILE_INIT};
	struct err e;
	int status = change_args_begin(&x.changes, &e);

	if (status >= 0)
		status = parse_args(self, &x, argc, argv, &e);
	if (status == 0)
		status = run_confined(&x, &e);
	change_args_release(&x.changes);
	if (status > 0)
		return status;
	return status < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
