/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloud-init's network configuration, "Networking Config Version 1" and "Version 2" (netplan's) of
 * its documentation: what NoCloud has in network-config and OVF in a property.
 */
#ifndef CONTEXT_NETCONFIG_H
#define CONTEXT_NETCONFIG_H

#include "context/reading.h"

/*
 * Takes the NICs of a configuration of either version, with or without the outer key "network".
 * Bonds, bridges and the like are told and left out. 0 or -ENOMEM.
 */
int netconfig_read(struct reading *r, const struct value *doc);

/*
 * Appends a version 2, as JSON (which is YAML); outer: with the key "network" around it. NICs that
 * are to be left alone are not in it. Errors: ENOMEM.
 */
int netconfig_write(const struct context *c, bool outer, struct buf *out, struct err *e);
/* Is there a NIC that it would tell about? */
bool netconfig_has_nics(const struct context *c);

/* ---- addresses, for other formats too ------------------------------------------------------- */

/*
 * Adds an address that may lack its prefix length: from mask ("255.255.255.0", "24", "ffff::"; may
 * be NULL), else /24 or /64. What is none is told.
 */
int netconfig_add_address(struct reading *r, struct nic *n, const char *address, const char *mask);
/* The default gateway of its family, if there is none yet. */
int netconfig_set_gateway(struct reading *r, struct nic *n, const char *gateway);
/*
 * A route; the first default one without a gateway before is the gateway of its family, its metric
 * the NIC's. mask as above, may be NULL if there is a '/' in destination; metric 0: none.
 */
int netconfig_add_route(struct reading *r, struct nic *n, const char *destination, const char *mask,
			const char *gateway, uint32_t metric);
/* 255.255.0.0 for 16, ffff:: for 16. */
void netconfig_mask(unsigned prefix, bool ipv6, char out[46]);
/* A route's parts: "10.0.0.0" or "::", its prefix length, gateway and metric. */
struct netconfig_route {
	char network[46], gateway[46];
	unsigned prefix;
	uint32_t metric;
	bool ipv6;
};
bool netconfig_split_route(const char *route, struct netconfig_route *ret);
/* The name by which a document can refer to NIC number i: its own, or one that no other has. */
void nic_label(const struct context *c, size_t i, char out[32]);

#endif
