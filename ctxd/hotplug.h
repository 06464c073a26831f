/* SPDX-License-Identifier: Apache-2.0 */
/* Being told later, when a medium, a NIC or a disk changes: a rule for udev(7). */
#ifndef CTXD_HOTPLUG_H
#define CTXD_HOTPLUG_H

#include "ctxd/guest.h"

#define HOTPLUG_RULES "/run/udev/rules.d/90-ctxd.rules"

/*
 * Writes the rule, which runs `ctxd update` in the background: when a CD-ROM's medium changes, a
 * NIC comes or goes, a disk comes or grows. In /run, so that it is there only while there is a context; udevd
 * looks there by itself. Nothing where there is no udev.
 */
int hotplug_watch(struct guest *g, struct err *e);
/* Takes it away. */
int hotplug_forget(struct guest *g, struct err *e);

#endif
