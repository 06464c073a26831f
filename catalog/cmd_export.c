/* SPDX-License-Identifier: Apache-2.0 */
/* catalog export: an image of the store goes to a cloud, or into a file. */
#include <stdio.h>

#include "catalog/commands.h"
#include "catalog/export.h"
#include "lib/log.h"
#include "lib/str.h"

#define WORKERS_MAX 64

enum {
	OPT_TO = OPT_OTHER,
	OPT_FORMAT,
	OPT_COMPRESS,
	OPT_DESCRIPTION,
	OPT_ARCHITECTURE,
	OPT_BOOT_MODE,
	OPT_PARENT,
	OPT_BUNDLE,
	OPT_PRIVATE_KEY,
	OPT_CERT,
	OPT_EC2_CERT,
	OPT_USER,
	OPT_ACL,
	OPT_NO_REGISTER,
	OPT_FORCE,
	OPT_WORKERS,
};

struct args {
	struct cloud_options cloud;
	struct session session;
	struct export_opts export;
	const char *private_key, *certificate;
	const struct export_type *type;
	const char *store_dir;
	enum cli_output output;
};

static int take_workers(struct args *a, struct err *e)
{
	uint64_t n;
	int rc = str_to_u64(optarg, 1, WORKERS_MAX, &n, e);

	if (rc == 0)
		a->export.workers = (unsigned)n;
	return rc;
}

static int take_compression(struct args *a, struct err *e)
{
	if (strcmp(optarg, "zlib") == 0)
		a->export.compression = IMAGE_COMPRESS_ZLIB;
	else if (strcmp(optarg, "zstd") == 0)
		a->export.compression = IMAGE_COMPRESS_ZSTD;
	else
		return err_set(e, EINVAL, "compression '%s' is neither zlib nor zstd", optarg);
	return 0;
}

/* Options that are texts. False: opt is none. */
static bool take_text(struct args *a, int opt)
{
	const struct {
		int opt;
		const char **where;
	} texts[] = {
		{OPT_STORE, &a->store_dir},
		{OPT_FORMAT, &a->export.format},
		{OPT_DESCRIPTION, &a->export.description},
		{OPT_ARCHITECTURE, &a->export.architecture},
		{OPT_BOOT_MODE, &a->export.boot_mode},
		{OPT_PARENT, &a->export.parent},
		{OPT_BUNDLE, &a->export.bundle},
		{OPT_PRIVATE_KEY, &a->private_key},
		{OPT_CERT, &a->certificate},
		{OPT_EC2_CERT, &a->export.ec2_cert},
		{OPT_USER, &a->export.user},
		{OPT_ACL, &a->export.acl},
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (texts[i].opt == opt) {
			*texts[i].where = optarg;
			return true;
		}
	}
	return false;
}

static int take_option(struct args *a, int opt, struct err *e)
{
	if (cloud_option(&a->cloud, opt) || take_text(a, opt))
		return 0;
	switch (opt) {
	case OPT_TO:
		a->type = export_find_type(optarg);
		return a->type ? 0
			       : err_set(e, EINVAL,
					 "target '%s' is not one of ec2, s3, glance, file", optarg);
	case OPT_COMPRESS:
		return take_compression(a, e);
	case OPT_NO_REGISTER:
		a->export.no_register = true;
		return 0;
	case OPT_FORCE:
		a->export.replace = true;
		return 0;
	case OPT_WORKERS:
		return take_workers(a, e);
	default:
		return cli_output_parse(optarg, &a->output, e);
	}
}

static int print_json(const struct args *a, const struct export_report *r, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "name", a->export.image);
	jsonw_string(&w, "target", a->type->name);
	jsonw_string(&w, "location", r->location);
	jsonw_string(&w, "image", r->image);
	jsonw_array(&w, "snapshots");
	for (size_t i = 0; i < r->n_snapshots; i++)
		jsonw_string(&w, NULL, r->snapshots[i]);
	jsonw_close(&w);
	jsonw_u64(&w, "sent-bytes", r->sent);
	jsonw_u64(&w, "resumed-bytes", r->resumed);
	jsonw_u64(&w, "parent-bytes", r->same);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fwrite(text.data, 1, text.len, stdout);
	return rc;
}

/* The one line that a script wants: what the new thing is called. */
static void print_text(const struct export_report *r)
{
	if (r->image)
		printf("%s\n", r->image);
	for (size_t i = 0; !r->image && i < r->n_snapshots; i++)
		printf("%s\n", r->snapshots[i]);
	if (!r->image && !r->n_snapshots && r->location)
		printf("%s\n", r->location);
}

static bool fits(const struct source *src, const struct source_type *cloud)
{
	return src->type == cloud || (src->type->aws && cloud->aws);
}

/* The cloud of the source that was named, else the one that environment and options tell. */
static int open_cloud(struct args *a, struct catalog *c, struct source **ret_source, struct err *e)
{
	const struct source *src;
	int rc;

	if (a->cloud.source) {
		rc = catalog_open(&a->cloud, c, e);
		if (rc < 0)
			return rc;
		src = config_find(c->config, a->cloud.source);
		if (!src || !fits(src, a->type->cloud))
			return err_set(e, EINVAL, "the source '%s' is not of %s", a->cloud.source,
				       a->type->cloud->name);
	} else {
		rc = source_new(a->type->cloud->name, a->type->cloud, ret_source, e);
		if (rc < 0)
			return rc;
		src = *ret_source;
	}
	return session_open(&a->cloud, src, &a->session, e);
}

