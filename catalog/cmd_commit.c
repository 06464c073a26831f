/* SPDX-License-Identifier: Apache-2.0 */
/* catalog commit: makes an image of a clone. */
#include "catalog/commands.h"
#include "catalog/store.h"

enum {
	OPT_FLATTEN = OPT_OTHER,
};

int cmd_commit(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		STORE_OPTION,
		{"flatten", no_argument, NULL, OPT_FLATTEN},
		{0},
	};
	AUTO(store_free) struct store *store = NULL;
	const char *store_dir = NULL;
	bool flatten = false;
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "", longopts)) >= 0) {
		if (opt == OPT_STORE)
			store_dir = optarg;
		else
			flatten = true;
	}
	if (optind + 2 != argc)
		return cli_usage(self, "a clone and a name are expected");
	if (store_open(store_dir, &store, &e) < 0 ||
	    store_commit(store, argv[optind], argv[optind + 1], flatten, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
