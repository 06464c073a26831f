/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv bootable: the image of a bare partition, as Xen guests had, into a disk that boots. */
#include <stdio.h>
#include <sys/mman.h>

#include "imgconv/args.h"
#include "imgconv/commands.h"
#include "imgconv/confine.h"
#include "imgconv/direct.h"
#include "imgconv/disk/report.h"
#include "imgconv/target.h"
#include "lib/log.h"
#include "lib/str.h"

#define JSON_MAX (16 * MIB)

struct bootable {
	struct image_open_opts open; /* of the source */
	const char *format;          /* of the target */
	char *source;
	const char *target;
	const char *direct;  /* folder for --direct-kernel; NULL: a disk is made */
	const char *of_disk; /* an option that was given and is for a disk; NULL: none was */
	struct boot_opts boot;
	struct image_create_opts create;
	struct create_args options; /* of create */
	unsigned target_flags;
	bool dry_run, to_stdout;
	enum cli_output output;
	struct target t;
	int json; /* file in memory: JSON is shown when all is done */
};

enum {
	OPT_OPTIONS = 256,
	OPT_KERNEL,
	OPT_INITRD,
	OPT_APPEND,
	OPT_FIRMWARE,
	OPT_DIRECT,
	OPT_DRY_RUN,
	OPT_FORCE,
};

static const char *const firmware_names[] = {"bios", "uefi", "both"};

static int parse_firmware(struct bootable *b, const char *text, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(firmware_names); i++) {
		if (strcmp(text, firmware_names[i]) == 0) {
			b->boot.firmware = (enum boot_firmware)i;
			return 0;
		}
	}
	return err_set(e, EINVAL, "'%s' is none of bios, uefi, both", text);
}

static int take_option(struct bootable *b, int opt, char *arg, struct err *e)
{
	switch (opt) {
	case 'f':
		b->open.format = arg;
		break;
	case 'O':
		b->format = arg;
		b->of_disk = "--output-format";
		break;
	case 'o':
		return cli_output_parse(arg, &b->output, e);
	case 'c':
		b->of_disk = "--compress";
		if (b->create.compression == IMAGE_COMPRESS_NONE)
			b->create.compression = IMAGE_COMPRESS_ZLIB;
		break;
	case OPT_OPTIONS:
		b->of_disk = "--options";
		return create_args_add(&b->options, &b->create, arg, e);
	case OPT_KERNEL:
		b->boot.kernel = arg;
		break;
	case OPT_INITRD:
		b->boot.initrd = arg;
		break;
	case OPT_APPEND:
		b->boot.append = arg;
		break;
	case OPT_FIRMWARE:
		b->of_disk = "--firmware";
		return parse_firmware(b, arg, e);
	case OPT_DIRECT:
		b->direct = arg;
		b->boot.direct = true;
		break;
	case OPT_DRY_RUN:
		b->dry_run = true;
		break;
	case OPT_FORCE:
		b->target_flags |= TARGET_REPLACE;
		break;
	default:
		(void)open_args_take(&b->open, opt, arg);
	}
	return 0;
}

