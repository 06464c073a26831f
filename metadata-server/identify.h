/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks: by what the kernel knows of a connection, never by what the client says. */
#ifndef METADATA_SERVER_IDENTIFY_H
#define METADATA_SERVER_IDENTIFY_H

#include "lib/httpd.h"
#include "metadata-server/store/store.h"

/* Sockets by which one network namespace is asked; the tag of its listeners (httpd_set_tag). */
struct kernel {
	char *netns; /* NULL: the one that the server was started in */
	int netlink, any;
	uint32_t seq;
};
#define KERNEL_INIT ((struct kernel){.netlink = -1, .any = -1})

/* Of the namespace that this thread is in. netns is its name, or NULL. Errors: errno of socket. */
int kernel_open(struct kernel *k, const char *netns, struct err *e);
void kernel_close(struct kernel *k);
DEFINE_AUTO_STRUCT(struct kernel, kernel_close);

/*
 * Enters a network namespace of ip-netns(8) and comes back. Errors: errno of open, setns (which
 * needs CAP_SYS_ADMIN); EINVAL not a name.
 */
int netns_enter(const char *name, int *ret_home, struct err *e);
int netns_leave(int home, struct err *e);

/*
 * The one instance that peer is; peer->tag is the struct kernel of its listener. Errors: ENOENT
 * nobody or more than one; the message says who asked and why it is not known.
 */
int identify(const struct store *s, const struct httpd_peer *peer, const struct instance **ret,
	     struct err *e);

/* The peer's address as text, "" if it has none; of vsock(7) the CID. */
void peer_address(const struct httpd_peer *peer, char out[46]);
/*
 * The name of the interface that it came in by, "" if it is not known; IDENTIFY_VSOCK of vsock(7).
 * "lo" for whatever the host itself sent: a local program can bind a socket to any interface, and
 * the kernel then names that one.
 */
void peer_interface(const struct httpd_peer *peer, char out[16]);

/* The name of an interface; false if it is gone. */
bool interface_name(struct kernel *k, unsigned ifindex, char out[16]);

/*
 * What the host's neighbour table (ARP, NDP) has for an address on an interface: false if there is
 * no entry, or none that was confirmed. Linux 5.0 or later.
 */
bool neighbour_mac(struct kernel *k, unsigned ifindex, const struct ip_prefix *ip, char out[18]);

/*
 * Is it one of the host's own addresses, so that what comes from it was sent by the host itself?
 * ifindex is the scope of a link-local address. True also where the kernel does not answer.
 */
bool address_is_ours(struct kernel *k, unsigned ifindex, const struct ip_prefix *ip);

#endif
