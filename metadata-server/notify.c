/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager: see metadata-server/notify.h. */
#include "metadata-server/notify.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/str.h"

enum {
	FIRST = 3, /* SD_LISTEN_FDS_START */
	MOST = 256,
};

struct notify {
	int fd;
	struct event *timer;
};

int notify_open(struct notify **ret, struct err *e)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO(notify_close) struct notify *n = NULL;
	size_t len = path ? strlen(path) : 0;

	*ret = NULL;
	if (!path)
		return 0;
	if ((*path != '/' && *path != '@') || len >= sizeof(a.sun_path))
		return err_set(e, EINVAL, "NOTIFY_SOCKET '%s' is no socket's name", path);
	memcpy(a.sun_path, path, len);
	if (*path == '@')
		a.sun_path[0] = '\0'; /* a name in the abstract name space has no final NUL */
	n = calloc(1, sizeof(*n));
	if (!n)
		return err_nomem(e);
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd < 0 || connect(n->fd, (struct sockaddr *)&a,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)))
		return err_errno(e, errno, "service manager at '%s'", path);
	*ret = STEAL(n);
	return 0;
}

void notify_close(struct notify *n)
{
	if (n->timer)
		event_free(n->timer);
	if (n->fd >= 0)
		close(n->fd);
	free(n);
}

void notify_send(struct notify *n, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int len;

	if (!n)
		return;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* a manager that does not listen is no reason not to serve */
	if (len > 0 && (size_t)len < sizeof(text))
		(void)!send(n->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	notify_send(arg, "WATCHDOG=1");
}

int notify_watchdog(struct notify *n, struct event_base *base, struct err *e)
{
	const char *text = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	struct timeval tv;
	uint64_t us, who;

	if (!n || !text || str_to_u64(text, 1000, UINT32_MAX, &us, NULL))
		return 0;
	if (pid && (str_to_u64(pid, 1, INT32_MAX, &who, NULL) || who != (uint64_t)getpid()))
		return 0;
	us /= 2;
	tv = (struct timeval){.tv_sec = (time_t)(us / 1000000),
			      .tv_usec = (suseconds_t)(us % 1000000)};
	n->timer = event_new(base, -1, EV_PERSIST, on_timer, n);
	return n->timer && !event_add(n->timer, &tv) ? 0 : err_nomem(e);
}

unsigned notify_sockets(int *ret_first)
{
	const char *pid = getenv("LISTEN_PID");
	const char *fds = getenv("LISTEN_FDS");
	uint64_t n, who;

	*ret_first = FIRST;
	if (!pid || !fds || str_to_u64(pid, 1, INT32_MAX, &who, NULL) ||
	    who != (uint64_t)getpid() || str_to_u64(fds, 0, MOST, &n, NULL))
		return 0;
	for (int fd = FIRST; fd < FIRST + (int)n; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return (unsigned)n;
}

void notify_socket_name(unsigned i, char out[64])
{
	const char *p = getenv("LISTEN_FDNAMES");
	size_t len;

	out[0] = '\0';
	for (; p && i; i--) {
		p = strchr(p, ':');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return;
	len = MIN(strcspn(p, ":"), (size_t)63);
	memcpy(out, p, len);
	out[len] = '\0';
}
