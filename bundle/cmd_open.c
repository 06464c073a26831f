/* SPDX-License-Identifier: Apache-2.0 */
/* bundle open: a bundle becomes an image, in one pass and appearing complete or not at all. */
#include <inttypes.h>
#include <sys/stat.h>

#include "bundle/cmd.h"
#include "bundle/open.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/progress.h"
#include "lib/str.h"

#define SECTOR 512 /* disks of formats other than raw are whole sectors */

enum {
	OPT_DISK = 1024,
	OPT_MAX_OUTPUT
};

struct ec2_args {
	struct bundle_args bundle;
	const char *output;
	const char *format;
	struct image_create_opts create;
	bool force;
};

static int write_image(const struct ec2_args *a, const struct manifest *m,
		       const struct bundle_secret *secret, struct part_source *src, int fd,
		       struct err *e)
{
	AUTO(image_writer_free) struct image_writer *w = NULL;
	uint64_t size = strcmp(a->format, "raw") ? round_up(m->size, SECTOR) : m->size;
	struct bundle_writer to = {0};
	struct bundle_sink sink;
	struct progress *p;
	int rc = image_create(fd, a->output, a->format, size, &a->create, &w, e);

	if (rc < 0)
		return rc;
	to.w = w;
	sink = bundle_sink_to_writer(&to);
	p = progress_start("opening", m->bundled_size);
	rc = bundle_ec2_open(m, secret, src, &sink, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return rc;
}

/* A target that stands is replaced only by --force, and only if it is a file. */
static int check_target(const struct ec2_args *a, struct err *e)
{
	struct stat st;

	if (lstat(a->output, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "'%s'", a->output);
	if (!a->force)
		return err_set(e, EEXIST, "'%s' exists; --force replaces it", a->output);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EEXIST, "'%s' is no regular file: not replaced", a->output);
	return 0;
}

static mode_t file_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

static int open_bundle(const struct ec2_args *a, struct err *e)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	AUTO(bundle_secret_wipe) struct bundle_secret secret = {0};
	AUTO(atomic_file_abort) struct atomic_file f = ATOMIC_FILE_INIT;
	AUTO(part_source_dir_free) struct part_source src = {0};
	const char *signer = NULL;
	int rc = check_target(a, e);

	if (rc == 0)
		rc = manifest_read(a->bundle.manifest, &m, e);
	if (rc == 0)
		rc = bundle_unlock(&a->bundle, m, &secret, &signer, e);
	if (rc == 0)
		rc = bundle_parts(&a->bundle, m, &src, e);
	if (rc == 0)
		rc = atomic_file_begin(&f, a->output, a->force ? 0 : FS_NO_REPLACE, e);
	if (rc == 0)
		rc = write_image(a, m, &secret, &src, f.fd, e);
	if (rc == 0)
		rc = atomic_file_commit(&f, file_mode(), e);
	if (rc < 0 || !m)
		return rc;
	log_info("'%s': %" PRIu64 " bytes, %s%s%s%s", a->output, m->size, a->format,
		 signer ? ", signed by '" : "", signer ? signer : "", signer ? "'" : "");
	return 0;
}

/* 0, or an exit status. */
static int parse_args(const struct cli_command *self, struct ec2_args *a, struct open_args *o,
		      int argc, char **argv)
{
	static const struct option options[] = {
		BUNDLE_LONGOPTS,
		{"output-format", required_argument, NULL, 'O'},
		{"compress", no_argument, NULL, 'c'},
		{"force", no_argument, NULL, 'f'},
		{"disk", required_argument, NULL, OPT_DISK},
		{"max-output", required_argument, NULL, OPT_MAX_OUTPUT},
		{0},
	};
	struct err e = {0};
	uint64_t n = 0;
	int opt, rc = 0;

	while ((opt = cli_getopt(self, argc, argv, BUNDLE_SHORTOPTS "O:cf", options)) != -1) {
		if (bundle_args_take(&a->bundle, opt, optarg))
			continue;
		if (opt == 'O')
			a->format = optarg;
		else if (opt == 'c')
			a->create.compression = IMAGE_COMPRESS_ZLIB;
		else if (opt == 'f')
			a->force = true;
		else if (opt == OPT_MAX_OUTPUT)
			rc = str_to_size(optarg, &o->max_output, &e);
		else
			rc = str_to_u64(optarg, 1, 4096, &n, &e);
		if (rc < 0)
			return cli_usage(self, "%s", e.msg);
	}
	o->disk = (unsigned)n;
	if (argc - optind != 2)
		return cli_usage(self, "BUNDLE and OUTPUT are needed");
	a->bundle.manifest = o->input = argv[optind];
	a->output = o->output = argv[optind + 1];
	o->output_format = a->format;
	o->create = a->create;
	o->replace = a->force;
	if (image_format_options(a->format) && image_create_check(a->format, &a->create, &e) < 0)
		return cli_usage(self, "%s", e.msg);
	if (!strcmp(a->output, "-"))
		return cli_usage(self, "the image is proven at its end only: it cannot go to '-'");
	return 0;
}

int cmd_open(const struct cli_command *self, int argc, char **argv)
{
	struct ec2_args a = {.format = "raw"};
	struct open_args o = {.max_output = UINT64_MAX};
	struct err e = {0};
	bool taken = false;
	int rc;

	bundle_args_init(&a.bundle);
	rc = parse_args(self, &a, &o, argc, argv);
	if (rc)
		return rc;
	rc = open_delivery(&o, OPEN_IMAGE, &taken, &e);
	if (rc == 0 && !taken) {
		if (!a.bundle.key)
			return cli_usage(self, "a private key is needed: -k FILE");
		rc = open_bundle(&a, &e);
	}
	return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