static int parse_args(const struct cli_command *self, struct bootable *b, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{"output-format", required_argument, NULL, 'O'},
		{"output", required_argument, NULL, 'o'},
		{"compress", no_argument, NULL, 'c'},
		{"options", required_argument, NULL, OPT_OPTIONS},
		{"kernel", required_argument, NULL, OPT_KERNEL},
		{"initrd", required_argument, NULL, OPT_INITRD},
		{"append", required_argument, NULL, OPT_APPEND},
		{"firmware", required_argument, NULL, OPT_FIRMWARE},
		{"direct-kernel", required_argument, NULL, OPT_DIRECT},
		{"dry-run", no_argument, NULL, OPT_DRY_RUN},
		{"force", no_argument, NULL, OPT_FORCE},
		OPEN_LONGOPTS,
		{NULL, 0, NULL, 0},
	};
	struct err e;
	int opt, n;

	while ((opt = cli_getopt(self, argc, argv, "f:O:o:c", longopts)) != -1) {
		if (take_option(b, opt, optarg, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	n = argc - optind;
	if (b->direct && n != 1)
		return cli_usage(self, "give a source alone: --direct-kernel makes no disk");
	if (b->direct && !*b->direct)
		return cli_usage(self, "'' is no folder");
	if (b->direct && b->of_disk)
		return cli_usage(self, "--direct-kernel makes no disk, which %s is for",
				 b->of_disk);
	if (b->format && image_format_options(b->format) &&
	    image_create_check(b->format, &b->create, &e) < 0)
		return cli_usage(self, "%s", e.msg);
	if (!b->direct && (n < (b->dry_run ? 1 : 2) || n > 2))
		return cli_usage(self, b->dry_run ? "give a source" : "give a source and a target");
	b->source = argv[optind];
	b->target = n == 2 ? argv[optind + 1] : NULL;
	b->to_stdout = b->target && strcmp(b->target, "-") == 0;
	if (b->to_stdout && b->output == CLI_JSON)
		return cli_usage(self, "standard output takes the disk or JSON, not both");
	return 0;
}

/* ---- showing ------------------------------------------------------------------------------- */

static int show_row(const char *what, const char *text, struct err *e)
{
	AUTO_BUF shown = BUF_INIT;

	if (str_escape(text, strlen(text), SIZE_MAX, &shown) < 0)
		return err_nomem(e);
	printf("%-13s %s\n", what, buf_str(&shown));
	return 0;
}

static int show_text(const struct boot_report *r, struct err *e)
{
	const struct boot_verdict *v = &r->verdict;
	AUTO_FREE char *bus = str_format("%s (%s)", boot_bus_name(v->bus), v->why);
	AUTO_FREE char *version =
		str_format("%s, %s%s", v->version ? v->version : "unknown",
			   boot_kernel_kind_name(v->kind), v->efi_stub ? ", EFI stub" : "");
	const char *const rows[][2] = {
		{"kernel", r->kernel},
		{"version", version},
		{"initrd", r->initrd ? r->initrd : "none"},
		{"command line", r->cmdline},
		{"found by", r->source},
		{"disk bus", bus},
	};
	int rc = bus && version ? 0 : err_nomem(e);

	for (size_t i = 0; i < ARRAY_SIZE(rows) && rc >= 0; i++) {
		ANALYZER_KNOWS(rows[i][1]);
		rc = show_row(rows[i][0], rows[i][1], e);
	}
	return rc;
}

static int write_json(const struct bootable *b, const struct boot_report *r, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "source", b->source);
	if (b->direct)
		jsonw_string(&w, "folder", b->direct);
	else if (!b->dry_run)
		jsonw_string(&w, "target", b->target);
	if (!b->direct)
		jsonw_string(&w, "firmware", firmware_names[b->boot.firmware]);
	boot_report_json(&w, r);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc < 0 ? rc : fs_pwrite(b->json, out.data, out.len, 0, e);
}

static int show_json(const struct bootable *b, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc = fs_read_fd(b->json, "the report", JSON_MAX, &text, e);

	if (rc == 0)
		fputs(buf_str(&text), stdout);
	return rc;
}

/* Text comes before anything long begins; where the disk itself goes, only warnings are told. */
static int show_plan(const struct bootable *b, const struct boot_report *r, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < r->n_warnings; i++)
		log_warn("%s", r->warnings[i]);
	if (b->output == CLI_TEXT && !b->to_stdout)
		rc = show_text(r, e);
	fflush(stdout);
	return rc;
}

/* A bare file system, nothing else. */
static int check_source(struct image *src, struct err *e)
{
	AUTO(image_layout_release) struct image_layout layout = {0};
	int rc = image_layout_read(src, &layout, e);

	if (rc < 0)
		return rc;
	if (strcmp(layout.table, "none") != 0)
		return err_set(e, EINVAL,
			       "'%s' is a disk with a partition table (%s), not a bare partition",
			       image_name(src), layout.table);
	return 0;
}

/* ---- in a sandbox --------------------------------------------------------------------------- */

