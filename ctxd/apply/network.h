/* SPDX-License-Identifier: Apache-2.0 */
/* The seam of network backends: the one program in a guest that configures its interfaces. */
#ifndef CTXD_APPLY_NETWORK_H
#define CTXD_APPLY_NETWORK_H

#include <net/if.h>

#include "ctxd/apply.h"

struct network_backend {
	const char *name;
	/* This is what the guest uses. The first backend that says so is taken. */
	bool (*used)(const struct guest *g);
	/* Writes its files for the NICs for which network_wanted() is true, and no others. */
	int (*apply)(struct apply *a, struct err *e);
	/* Removes what apply wrote. */
	int (*leave)(struct apply *a, struct err *e);
};

extern const struct network_backend network_networkd, network_ifupdown;

/* The context says how this NIC is to be configured, and which one it is. */
bool network_wanted(const struct nic *n);
/* The kernel's name of the interface with that hardware address, from /sys; false: none. */
bool network_name(const struct guest *g, const char *mac, char ret[IF_NAMESIZE]);
/* True if address lies in one of the NIC's own networks. */
bool network_on_link(const struct nic *n, const char *address);
/* "10.0.0.0/8 via 192.168.0.254" into its two parts; "default" becomes "0.0.0.0/0" or "::/0". */
bool network_split_route(const char *route, char to[50], char via[46]);

#endif
