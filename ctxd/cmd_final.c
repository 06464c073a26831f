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
	int rc = parse_stage(self, argc, argv, options, &g, NULL);

	if (rc != 0)
		return rc;
	rc = stage_final(&g, &e);
	stage_tell(&g);
	return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
