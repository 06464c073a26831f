/* SPDX-License-Identifier: Apache-2.0 */
/* bundle create: an image in the form in which a cloud wants it. */
#include "bundle/cmd.h"
#include "bundle/make.h"
#include "imgconv/args.h"
#include "lib/str.h"

enum {
	OPT_FOR = 1024,
	OPT_EC2CERT,
	OPT_KERNEL,
	OPT_RAMDISK,
	OPT_KERNEL_NAME,
	OPT_PRODUCTCODES,
	OPT_TYPE,
	OPT_STYLE,
	OPT_DENSE,
	OPT_ONE_MEMBER,
	OPT_PART_SIZE,
	OPT_ENC_KEY,
	OPT_ENC_IV,
	OPT_FORCE_CREATE,
	OPT_CERT_CREATE,
	OPT_PROPERTY,
	OPT_CPUS,
	OPT_MEMORY,
	OPT_SIZE,
};

/* Options that are not for all formats: with another one they would be without effect. */
static const struct only_for {
	int opt;
	const char *name, *formats;
} only_for[] = {
	{'r', "--arch", "ec2, openstack, opennebula"},
	{'c', "--compress", "openstack, opennebula"},
	{OPT_DENSE, "--dense", "ec2, gce"},
	{OPT_PROPERTY, "--property", "ova, openstack, opennebula"},
	{OPT_CPUS, "--cpus", "ova, opennebula"},
	{OPT_MEMORY, "--memory", "ova, openstack, opennebula"},
	{'k', "--key", "ec2, ova"},
	{OPT_CERT_CREATE, "--cert", "ec2, ova"},
	{'u', "--user", "ec2"},
	{OPT_EC2CERT, "--ec2cert", "ec2"},
	{OPT_KERNEL, "--kernel", "ec2"},
	{OPT_RAMDISK, "--ramdisk", "ec2"},
	{'B', "--block-device-mapping", "ec2"},
	{OPT_PRODUCTCODES, "--productcodes", "ec2"},
	{OPT_TYPE, "--type", "ec2"},
	{OPT_KERNEL_NAME, "--kernel-name", "ec2"},
	{OPT_STYLE, "--style", "ec2"},
	{OPT_ONE_MEMBER, "--one-member", "ec2"},
	{OPT_PART_SIZE, "--part-size", "ec2"},
	{OPT_ENC_KEY, "--enc-key", "ec2"},
	{OPT_ENC_IV, "--enc-iv", "ec2"},
};

struct create {
	struct make_args make;
	bool given[ARRAY_SIZE(only_for)];
	const char *format;
	bool force;
	char *name; /* allocated */
};

/* "virtual=device,virtual=device", taken apart in place. */
static int add_mappings(struct make_args *m, char *text, struct err *e)
{
	for (char *rest = text, *pair; (pair = strsep(&rest, ","));) {
		char *equals = strchr(pair, '=');
		struct manifest_mapping *grown;

		if (!equals || equals == pair || !equals[1])
			return err_set(e, EINVAL, "'%s' is not of the form VIRTUAL=DEVICE", pair);
		*equals = '\0';
		grown = reallocarray(m->mappings, m->n_mappings + 1, sizeof(*grown));
		if (!grown)
			return err_nomem(e);
		m->mappings = grown;
		grown[m->n_mappings++] = (struct manifest_mapping){pair, equals + 1};
	}
	return 0;
}

static int add_product_codes(struct make_args *m, char *text, struct err *e)
{
	for (char *rest = text, *code; (code = strsep(&rest, ","));) {
		char **grown =
			reallocarray(m->product_codes, m->n_product_codes + 1, sizeof(*grown));

		if (!grown)
			return err_nomem(e);
		m->product_codes = grown;
		grown[m->n_product_codes++] = code;
	}
	return 0;
}

static int add_property(struct make_args *m, const char *text, struct err *e)
{
	const char **grown = reallocarray(m->properties, m->n_properties + 1, sizeof(*grown));

	if (!grown)
		return err_nomem(e);
	m->properties = grown;
	grown[m->n_properties++] = text;
	return 0;
}

