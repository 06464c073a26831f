/* SPDX-License-Identifier: Apache-2.0 */
/* bundle open: a bundle becomes an image, in one pass and appearing complete or not at all. */
#include <inttypes.h>
#include <sys/stat.h>

#include "bundle/cmd.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/progress.h"

#define SECTOR 512 /* disks of formats other than raw are whole sectors */

struct open_args {
	struct bundle_args bundle;
	const char *output;
	const char *format;
	struct image_create_opts create;
	bool force;
};

static int write_image(const struct open_args *a, const struct manifest *m,
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
static int check_target(const struct open_args *a, struct err *e)
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

static int open_bundle(const struct open_args *a, struct err *e)
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

int cmd_open(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		BUNDLE_LONGOPTS,
		{"output-format", required_argument, NULL, 'O'},
		{"compress", no_argument, NULL, 'c'},
		{"force", no_argument, NULL, 'f'},
		{0},
	};
	struct open_args a = {.format = "raw"};
	struct err e = {0};
	int opt;

	bundle_args_init(&a.bundle);
	while ((opt = cli_getopt(self, argc, argv, BUNDLE_SHORTOPTS "O:cf", options)) != -1) {
		if (bundle_args_take(&a.bundle, opt, optarg))
			continue;
		if (opt == 'O')
			a.format = optarg;
		else if (opt == 'c')
			a.create.compression = IMAGE_COMPRESS_ZLIB;
		else
			a.force = true;
	}
	if (argc - optind != 2)
		return cli_usage(self, "MANIFEST and OUTPUT are needed");
	if (!a.bundle.key)
		return cli_usage(self, "a private key is needed: -k FILE");
	a.bundle.manifest = argv[optind];
	a.output = argv[optind + 1];
	if (!strcmp(a.output, "-"))
		return cli_usage(self, "the image is proven at its end only: it cannot go to '-'");
	if (open_bundle(&a, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
