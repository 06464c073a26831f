/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work in a child that can open nothing: see lib/worker.h. Parent and child talk over a socket of
 * packets: a struct message, followed by text, with at most one descriptor.
 */
#include "lib/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/clock.h"
#include "lib/fs.h"
#include "lib/mapped.h"
#include "lib/sandbox.h"
#include "lib/stop.h"

/* How long a child may take to end by itself once a signal asked for it. */
#define GRACE_MS 500
#define ERRNO_MAX 4095 /* of Linux */

enum kind {
	MESSAGE_ASK,     /* code: what; the text of the request */
	MESSAGE_ANSWER,  /* code: 0 with a descriptor, or an errno with its text */
	MESSAGE_RESULT,  /* code: what run returned; the result, or an error's text */
	MESSAGE_REFUSED, /* code: the system call that was refused */
};

struct message {
	uint32_t kind;
	int32_t code;
};

#define PAYLOAD_MAX WORKER_TEXT_MAX
_Static_assert(PAYLOAD_MAX >= WORKER_RESULT_MAX && PAYLOAD_MAX >= sizeof(((struct err *)0)->msg),
	       "a payload holds every kind of text");

/* In the child: the way to the parent. Where there is none, the worker that runs right here. */
static int to_parent = -1;
static const struct worker *unconfined;
static pthread_mutex_t ask_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- messages ---------------------------------------------------------------------------------- */

union control {
	char room[CMSG_SPACE(sizeof(int))];
	struct cmsghdr aligned;
};

/* Async-signal-safe. pass: a descriptor, or -1. Returns 0 or a negative errno. */
static int send_message(int to, enum kind kind, int code, const void *text, size_t len, int pass)
{
	struct message m = {.kind = kind, .code = code};
	struct iovec parts[2] = {{&m, sizeof(m)}, {(void *)text, len}};
	struct msghdr h = {.msg_iov = parts, .msg_iovlen = 2};
	union control control = {{0}};
	ssize_t n;

	if (pass >= 0) {
		struct cmsghdr *c;

		h.msg_control = &control;
		h.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass, sizeof(int));
	}
	do
		n = sendmsg(to, &h, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Takes the first descriptor of a message and closes any more. */
static void take_fds(struct msghdr *h, int *ret_fd)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (ret_fd && *ret_fd < 0)
				*ret_fd = fd;
			else
				close(fd);
		}
	}
}

/*
 * Waits for a message; text has room for PAYLOAD_MAX and a NUL, which is added. Returns 1; 0 at
 * the end; a negative errno, EBADMSG for what is no message.
 */
