/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest is known by the network namespace and the interface that its connection came in by (which
 * it cannot forge), its source address (which it can, on a bridge that lets it, but then it never
 * sees the answer) and, where asked for, its MAC address in the host's neighbour table; or by the
 * CID that the host gave its vsock. Nobody and several are the same to a client: 404.
 */
#include "metadata-server/identify.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
/* behind the one above, on which it depends */
#include <linux/vm_sockets.h>

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

/* Listeners have their namespace as a tag; the pointer is to what the service owns. */
static struct kernel *kernel_of(const struct httpd_peer *peer)
{
	return (struct kernel *)peer->tag;
}

void peer_address(const struct httpd_peer *peer, char out[46])
{
	struct sockaddr_vm vm;
	struct ip_prefix ip;

	out[0] = '\0';
	if (peer->remote.ss_family == AF_VSOCK) {
		memcpy(&vm, &peer->remote, sizeof(vm));
		snprintf(out, 46, "%u", vm.svm_cid);
	} else if (peer_ip(peer, &ip))
		context_format_ip(&ip, out);
}

void peer_interface(const struct httpd_peer *peer, char out[16])
{
	struct kernel *k = kernel_of(peer);
	struct ip_prefix ip;

	out[0] = '\0';
	if (peer->remote.ss_family == AF_VSOCK)
		memcpy(out, IDENTIFY_VSOCK, sizeof(IDENTIFY_VSOCK));
	if (!k || !peer->ifindex || !peer_ip(peer, &ip))
		return;
	if (address_is_ours(k, peer->ifindex, &ip))
		memcpy(out, "lo", sizeof("lo"));
	else
		interface_name(k, peer->ifindex, out);
}

static bool mac_of_peer(void *arg, char out[18])
{
	const struct httpd_peer *peer = arg;
	struct ip_prefix ip;

	return kernel_of(peer) && peer_ip(peer, &ip) &&
	       neighbour_mac(kernel_of(peer), peer->ifindex, &ip, out);
}

int identify(const struct store *s, const struct httpd_peer *peer, const struct instance **ret,
	     struct err *e)
{
	const struct kernel *k = kernel_of(peer);
	const char *netns = k ? k->netns : NULL;
	char address[46], interface[16];
	size_t n;

	peer_address(peer, address);
	peer_interface(peer, interface);
	n = store_identify(s, netns, interface[0] ? interface : NULL, address[0] ? address : NULL,
			   mac_of_peer, (void *)peer, ret);
	if (n == 1)
		return 0;
	if (n)
		return err_set(e, ENOENT,
			       "%zu instances are known by %s%s%sinterface '%s', address %s", n,
			       netns ? "namespace '" : "", netns ? netns : "", netns ? "', " : "",
			       interface, address);
	return err_set(e, ENOENT, "no instance is known by %s%s%sinterface '%s', address %s",
		       netns ? "namespace '" : "", netns ? netns : "", netns ? "', " : "",
		       interface, address);
}
