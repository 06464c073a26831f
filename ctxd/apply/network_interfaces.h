/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of interfaces(5), as Debian's ifupdown, ifupdown-ng and busybox (Alpine) read it: what it
 * says, and what is written into it.
 */
#ifndef CTXD_APPLY_NETWORK_INTERFACES_H
#define CTXD_APPLY_NETWORK_INTERFACES_H

#include "ctxd/apply/network.h"

/* ---- reading: network_interfaces_read.c ------------------------------------------------------ */

enum description {
	NOT_DESCRIBED,
	DESCRIBED_BARE, /* as one that DHCP configures, and no more */
	DESCRIBED,
};

/* What the text says about the interface. */
enum description interfaces_describe(const char *text, const char *name);
/* A line of /etc/network/interfaces sources the file of that name in the folder. */
bool interfaces_source(const char *text, const char *folder, const char *name);
/* Into out the text without its bare descriptions of these interfaces: 0 or -ENOMEM. */
int interfaces_without(const char *text, const struct strlist *names, struct buf *out);

/* ---- writing: network_interfaces_write.c ----------------------------------------------------- */

/* Appends what the NIC is to be: "auto NAME" and a stanza for each family. 0 or -ENOMEM. */
int interfaces_add(struct buf *out, const struct nic *n, const char *name);
/* The names of all "auto NAME", in their order: 0 or -ENOMEM. */
int interfaces_names(const char *text, struct strlist *names);
/* From "auto NAME" to the next such line; NULL: there is none. The caller's to free. */
char *interfaces_find(const char *text, const char *name);

#endif
