/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for devices: see ctxd/coldplug.h.
 *
 * The kernel's own uevents say when a block device is there; `udevadm settle` ends when udevd has
 * nothing more to do, so when every driver that is going to be loaded is loaded.
 */
#include "ctxd/coldplug.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "ctxd/events.h"
#include "lib/clock.h"
#include "lib/proc.h"

#define POLL_MS 50 /* to see the end of a process where there are no pidfds */

struct coldplug {
	uint64_t end;
	int events; /* netlink socket, or -1 */
	pid_t pid;  /* udevadm settle, or -1 */
	int pidfd;  /* of it, or -1 */
};

int coldplug_watch(unsigned wait_ms, struct coldplug **ret, struct err *e)
{
	AUTO(coldplug_free) struct coldplug *c = calloc(1, sizeof(*c));
	char timeout[32];
	const char *const argv[] = {"udevadm", "settle", timeout, NULL};
	struct proc_opts o = PROC_OPTS_INIT;

	if (!c)
		return err_nomem(e);
	c->end = clock_ms() + wait_ms;
	c->pid = c->pidfd = -1;
	c->events = -1;
	(void)events_open(&c->events, NULL); /* else what is there in the end is looked at */
	o.die_with_parent = true;
	snprintf(timeout, sizeof(timeout), "--timeout=%u", wait_ms / 1000 + 1);
	if (access("/run/udev/control", F_OK) == 0 && proc_start(argv, &o, &c->pid, NULL) < 0)
		c->pid = -1;
#ifdef SYS_pidfd_open
	if (c->pid > 0)
		c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
#endif
	*ret = STEAL(c);
	return 0;
}

/* Takes what events there are; true if one is of a block device. */
static bool drain(int fd)
{
	static const char subsystem[] = "SUBSYSTEM=block";
	bool found = false;
	char text[8192];
	ssize_t n;

	while ((n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
		/* "add@/devices/...", then KEY=VALUE, with a NUL behind each. */
		text[n] = '\0';
		for (char *p = text; p < text + n; p += strlen(p) + 1)
			found |= strcmp(p, subsystem) == 0;
	}
	return found;
}

static bool has_settled(struct coldplug *c)
{
	int status;

	if (c->pid > 0 && waitpid(c->pid, &status, WNOHANG) == 0)
		return false;
	c->pid = -1;
	return true;
}

int coldplug_wait(struct coldplug *c, bool *settled, struct err *e)
{
	for (;;) {
		struct pollfd p[2] = {{.fd = c->events, .events = POLLIN},
				      {.fd = c->pidfd, .events = POLLIN}};
		int left = clock_left_ms(c->end);

		if (has_settled(c) || !left) {
			*settled = true;
			return 0;
		}
		if (c->pidfd < 0)
			left = MIN(left, POLL_MS);
		if (poll(p, 2, left) < 0 && errno != EINTR)
			return err_errno(e, errno, "waiting for devices");
		if (c->events >= 0 && drain(c->events)) {
			*settled = false;
			return 0;
		}
	}
}

void coldplug_free(struct coldplug *c)
{
	if (c->pid > 0)
		proc_end(c->pid, 0);
	if (c->pidfd >= 0)
		close(c->pidfd);
	if (c->events >= 0)
		close(c->events);
	free(c);
}
