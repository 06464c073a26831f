/* SPDX-License-Identifier: Apache-2.0 */
/* ctxd local: finds the context on this machine and applies it, before there is a network. */
#include "ctxd/commands.h"
#include "ctxd/stages.h"

int cmd_local(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"dry-run", no_argument, NULL, 'n'},
		{"root", required_argument, NULL, OPT_ROOT},
		{"dev", required_argument, NULL, OPT_DEV},
		{"wait", required_argument, NULL, OPT_WAIT},
		{"force", no_argument, NULL, OPT_FORCE},
		{0},
	};
	AUTO(guest_release) struct guest g = GUEST_INIT;
	struct detect_opts o = {.g = &g, .wait_ms = WAIT_MS_DEFAULT};
	struct err e;
	int rc = parse_stage(self, argc, argv, options, &g, &o);

	if (rc != 0)
		return rc;
	rc = stage_local(&g, &o, &e);
	stage_tell(&g);
	return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
