/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest is known by the interface that its connection came in by (which it cannot forge), its
 * source address (which it can, on a bridge that lets it, but then it never sees the answer) and,
 * where asked for, its MAC address in the host's neighbour table. Nobody and several are the same
 * to a client: 404.
 */
#include "metadata-server/identify.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

static bool peer_ip(const struct httpd_peer *peer, struct ip_prefix *ret)
{
	*ret = (struct ip_prefix){.family = peer->remote.ss_family};
	if (peer->remote.ss_family == AF_INET)
		memcpy(ret->b, &((const struct sockaddr_in *)&peer->remote)->sin_addr, 4);
	else if (peer->remote.ss_family == AF_INET6)
		memcpy(ret->b, &((const struct sockaddr_in6 *)&peer->remote)->sin6_addr, 16);
	else
		return false;
	return true;
}

void peer_address(const struct httpd_peer *peer, char out[46])
{
	struct ip_prefix ip;

	out[0] = '\0';
	if (peer_ip(peer, &ip))
		context_format_ip(&ip, out);
}

void peer_interface(const struct httpd_peer *peer, char out[16])
{
	char name[IF_NAMESIZE];
	struct ip_prefix ip;

	out[0] = '\0';
	if (!peer->ifindex || !peer_ip(peer, &ip))
		return;
	if (address_is_ours(peer->ifindex, &ip))
		memcpy(out, "lo", sizeof("lo"));
	else if (if_indextoname(peer->ifindex, name))
		memcpy(out, name, sizeof(name));
}

static bool mac_of_peer(void *arg, char out[18])
{
	const struct httpd_peer *peer = arg;
	struct ip_prefix ip;

	return peer_ip(peer, &ip) && neighbour_mac(peer->ifindex, &ip, out);
}

int identify(const struct store *s, const struct httpd_peer *peer, const struct instance **ret,
	     struct err *e)
{
	char address[46], interface[16];
	size_t n;

	peer_address(peer, address);
	peer_interface(peer, interface);
	n = store_identify(s, interface[0] ? interface : NULL, address[0] ? address : NULL,
			   mac_of_peer, (void *)peer, ret);
	if (n == 1)
		return 0;
	if (n)
		return err_set(e, ENOENT, "%zu instances are known by interface '%s', address %s",
			       n, interface, address);
	return err_set(e, ENOENT, "no instance is known by interface '%s', address %s", interface,
		       address);
}
