/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv bootable: the image of a bare partition, as Xen guests had, into a disk that boots. */
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/commands.h"
#include "imgconv/imgconv.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/stop.h"
#include "lib/str.h"

#define PIECE (4 * MIB)

struct bootable {
	const char *source_format, *format;
	const char *source, *target;
	struct boot_opts boot;
	bool dry_run, force;
	enum cli_output output;
};

enum {
	OPT_KERNEL = 256,
	OPT_INITRD,
	OPT_APPEND,
	OPT_DRY_RUN,
	OPT_FORCE,
};

static int parse_args(const struct cli_command *self, struct bootable *b, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{"output-format", required_argument, NULL, 'O'},
		{"output", required_argument, NULL, 'o'},
		{"kernel", required_argument, NULL, OPT_KERNEL},
		{"initrd", required_argument, NULL, OPT_INITRD},
		{"append", required_argument, NULL, OPT_APPEND},
		{"dry-run", no_argument, NULL, OPT_DRY_RUN},
		{"force", no_argument, NULL, OPT_FORCE},
		{NULL, 0, NULL, 0},
	};
	struct err e;
	int opt, wanted;

	while ((opt = cli_getopt(self, argc, argv, "f:O:o:", longopts)) != -1) {
		switch (opt) {
		case 'f':
			b->source_format = optarg;
			break;
		case 'O':
			b->format = optarg;
			break;
		case 'o':
			if (cli_output_parse(optarg, &b->output, &e) < 0)
				return cli_usage(self, "%s", e.msg);
			break;
		case OPT_KERNEL:
			b->boot.kernel = optarg;
			break;
		case OPT_INITRD:
			b->boot.initrd = optarg;
			break;
		case OPT_APPEND:
			b->boot.append = optarg;
			break;
		case OPT_DRY_RUN:
			b->dry_run = true;
			break;
		case OPT_FORCE:
			b->force = true;
			break;
		}
	}
	wanted = b->dry_run ? 1 : 2;
	if (argc - optind < wanted || argc - optind > 2)
		return cli_usage(self, b->dry_run ? "give a source" : "give a source and a target");
	b->source = argv[optind];
	b->target = argv[optind + 1];
	return 0;
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

static int copy_partition(struct image *src, struct image_writer *w, struct progress *p,
			  struct err *e)
{
	AUTO_FREE uint8_t *buf = malloc(PIECE);
	uint64_t off = 0;
	int rc = buf ? 0 : err_nomem(e);

	while (rc == 0 && off < image_size(src)) {
		struct extent x;
		size_t n;

		rc = stop_check(e);
		if (rc == 0)
			rc = image_next_extent(src, off, &x, e);
		if (rc)
			break;
		if (x.kind != EXTENT_DATA) {
			off += x.length;
			continue;
		}
		n = (size_t)MIN(x.length, PIECE);
		rc = image_pread(src, buf, n, off, e);
		if (rc == 0)
			rc = image_writer_write(w, buf, n, BOOT_PARTITION_START + off, e);
		off += n;
		progress_set(p, off);
	}
	return rc;
}

static int make_disk(const struct bootable *b, struct image *src, int fd, struct err *e)
{
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct progress *p;
	int rc = image_create(fd, b->target, b->format, boot_disk_size(image_size(src)), NULL, &w,
			      e);

	if (rc < 0)
		return rc;
	p = progress_start("copying the partition", image_size(src));
	rc = copy_partition(src, w, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return rc;
}

static int make_bootable(const struct bootable *b, int fd, struct boot_report *ret, struct err *e)
{
	struct image_open_opts o = {.format = b->format, .flags = IMAGE_RDWR};
	AUTO(image_close) struct image *disk = NULL;
	int own = dup(fd);
	int rc;

	if (own < 0)
		return err_errno(e, errno, "dup");
	rc = image_open_fd(own, b->target, &o, &disk, e);
	if (rc < 0) {
		close(own);
		return rc;
	}
	return boot_make(disk, &b->boot, ret, e);
}

static int run(struct bootable *b, struct boot_report *ret, struct err *e)
{
	struct image_open_opts o = {.format = b->source_format};
	AUTO(atomic_file_abort) struct atomic_file f = ATOMIC_FILE_INIT;
	AUTO(image_close) struct image *src = NULL;
	int rc = image_open(b->source, &o, &src, e);

	if (rc == 0)
		rc = check_source(src, e);
	if (rc == 0)
		rc = boot_plan(src, 0, image_size(src), &b->boot, ret, e);
	if (rc || b->dry_run)
		return rc;
	boot_report_release(ret);
	if (!b->format)
		b->format = image_format_name(src);
	ANALYZER_KNOWS(b->target);
	if (!b->force && access(b->target, F_OK) == 0)
		return err_set(e, EEXIST, "'%s' exists already; --force replaces it", b->target);
	rc = atomic_file_begin(&f, b->target, b->force ? 0 : FS_NO_REPLACE, e);
	if (rc == 0)
		rc = make_disk(b, src, f.fd, e);
	if (rc == 0)
		rc = make_bootable(b, f.fd, ret, e);
	return rc < 0 ? rc : atomic_file_commit(&f, fs_file_mode(), e);
}

static int show_json(const struct bootable *b, const struct boot_report *r, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "source", b->source);
	if (!b->dry_run)
		jsonw_string(&w, "target", b->target);
	jsonw_string(&w, "kernel", r->kernel);
	jsonw_string(&w, "initrd", r->initrd);
	jsonw_string(&w, "cmdline", r->cmdline);
	jsonw_string(&w, "found-by", r->source);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc < 0)
		return rc;
	printf("%s", buf_str(&out));
	return 0;
}

static int show_text(const struct boot_report *r, struct err *e)
{
	const char *const rows[][2] = {
		{"kernel", r->kernel},
		{"initrd", r->initrd ? r->initrd : "none"},
		{"command line", r->cmdline},
		{"found by", r->source},
	};

	ANALYZER_KNOWS(r->kernel && r->cmdline && r->source);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_BUF shown = BUF_INIT;

		if (str_escape(rows[i][1], strlen(rows[i][1]), SIZE_MAX, &shown) < 0)
			return err_nomem(e);
		printf("%-13s %s\n", rows[i][0], buf_str(&shown));
	}
	return 0;
}

int cmd_bootable(const struct cli_command *self, int argc, char **argv)
{
	AUTO(boot_report_release) struct boot_report r = {0};
	struct bootable b = {.output = CLI_TEXT};
	struct err e;
	int status = parse_args(self, &b, argc, argv);

	if (status != 0)
		return status;
	if (run(&b, &r, &e) < 0)
		return cli_fail(&e);
	if ((b.output == CLI_JSON ? show_json(&b, &r, &e) : show_text(&r, &e)) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
