/* SPDX-License-Identifier: Apache-2.0 */
/* udev's rule: see ctxd/hotplug.h. */
#include "ctxd/hotplug.h"

#include "lib/str.h"

#define PROGRAM "/usr/sbin/ctxd"

/*
 * What udev runs must be short and is ended with the event, so a service manager is asked to run it
 * where there is one. What happens while that unit runs is seen by itself (ctxd/cmd_update.c). A
 * guest that got an older ctxd's units has it made, which old systemd cannot.
 */
#define UNIT "ctxd-update.service"
#define BY_UNIT "systemctl --no-block start " UNIT
#define BY_SYSTEMD "systemd-run --no-block --collect --unit=ctxd-update " PROGRAM " update --settle"
#define BY_SELF PROGRAM " update --settle --background"

static const char *who_runs_it(const struct guest *g)
{
	static const char *const folders[] = {"/usr/lib/systemd/system/" UNIT,
					      "/lib/systemd/system/" UNIT,
					      "/etc/systemd/system/" UNIT};

	if (!guest_exists(g, "/run/systemd/system"))
		return BY_SELF;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (guest_exists(g, folders[i]))
			return BY_UNIT;
	}
	return BY_SYSTEMD;
}

int hotplug_watch(struct guest *g, struct err *e)
{
	const char *run = who_runs_it(g);
	AUTO_FREE char *text = NULL;
	int rc;

	if (!guest_exists(g, "/run/udev"))
		return 0;
	text = str_format(
		"ACTION==\"change\", SUBSYSTEM==\"block\", KERNEL==\"sr[0-9]*\", RUN+=\"%s\"\n"
		"ACTION==\"change\", SUBSYSTEM==\"block\", ENV{RESIZE}==\"1\", RUN+=\"%s\"\n"
		"ACTION==\"add\", SUBSYSTEM==\"net\", DRIVERS==\"?*\", RUN+=\"%s\"\n",
		run, run, run);
	rc = text ? guest_write_own(g, HOTPLUG_RULES, text, 0644, e) : err_nomem(e);
	return rc < 0 ? rc : 0;
}

int hotplug_forget(struct guest *g, struct err *e)
{
	int rc = guest_remove_own(g, HOTPLUG_RULES, e);

	return rc < 0 ? rc : 0;
}
