/* SPDX-License-Identifier: Apache-2.0 */
/* Other programs, without a shell: see lib/proc.h. */
#include "lib/proc.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/clock.h"
#include "lib/stop.h"

extern char **environ;

/* environ with the extra entries in front, where getenv finds them first. */
static char **make_environment(const char *const *extra)
{
	size_t n = 0, m = 0;
	char **env;

	while (environ && environ[n])
		n++;
	while (extra && extra[m])
		m++;
	env = calloc(n + m + 1, sizeof(*env));
	if (!env)
		return NULL;
	for (size_t i = 0; i < m; i++)
		env[i] = (char *)extra[i];
	for (size_t i = 0, at = m; i < n; i++) {
		bool replaced = false;

		for (size_t j = 0; j < m && !replaced; j++) {
			const char *eq = strchr(extra[j], '=');

			replaced = eq &&
				   strncmp(environ[i], extra[j], (size_t)(eq - extra[j]) + 1) == 0;
		}
		if (!replaced)
			env[at++] = environ[i];
	}
	return env;
}

static void child_fail(int report)
{
	int code = errno;

	if (write(report, &code, sizeof(code)) < 0)
		_exit(126);
	_exit(127);
}

/* Runs in the child: only async-signal-safe calls. */
static void child_exec(const char *const *argv, const struct proc_opts *o, char **env, int report,
		       pid_t parent)
{
	int fds[3] = {o->stdin_fd, o->stdout_fd, o->stderr_fd};
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	if (o->new_session && setsid() < 0)
		child_fail(report);
	if (o->die_with_parent) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(127);
	}
	/* First out of the way of 0, 1 and 2, then into place. */
	for (int i = 0; i < 3; i++) {
		if (fds[i] < 0 && i == 2)
			continue;
		if (fds[i] < 0)
			fds[i] = open("/dev/null", (i ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
		if (fds[i] >= 0 && fds[i] < 3)
			fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i] < 0)
			child_fail(report);
	}
	for (int i = 0; i < 3; i++) {
		if (fds[i] >= 0 && dup2(fds[i], i) < 0)
			child_fail(report);
	}
	if (o->cwd && chdir(o->cwd) < 0)
		child_fail(report);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	sigaction(SIGPIPE, &dfl, NULL);
	environ = env;
	execvp(argv[0], (char *const *)argv);
	child_fail(report);
}

int proc_start(const char *const *argv, const struct proc_opts *o, pid_t *ret_pid, struct err *e)
{
	char **env = make_environment(o->env);
	int report[2];
	pid_t parent = getpid(), pid;
	int code = 0;
	ssize_t n;

	if (!env)
		return err_nomem(e);
	if (pipe2(report, O_CLOEXEC) < 0) {
		free(env);
		return err_errno(e, errno, "making a pipe");
	}
	pid = fork();
	if (pid == 0)
		child_exec(argv, o, env, report[1], parent);
	code = errno;
	free(env);
	close(report[1]);
	if (pid < 0) {
		close(report[0]);
		return err_errno(e, code, "starting '%s'", argv[0]);
	}
	/* The pipe closes by itself when exec succeeds. */
	do
		n = read(report[0], &code, sizeof(code));
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (n != 0) {
		waitpid(pid, NULL, 0);
		return err_errno(e, n == (ssize_t)sizeof(code) ? code : EIO, "starting '%s'",
				 argv[0]);
	}
	*ret_pid = pid;
	return 0;
}

int proc_wait(pid_t pid, struct err *e)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_errno(e, errno, "waiting for process %d", (int)pid);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void proc_end(pid_t pid, unsigned timeout_ms)
{
	uint64_t until = clock_ms() + timeout_ms;

	kill(pid, SIGTERM);
	while (clock_ms() < until) {
		pid_t got = waitpid(pid, NULL, WNOHANG);

		if (got == pid || (got < 0 && errno != EINTR))
			return;
		poll(NULL, 0, 20);
	}
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* A child and the pipes to it, for proc_run. */
struct run {
	pid_t pid;
	int in, out, err;
	const char *input;
	size_t input_len;
	struct buf errors;
};

static void run_close(struct run *r)
{
	int *fds[] = {&r->in, &r->out, &r->err};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(steal_fd(fds[i]));
	}
}

