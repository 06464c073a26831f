/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of the kernel's neighbour table, by rtnetlink(7) RTM_GETNEIGH. */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

#include "metadata-server/identify.h"

enum {
	MAC_SIZE = 6,
	REPLY_SIZE = 4096,
};

struct request {
	struct nlmsghdr head;
	struct ndmsg neighbour;
	struct rtattr attr;
	unsigned char address[16];
};

static bool ask(int fd, unsigned ifindex, const struct ip_prefix *ip)
{
	size_t size = ip->family == AF_INET ? 4 : 16;
	struct request rq = {
		.head = {.nlmsg_len = (uint32_t)(offsetof(struct request, address) + size),
			 .nlmsg_type = RTM_GETNEIGH,
			 .nlmsg_flags = NLM_F_REQUEST,
			 .nlmsg_seq = 1},
		.neighbour = {.ndm_family = (unsigned char)ip->family, .ndm_ifindex = (int)ifindex},
		.attr = {.rta_len = (unsigned short)RTA_LENGTH(size), .rta_type = NDA_DST},
	};

	memcpy(rq.address, ip->b, size);
	return send(fd, &rq, rq.head.nlmsg_len, 0) == (ssize_t)rq.head.nlmsg_len;
}

/* The link-layer address in an answer of len bytes. */
static bool find_mac(const char *reply, size_t len, unsigned char mac[MAC_SIZE])
{
	struct nlmsghdr head;
	struct ndmsg n;
	size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(n));

	if (len < at)
		return false;
	memcpy(&head, reply, sizeof(head));
	memcpy(&n, reply + NLMSG_HDRLEN, sizeof(n));
	if (head.nlmsg_type != RTM_NEWNEIGH || head.nlmsg_len > len)
		return false;
	/* incomplete and failed entries say nothing; those without ARP were never asked */
	if (!(n.ndm_state & (NUD_PERMANENT | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE)))
		return false;
	while (range_within(at, sizeof(struct rtattr), head.nlmsg_len)) {
		struct rtattr attr;

		memcpy(&attr, reply + at, sizeof(attr));
		if (attr.rta_len < RTA_LENGTH(0) || !range_within(at, attr.rta_len, head.nlmsg_len))
			return false;
		if (attr.rta_type == NDA_LLADDR && attr.rta_len == RTA_LENGTH(MAC_SIZE)) {
			memcpy(mac, reply + at + RTA_LENGTH(0), MAC_SIZE);
			return true;
		}
		at += RTA_ALIGN(attr.rta_len);
	}
	return false;
}

bool neighbour_mac(unsigned ifindex, const struct ip_prefix *ip, char out[18])
{
	AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	unsigned char mac[MAC_SIZE];
	char reply[REPLY_SIZE];
	ssize_t len;

	if (fd < 0 || !ifindex || !ask(fd, ifindex, ip))
		return false;
	/* the kernel has answered by the time send returns: this does not wait */
	len = recv(fd, reply, sizeof(reply), MSG_DONTWAIT);
	if (len < 0 || !find_mac(reply, (size_t)len, mac))
		return false;
	snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
	return true;
}