static int export(struct args *a, struct err *e)
{
	AUTO(source_free) struct source *own = NULL;
	AUTO(catalog_close) struct catalog catalog = {0};
	AUTO(export_source_release) struct export_source x = {0};
	AUTO(export_report_release) struct export_report report = {0};
	AUTO(store_free) struct store *store = NULL;
	int rc = store_open(a->store_dir, &store, e);

	if (rc == 0)
		rc = export_source_open(store, &a->export, &x, e);
	if (rc == 0 && a->type->cloud)
		rc = open_cloud(a, &catalog, &own, e);
	a->session.workers = a->export.workers;
	a->session.private_key = a->private_key;
	a->session.certificate = a->certificate;
	if (rc == 0)
		rc = a->type->run(&a->session, &x, &report, e);
	session_close(&a->session);
	/* What was made before it failed is there, and may cost something. */
	for (size_t i = 0; rc < 0 && i < report.n_snapshots; i++)
		log_warn("the snapshot '%s' was made", report.snapshots[i]);
	if (rc < 0)
		return rc;
	if (a->output == CLI_JSON)
		return print_json(a, &report, e);
	print_text(&report);
	return 0;
}

const char cmd_export_help[] =
	"      --to ec2|s3|glance|file where to; NAME is the new image's there\n"
	"      --format FMT            of an image file (default: qcow2)\n"
	"      --compress zlib|zstd    compress the image file\n"
	"      --description TEXT\n"
	"      --architecture ARCH     x86_64 or arm64, in place of what is known\n"
	"      --boot-mode MODE        ec2: legacy-bios, uefi, uefi-preferred\n"
	"      --parent SNAPSHOT       ec2: send only what differs from a snapshot made before\n"
	"      --bundle URL            ec2: a bundle at s3://BUCKET[/PREFIX], not a snapshot\n"
	"      --private-key FILE      signs the bundle (PEM; default $EC2_PRIVATE_KEY)\n"
	"      --cert FILE             whose owner can open the bundle (default $EC2_CERT)\n"
	"      --ec2cert FILE          the cloud's certificate, so that it can\n"
	"      --user ACCOUNT          number of the bundle's account (default $EC2_USER_ID)\n"
	"      --acl ACL               canned ACL in S3, or none (default of bundles:\n"
	"                              aws-exec-read)\n"
	"      --no-register           the snapshot or bundle alone, no AMI\n"
	"      --force                 replace a file or object that is there\n"
	"      --workers N             parallel uploads\n"
	"      --profile NAME          profile of the AWS configuration files\n"
	"      --region NAME           region to send it to\n"
	"      --endpoint-url URL      a compatible cloud's endpoint, for every service\n"
	"      --source NAME           the cloud of that source (catalog source list)\n"
	"  -o, --output text|json\n" STORE_HELP;

int cmd_export(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"profile", required_argument, NULL, OPT_PROFILE},
		{"region", required_argument, NULL, OPT_REGION},
		{"endpoint-url", required_argument, NULL, OPT_ENDPOINT},
		{"source", required_argument, NULL, OPT_SOURCE},
		STORE_OPTION,
		{"to", required_argument, NULL, OPT_TO},
		{"format", required_argument, NULL, OPT_FORMAT},
		{"compress", required_argument, NULL, OPT_COMPRESS},
		{"description", required_argument, NULL, OPT_DESCRIPTION},
		{"architecture", required_argument, NULL, OPT_ARCHITECTURE},
		{"boot-mode", required_argument, NULL, OPT_BOOT_MODE},
		{"parent", required_argument, NULL, OPT_PARENT},
		{"bundle", required_argument, NULL, OPT_BUNDLE},
		{"private-key", required_argument, NULL, OPT_PRIVATE_KEY},
		{"cert", required_argument, NULL, OPT_CERT},
		{"ec2cert", required_argument, NULL, OPT_EC2_CERT},
		{"user", required_argument, NULL, OPT_USER},
		{"acl", required_argument, NULL, OPT_ACL},
		{"no-register", no_argument, NULL, OPT_NO_REGISTER},
		{"force", no_argument, NULL, OPT_FORCE},
		{"workers", required_argument, NULL, OPT_WORKERS},
		{"output", required_argument, NULL, 'o'},
		{0},
	};
	struct args a = {.output = CLI_TEXT};
	struct err e;
	int opt;

	a.private_key = env_or("EC2_PRIVATE_KEY", "EUCA_PRIVATE_KEY");
	a.certificate = env_or("EC2_CERT", "EUCA_CERT");
	while ((opt = cli_getopt(self, argc, argv, "o:", longopts)) >= 0) {
		if (take_option(&a, opt, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (!a.type)
		return cli_usage(self, "--to is expected: ec2, s3, glance or file");
	if (optind == argc || argc - optind > 2)
		return cli_usage(self, "an image is expected, and maybe what it is to be called");
	a.export.image = argv[optind];
	a.export.dest = optind + 1 < argc ? argv[optind + 1] : NULL;
	if (export_check(a.type, &a.export, &e) < 0)
		return cli_usage(self, "%s", e.msg);
	if (export(&a, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