static int take_option(struct create *c, int opt, char *arg, struct err *e)
{
	struct make_args *m = &c->make;
	uint64_t n = 0;
	int rc;

	switch (opt) {
	case OPT_FOR:
		c->format = arg;
		return 0;
	case 'f':
		m->open.format = arg;
		return 0;
	case 'j':
		rc = str_to_u64(arg, 1, 1024, &n, e);
		m->threads = (unsigned)n;
		return rc;
	case 'c':
		m->compress = true;
		return 0;
	case 'p':
		m->name = arg;
		return 0;
	case 'u':
		m->user = arg;
		return 0;
	case 'r':
		m->architecture = arg;
		return 0;
	case 'k':
		m->key = arg;
		return 0;
	case 'B':
		return add_mappings(m, arg, e);
	case OPT_CERT_CREATE:
		m->cert = arg;
		return 0;
	case OPT_EC2CERT:
		m->ec2_cert = arg;
		return 0;
	case OPT_KERNEL:
		m->kernel = arg;
		return 0;
	case OPT_RAMDISK:
		m->ramdisk = arg;
		return 0;
	case OPT_KERNEL_NAME:
		m->kernel_name = arg;
		return 0;
	case OPT_PRODUCTCODES:
		return add_product_codes(m, arg, e);
	case OPT_TYPE:
		if (strcmp(arg, "machine") != 0 && strcmp(arg, "kernel") != 0 &&
		    strcmp(arg, "ramdisk") != 0)
			return err_set(e, EINVAL,
				       "the type is machine, kernel or ramdisk, not '%s'", arg);
		m->type = arg;
		return 0;
	case OPT_STYLE:
		m->style = arg;
		return 0;
	case OPT_DENSE:
		m->dense = true;
		return 0;
	case OPT_ONE_MEMBER:
		m->one_member = true;
		return 0;
	case OPT_PART_SIZE:
		rc = str_to_size(arg, &m->part_size, e);
		/* Which would be the default. */
		return rc < 0 || m->part_size ? rc : err_set(e, EINVAL, "parts of 0 bytes");
	case OPT_ENC_KEY:
		m->enc_key = arg;
		return 0;
	case OPT_ENC_IV:
		m->enc_iv = arg;
		return 0;
	case OPT_PROPERTY:
		return add_property(m, arg, e);
	case OPT_CPUS:
		rc = str_to_u64(arg, 1, 1024, &n, e);
		m->cpus = (unsigned)n;
		return rc;
	case OPT_MEMORY:
		rc = str_to_size(arg, &m->memory, e);
		if (rc == 0 && (m->memory < MIB || m->memory % MIB))
			rc = err_set(e, EINVAL, "memory is whole MiB");
		return rc;
	case OPT_SIZE:
		return str_to_size(arg, &m->stream_size, e);
	case OPT_FORCE_CREATE:
		c->force = true;
		return 0;
	default:
		(void)open_args_take(&m->open, opt, arg);
		return 0;
	}
}

