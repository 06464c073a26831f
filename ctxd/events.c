/* SPDX-License-Identifier: Apache-2.0 */
/* Events of the kernel: see ctxd/events.h. Nearly the rule that ctxd/hotplug.c gives udev. */
#include "ctxd/events.h"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/str.h"

#define KERNEL_EVENTS 1 /* multicast group of NETLINK_KOBJECT_UEVENT */
#define EVENT_MAX 8192

int events_open(int *ret, struct err *e)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_EVENTS};
	AUTO_FD int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_errno(e, errno, "listening to the kernel's events");
	*ret = steal_fd(&fd);
	return 0;
}

/* The value of a key, or "". The text ends with a NUL. */
static const char *value(const char *text, const char *end, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = text; p < end; p += strlen(p) + 1) {
		if (strncmp(p, key, len) == 0 && p[len] == '=')
			return p + len + 1;
	}
	return "";
}

/*
 * Behind a driver, or in a container, where a NIC is one end of a pair, by its name: not the pairs
 * and bridges that a container's host makes by the dozen, nor VLANs on a NIC.
 */
static bool is_nic(const char *path, const char *name)
{
	if (!strstr(path, "/virtual/net/"))
		return true;
	return (str_has_prefix(name, "eth") || str_has_prefix(name, "en")) && !strchr(name, '.');
}

static bool nic_matters(const char *action, const char *text, const char *end)
{
	return (strcmp(action, "add") == 0 || strcmp(action, "remove") == 0) &&
	       is_nic(value(text, end, "DEVPATH"), value(text, end, "INTERFACE"));
}

/* A medium, a size, or a disk that comes: with a medium, or what the context wants mounted. */
static bool disk_matters(const char *action, const char *text, const char *end)
{
	if (strcmp(action, "add") == 0)
		return strcmp(value(text, end, "DEVTYPE"), "disk") == 0 &&
		       !strstr(value(text, end, "DEVPATH"), "/virtual/block/");
	return strcmp(action, "change") == 0 &&
	       (str_has_prefix(value(text, end, "DEVNAME"), "sr") ||
		strcmp(value(text, end, "RESIZE"), "1") == 0);
}

/* SCSI disks do not say RESIZE before somebody asks them for their size: ctxd/apply/grow.c. */
static bool scsi_matters(const char *action, const char *text, const char *end)
{
	return strcmp(action, "change") == 0 &&
	       strcmp(value(text, end, "SDEV_UA"), "CAPACITY_DATA_HAS_CHANGED") == 0;
}

bool events_matter(const char *text, size_t len)
{
	const char *end = text + len;
	const char *action, *subsystem;

	if (!len || end[-1])
		return false;
	action = value(text, end, "ACTION");
	subsystem = value(text, end, "SUBSYSTEM");
	if (strcmp(subsystem, "net") == 0)
		return nic_matters(action, text, end);
	if (strcmp(subsystem, "block") == 0)
		return disk_matters(action, text, end);
	return strcmp(subsystem, "scsi") == 0 && scsi_matters(action, text, end);
}

/* Takes what is there. Any process may send to the socket: only the kernel's word counts. */
static bool drain(int fd)
{
	bool found = false;
	char text[EVENT_MAX];

	for (;;) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, text, sizeof(text), MSG_DONTWAIT, (struct sockaddr *)&from,
				     &from_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS)
			found = true;
		else if (n <= 0)
			return found;
		else if (!from.nl_pid && events_matter(text, (size_t)n))
			found = true;
	}
}

int events_wait(int fd, int timeout_ms, struct err *e)
{
	uint64_t end = clock_ms() + (uint64_t)MAX(timeout_ms, 0);

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int n = poll(&p, 1, timeout_ms < 0 ? -1 : clock_left_ms(end));

		if (n < 0 && errno != EINTR)
			return err_errno(e, errno, "waiting for the kernel's events");
		if (n > 0 && drain(fd))
			return 1;
		if (n == 0)
			return 0;
	}
}