static int receive_message(int from, struct message *m, char *text, size_t *ret_len, int *ret_fd)
{
	struct iovec parts[2] = {{m, sizeof(*m)}, {text, PAYLOAD_MAX}};
	union control control;
	struct msghdr h = {.msg_iov = parts,
			   .msg_iovlen = 2,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	ssize_t n;

	do
		n = recvmsg(from, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	take_fds(&h, ret_fd);
	if (n == 0)
		return 0;
	if ((size_t)n < sizeof(*m) || h.msg_flags & MSG_TRUNC)
		return -EBADMSG;
	*ret_len = (size_t)n - sizeof(*m);
	text[*ret_len] = '\0';
	return 1;
}

/* ---- in the child ------------------------------------------------------------------------------ */

static void refused(int number)
{
	(void)send_message(to_parent, MESSAGE_REFUSED, number, NULL, 0, -1);
	_exit(1);
}

/* Asks the parent, or what is in its place. The caller owns what is in *ret, whose fd may be -1. */
static int serve_request(const struct worker *w, unsigned what, const char *text, size_t len,
			 struct worker_answer *ret, struct err *e)
{
	*ret = (struct worker_answer){.fd = -1};
	if (!w->serve)
		return err_set(e, EACCES, "nothing may be opened");
	return w->serve(w->ctx, what, text, len, ret, e);
}

static int ask_here(unsigned what, const char *text, size_t len, int *ret_fd, char **ret_text,
		    struct err *e)
{
	struct worker_answer a;
	int rc = serve_request(unconfined, what, text, len, &a, e);
	AUTO_FREE char *got = a.text;

	if (rc < 0)
		return rc;
	*ret_fd = a.keep ? fcntl(a.fd, F_DUPFD_CLOEXEC, 0) : a.fd;
	if (*ret_fd < 0)
		return err_errno(e, errno, "dup");
	if (ret_text)
		*ret_text = STEAL(got);
	return 0;
}

static int ask_parent(unsigned what, const char *text, size_t len, int *ret_fd, char **ret_text,
		      struct err *e)
{
	AUTO_FREE char *answer = malloc(PAYLOAD_MAX + 1);
	struct message m;
	size_t answer_len;
	AUTO_FD int fd = -1;
	int rc;

	if (!answer)
		return err_nomem(e);
	rc = send_message(to_parent, MESSAGE_ASK, (int)what, text, len, -1);
	if (rc < 0)
		return err_errno(e, -rc, "asking for a file");
	rc = receive_message(to_parent, &m, answer, &answer_len, &fd);
	if (rc <= 0)
		return err_errno(e, rc ? -rc : EPIPE, "asking for a file");
	if (m.code != 0)
		return err_set(e, m.code, "%s", answer);
	if (fd < 0)
		return err_set(e, EMFILE, "too many files are open");
	if (ret_text)
		*ret_text = STEAL(answer);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int worker_ask(unsigned what, const char *text, size_t len, int *ret_fd, char **ret_text,
	       struct err *e)
{
	int rc;

	if (len > WORKER_TEXT_MAX)
		return err_set(e, ENAMETOOLONG, "a path is too long");
	if (to_parent < 0 && !unconfined)
		return err_set(e, EINVAL, "there is no worker to ask for files");
	pthread_mutex_lock(&ask_lock);
	if (unconfined)
		rc = ask_here(what, text, len, ret_fd, ret_text, e);
	else
		rc = ask_parent(what, text, len, ret_fd, ret_text, e);
	pthread_mutex_unlock(&ask_lock);
	return rc;
}

static int run_and_flush(const struct worker *w, struct err *e)
{
	int rc = w->run(w->ctx, e);

	if ((fflush(stdout) != 0 || ferror(stdout)) && rc >= 0)
		return err_errno(e, errno, "writing standard output");
	return rc;
}

static void child(const struct worker *w, int socket, pid_t parent)
{
	struct err e = {0};
	int rc;

	to_parent = socket;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* What the parent opened for itself it can hand over. */
	fs_raise_file_limit();
	rc = mapped_allow(&e);
	if (rc == 0)
		rc = sandbox_enter(w->flags, refused, &e);
	if (rc == 0)
		rc = run_and_flush(w, &e);
	if (rc < 0)
		(void)send_message(socket, MESSAGE_RESULT, rc, e.msg, strlen(e.msg), -1);
	else
		(void)send_message(socket, MESSAGE_RESULT, rc, w->result, w->result_len, -1);
	/* A sanitizer's leak checker runs at exit. */
	if (SANDBOX_SANITIZED)
		exit(0);
	_exit(0);
}

/* ---- in the parent ----------------------------------------------------------------------------- */

struct session {
	const struct worker *w;
	pid_t pid;
	int socket;
	bool ended; /* result is what the child said */
	int result;
	char text[PAYLOAD_MAX + 1];
};

static int answer(struct session *s, unsigned what, size_t len)
{
	struct worker_answer a;
	struct err e = {0};
	int rc = serve_request(s->w, what, s->text, len, &a, &e);
	AUTO_FREE char *text = a.text;
	size_t text_len = text ? strlen(text) : 0;

	if (rc < 0)
		return send_message(s->socket, MESSAGE_ANSWER, -rc, e.msg, strlen(e.msg), -1);
	if (text_len > PAYLOAD_MAX)
		rc = -ENAMETOOLONG;
	else
		rc = send_message(s->socket, MESSAGE_ANSWER, 0, text, text_len, a.fd);
	if (!a.keep)
		close(a.fd);
	return rc;
}

/* Keeps what the child leaves behind, or its error. */
static int take_result(struct session *s, int code, size_t len, struct err *e)
{
	s->ended = true;
	s->result = code;
	if (code < -ERRNO_MAX)
		return err_set(e, EBADMSG, "the confined process ended with error %d", code);
	if (code < 0)
		return err_set(e, -code, "%s", s->text);
	if (len != s->w->result_len)
		return err_set(e, EBADMSG, "the confined process left %zu bytes, not %zu", len,
			       s->w->result_len);
	if (len)
		memcpy(s->w->result, s->text, len);
	return code;
}

static int take_message(struct session *s, struct err *e)
{
	struct message m = {0};
	size_t len = 0;
	int rc = receive_message(s->socket, &m, s->text, &len, NULL);

	if (rc == 0)
		return err_set(e, EIO, "the confined process ended");
	if (rc > 0 && m.kind == MESSAGE_ASK) {
		rc = answer(s, (unsigned)m.code, len);
		return rc < 0 ? err_errno(e, -rc, "answering the confined process") : 0;
	}
	if (rc > 0 && m.kind == MESSAGE_RESULT)
		return take_result(s, m.code, len, e);
	s->ended = true;
	if (rc > 0 && m.kind == MESSAGE_REFUSED)
		return err_set(e, EOWNERDEAD,
			       "system call %d, which nothing that reads an image needs, was "
			       "refused in the sandbox",
			       (int)m.code);
	return err_errno(e, rc < 0 ? -rc : EBADMSG, "talking to the confined process");
}

/* A signal may have come to this process alone. */
static void pass_signal_on(const struct session *s, uint64_t *since)
{
	if (!stop_requested())
		return;
	if (!*since)
		*since = clock_ms();
	else if (*since != UINT64_MAX && clock_ms() - *since >= GRACE_MS) {
		kill(s->pid, SIGTERM);
		*since = UINT64_MAX;
	}
}

static int serve_all(struct session *s, struct err *e)
{
	uint64_t stopping_since = 0;
	int rc = 0;

	while (rc >= 0 && !s->ended) {
		struct pollfd p = {.fd = s->socket, .events = POLLIN};
		int n = poll(&p, 1, GRACE_MS / 2);

		if (n < 0 && errno != EINTR)
			return err_errno(e, errno, "waiting for the confined process");
		if (n > 0)
			rc = take_message(s, e);
		pass_signal_on(s, &stopping_since);
	}
	return rc;
}

/* A child that is well ends with 0, whatever it said. */
static int died(int status, struct err *e)
{
	if (stop_requested())
		return stop_check(e);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return err_set(e, EOWNERDEAD,
			       "a system call that nothing that reads an image needs was refused "
			       "in the sandbox");
	if (WIFSIGNALED(status))
		return err_set(e, EOWNERDEAD, "the confined process died of signal %d (%s)",
			       WTERMSIG(status), sigdescr_np(WTERMSIG(status)));
	return err_set(e, EOWNERDEAD, "the confined process ended with status %d",
		       WEXITSTATUS(status));
}

/* rc is what came of talking to the child. */
static int reap(struct session *s, int rc, struct err *e)
{
	int status;

	if (!s->ended)
		kill(s->pid, SIGKILL);
	while (waitpid(s->pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_errno(e, errno, "waiting for the confined process");
	}
	if (s->ended && (rc == -EOWNERDEAD || (WIFEXITED(status) && WEXITSTATUS(status) == 0)))
		return rc;
	return died(status, e);
}

static int run_here(const struct worker *w, struct err *e)
{
	int rc;

	unconfined = w;
	rc = run_and_flush(w, e);
	unconfined = NULL;
	return rc;
}

int worker_run(const struct worker *w, struct err *e)
{
	const char *wish = getenv("ACCLIMATE_SANDBOX");
	AUTO_FREE struct session *s = calloc(1, sizeof(*s));
	pid_t self = getpid();
	int ends[2];
	int rc;

	if (!s)
		return err_nomem(e);
	if (wish && strcmp(wish, "off") == 0)
		return run_here(w, e);
	fflush(stdout);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(e, errno, "making a socket");
	s->w = w;
	s->socket = ends[0];
	s->pid = fork();
	if (s->pid == 0) {
		close(ends[0]);
		child(w, ends[1], self);
	}
	rc = s->pid < 0 ? err_errno(e, errno, "starting a process") : 0;
	close(ends[1]);
	if (rc == 0)
		rc = reap(s, serve_all(s, e), e);
	close(ends[0]);
	return rc;
}