static int run_start(struct run *r, const char *const *argv, struct err *e)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, errs[2] = {-1, -1};
	struct proc_opts o = PROC_OPTS_INIT;
	int rc = 0;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(errs, O_CLOEXEC) < 0)
		rc = err_errno(e, errno, "making a pipe");
	if (rc == 0) {
		o.stdin_fd = in[0];
		o.stdout_fd = out[1];
		o.stderr_fd = errs[1];
		o.die_with_parent = true;
		rc = proc_start(argv, &o, &r->pid, e);
	}
	r->in = in[1];
	r->out = out[0];
	r->err = errs[0];
	if (in[0] >= 0)
		close(in[0]);
	if (out[1] >= 0)
		close(out[1]);
	if (errs[1] >= 0)
		close(errs[1]);
	if (rc < 0)
		run_close(r);
	else
		fcntl(r->in, F_SETFL, O_NONBLOCK);
	return rc;
}

/* Reads what is there; closes *fd at its end. Returns -EFBIG past the limit (0: drop the excess).
 */
static int drain(int *fd, struct buf *b, size_t limit, bool drop)
{
	char chunk[16384];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		close(steal_fd(fd));
		return 0;
	}
	if (!b)
		return 0;
	if (b->len + (size_t)n > limit) {
		if (!drop)
			return -EFBIG;
		buf_consume(b, MIN(b->len, (size_t)n));
	}
	return buf_add(b, chunk, (size_t)n);
}

static void feed(struct run *r)
{
	ssize_t n = write(r->in, r->input, r->input_len);

	if (n > 0) {
		r->input += n;
		r->input_len -= (size_t)n;
	} else if (n < 0 && errno != EINTR && errno != EAGAIN) {
		r->input_len = 0;
	}
	if (!r->input_len)
		close(steal_fd(&r->in));
}

static int run_pump(struct run *r, struct buf *out, size_t out_limit, uint64_t until,
		    const char *name, struct err *e)
{
	if (!r->input_len)
		close(steal_fd(&r->in));
	while (r->out >= 0 || r->err >= 0) {
		struct pollfd p[3] = {
			{r->out, POLLIN, 0}, {r->err, POLLIN, 0}, {r->in, POLLOUT, 0}};
		int rc = stop_check(e);

		if (rc < 0)
			return rc;
		if (until && clock_ms() >= until)
			return err_set(e, ETIMEDOUT, "'%s' took too long", name);
		if (poll(p, 3, 100) < 0 && errno != EINTR)
			return err_errno(e, errno, "waiting for '%s'", name);
		if (p[2].revents)
			feed(r);
		if (p[1].revents && drain(&r->err, &r->errors, 8192, true) < 0)
			return err_nomem(e);
		if (p[0].revents) {
			rc = drain(&r->out, out, out_limit, false);
			if (rc == -EFBIG)
				return err_set(e, EFBIG, "'%s' printed more than %zu bytes", name,
					       out_limit);
			if (rc < 0)
				return err_nomem(e);
		}
	}
	return 0;
}

/* The last line that is not empty. */
static const char *last_line(struct buf *b)
{
	char *line;

	while (b->len && (b->data[b->len - 1] == '\n' || b->data[b->len - 1] == ' '))
		b->data[--b->len] = '\0';
	line = b->data ? strrchr(b->data, '\n') : NULL;
	return line ? line + 1 : buf_str(b);
}

int proc_run(const char *const *argv, const void *input, size_t input_len, struct buf *out,
	     size_t out_limit, unsigned timeout_s, struct err *e)
{
	struct run r = {.in = -1, .out = -1, .err = -1, .input = input, .input_len = input_len};
	int rc = run_start(&r, argv, e);
	int status;

	if (rc < 0)
		return rc;
	rc = run_pump(&r, out, out_limit, timeout_s ? clock_ms() + timeout_s * UINT64_C(1000) : 0,
		      argv[0], e);
	run_close(&r);
	if (rc < 0) {
		proc_end(r.pid, 500);
		buf_release(&r.errors);
		return rc;
	}
	status = proc_wait(r.pid, e);
	if (status < 0)
		rc = status;
	else if (status > 0)
		rc = err_set(e, EIO, "'%s' ended with status %d%s%s", argv[0], status,
			     r.errors.len ? ": " : "", last_line(&r.errors));
	buf_release(&r.errors);
	return rc;
}
