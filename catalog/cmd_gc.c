/* SPDX-License-Identifier: Apache-2.0 */
/* catalog gc: removes what nothing in the store refers to. */
#include <stdio.h>

#include "catalog/commands.h"
#include "catalog/store.h"
#include "lib/str.h"

enum {
	OPT_DRY_RUN = OPT_OTHER,
	OPT_PARTIAL,
};

struct teller {
	enum cli_output output;
	struct jsonw w;
};

static void tell(void *ctx, const char *text)
{
	struct teller *t = ctx;

	if (t->output == CLI_JSON)
		jsonw_string(&t->w, NULL, text);
	else
		printf("%s\n", text);
}

static int collect(const char *store_dir, unsigned flags, enum cli_output output, struct err *e)
{
	AUTO(store_free) struct store *store = NULL;
	AUTO_BUF out = BUF_INIT;
	struct teller t = {.output = output};
	struct store_garbage garbage = {0};
	char size[16];
	int rc = store_open(store_dir, &store, e);

	jsonw_begin(&t.w, &out, true);
	jsonw_object(&t.w, NULL);
	jsonw_bool(&t.w, "dry-run", flags & STORE_GC_DRY_RUN);
	jsonw_array(&t.w, "removed");
	if (rc == 0)
		rc = store_gc(store, flags, tell, &t, &garbage, e);
	if (rc < 0)
		return rc;
	jsonw_close(&t.w);
	jsonw_u64(&t.w, "bytes", garbage.bytes);
	jsonw_close(&t.w);
	rc = jsonw_end(&t.w, e);
	if (rc == 0 && output == CLI_JSON)
		fwrite(out.data, 1, out.len, stdout);
	size_to_text(garbage.bytes, size);
	if (output == CLI_TEXT)
		printf("%s: %s\n", flags & STORE_GC_DRY_RUN ? "would be freed" : "freed", size);
	return rc;
}

int cmd_gc(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		STORE_OPTION,
		{"dry-run", no_argument, NULL, OPT_DRY_RUN},
		{"partial", no_argument, NULL, OPT_PARTIAL},
		{"output", required_argument, NULL, 'o'},
		{0},
	};
	const char *store_dir = NULL;
	enum cli_output output = CLI_TEXT;
	unsigned flags = 0;
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "o:", longopts)) >= 0) {
		if (opt == OPT_STORE)
			store_dir = optarg;
		else if (opt == OPT_DRY_RUN)
			flags |= STORE_GC_DRY_RUN;
		else if (opt == OPT_PARTIAL)
			flags |= STORE_GC_PARTIAL;
		else if (cli_output_parse(optarg, &output, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (optind != argc)
		return cli_usage(self, "no argument is expected: '%s'", argv[optind]);
	if (collect(store_dir, flags, output, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
