/* SPDX-License-Identifier: Apache-2.0 */
/* metadata-server check: are these definitions good? */
#include <sys/stat.h>

#include "lib/log.h"
#include "metadata-server/commands.h"
#include "metadata-server/one.h"
#include "metadata-server/store/store.h"

static int check(const char *path, size_t *faults, size_t *ret_n, struct err *e)
{
	AUTO(instance_free) struct instance *in = NULL;
	AUTO(store_free) struct store *s = NULL;
	struct stat st;
	int rc;

	if (stat(path, &st))
		return err_errno(e, errno, "'%s'", path);
	if (S_ISDIR(st.st_mode))
		rc = directory_load_once(path, report_fault, faults, &s, e);
	else
		rc = instance_read_yaml(path, report_fault, faults, &in, e);
	if (!rc)
		*ret_n += s ? store_count(s) : 1;
	return rc;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	int status = EXIT_OK;
	size_t n = 0;

	if (cli_getopt(self, argc, argv, "", NULL) != -1)
		return EXIT_USAGE;
	if (optind == argc)
		return cli_usage(self, "give a folder or a file NAME.yaml");
	for (int i = optind; i < argc; i++) {
		struct err e = {0};
		size_t faults = 0;

		if (check(argv[i], &faults, &n, &e))
			status = one_fail(faults, &e);
	}
	if (status == EXIT_OK)
		log_info("%zu instance%s, no faults", n, n == 1 ? "" : "s");
	return cli_finish(status);
}

const struct cli_command check_command = {
	.name = "check",
	.args = "DIR|FILE...",
	.summary = "look for faults in definitions of instances",
	.help = "",
	.run = run,
};
