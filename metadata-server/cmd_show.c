/* SPDX-License-Identifier: Apache-2.0 */
/* metadata-server show: one instance, as its guest sees it or as it was defined. */
#include <stdio.h>

#include "lib/str.h"
#include "metadata-server/commands.h"
#include "metadata-server/one.h"

enum {
	SHOWN = 200, /* bytes of a value */
};

static int print_leaf(void *arg, const char *path, struct http_slice value)
{
	AUTO_BUF text = BUF_INIT;

	(void)arg;
	if (str_escape(value.p, value.len, SHOWN, &text))
		return -ENOMEM;
	printf("%-60s %s%s\n", path, buf_str(&text), value.len > SHOWN ? "..." : "");
	return 0;
}

static int show(const struct instance *in, enum cli_output output, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	int rc;

	if (output == CLI_TEXT)
		return tree_walk(in->ec2, UINT32_MAX, print_leaf, NULL) ? err_nomem(e) : 0;
	rc = instance_write_json(in, true, &out, e);
	if (!rc)
		fwrite(out.data, 1, out.len, stdout);
	return rc;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"instances", required_argument, NULL, 'd'},
		{"output", required_argument, NULL, 'o'},
		{0},
	};
	AUTO(instance_free) struct instance *in = NULL;
	enum cli_output output = CLI_TEXT;
	const char *dir = NULL;
	struct err e = {0};
	size_t faults = 0;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "d:o:", options)) != -1) {
		if (opt == 'd')
			dir = optarg;
		else if (cli_output_parse(optarg, &output, &e))
			return cli_usage(self, "%s", e.msg);
	}
	if (argc - optind != 1)
		return cli_usage(self, "give one INSTANCE");
	if (one_load(argv[optind], dir, report_fault, &faults, &in, &e))
		return one_fail(faults, &e);
	return show(in, output, &e) ? cli_fail(&e) : cli_finish(EXIT_OK);
}

const struct cli_command show_command = {
	.name = "show",
	.args = "[--instances DIR] [-o text|json] INSTANCE",
	.summary = "show what a guest is told: paths and values, or the definition as JSON",
	.help = "  -d, --instances DIR         folder in which INSTANCE is a name\n"
		"  -o, --output text|json      paths with values, or the definition\n",
	.run = run,
};
