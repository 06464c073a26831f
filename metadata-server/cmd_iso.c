/* SPDX-License-Identifier: Apache-2.0 */
/* metadata-server iso: an instance as the image that a cloud without this service hands over. */
#include "context/imds.h"
#include "context/iso.h"
#include "context/opennebula.h"
#include "lib/cli.h"
#include "lib/log.h"
#include "metadata-server/commands.h"

/* The image's one file: its name and its bytes. */
static int build_opennebula(const struct context *c, const char *out, const char *volume_id,
			    struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct iso_file file = {.name = OPENNEBULA_FILE};
	int rc = opennebula_write(c, &text, e);

	if (rc < 0)
		return rc;
	file.data = text.data;
	file.len = text.len;
	return iso_write(out, volume_id ? volume_id : OPENNEBULA_VOLUME_ID, &file, 1, e);
}

/* In the order in which --help names them; the first is the default. */
static const struct iso_kind {
	const char *name;
	int (*build)(const struct context *c, const char *out, const char *volume_id,
		     struct err *e);
} kinds[] = {
	{"opennebula", build_opennebula},
};

static const struct iso_kind *find_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	return NULL;
}

static void report(void *arg, const struct err *e)
{
	bool *reported = arg;

	*reported = true;
	log_err("%s", e->msg);
}

int cmd_iso(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"kind", required_argument, NULL, 'k'},
		{"volume-id", required_argument, NULL, 'V'},
		{0},
	};
	AUTO(instance_free) struct instance *in = NULL;
	const struct iso_kind *kind = &kinds[0];
	const char *volume_id = NULL;
	bool reported = false;
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "k:V:", options)) != -1) {
		if (opt == 'k') {
			kind = find_kind(optarg);
			if (!kind)
				return cli_usage(self, "no kind of image '%s'", optarg);
		} else {
			volume_id = optarg;
		}
	}
	if (argc - optind != 2)
		return cli_usage(self, "give one INSTANCE.yaml and one OUT.iso");
	if (instance_read_yaml(argv[optind], report, &reported, &in, &e) < 0)
		return reported ? EXIT_FAILED : cli_fail(&e);
	if (kind->build(in->context, argv[optind + 1], volume_id, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}

const struct cli_command iso_command = {
	.name = "iso",
	.args = "[--kind opennebula] [--volume-id ID] INSTANCE.yaml OUT.iso",
	.summary = "write an instance as a context image (ISO 9660)",
	.help = "  -k, --kind KIND             opennebula: context.sh on volume CONTEXT (default)\n"
		"  -V, --volume-id ID          another volume id\n",
	.run = cmd_iso,
};
