/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the metadata service anew: see ctxd/restart.h. */
#include "ctxd/restart.h"

#include "ctxd/background.h"
#include "lib/log.h"
#include "lib/proc.h"

#define SECONDS 60

static int run(const char *const *argv, struct err *e)
{
	return proc_run(argv, NULL, 0, NULL, 0, SECONDS, e);
}

/* The init script may have options of the administrator's. */
static int by_script(struct guest *g, struct err *e)
{
	static const char *const scripts[] = {"/etc/init.d/ctxd-imds", "/etc/init.d/boot.ctxd-imds",
					      "/etc/rc.d/init.d/ctxd-imds"};
	static const char *const self[] = {"/proc/self/exe", "imds", "--quiet", "--background",
					   NULL};
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		const char *const argv[] = {scripts[i], "restart", NULL};

		if (guest_exists(g, scripts[i]))
			return run(argv, e);
	}
	rc = background_stop(g, IMDS_PID, e);
	return rc < 0 ? rc : run(self, e);
}

void restart_imds(struct guest *g)
{
	static const char *const unit[] = {"systemctl", "--no-block", "try-restart",
					   "ctxd-imds.service", NULL};
	struct err e;
	int pid, rc;

	if (!g->live || g->dry_run)
		return;
	if (guest_exists(g, "/run/systemd/system"))
		rc = run(unit, &e);
	else if ((rc = background_running(g, IMDS_PID, &pid, &e)) > 0)
		rc = by_script(g, &e);
	if (rc < 0)
		log_warn("the metadata service has the former context: %s", e.msg);
}
