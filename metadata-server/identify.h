/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks: by what the kernel knows of a connection, never by what the client says. */
#ifndef METADATA_SERVER_IDENTIFY_H
#define METADATA_SERVER_IDENTIFY_H

#include "lib/httpd.h"
#include "metadata-server/store/store.h"

/*
 * The one instance that peer is. Errors: ENOENT nobody or more than one; the message says who
 * asked and why it is not known.
 */
int identify(const struct store *s, const struct httpd_peer *peer, const struct instance **ret,
	     struct err *e);

/* The peer's address as text, "" if it has none. */
void peer_address(const struct httpd_peer *peer, char out[46]);
/*
 * The name of the interface that it came in by, "" if it is not known. "lo" for whatever the host
 * itself sent: a local program can bind a socket to any interface, and the kernel then names that
 * one.
 */
void peer_interface(const struct httpd_peer *peer, char out[16]);

/*
 * What the host's neighbour table (ARP, NDP) has for an address on an interface: false if there is
 * no entry, or none that was confirmed. Linux 5.0 or later.
 */
bool neighbour_mac(unsigned ifindex, const struct ip_prefix *ip, char out[18]);

/*
 * Is it one of the host's own addresses, so that what comes from it was sent by the host itself?
 * ifindex is the scope of a link-local address. True also where the kernel does not answer.
 */
bool address_is_ours(unsigned ifindex, const struct ip_prefix *ip);

#endif
