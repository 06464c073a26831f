/* SPDX-License-Identifier: Apache-2.0 */
/* catalog tag: another name for an image. */
#include "catalog/commands.h"
#include "catalog/store.h"

int cmd_tag(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {STORE_OPTION, {0}};
	AUTO(store_free) struct store *store = NULL;
	const char *store_dir = NULL;
	struct err e;

	while (cli_getopt(self, argc, argv, "", longopts) >= 0)
		store_dir = optarg;
	if (optind + 2 != argc)
		return cli_usage(self, "an image and a name are expected");
	if (store_open(store_dir, &store, &e) < 0 ||
	    store_tag(store, argv[optind], argv[optind + 1], &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
