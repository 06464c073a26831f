/* SPDX-License-Identifier: Apache-2.0 */
/* What `--ctxd` means for one guest. */
#ifndef IMGCONV_INJECT_CTXD_H
#define IMGCONV_INJECT_CTXD_H

#include "imgconv/inject/distro.h"
#include "imgconv/inject/overlay.h"

/*
 * Appends to `to` the ctxd program and the units that start it in a guest with fs and d, and the
 * links that enable them. The files come from fs_data_dir()/guest.
 * Errors: ENOTSUP an init other than systemd, a machine other than ctxd's; ENOENT files of ours
 * are not installed, or the guest's machine cannot be told.
 */
int ctxd_expand(struct guest_fs *fs, const struct distro *d, struct overlay *to, struct err *e);

/*
 * The units' names in WantedBy= and RequiredBy= of [Install] in a unit file (systemd.unit(5)), one
 * call each. suffix is ".wants" or ".requires". fn returns 0, or a negative errno.
 */
int unit_install_targets(const char *text,
			 int (*fn)(void *ctx, const char *target, const char *suffix), void *ctx);

#endif
