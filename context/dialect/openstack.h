/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_data.json of OpenStack, after nova's schema (doc/api_schemas/network_data.json).
 *
 *	links: [{id, type: phy | vif | ... | vlan, ethernet_mac_address, mtu, vif_id,
 *	         vlan_id, vlan_link, vlan_mac_address}]
 *	networks: [{id, type: ipv4 | ipv4_dhcp | ipv6 | ipv6_dhcp | ipv6_slaac |
 *	            ipv6_dhcpv6-stateful | ipv6_dhcpv6-stateless, link, network_id, ip_address,
 *	            netmask, gateway, routes: [{network, netmask, gateway}], services}]
 *	services: [{type: dns, address}]
 *
 * Beyond the schema, as cloud-init takes them: a link's name; a network's metric,
 * dns_search, and dns_nameservers, which older ones want where there is a dns_search.
 */
#ifndef CONTEXT_DIALECT_OPENSTACK_H
#define CONTEXT_DIALECT_OPENSTACK_H

#include "context/netconfig.h"
#include "lib/json.h"

/* doc may be NULL. 0 or -ENOMEM. */
int openstack_read_network(struct reading *r, const struct value *doc);
int openstack_write_network(const struct context *c, struct buf *out, struct err *e);

/*
 * All documents of OpenStack into a tree that is not sealed. drive: with what only config drives
 * have. Errors: EINVAL what cannot be said; ENOMEM.
 */
int openstack_write_docs(const struct context *c, struct tree *docs, bool drive, struct err *e);

#endif
