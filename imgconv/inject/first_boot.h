/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts that a guest runs once, when it boots for the first time. */
#ifndef IMGCONV_INJECT_FIRST_BOOT_H
#define IMGCONV_INJECT_FIRST_BOOT_H

#include "imgconv/inject/distro.h"
#include "imgconv/inject/overlay.h"

/* What runs them, from fs_data_dir()/guest/first-boot. Errors: ENOENT it is not installed. */
int first_boot_load(struct overlay *files, struct err *e);
/*
 * Appends to `to` the entry's script, what runs it, and the service that starts that.
 * Errors: those of enable_services.
 */
int first_boot_expand(struct guest_fs *fs, const struct distro *d, const struct overlay_entry *x,
		      struct overlay *to, struct err *e);

#endif
