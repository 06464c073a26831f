/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle migrate: a new manifest for the same parts, with other kernel ids, for other keys, signed
 * anew. The parts are neither read nor changed.
 */
#include "bundle/cmd.h"
#include "lib/fs.h"

enum {
	OPT_SIGNED_BY = 1024,
	OPT_USER_CERT,
	OPT_EC2CERT,
	OPT_KERNEL,
	OPT_RAMDISK,
	OPT_STYLE,
	OPT_SIGNER,
	OPT_REQUIRE,
	OPT_IGNORE,
};

struct migrate {
	struct bundle_args from; /* cert: the signer's */
	const char *user_cert, *ec2_cert, *kernel, *ramdisk, *signer;
	enum bundle_style style;
	const char *output;
	bool force;
};

/* Encrypts anew for whom there is a certificate; what the others had stays. */
static int seal_anew(const struct migrate *g, const struct bundle_secret *secret,
		     struct manifest *m, struct err *e)
{
	char *user_key = g->user_cert ? NULL : STEAL(m->user_key);
	char *user_iv = g->user_cert ? NULL : STEAL(m->user_iv);
	char *ec2_key = g->ec2_cert ? NULL : STEAL(m->ec2_key);
	char *ec2_iv = g->ec2_cert ? NULL : STEAL(m->ec2_iv);
	int rc = manifest_seal(m, secret, g->user_cert, g->ec2_cert, e);

	if (!g->user_cert) {
		m->user_key = user_key;
		m->user_iv = user_iv;
	}
	if (!g->ec2_cert) {
		m->ec2_key = ec2_key;
		m->ec2_iv = ec2_iv;
	}
	return rc;
}

static int change(const struct migrate *g, const struct bundle_secret *secret, struct manifest *m,
		  struct buf *out, struct err *e)
{
	int rc = g->kernel ? manifest_set_kernel(m, g->kernel, e) : 0;

	if (rc == 0 && g->ramdisk)
		rc = manifest_set_ramdisk(m, g->ramdisk, e);
	if (rc == 0 && !m->architecture && (m->kernel_id || m->ramdisk_id))
		rc = err_set(e, ENOTSUP, "a manifest of this age says nothing about the machine");
	if (rc == 0)
		rc = seal_anew(g, secret, m, e);
	return rc < 0 ? rc
		      : manifest_write(m, g->style, g->signer ? g->signer : g->from.key, out, e);
}

static int save(const struct migrate *g, const struct buf *text, struct err *e)
{
	AUTO(atomic_file_abort) struct atomic_file f = ATOMIC_FILE_INIT;
	int rc;

	if (!strcmp(g->output, "-"))
		return fs_write(STDOUT_FILENO, text->data, text->len, e);
	rc = atomic_file_begin(&f, g->output, g->force ? 0 : FS_NO_REPLACE, e);
	if (rc == 0)
		rc = fs_write(f.fd, text->data, text->len, e);
	return rc < 0 ? rc : atomic_file_commit(&f, fs_file_mode(), e);
}

static int migrate(const struct migrate *g, struct err *e)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	AUTO(bundle_secret_wipe) struct bundle_secret secret = {0};
	AUTO_BUF out = BUF_INIT;
	const struct keyring keys = keyring_here(&g->from);
	const char *signer = NULL;
	int rc = manifest_read(g->from.manifest, &m, e);

	if (rc == 0)
		rc = bundle_unlock(&g->from, &keys, m, &secret, &signer, e);
	if (rc == 0)
		rc = change(g, &secret, m, &out, e);
	return rc < 0 ? rc : save(g, &out, e);
}

/* 0, or an exit status. */
static int take_option(const struct cli_command *self, struct migrate *g, int opt, const char *arg)
{
	switch (opt) {
	case 'k':
		g->from.key = arg;
		return 0;
	case OPT_SIGNED_BY:
		g->from.cert = arg;
		return 0;
	case OPT_REQUIRE:
		g->from.require_signature = true;
		return 0;
	case OPT_IGNORE:
		g->from.ignore_signature = true;
		return 0;
	case OPT_USER_CERT:
		g->user_cert = arg;
		return 0;
	case OPT_EC2CERT:
		g->ec2_cert = arg;
		return 0;
	case OPT_KERNEL:
		g->kernel = arg;
		return 0;
	case OPT_RAMDISK:
		g->ramdisk = arg;
		return 0;
	case OPT_SIGNER:
		g->signer = arg;
		return 0;
	case 'f':
		g->force = true;
		return 0;
	default:
		break;
	}
	if (!strcmp(arg, "amazon"))
		g->style = BUNDLE_STYLE_AMAZON;
	else if (!strcmp(arg, "euca2ools"))
		g->style = BUNDLE_STYLE_EUCA2OOLS;
	else
		return cli_usage(self, "the style is 'amazon' or 'euca2ools', not '%s'", arg);
	return 0;
}

int cmd_migrate(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"key", required_argument, NULL, 'k'},
		{"signed-by", required_argument, NULL, OPT_SIGNED_BY},
		{"require-signature", no_argument, NULL, OPT_REQUIRE},
		{"ignore-signature", no_argument, NULL, OPT_IGNORE},
		{"cert", required_argument, NULL, OPT_USER_CERT},
		{"ec2cert", required_argument, NULL, OPT_EC2CERT},
		{"kernel", required_argument, NULL, OPT_KERNEL},
		{"ramdisk", required_argument, NULL, OPT_RAMDISK},
		{"signer", required_argument, NULL, OPT_SIGNER},
		{"style", required_argument, NULL, OPT_STYLE},
		{"force", no_argument, NULL, 'f'},
		{0},
	};
	struct migrate g = {0};
	struct err e = {0};
	int opt;

	bundle_args_init(&g.from);
	g.from.cert = NULL;
	while ((opt = cli_getopt(self, argc, argv, "k:f", options)) != -1) {
		int status = take_option(self, &g, opt, optarg);

		if (status)
			return status;
	}
	if (bundle_args_check(self, &g.from))
		return EXIT_USAGE;
	if (argc - optind != 2)
		return cli_usage(self, "MANIFEST and OUTPUT are needed");
	if (!g.from.key)
		return cli_usage(self, "a private key is needed: -k FILE");
	g.from.manifest = argv[optind];
	g.output = argv[optind + 1];
	if (migrate(&g, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