/* The file's name without its folder and its last suffix. */
static char *stem_of(const char *path)
{
	const char *name = path_base(path);
	const char *dot = strrchr(name, '.');

	return strndup(name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
}

static const char *from_environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* The disk's size stands in front of its bytes, in every format. */
static int check_pipe(const struct cli_command *self, const struct make_args *m)
{
	const char *format = m->open.format;
	bool is_raw = format && !strcmp(format, "raw");

	if (!format)
		return cli_usage(self, "name the format of what comes through the pipe with -f");
	if (image_format_options(format) && !image_format_streams(format))
		return cli_usage(self,
				 "%s images cannot be read from a pipe: they need to be read back "
				 "and forth",
				 format);
	if (is_raw && !m->stream_size)
		return cli_usage(self, "give the size of the disk in the pipe with --size: it "
				       "stands in front of the bytes in every format");
	if (!is_raw && m->stream_size)
		return cli_usage(self,
				 "a %s image says itself how large its disk is: give no "
				 "--size",
				 format);
	if (m->open.snapshot)
		return cli_usage(self, "what comes through a pipe has no snapshots");
	return 0;
}

/* Standard input in place of one image: a file, which is read like any other, or a pipe. */
static int take_stdin(const struct cli_command *self, struct create *c, char **images)
{
	static char path[] = "/dev/stdin";
	struct make_args *m = &c->make;
	bool seeks = lseek(STDIN_FILENO, 0, SEEK_CUR) >= 0;
	size_t n = 0;

	for (size_t i = 0; i < m->n_images; i++) {
		if (strcmp(images[i], MAKE_PIPE) != 0)
			continue;
		n++;
		if (seeks)
			images[i] = path;
	}
	m->pipe = n && !seeks;
	if (!m->pipe && m->stream_size)
		return cli_usage(self, "--size is for raw from a pipe");
	if (n && (m->open.flags || m->open.parent))
		return cli_usage(self, "no other image lies beside standard input");
	if (m->pipe && n > 1)
		return cli_usage(self, "a pipe can be read once");
	return m->pipe ? check_pipe(self, m) : 0;
}

/* 0, or an exit status. */
static int parse_args(const struct cli_command *self, struct create *c, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"for", required_argument, NULL, OPT_FOR},
		{"format", required_argument, NULL, 'f'},
		OPEN_LONGOPTS,
		{"threads", required_argument, NULL, 'j'},
		{"force", no_argument, NULL, OPT_FORCE_CREATE},
		{"property", required_argument, NULL, OPT_PROPERTY},
		{"cpus", required_argument, NULL, OPT_CPUS},
		{"memory", required_argument, NULL, OPT_MEMORY},
		{"size", required_argument, NULL, OPT_SIZE},
		{"prefix", required_argument, NULL, 'p'},
		{"compress", no_argument, NULL, 'c'},
		{"user", required_argument, NULL, 'u'},
		{"arch", required_argument, NULL, 'r'},
		{"key", required_argument, NULL, 'k'},
		{"cert", required_argument, NULL, OPT_CERT_CREATE},
		{"ec2cert", required_argument, NULL, OPT_EC2CERT},
		{"kernel", required_argument, NULL, OPT_KERNEL},
		{"ramdisk", required_argument, NULL, OPT_RAMDISK},
		{"kernel-name", required_argument, NULL, OPT_KERNEL_NAME},
		{"block-device-mapping", required_argument, NULL, 'B'},
		{"productcodes", required_argument, NULL, OPT_PRODUCTCODES},
		{"type", required_argument, NULL, OPT_TYPE},
		{"style", required_argument, NULL, OPT_STYLE},
		{"dense", no_argument, NULL, OPT_DENSE},
		{"one-member", no_argument, NULL, OPT_ONE_MEMBER},
		{"part-size", required_argument, NULL, OPT_PART_SIZE},
		{"enc-key", required_argument, NULL, OPT_ENC_KEY},
		{"enc-iv", required_argument, NULL, OPT_ENC_IV},
		{0},
	};
	struct err e = {0};
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "f:j:p:cu:r:k:B:", longopts)) != -1) {
		if (take_option(c, opt, optarg, &e) < 0)
			return cli_usage(self, "%s", e.msg);
		for (size_t i = 0; i < ARRAY_SIZE(only_for); i++)
			c->given[i] = c->given[i] || opt == only_for[i].opt;
	}
	if (argc - optind < 2)
		return cli_usage(self, "IMAGE and OUTPUT are needed");
	if (!strcmp(argv[argc - 1], "-"))
		return cli_usage(self, "what is made has its sizes in front: it cannot go to '-'");
	c->make.images = argv + optind;
	c->make.n_images = (size_t)(argc - optind - 1);
	c->make.output = argv[argc - 1];
	return take_stdin(self, c, argv + optind);
}

/* Keys and numbers of an EC2 account are for nothing else. */
static void ec2_environment(struct make_args *m)
{
	m->key = m->key ? m->key : from_environment("EC2_PRIVATE_KEY");
	m->cert = m->cert ? m->cert : from_environment("EC2_CERT");
	m->ec2_cert = m->ec2_cert ? m->ec2_cert : from_environment("EUCALYPTUS_CERT");
	m->user = m->user ? m->user : from_environment("EC2_USER_ID");
}

static int create(const struct cli_command *self, struct create *c)
{
	const struct bundle_format *f = c->format ? bundle_format_by_name(c->format) : NULL;
	struct err e = {0};
	int rc;

	if (!c->format)
		return cli_usage(self, "for which cloud is it? --for FORMAT");
	if (!f)
		return cli_usage(self, "'%s' is no delivery format", c->format);
	if (c->make.n_images > f->most_images)
		return cli_usage(self, "%s takes %zu image%s, not %zu", f->name, f->most_images,
				 f->most_images == 1 ? "" : "s", c->make.n_images);
	for (size_t i = 0; i < ARRAY_SIZE(only_for); i++) {
		if (c->given[i] && !strstr(only_for[i].formats, f->name))
			return cli_usage(self, "%s is for %s", only_for[i].name,
					 only_for[i].formats);
	}
	if (f == &bundle_format_ec2)
		ec2_environment(&c->make);
	if (!c->make.name) {
		const char *first = c->make.pipe ? "stdin" : c->make.images[0];

		c->name = stem_of(f->is_folder ? first : c->make.output);
		c->make.name = c->name;
	}
	rc = c->make.name ? make_delivery(f, &c->make, c->force, &e) : err_nomem(&e);
	return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}

int cmd_create(const struct cli_command *self, int argc, char **argv)
{
	struct create c = {0};
	int status = parse_args(self, &c, argc, argv);

	if (status == 0)
		status = create(self, &c);
	free(c.make.mappings);
	free(c.make.product_codes);
	free(c.make.properties);
	free(c.name);
	return status;
}
