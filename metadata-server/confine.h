/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server gives up once it has all that it needs: its user, capabilities, files, programs
 * and new sockets. See docs/security.md.
 */
#ifndef METADATA_SERVER_CONFINE_H
#define METADATA_SERVER_CONFINE_H

#include "lib/err.h"

/*
 * Becomes another user (NULL: stays who it is), with that one's group alone, without capabilities,
 * and with no way to gain any. Errors: ENOENT there is no such user; errno of setgroups, setgid,
 * setuid, capset.
 */
int confine_user(const char *name, struct err *e);

/*
 * From now on this process opens for reading what is in the folder `definitions`, for
 * writing what is in `state` (may be NULL), and nothing else; starts no process, makes
 * no socket. ACCLIMATE_SANDBOX=off leaves it out, with a warning. Errors:
 * errno of seccomp(2) and Landlock's calls; a kernel without Landlock is no error, but a warning.
 */
int confine(const char *definitions, const char *state, struct err *e);

#endif
