/* SPDX-License-Identifier: Apache-2.0 */
/* ctxd final: what the context asks for when the network is there: its scripts, and READY. */
#include "ctxd/commands.h"
#include "ctxd/stages.h"

int cmd_final(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"dry-run", no_argument, NULL, 'n'},
		{"root", required_argument, NULL, OPT_ROOT},
		{0},
	};
	AUTO(guest_release) struct guest g = GUEST_INIT;
	struct err e;
	int opt, rc = 0;

	while (rc == 0 && (opt = cli_getopt(self, argc, argv, "n", options)) != -1) {
		if (opt == 'n')
			g.dry_run = true;
		else if (opt == OPT_ROOT)
			rc = set_root(&g, optarg, &e);
	}
	if (rc < 0)
		return cli_usage(self, "%s", e.msg);
	if (optind != argc)
		return cli_usage(self, "no argument is expected");
	rc = stage_final(&g, &e);
	stage_tell(&g);
	return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
