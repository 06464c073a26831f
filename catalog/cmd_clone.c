/* SPDX-License-Identifier: Apache-2.0 */
/* catalog clone: a copy-on-write clone of an image, in the store. */
#include <stdio.h>

#include "catalog/commands.h"
#include "catalog/run.h"
#include "catalog/store.h"

enum {
	OPT_DISK_SIZE = OPT_OTHER,
};

/* What is wanted of a clone is its disk's path, so that is what is printed. */
static int print_disk(const struct store *store, const char *name, enum cli_output output,
		      struct err *e)
{
	AUTO(store_disk_release) struct store_disk d = {0};
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	int rc = store_find_disk(store, name, 0, &d, e);

	if (rc < 0)
		return rc;
	if (output == CLI_TEXT) {
		printf("%s\n", d.path);
		return 0;
	}
	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "name", name);
	jsonw_string(&w, "disk", d.path);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fwrite(text.data, 1, text.len, stdout);
	return rc;
}

int cmd_clone(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		STORE_OPTION,
		{"disk-size", required_argument, NULL, OPT_DISK_SIZE},
		{"output", required_argument, NULL, 'o'},
		{0},
	};
	AUTO(store_free) struct store *store = NULL;
	const char *store_dir = NULL;
	enum cli_output output = CLI_TEXT;
	uint64_t size = 0;
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "o:", longopts)) >= 0) {
		int rc = 0;

		if (opt == OPT_STORE)
			store_dir = optarg;
		else if (opt == OPT_DISK_SIZE)
			rc = run_take_disk_size(optarg, &size, &e);
		else
			rc = cli_output_parse(optarg, &output, &e);
		if (rc < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (optind + 2 != argc)
		return cli_usage(self, "an image and a name are expected");
	if (store_open(store_dir, &store, &e) < 0 ||
	    store_clone(store, argv[optind], argv[optind + 1], size, &e) < 0 ||
	    print_disk(store, argv[optind + 1], output, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
