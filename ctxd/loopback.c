/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 169.254.169.254 on the loopback interface: see ctxd/loopback.h.
 *
 * rtnetlink(7): one message a socket, answered by one NLMSG_ERROR.
 */
#include "ctxd/loopback.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#define ARP_IGNORE "/proc/sys/net/ipv4/conf/all/arp_ignore"

struct request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
	} body;
	char attributes[64];
};

static void add_attribute(struct request *r, unsigned short type, const void *data, size_t len)
{
	size_t at = NLMSG_ALIGN(r->head.nlmsg_len);
	struct rtattr a = {.rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(len)};

	memcpy((char *)r + at, &a, sizeof(a));
	memcpy((char *)r + at + RTA_LENGTH(0), data, len);
	r->head.nlmsg_len = (uint32_t)(at + RTA_LENGTH(len));
}

/* Sends and takes the answer: 0, or the kernel's negative errno. */
static int ask(const struct request *r, struct err *e)
{
	AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char more[256];
	} answer;
	ssize_t n;

	if (fd < 0)
		return err_errno(e, errno, "opening rtnetlink");
	if (sendto(fd, r, r->head.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return err_errno(e, errno, "asking rtnetlink");
	do {
		n = recv(fd, &answer, sizeof(answer), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(e, errno, "reading rtnetlink");
	if ((size_t)n < sizeof(answer.head) + sizeof(answer.error) ||
	    answer.head.nlmsg_type != NLMSG_ERROR)
		return err_set(e, EPROTO, "rtnetlink gave no answer");
	return answer.error.error;
}

static int set_up(unsigned index, struct err *e)
{
	struct request r = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(r.body.link)),
				     .nlmsg_type = RTM_NEWLINK,
				     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
	int rc;

	r.body.link.ifi_family = AF_UNSPEC;
	r.body.link.ifi_index = (int)index;
	r.body.link.ifi_flags = IFF_UP;
	r.body.link.ifi_change = IFF_UP;
	rc = ask(&r, e);
	return rc < 0 ? err_errno(e, -rc, "setting " LOOPBACK_NAME " up") : 0;
}

static int change_address(unsigned index, unsigned short type, unsigned short flags, struct err *e)
{
	struct request r = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(r.body.address)),
				     .nlmsg_type = type,
				     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags}};
	struct in_addr a;

	inet_pton(AF_INET, LOOPBACK_ADDRESS, &a);
	r.body.address.ifa_family = AF_INET;
	r.body.address.ifa_prefixlen = 32;
	r.body.address.ifa_scope = RT_SCOPE_HOST;
	r.body.address.ifa_index = index;
	add_attribute(&r, IFA_LOCAL, &a, sizeof(a));
	add_attribute(&r, IFA_ADDRESS, &a, sizeof(a));
	return ask(&r, e);
}

/*
 * By default Linux answers ARP for any of its addresses on any interface. 3 leaves out those of
 * scope host, which is ours alone; a stricter setting of the administrator's stays.
 */
static int keep_off_arp(struct err *e)
{
	AUTO_FD int fd = open(ARP_IGNORE, O_RDWR | O_CLOEXEC);
	char now[8] = "";

	if (fd < 0 || read(fd, now, sizeof(now) - 1) < 0)
		return err_errno(e, errno, "'" ARP_IGNORE "'");
	if (now[0] != '0')
		return 0;
	if (pwrite(fd, "3\n", 2, 0) < 0)
		return err_errno(e, errno, "'" ARP_IGNORE "'");
	return 0;
}

int loopback_take(struct err *e)
{
	unsigned index = if_nametoindex(LOOPBACK_NAME);
	int rc;

	if (!index)
		return err_errno(e, errno, "interface " LOOPBACK_NAME);
	rc = keep_off_arp(e);
	if (rc == 0)
		rc = set_up(index, e);
	if (rc < 0)
		return rc;
	rc = change_address(index, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, e);
	if (rc < 0 && rc != -EEXIST)
		return err_errno(e, -rc, "giving " LOOPBACK_NAME " the address " LOOPBACK_ADDRESS);
	return 0;
}

int loopback_drop(struct err *e)
{
	unsigned index = if_nametoindex(LOOPBACK_NAME);
	int rc = index ? change_address(index, RTM_DELADDR, 0, e) : 0;

	if (rc < 0 && rc != -EADDRNOTAVAIL)
		return err_errno(e, -rc,
				 "taking the address " LOOPBACK_ADDRESS " from " LOOPBACK_NAME);
	return 0;
}
