/* SPDX-License-Identifier: Apache-2.0 */
/* catalog import: the main job. */
#include <stdio.h>

#include "catalog/commands.h"
#include "catalog/import.h"
#include "catalog/parse.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/stop.h"
#include "lib/str.h"

#define OVERLAYS_MAX 64
#define WORKERS_MAX 64
#define SECONDS_MAX 4000000
#define RECORD_LIMIT (1u << 20)

struct args {
	struct cloud_options cloud;
	struct import_opts import;
	const char *overlays[OVERLAYS_MAX];
	const char *store_dir;
	enum cli_output output;
};

enum {
	OPT_NAME = OPT_OTHER,
	OPT_PRIVATE_KEY,
	OPT_CERT,
	OPT_REQUIRE_SIGNATURE,
	OPT_INJECT_CTXD,
	OPT_OVERLAY,
	OPT_NO_BOOTABLE,
	OPT_COMPRESS,
	OPT_MAX_OUTPUT,
	OPT_DIGEST,
	OPT_WORKERS,
	OPT_COPY,
	OPT_TIMEOUT,
	OPT_ATTEMPT_TIMEOUT,
};

static int take_digest(struct args *a, const char *text, struct err *e)
{
	char hex[2 * DIGEST_MAX + 1];
	enum digest_kind kind;

	a->import.digest = text;
	return digest_text_parse(text, &kind, hex, e);
}

/* Returns 0 or a negative errno for a value that is wrong. */
static int take_option(struct args *a, int opt, struct err *e)
{
	uint64_t n;
	int rc;

	switch (opt) {
	case OPT_NAME:
		a->import.name = optarg;
		return 0;
	case OPT_PRIVATE_KEY:
		a->import.private_key = optarg;
		return 0;
	case OPT_CERT:
		a->import.certificate = optarg;
		return 0;
	case OPT_REQUIRE_SIGNATURE:
		a->import.require_signature = true;
		return 0;
	case OPT_INJECT_CTXD:
		a->import.inject_ctxd = true;
		return 0;
	case OPT_OVERLAY:
		if (a->import.n_overlays == OVERLAYS_MAX)
			return err_set(e, E2BIG, "too many overlays");
		a->overlays[a->import.n_overlays++] = optarg;
		return 0;
	case OPT_NO_BOOTABLE:
		a->import.bootable = false;
		return 0;
	case OPT_COMPRESS:
		if (strcmp(optarg, "zlib") == 0)
			a->import.disk.compression = IMAGE_COMPRESS_ZLIB;
		else if (strcmp(optarg, "zstd") == 0)
			a->import.disk.compression = IMAGE_COMPRESS_ZSTD;
		else
			return err_set(e, EINVAL, "compression '%s' is neither zlib nor zstd",
				       optarg);
		return 0;
	case OPT_MAX_OUTPUT:
		rc = str_to_size(optarg, &n, e);
		if (rc == 0)
			a->import.disk.max_data = MAX(n, UINT64_C(1));
		return rc;
	case OPT_DIGEST:
		return take_digest(a, optarg, e);
	case OPT_WORKERS:
		rc = str_to_u64(optarg, 1, WORKERS_MAX, &n, e);
		if (rc == 0)
			a->import.workers = (unsigned)n;
		return rc;
	case OPT_COPY:
		a->import.copy = true;
		return 0;
	case OPT_TIMEOUT:
		rc = str_to_u64(optarg, 1, SECONDS_MAX, &n, e);
		if (rc == 0)
			stop_after((unsigned)n);
		return rc;
	case OPT_ATTEMPT_TIMEOUT:
		rc = str_to_u64(optarg, 1, SECONDS_MAX / 1000, &n, e);
		if (rc == 0)
			a->cloud.attempt_timeout_s = (unsigned)n;
		return rc;
	case OPT_STORE:
		a->store_dir = optarg;
		return 0;
	default:
		return cli_output_parse(optarg, &a->output, e);
	}
}

