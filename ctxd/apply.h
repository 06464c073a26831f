/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam of what a context does to a guest: one file below ctxd/apply/ for each part of the
 * guest, one row for each in ctxd/apply.c.
 */
#ifndef CTXD_APPLY_H
#define CTXD_APPLY_H

#include "context/context.h"
#include "ctxd/guest.h"

struct apply {
	struct guest *g;
	const struct context *c;
	bool has_cloud_init;    /* the guest's own cloud-init will run, and read what ctxd serves */
	bool network_is_guests; /* the context came by it: it is up, and stays as it is */
	bool running;           /* the boot is over: what is changed is to take effect now */
	bool network_configured; /* by ctxd: set by the network part, for those after it */
};

struct part {
	const char *name;
	/*
	 * Brings its part of the guest in line with a->c. Called at each boot, so it changes
	 * nothing that is right already. Returns 0, or an error: the other parts still run.
	 */
	int (*apply)(struct apply *a, struct err *e);
	/*
	 * There is no context: takes away what would bind the guest to the cloud that it left.
	 * NULL: nothing.
	 */
	int (*leave)(struct apply *a, struct err *e);
};

extern const struct part part_hostname, part_settings, part_users, part_ssh, part_network,
	part_cloudinit, part_grow, part_swap, part_mounts, part_files, part_scripts, part_ready;

/* The guest's own cloud-init will run and give accounts their keys: ctxd/cloud_init.c. */
bool apply_has_cloud_init(const struct guest *g);
/* It is there and not switched off; a stage of it may run, if not that one. */
bool apply_may_cloud_init(const struct guest *g);
/*
 * The parts that are there before the network, or (final) those that need it. Failures are logged
 * and the first one returned, when all had their turn.
 */
int apply_context(struct apply *a, struct err *e);
int apply_final(struct apply *a, struct err *e);
/* What `leave` says, of all parts. */
int apply_nothing(struct guest *g, struct err *e);

#endif
