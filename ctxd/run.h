/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that the context brings, run as root in the guest, when its network is there. */
#ifndef CTXD_RUN_H
#define CTXD_RUN_H

#include "ctxd/apply.h"

#define RUN_SCRIPTS "/var/lib/ctxd/scripts"
#define RUN_FILES "/var/lib/ctxd/files"

/* Where programs are looked for by who was not told: udev starts ctxd without any environment. */
#define RUN_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * Writes text to RUN_SCRIPTS/name (mode 0700) and runs it: by what its first line says, or by
 * /bin/sh. Its folder is RUN_FILES, where the files of the medium are; its environment is a plain
 * one, and the context's own variables that change nothing about how programs run. What it prints
 * goes to ctxd's log. Errors: EIO it failed.
 */
int run_script(struct apply *a, const char *name, const struct buf *text, struct err *e);
/* The files of the context that have no place in the guest, to RUN_FILES. */
int run_write_files(struct apply *a, struct err *e);

#endif
