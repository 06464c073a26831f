/* SPDX-License-Identifier: Apache-2.0 */
/* metadata-server list: the instances of a folder. */
#include <stdio.h>

#include "lib/json.h"
#include "lib/str.h"
#include "metadata-server/commands.h"
#include "metadata-server/one.h"
#include "metadata-server/store/store.h"

static void print_text(const struct store *s)
{
	printf("%-20s %-24s %-28s %-15s %-18s %s\n", "NAME", "INSTANCE-ID", "HOSTNAME", "INTERFACE",
	       "ADDRESS", "MAC");
	for (size_t i = 0; i < store_count(s); i++) {
		const struct instance *in = store_at(s, i);

		printf("%-20s %-24s %-28s %-15s %-18s %s\n", in->name, in->context->instance_id,
		       or_dash(in->context->hostname), or_dash(in->identify.interface),
		       or_dash(in->identify.address), or_dash(in->identify.mac));
	}
}

static int print_json(const struct store *s, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_array(&w, NULL);
	for (size_t i = 0; i < store_count(s); i++) {
		const struct instance *in = store_at(s, i);
		const char *mac = in->identify.mac;

		jsonw_object(&w, NULL);
		jsonw_string(&w, "name", in->name);
		jsonw_string(&w, "file", in->file);
		jsonw_string(&w, "instance-id", in->context->instance_id);
		jsonw_string(&w, "hostname", in->context->hostname);
		jsonw_object(&w, "identify");
		jsonw_string(&w, "interface", in->identify.interface);
		jsonw_string(&w, "address", in->identify.address);
		jsonw_string(&w, "mac", mac[0] ? mac : NULL);
		jsonw_close(&w);
		jsonw_close(&w);
	}
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
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
	AUTO(store_free) struct store *s = NULL;
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
	if (!dir || optind != argc)
		return cli_usage(self, "give --instances FOLDER");
	if (directory_load_once(dir, report_fault, &faults, &s, &e))
		return one_fail(faults, &e);
	if (output == CLI_TEXT)
		print_text(s);
	else if (print_json(s, &e))
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}

const struct cli_command list_command = {
	.name = "list",
	.args = "--instances DIR [-o text|json]",
	.summary = "list the instances of a folder",
	.help = "  -d, --instances DIR         folder of NAME.yaml, one an instance\n"
		"  -o, --output text|json      how to show them\n",
	.run = run,
};
