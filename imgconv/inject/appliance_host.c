/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and ending the process that has libguestfs: see appliance_host.h. */
#include "imgconv/inject/appliance_host.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "imgconv/inject/appliance_confine.h"
#include "imgconv/inject/appliance_driver.h"
#include "lib/fs.h"
#include "lib/str.h"

#define END_MS 5000     /* for ending by itself, before it is asked by a signal */
#define ASKED_MS 2000   /* after that, before it is killed */
#define FOLDER_MAX 48u  /* sockets have short names */
#define FIRST_FREE_FD 6 /* in the process */

struct ends {
	int requests[2], disks[2], listener;
};

/* ---- in the process -------------------------------------------------------------------------- */

/* Hands over each connection that the machine makes to its disk. */
static void accept_all(int listener, int disks)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		union {
			char room[CMSG_SPACE(sizeof(int))];
			struct cmsghdr aligned;
		} control = {{0}};
		char byte = 0;
		struct iovec part = {&byte, 1};
		struct msghdr h = {.msg_iov = &part,
				   .msg_iovlen = 1,
				   .msg_control = &control,
				   .msg_controllen = sizeof(control)};
		struct cmsghdr *c = CMSG_FIRSTHDR(&h);

		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0)
			return;
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
		if (sendmsg(disks, &h, MSG_NOSIGNAL) < 0)
			return;
		close(fd);
	}
}

/* The acceptor ends with the process that it accepts for. */
static pid_t start_acceptor(int listener, int disks)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(3);
	if (getppid() == parent)
		accept_all(listener, disks);
	_exit(0);
}

/* Nothing of ours is open there but the three sockets, as 3, 4 and 5. */
static void settle(const struct ends *x)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
	int null = open("/dev/null", O_RDWR);
	/* First out of the way of each other. */
	int requests = fcntl(x->requests[1], F_DUPFD, 64), disks = fcntl(x->disks[1], F_DUPFD, 64),
	    listener = fcntl(x->listener, F_DUPFD, 64);

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (!getenv("LIBGUESTFS_DEBUG"))
		dup2(null, STDERR_FILENO);
	dup2(requests, 3);
	dup2(disks, 4);
	dup2(listener, 5);
	close_range(FIRST_FREE_FD, ~0u, 0);
	for (int fd = 3; fd < FIRST_FREE_FD; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void run_process(const struct appliance_host *h, const struct ends *x, bool kvm,
			pid_t parent)
{
	AUTO_FREE char *socket = path_join(h->folder, "disk");
	struct driver_opts o = {.folder = h->folder, .disk = socket, .kvm = kvm};
	pid_t acceptor;

	struct err e;

	settle(x);
	if (getppid() != parent || !socket || appliance_confine(h->folder, &e) < 0)
		_exit(1);
	acceptor = start_acceptor(5, 4);
	close(4);
	close(5);
	if (acceptor > 0) {
		driver_run(3, &o);
		kill(acceptor, SIGKILL);
	}
	_exit(0);
}

/* ---- starting -------------------------------------------------------------------------------- */

bool appliance_host_has_kvm(void)
{
	const char *settings = getenv("LIBGUESTFS_BACKEND_SETTINGS");
	AUTO_FD int fd = -1;

	if (settings && strstr(settings, "force_tcg"))
		return false;
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	return fd >= 0;
}

static int make_folder(struct appliance_host *h, struct err *e)
{
	const char *temporary = getenv("TMPDIR");
	AUTO_FREE char *prefix = NULL;

	if (!temporary || temporary[0] != '/' || strlen(temporary) > FOLDER_MAX)
		temporary = "/tmp";
	prefix = path_join(temporary, "imgconv");
	return prefix ? fs_make_temp_dir(prefix, &h->folder, e) : err_nomem(e);
}

static int listen_for_disk(const struct appliance_host *h, int *ret, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s/disk", h->folder);

	if (n < 0 || (size_t)n >= sizeof(a.sun_path))
		return err_set(e, ENAMETOOLONG, "'%s' is too long for a socket", h->folder);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4) < 0)
		return err_errno(e, errno, "a socket in '%s'", h->folder);
	*ret = steal_fd(&fd);
	return 0;
}

static void close_ends(struct ends *x)
{
	int all[] = {x->requests[0], x->requests[1], x->disks[0], x->disks[1], x->listener};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i] >= 0)
			close(all[i]);
	}
}

static int make_ends(struct appliance_host *h, struct ends *x, struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, x->requests) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, x->disks) < 0)
		return err_errno(e, errno, "making a socket");
	return listen_for_disk(h, &x->listener, e);
}

int appliance_host_start(struct appliance_host *h, bool kvm, int *ret_requests, struct err *e)
{
	struct ends x = {{-1, -1}, {-1, -1}, -1};
	pid_t self = getpid();
	int rc;

	appliance_host_end(h);
	rc = make_folder(h, e);
	if (rc == 0)
		rc = make_ends(h, &x, e);
	if (rc == 0) {
		h->pid = fork();
		if (h->pid == 0)
			run_process(h, &x, kvm, self);
		if (h->pid < 0)
			rc = err_errno(e, errno, "starting a process");
	}
	if (rc == 0) {
		*ret_requests = x.requests[0];
		h->disks = x.disks[0];
		x.requests[0] = x.disks[0] = -1;
	} else {
		h->pid = 0;
		appliance_host_end(h);
	}
	close_ends(&x);
	return rc;
}

/* ---- ending ---------------------------------------------------------------------------------- */

/* True if it has ended by then. */
static bool wait_for_end(pid_t pid, unsigned ms)
{
	for (unsigned waited = 0; waited < ms; waited += 20) {
		pid_t rc = waitpid(pid, NULL, WNOHANG);

		if (rc == pid || (rc < 0 && errno == ECHILD))
			return true;
		poll(NULL, 0, 20);
	}
	return false;
}

void appliance_host_end(struct appliance_host *h)
{
	if (h->disks >= 0)
		close(h->disks);
	h->disks = -1;
	/* The library has a process that ends the machine when this one has died. */
	if (h->pid && !wait_for_end(h->pid, END_MS)) {
		kill(h->pid, SIGTERM);
		if (!wait_for_end(h->pid, ASKED_MS)) {
			kill(h->pid, SIGKILL);
			while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
				;
		}
	}
	h->pid = 0;
	if (h->folder)
		(void)fs_remove_tree(h->folder, NULL);
	free(h->folder);
	h->folder = NULL;
}
