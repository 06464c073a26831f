/* SPDX-License-Identifier: Apache-2.0 */
/* ctxd network: asks the cloud's metadata service, where the machine itself had no context. */
#include "ctxd/commands.h"
#include "ctxd/stages.h"

int cmd_network(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"dry-run", no_argument, NULL, 'n'},
		{"root", required_argument, NULL, OPT_ROOT},
		{"dev", required_argument, NULL, OPT_DEV},
		{"force", no_argument, NULL, OPT_FORCE},
		{0},
	};
	AUTO(guest_release) struct guest g = GUEST_INIT;
	struct detect_opts o = {.g = &g};
	struct err e;
	int rc = parse_stage(self, argc, argv, options, &g, &o);

	if (rc != 0)
		return rc;
	rc = stage_network(&g, &o, &e);
	stage_tell(&g);
	return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
