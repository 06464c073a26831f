/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stages of a boot, each run once, in this order, and again by `ctxd update`:
 *
 *	local     before the network: what is on this machine
 *	network   when it is there: a metadata service, where nothing was found before
 *	final     at the end of the boot: scripts, READY
 */
#ifndef CTXD_STAGES_H
#define CTXD_STAGES_H

#include "ctxd/detect.h"

int stage_local(struct guest *g, const struct detect_opts *o, struct err *e);
int stage_network(struct guest *g, const struct detect_opts *o, struct err *e);
/* Nothing to be done, and no error, where there is no context. */
int stage_final(struct guest *g, struct err *e);
/*
 * Later, when a medium, a NIC or a disk changed: local (or network, if the context came by it) and
 * final, with what changed taking effect at once. Nothing where the boot has not come to its end.
 */
int stage_update(struct guest *g, const struct detect_opts *o, struct err *e);

/* What was done: for people in the log, for --dry-run as the answer. */
void stage_tell(const struct guest *g);

#endif
