/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify(3): one datagram to the socket that $NOTIFY_SOCKET names. See ctxd/notify.h. */
#include "ctxd/notify.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

int notify_manager(const char *state, struct err *e)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO_FD int fd = -1;
	size_t len;

	if (!path)
		return 0;
	len = strlen(path);
	if ((*path != '/' && *path != '@') || len >= sizeof(a.sun_path))
		return err_set(e, EINVAL, "NOTIFY_SOCKET '%s' is no socket's name", path);
	memcpy(a.sun_path, path, len);
	if (*path == '@')
		a.sun_path[0] = '\0'; /* a name in the abstract name space has no final NUL */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&a,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return err_errno(e, errno, "telling the service manager");
	return 0;
}
