/* SPDX-License-Identifier: Apache-2.0 */
/* Which SELinux label a file of the guest has by the guest's own policy (selabel_file(5)). */
#ifndef IMGCONV_INJECT_SELINUX_H
#define IMGCONV_INJECT_SELINUX_H

#include "imgconv/guestfs.h"

struct selinux;

/*
 * Reads what /etc/selinux/config names. *ret is NULL in a guest that has no SELinux, or has
 * switched it off; one that has it, but no file_contexts, gives a policy that knows no file.
 * Errors: ENOMEM; EFBIG more than 16 MiB.
 */
int selinux_load(struct guest_fs *fs, struct selinux **ret, struct err *e);
/* The same from text: file_contexts, and lines "ALIAS PATH" of file_contexts.subs_dist. */
int selinux_parse(const char *contexts, const char *subs, struct selinux **ret, struct err *e);
void selinux_free(struct selinux *s);
DEFINE_AUTO(struct selinux *, selinux_free);

/*
 * The label of a path without symbolic links, whose type is that of mode: appended to out, with
 * the NUL that is part of the attribute; nothing is, if it is to have none. Returns 1, or 0: the
 * policy says nothing about it.
 * Errors: ENOMEM.
 */
int selinux_lookup(struct selinux *s, const char *path, unsigned mode, struct buf *out,
		   struct err *e);

#endif