static int write_disk(struct bootable *b, struct image *disk, struct err *e)
{
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct progress *p;
	int rc;

	b->create.companions = confine_companions();
	rc = image_create(b->t.fd, b->t.name, b->format, image_size(disk), &b->create, &w, e);
	if (rc < 0)
		return rc;
	p = progress_start("copying the partition", image_size(disk));
	rc = image_copy(disk, w, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return rc;
}

static int make_disk(struct bootable *b, struct image *src, struct boot_report *ret, struct err *e)
{
	AUTO(image_close) struct image *disk = NULL;
	int rc;

	if (!b->format)
		b->format = image_format_name(src);
	/* Some formats count in more than sectors; the copy of a GPT lies at the very end. */
	b->boot.disk_size = image_padded_size(
		b->format, boot_assembled_size(image_size(src), b->boot.firmware), &b->create);
	rc = boot_assemble(src, &b->boot, &disk, ret, e);
	if (rc == 0)
		rc = show_plan(b, ret, e);
	return rc < 0 ? rc : write_disk(b, disk, e);
}

static int extract(struct bootable *b, struct image *src, struct boot_report *ret, struct err *e)
{
	int rc = boot_extract(src, &b->boot, confine_companions(), ret, e);

	return rc < 0 ? rc : show_plan(b, ret, e);
}

static int plan(struct bootable *b, struct image *src, struct boot_report *ret, struct err *e)
{
	int rc = boot_plan(src, 0, image_size(src), &b->boot, ret, e);

	return rc < 0 ? rc : show_plan(b, ret, e);
}

static int run(void *ctx, struct err *e)
{
	struct bootable *b = ctx;
	AUTO(boot_report_release) struct boot_report r = {0};
	AUTO(image_close) struct image *src = NULL;
	int rc = image_open(b->source, &b->open, &src, e);

	if (rc == 0)
		rc = check_source(src, e);
	if (rc < 0)
		return rc;
	if (b->dry_run)
		rc = plan(b, src, &r, e);
	else if (b->direct)
		rc = extract(b, src, &r, e);
	else
		rc = make_disk(b, src, &r, e);
	return rc == 0 && b->output == CLI_JSON ? write_json(b, &r, e) : rc;
}

/* ---- outside -------------------------------------------------------------------------------- */

static int confined(struct bootable *b, const struct image_companions *companions, struct err *e)
{
	const struct confine_file files[] = {
		{.path = b->source, .beneath = confine_beneath(&b->open)},
		{.path = b->open.parent},
	};
	const struct confine c = {
		.files = files,
		.n_files = ARRAY_SIZE(files),
		.companions = companions,
		.boot_loader = !b->dry_run && !b->direct,
		.run = run,
		.ctx = b,
	};

	return confine_run(&c, e);
}

static int make_files(struct bootable *b, struct err *e)
{
	AUTO(direct_abort) struct direct d;
	int rc;

	direct_begin(&d, b->direct, b->target_flags & TARGET_REPLACE);
	rc = confined(b, &d.hook, e);
	return rc < 0 ? rc : direct_commit(&d, e);
}

static int make_target(struct bootable *b, struct err *e)
{
	int rc = target_begin(&b->t, b->target, b->target_flags, &b->create, e);

	if (rc == 0)
		rc = confined(b, b->create.companions, e);
	if (rc == 0)
		rc = target_commit(&b->t, e);
	target_abort(&b->t);
	return rc;
}

static int make(struct bootable *b, struct err *e)
{
	int rc;

	b->json = memfd_create("report", MFD_CLOEXEC);
	if (b->json < 0)
		return err_errno(e, errno, "making a file in memory");
	if (b->dry_run)
		rc = confined(b, NULL, e);
	else
		rc = b->direct ? make_files(b, e) : make_target(b, e);
	if (rc == 0)
		rc = show_json(b, e);
	close(b->json);
	return rc;
}

int cmd_bootable(const struct cli_command *self, int argc, char **argv)
{
	struct bootable b = {.output = CLI_TEXT, .t = TARGET_INIT, .json = -1};
	struct err e;
	int status = parse_args(self, &b, argc, argv);

	if (status != 0)
		return status;
	return make(&b, &e) < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
