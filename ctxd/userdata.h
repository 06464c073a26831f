/* SPDX-License-Identifier: Apache-2.0 */
/* What user data ask for, in a guest that has no cloud-init to do it. */
#ifndef CTXD_USERDATA_H
#define CTXD_USERDATA_H

#include "context/context.h"

/*
 * User data that begin with "#!" become a script; of those that begin with "#cloud-config" this
 * becomes part of the context: hostname, fqdn, timezone, locale, ssh_authorized_keys, users,
 * password, ssh_pwauth, write_files, bootcmd and runcmd (as scripts, once). What else is asked for,
 * and other kinds of user data, is told in notes. What the context says itself stays.
 * Errors: ENOMEM alone; what is malformed is a note.
 */
int userdata_expand(struct context *c, struct strlist *notes, struct err *e);

#endif
