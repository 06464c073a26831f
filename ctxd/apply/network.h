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
	/* Removes what apply wrote. 1 if there was any, 0, or an error. */
	int (*leave)(struct apply *a, struct err *e);
	bool by_name; /* its files name interfaces as the kernel does: all must have their names */
	bool dns;     /* its files name DNS servers, and what runs it makes resolv.conf */
};

extern const struct network_backend network_networkd, network_manager, network_redhat, network_suse,
	network_ifupdown;

/* The context says how this NIC is to be configured, and which one it is. */
bool network_wanted(const struct nic *n);
/* The kernel's name of the interface with that hardware address, from /sys; false: none. */
bool network_name(const struct guest *g, const char *mac, char ret[IF_NAMESIZE]);
/* The NIC that a VLAN is on; NULL if n is no VLAN. */
const struct nic *network_parent(const struct context *c, const struct nic *n);
/*
 * The name that n has or is to get: its interface's, or of a VLAN that of its parent, '.' and its
 * number. False (and a warning is logged) if there is no such interface.
 */
bool network_interface(const struct apply *a, const struct nic *n, char ret[IF_NAMESIZE]);
/* Of a VLAN, where no other interface's name is known: its name in the context, or "vlan5". */
void network_vlan_name(const struct context *c, const struct nic *n, char ret[IF_NAMESIZE]);
/* What is in a file's name for n: "02-00-c0-a8-00-05", of a VLAN its parent's and ".5". */
void network_file_part(const struct context *c, const struct nic *n, char ret[32]);
/* True if address lies in one of the NIC's own networks. */
bool network_on_link(const struct nic *n, const char *address);
/*
 * "10.0.0.0/8 via 192.168.0.254 metric 5" into its parts (metric 0: none is said); "default" becomes
 * "0.0.0.0/0" or "::/0".
 */
bool network_split_route(const char *route, char to[50], char via[46], uint32_t *metric);
/* Of the default route or lease; 0: none is said. */
static inline uint32_t network_metric(const struct nic *n, bool v6)
{
	return v6 && n->metric6 ? n->metric6 : n->metric;
}

/* Of an address, with or without a prefix length. */
static inline bool network_is_v6(const char *address)
{
	return strchr(address, ':') != NULL;
}
/* "192.168.0.5/24" into its parts; mask (IPv4 alone, may be NULL) becomes "255.255.255.0". */
bool network_split_address(const char *address, char ip[46], unsigned *prefix, char mask[16]);
/* The NIC has an address of that family. */
bool network_has(const struct nic *n, bool v6);
/* systemd starts this unit of the guest at each boot. */
bool network_unit_enabled(const struct guest *g, const char *unit);
/* Appends `before`, each string behind a blank (but the first), `after`; nothing for none. */
int network_join(struct buf *out, const char *before, const struct strlist *l, const char *after);
/* The DNS servers and search domains of all NICs, each once, in their order. 0 or -ENOMEM. */
int network_all_dns(const struct context *c, struct strlist *servers, struct strlist *domains);
/* The file of that name belongs to a NIC of c; c may be NULL: to none. */
typedef bool network_current_fn(const struct context *c, const char *name);
/*
 * Removes ctxd's own files in a folder of the guest, of those whose names begin with prefix, but
 * what is_current. Returns 1 if there were any, 0, or an error: errno of opendir, of removing.
 */
int network_remove_others(struct apply *a, const char *folder, const char *prefix,
			  const struct context *c, network_current_fn *is_current, struct err *e);
/*
 * Takes back what was displaced in a folder of the guest: files whose names are one of prefixes
 * (ended by NULL) and an interface's name that is not among names (NULL: of all interfaces). As
 * network_remove_others.
 */
int network_restore_others(struct apply *a, const char *folder, const char *const *prefixes,
			   const struct strlist *names, struct err *e);
/* Runs a program of the guest, where that is the running system; a failure is a warning. */
void network_run(struct apply *a, const char *const *argv);

#endif
