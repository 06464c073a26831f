/* SPDX-License-Identifier: Apache-2.0 */
/* What `--ctxd` means for one guest. */
#ifndef IMGCONV_INJECT_CTXD_H
#define IMGCONV_INJECT_CTXD_H

#include "imgconv/inject/distro.h"
#include "imgconv/inject/overlay.h"

#define CTXD_PROGRAM "/usr/sbin/ctxd"

/*
 * Puts what ctxd is made of into files: the program as "/ctxd", what starts it as "/systemd/NAME",
 * "/openrc/NAME", "/upstart/NAME", "/sysv/debian/NAME" and so on. It comes from
 * fs_data_dir()/guest. Errors: ENOENT it is not installed.
 */
int ctxd_load(struct overlay *files, struct err *e);

/*
 * Appends to `to` the program and the services out of files, where a guest with fs and d has such,
 * and the links that enable them (inject/enable.h).
 * Errors: ENOTSUP an unknown init system, a machine other than ctxd's; ENOENT the guest's machine
 * cannot be told.
 */
int ctxd_expand(struct guest_fs *fs, const struct distro *d, const struct overlay *files,
		struct overlay *to, struct err *e);

/*
 * Appends to `to` what takes out again what the guest's receipt (inject/receipt.h) says was put in.
 * Errors: ENOENT ctxd is there without one.
 */
int ctxd_remove_expand(struct guest_fs *fs, struct overlay *to, struct err *e);
/* The same for what ctxd wrote while the guest ran, by its list. Errors: EINVAL one that
 * lies; EBADMSG one that is too long. */
int ctxd_undo_expand(struct guest_fs *fs, struct overlay *to, struct err *e);

/*
 * The units' names in WantedBy= and RequiredBy= of [Install] in a unit file (systemd.unit(5)), one
 * call each. suffix is ".wants" or ".requires". fn returns 0, or a negative errno.
 */
int unit_install_targets(const char *text,
			 int (*fn)(void *ctx, const char *target, const char *suffix), void *ctx);

#endif
