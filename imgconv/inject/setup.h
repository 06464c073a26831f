/* SPDX-License-Identifier: Apache-2.0 */
/* Changes that depend on the guest: who has an account, where a host name is kept. */
#ifndef IMGCONV_INJECT_SETUP_H
#define IMGCONV_INJECT_SETUP_H

#include "imgconv/inject/distro.h"
#include "imgconv/inject/overlay.h"

/*
 * Each appends to `to` what the entry (of the kind in the function's name) means in the guest.
 * Errors: ENOENT no such account; EBADMSG a line of /etc/passwd that cannot be.
 */
int setup_hostname(struct guest_fs *fs, const struct distro *d, const struct overlay_entry *x,
		   struct overlay *to, struct err *e);
int setup_ssh_key(struct guest_fs *fs, const struct overlay_entry *x, struct overlay *to,
		  struct err *e);

/* A name as RFC 1123 allows it, in lower or upper case, of at most 253 bytes. */
bool hostname_is_valid(const char *name);
/*
 * Whether text is lines of authorized_keys(5), at least one of them a key; comments and empty
 * lines may be among them. Errors: EINVAL, with the line's number.
 */
int ssh_keys_check(const char *text, size_t len, struct err *e);

#endif
