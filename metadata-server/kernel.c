/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel knows of an address, one question each, by rtnetlink(7). The sockets stay open:
 * they belong to the network namespace in which they were made, whichever the process is in, and
 * once it is confined it can make no others.
 */
#include <fcntl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lib/fs.h"
#include "lib/str.h"
#include "metadata-server/identify.h"

enum {
	MAC_SIZE = 6,
	REQUEST_SIZE = 128,
	REPLY_SIZE = 4096,
};

/* A message that is put together: header, a body of the message's kind, attributes. */
struct request {
	char data[REQUEST_SIZE];
	size_t len;
};

static void begin(struct request *rq, uint16_t type, const void *body, size_t len)
{
	*rq = (struct request){.len = NLMSG_HDRLEN + NLMSG_ALIGN(len)};
	memcpy(rq->data + NLMSG_HDRLEN, body, len);
	memcpy(rq->data + offsetof(struct nlmsghdr, nlmsg_type), &type, sizeof(type));
}

static void add_attr(struct request *rq, uint16_t type, const void *value, size_t len)
{
	struct rtattr attr = {.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type};

	memcpy(rq->data + rq->len, &attr, sizeof(attr));
	memcpy(rq->data + rq->len + RTA_LENGTH(0), value, len);
	rq->len += RTA_ALIGN(attr.rta_len);
}

/* The answer's bytes; 0 if the kernel says no; -1 if it could not be asked. */
static ssize_t ask(struct kernel *k, struct request *rq, char reply[REPLY_SIZE], uint16_t expected)
{
	struct nlmsghdr head;
	ssize_t len;

	memcpy(&head, rq->data, sizeof(head));
	head.nlmsg_len = (uint32_t)rq->len;
	head.nlmsg_flags = NLM_F_REQUEST;
	head.nlmsg_seq = ++k->seq;
	memcpy(rq->data, &head, sizeof(head));
	if (send(k->netlink, rq->data, rq->len, 0) != (ssize_t)rq->len)
		return -1;
	/* the kernel has answered by the time send returns: this does not wait */
	do {
		len = recv(k->netlink, reply, REPLY_SIZE, MSG_DONTWAIT);
		if (len < NLMSG_HDRLEN)
			return -1;
		memcpy(&head, reply, sizeof(head));
	} while (head.nlmsg_seq != k->seq); /* what a question before was too late for */
	if (head.nlmsg_len > (size_t)len)
		return -1;
	return head.nlmsg_type == expected ? (ssize_t)head.nlmsg_len : 0;
}

int kernel_open(struct kernel *k, const char *netns, struct err *e)
{
	AUTO_FREE char *name = NULL;
	AUTO_FD int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	AUTO_FD int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*k = KERNEL_INIT;
	if (any < 0)
		any = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (netlink < 0 || any < 0)
		return err_errno(e, errno, "socket for questions to the kernel");
	if (netns) {
		name = strdup(netns);
		if (!name)
			return err_nomem(e);
	}
	k->netns = STEAL(name);
	k->netlink = steal_fd(&netlink);
	k->any = steal_fd(&any);
	return 0;
}

void kernel_close(struct kernel *k)
{
	if (k->netlink >= 0)
		close(k->netlink);
	if (k->any >= 0)
		close(k->any);
	free(k->netns);
	*k = KERNEL_INIT;
}

int netns_enter(const char *name, int *ret_home, struct err *e)
{
	AUTO_FREE char *path = str_format("/run/netns/%s", name);
	AUTO_FD int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	AUTO_FD int there = -1;

	if (!path)
		return err_nomem(e);
	if (!name_is_plain(name))
		return err_set(e, EINVAL, "'%s' is not the name of a network namespace", name);
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (home < 0 || there < 0 || setns(there, CLONE_NEWNET))
		return err_errno(e, errno, "network namespace '%s'", name);
	*ret_home = steal_fd(&home);
	return 0;
}

int netns_leave(int home, struct err *e)
{
	int rc = setns(home, CLONE_NEWNET) ? err_errno(e, errno, "network namespace") : 0;

	close(home);
	return rc;
}

bool interface_name(struct kernel *k, unsigned ifindex, char out[16])
{
	struct ifreq rq = {.ifr_ifindex = (int)ifindex};

	if (ioctl(k->any, SIOCGIFNAME, &rq))
		return false;
	memcpy(out, rq.ifr_name, 16);
	out[15] = '\0';
	return true;
}

static size_t ip_size(const struct ip_prefix *ip)
{
	return ip->family == AF_INET ? 4 : 16;
}

/* The link-layer address in an answer of len bytes. */
static bool find_mac(const char *reply, size_t len, unsigned char mac[MAC_SIZE])
{
	size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct ndmsg));
	struct ndmsg n;

	if (len < at)
		return false;
	memcpy(&n, reply + NLMSG_HDRLEN, sizeof(n));
	/* incomplete and failed entries say nothing; those without ARP were never asked */
	if (!(n.ndm_state & (NUD_PERMANENT | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE)))
		return false;
	while (range_within(at, sizeof(struct rtattr), len)) {
		struct rtattr attr;

		memcpy(&attr, reply + at, sizeof(attr));
		if (attr.rta_len < RTA_LENGTH(0) || !range_within(at, attr.rta_len, len))
			return false;
		if (attr.rta_type == NDA_LLADDR && attr.rta_len == RTA_LENGTH(MAC_SIZE)) {
			memcpy(mac, reply + at + RTA_LENGTH(0), MAC_SIZE);
			return true;
		}
		at += RTA_ALIGN(attr.rta_len);
	}
	return false;
}

bool neighbour_mac(struct kernel *k, unsigned ifindex, const struct ip_prefix *ip, char out[18])
{
	struct ndmsg body = {.ndm_family = (unsigned char)ip->family, .ndm_ifindex = (int)ifindex};
	unsigned char mac[MAC_SIZE];
	char reply[REPLY_SIZE];
	struct request rq;
	ssize_t len;

	if (!ifindex)
		return false;
	begin(&rq, RTM_GETNEIGH, &body, sizeof(body));
	add_attr(&rq, NDA_DST, ip->b, ip_size(ip));
	len = ask(k, &rq, reply, RTM_NEWNEIGH);
	if (len <= 0 || !find_mac(reply, (size_t)len, mac))
		return false;
	snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
	return true;
}

bool address_is_ours(struct kernel *k, unsigned ifindex, const struct ip_prefix *ip)
{
	bool scoped = ip->family == AF_INET6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
	struct rtmsg body = {.rtm_family = (unsigned char)ip->family,
			     .rtm_dst_len = (unsigned char)(8 * ip_size(ip))};
	char reply[REPLY_SIZE];
	struct request rq;
	struct rtmsg answer;
	ssize_t len;

	begin(&rq, RTM_GETROUTE, &body, sizeof(body));
	add_attr(&rq, RTA_DST, ip->b, ip_size(ip));
	if (scoped)
		add_attr(&rq, RTA_OIF, &ifindex, sizeof(ifindex));
	len = ask(k, &rq, reply, RTM_NEWROUTE);
	if (!len)
		return false; /* no route: our own have one always */
	if (len < (ssize_t)(NLMSG_HDRLEN + sizeof(answer)))
		return true; /* not known: then nobody is to be taken for a guest */
	memcpy(&answer, reply + NLMSG_HDRLEN, sizeof(answer));
	return answer.rtm_type == RTN_LOCAL;
}
