/* SPDX-License-Identifier: Apache-2.0 */
/* udev's rule: see ctxd/hotplug.h. */
#include "ctxd/hotplug.h"

#include "lib/base.h"

#define PROGRAM "/usr/sbin/ctxd"

/*
 * What udev runs must be short and is ended with the event, so a service manager is asked to run it
 * where there is one. What happens while that unit runs is seen by itself (ctxd/cmd_update.c). A
 * guest that got an older ctxd's units has it made, which old systemd cannot. A program without a
 * path would be one of udev's own.
 */
#define UNIT "ctxd-update.service"
#define BY_UNIT "/bin/systemctl --no-block start " UNIT
#define BY_SYSTEMD                                                                                 \
	"/usr/bin/systemd-run --no-block --collect --unit=ctxd-update " PROGRAM " update --settle"
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

/* As ctxd/events.c. A device that is gone has no driver any more. */
static const char *const matches[] = {
	"ACTION==\"change\", SUBSYSTEM==\"block\", KERNEL==\"sr[0-9]*\"",
	"ACTION==\"change\", SUBSYSTEM==\"block\", ENV{RESIZE}==\"1\"",
	"ACTION==\"add\", SUBSYSTEM==\"block\", ENV{DEVTYPE}==\"disk\", DRIVERS==\"?*\"",
	"ACTION==\"change\", SUBSYSTEM==\"scsi\", ENV{SDEV_UA}==\"CAPACITY_DATA_HAS_CHANGED\"",
	"ACTION==\"add\", SUBSYSTEM==\"net\", DRIVERS==\"?*\"",
	"ACTION==\"remove\", SUBSYSTEM==\"net\", DEVPATH!=\"*/virtual/*\"",
};

int hotplug_watch(struct guest *g, struct err *e)
{
	const char *run = who_runs_it(g);
	AUTO_BUF text = BUF_INIT;
	int rc = 0;

	if (!guest_exists(g, "/run/udev"))
		return 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(matches); i++)
		rc = buf_addf(&text, "%s, RUN+=\"%s\"\n", matches[i], run);
	rc = rc < 0 ? err_nomem(e) : guest_write_own(g, HOTPLUG_RULES, buf_str(&text), 0644, e);
	return rc < 0 ? rc : 0;
}

int hotplug_forget(struct guest *g, struct err *e)
{
	int rc = guest_remove_own(g, HOTPLUG_RULES, e);

	return rc < 0 ? rc : 0;
}