static int print_record(const struct store *store, const char *name, struct err *e)
{
	AUTO_FREE char *path = NULL;
	AUTO_BUF text = BUF_INIT;
	int rc = store_file(store, name, STORE_RECORD, &path, e);

	if (rc == 0)
		rc = fs_read_file(path, RECORD_LIMIT, &text, e);
	if (rc == 0)
		fwrite(text.data, 1, text.len, stdout);
	return rc;
}

static int run(struct args *a, struct err *e)
{
	AUTO(store_free) struct store *store = NULL;
	AUTO(catalog_close) struct catalog c = {0};
	AUTO_FREE char *path = NULL, *name = NULL;
	int rc = store_open(a->store_dir, &store, e);

	if (rc == 0)
		rc = catalog_open(&a->cloud, &c, e);
	if (rc == 0)
		rc = import_image(&c, store, &a->import, &name, e);
	if (rc == 0)
		rc = store_file(store, name, STORE_DISK, &path, e);
	if (rc < 0)
		return rc;
	log_info("image '%s' is in the store: %s", name, path);
	return a->output == CLI_JSON ? print_record(store, name, e) : 0;
}

const char cmd_import_help[] =
	"      --name NAME             name in the store (default: by its id)\n"
	"      --private-key FILE      opens EC2 bundles (PEM; default $EC2_PRIVATE_KEY)\n"
	"      --cert FILE             checks a bundle's signature (default $EC2_CERT)\n"
	"      --require-signature     refuse a bundle whose signature is not checked\n"
	"      --inject-ctxd           put ctxd into the guest: a context ISO is enough then\n"
	"      --overlay DIR|TAR       lay files over the guest's root; repeatable\n"
	"      --no-bootable           leave a bare partition without a boot loader\n"
	"      --compress zlib|zstd    compress the disk (not resumable in parts)\n"
	"      --max-output SIZE       of data in the disk (default of a file: 200 times its "
	"size)\n"
	"      --digest KIND:HEX       of a file, whatever is told of it (sha256:...)\n"
	"      --copy                  copy an AMI that cannot be read otherwise; the copy is\n"
	"                              removed at the end\n"
	"      --workers N             parallel downloads\n"
	"      --timeout SECONDS       of all of it; what was fetched is kept\n"
	"      --attempt-timeout SECONDS\n"
	"                              of one request\n"
	"  -o, --output text|json      print the image's record\n" CLOUD_HELP STORE_HELP;

int cmd_import(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		CLOUD_OPTIONS,
		STORE_OPTION,
		{"name", required_argument, NULL, OPT_NAME},
		{"private-key", required_argument, NULL, OPT_PRIVATE_KEY},
		{"cert", required_argument, NULL, OPT_CERT},
		{"require-signature", no_argument, NULL, OPT_REQUIRE_SIGNATURE},
		{"inject-ctxd", no_argument, NULL, OPT_INJECT_CTXD},
		{"overlay", required_argument, NULL, OPT_OVERLAY},
		{"no-bootable", no_argument, NULL, OPT_NO_BOOTABLE},
		{"compress", required_argument, NULL, OPT_COMPRESS},
		{"max-output", required_argument, NULL, OPT_MAX_OUTPUT},
		{"digest", required_argument, NULL, OPT_DIGEST},
		{"workers", required_argument, NULL, OPT_WORKERS},
		{"copy", no_argument, NULL, OPT_COPY},
		{"timeout", required_argument, NULL, OPT_TIMEOUT},
		{"attempt-timeout", required_argument, NULL, OPT_ATTEMPT_TIMEOUT},
		{"output", required_argument, NULL, 'o'},
		{0},
	};
	struct args a = {.import.bootable = true};
	struct err e;
	int opt;

	a.import.private_key = env_or("EC2_PRIVATE_KEY", "EUCA_PRIVATE_KEY");
	a.import.certificate = env_or("EC2_CERT", "EUCA_CERT");
	a.import.overlays = a.overlays;
	while ((opt = cli_getopt(self, argc, argv, "o:", longopts)) >= 0) {
		if (!cloud_option(&a.cloud, opt) && take_option(&a, opt, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (optind + 1 != argc)
		return cli_usage(self, "one image is expected");
	a.import.id = argv[optind];
	if (run(&a, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
