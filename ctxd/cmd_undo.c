/* SPDX-License-Identifier: Apache-2.0 */
/* ctxd undo: takes away what ctxd wrote, now and on earlier boots. */
#include <stdio.h>

#include "ctxd/apply.h"
#include "ctxd/background.h"
#include "ctxd/commands.h"
#include "ctxd/hotplug.h"
#include "ctxd/loopback.h"
#include "ctxd/state.h"

static int run(struct guest *g, struct err *e)
{
	int rc = state_lock(g, e);

	if (rc == 0)
		rc = apply_nothing(g, e);
	if (rc == 0)
		rc = hotplug_forget(g, e);
	if (rc == 0)
		rc = guest_undo(g, e);
	if (rc >= 0)
		rc = state_remove(g, e);
	if (rc < 0 || !g->live || g->dry_run)
		return rc;
	rc = background_stop(g, WATCH_PID, e);
	if (rc == 0)
		rc = background_stop(g, IMDS_PID, e);
	return rc < 0 ? rc : loopback_drop(e);
}

int cmd_undo(const struct cli_command *self, int argc, char **argv)
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
	rc = run(&g, &e);
	for (size_t i = 0; i < g.told.n; i++)
		puts(g.told.v[i]);
	return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
