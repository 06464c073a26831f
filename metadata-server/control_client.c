/* SPDX-License-Identifier: Apache-2.0 */
/* The Unix socket of metadata-server/control.h: its making, and its client. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "lib/str.h"
#include "metadata-server/control.h"

enum {
	PATIENCE_S = 60,
	MOST = 256 * 1024 * 1024, /* bytes of an answer */
};

static int unix_address(const char *path, struct sockaddr_un *ret, struct err *e)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return err_set(e, EINVAL, "control socket '%s': the path is longer than %zu bytes",
			       path, sizeof(ret->sun_path) - 1);
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return 0;
}

int control_listen(const char *path, int *ret, struct err *e)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	AUTO_FD int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;
	struct stat st;
	int rc = unix_address(path, &a, e);

	if (rc)
		return rc;
	if (fd < 0 || probe < 0)
		return err_errno(e, errno, "control socket '%s'", path);
	if (!connect(probe, (struct sockaddr *)&a, sizeof(a)))
		return err_set(e, EADDRINUSE, "control socket '%s': a server listens there", path);
	if (errno == ECONNREFUSED && !lstat(path, &st) && S_ISSOCK(st.st_mode))
		unlink(path);
	/* nobody may connect before the mode is right */
	if (fchmod(fd, 0660) || bind(fd, (struct sockaddr *)&a, sizeof(a)) || chmod(path, 0660) ||
	    listen(fd, 16))
		return err_errno(e, errno, "control socket '%s'", path);
	*ret = steal_fd(&fd);
	return 0;
}

static int talk(int fd, const struct buf *request, struct buf *answer, struct err *e)
{
	size_t off = 0;

	while (off < request->len) {
		ssize_t n = send(fd, request->data + off, request->len - off, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "asking the server");
		off += (size_t)n;
	}
	for (;;) {
		ssize_t n;

		if (buf_reserve(answer, 65536))
			return err_nomem(e);
		n = recv(fd, answer->data + answer->len, 65536, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "the server's answer");
		if (!n)
			return 0;
		answer->len += (size_t)n;
		answer->data[answer->len] = '\0';
		if (answer->len > MOST)
			return err_set(e, EFBIG, "the server's answer is too long");
	}
}

int control_ask(const char *socket_path, const char *method, const char *target, const char *body,
		int *status, struct buf *ret, struct err *e)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = {.tv_sec = PATIENCE_S};
	AUTO_BUF request = BUF_INIT;
	AUTO_BUF answer = BUF_INIT;
	struct sockaddr_un a;
	const char *head_end;
	int rc = unix_address(socket_path, &a, e);

	if (rc)
		return rc;
	if (buf_addf(&request, "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
		     method, target, body ? strlen(body) : 0, body ? body : ""))
		return err_nomem(e);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return err_errno(e, errno, "control socket '%s': is no server running?",
				 socket_path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	rc = talk(fd, &request, &answer, e);
	if (rc)
		return rc;
	head_end = strstr(buf_str(&answer), "\r\n\r\n");
	if (!head_end || sscanf(buf_str(&answer), "HTTP/1.1 %3d", status) != 1)
		return err_set(e, EBADMSG, "the server's answer is not HTTP");
	head_end += 4;
	return buf_add(ret, head_end, answer.len - (size_t)(head_end - answer.data)) ? err_nomem(e)
										     : 0;
}
