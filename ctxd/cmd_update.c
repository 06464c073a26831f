/* SPDX-License-Identifier: Apache-2.0 */
/* ctxd update: after the boot, when a medium, a NIC or a disk changed. */
#include "ctxd/background.h"
#include "ctxd/coldplug.h"
#include "ctxd/commands.h"
#include "ctxd/events.h"
#include "ctxd/stages.h"
#include "lib/log.h"

#define SETTLE_MS 10000
#define ROUNDS_MAX 5

enum {
	OPT_SETTLE = 512,
	OPT_BACKGROUND,
};

/* One change seldom comes alone: a NIC that is added changes the medium, too. */
static void settle(void)
{
	AUTO(coldplug_free) struct coldplug *events = NULL;
	bool settled = false;

	if (coldplug_watch(SETTLE_MS, &events, NULL) < 0)
		return;
	while (!settled && coldplug_wait(events, &settled, NULL) == 0)
		;
}

/* What changes while it runs is looked at in one more round, so that no event is lost. */
static int run(struct guest *g, const struct detect_opts *o, bool wait, struct err *e)
{
	AUTO_FD int events = -1;
	struct err none;
	int rc;

	if (wait && events_open(&events, &none) < 0)
		log_debug("%s", none.msg);
	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		if (wait)
			settle();
		while (events >= 0 && events_wait(events, 0, &none) > 0)
			;
		rc = stage_update(g, o, e);
		if (rc < 0 || events < 0 || events_wait(events, 0, &none) <= 0)
			break;
		log_debug("something changed meanwhile");
	}
	stage_tell(g);
	return rc;
}

int cmd_update(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"dry-run", no_argument, NULL, 'n'},
		{"root", required_argument, NULL, OPT_ROOT},
		{"dev", required_argument, NULL, OPT_DEV},
		{"force", no_argument, NULL, OPT_FORCE},
		{"settle", no_argument, NULL, OPT_SETTLE},
		{"background", no_argument, NULL, OPT_BACKGROUND},
		{0},
	};
	AUTO(guest_release) struct guest g = GUEST_INIT;
	struct detect_opts o = {.g = &g};
	bool wait = false, background = false;
	struct err e;
	int opt, rc = 0;

	while (rc == 0 && (opt = cli_getopt(self, argc, argv, "n", options)) != -1) {
		if (opt == 'n')
			g.dry_run = true;
		else if (opt == OPT_ROOT)
			rc = set_root(&g, optarg, &e);
		else if (opt == OPT_DEV)
			o.dev = optarg;
		else if (opt == OPT_FORCE)
			o.force = true;
		else if (opt == OPT_SETTLE)
			wait = true;
		else if (opt == OPT_BACKGROUND)
			background = true;
	}
	if (rc < 0)
		return cli_usage(self, "%s", e.msg);
	if (optind != argc)
		return cli_usage(self, "no argument is expected");
	if (background && (background_detach(&e) < 0 || background_log(&g, &e) < 0))
		return cli_fail(&e);
	rc = run(&g, &o, wait, &e);
	return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
