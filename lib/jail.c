/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that are not ours, on hostile input: see lib/jail.h. */
#include "lib/jail.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/clock.h"
#include "lib/landlock.h"
#include "lib/pool.h"
#include "lib/sandbox.h"
#include "lib/stop.h"
#include "lib/str.h"

#define SAID_MAX (8 * KIB)
#define POLL_MS 100
/* Descriptors that a program opens beside its files. */
#define DESCRIPTORS 256

/* Where programs' libraries lie. */
static const char *const library_folders[] = {
	"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/gnu/store",
};
#define RULES_MAX (ARRAY_SIZE(library_folders) + JAIL_FILES_MAX + 4)

/* What goes to the child. */
struct plan {
	const struct jail *j;
	char *program; /* an absolute path */
	struct landlock_rule rules[RULES_MAX];
	size_t n_rules;
	int said, report; /* the child's ends of pipes: standard error, and why there was no exec */
};

static void plan_release(struct plan *p)
{
	/* The files' own descriptors are the caller's. */
	for (size_t i = p->j ? p->j->n_files : 0; i < p->n_rules; i++)
		close(p->rules[i].fd);
	if (p->said >= 0)
		close(p->said);
	if (p->report >= 0)
		close(p->report);
	free(p->program);
}
DEFINE_AUTO_STRUCT(struct plan, plan_release);

/* ---- what it may see ------------------------------------------------------------------------- */

static int find_program(const char *name, char **ret, struct err *e)
{
	const char *path = getenv("PATH");
	AUTO_FREE char *copy = strdup(path ? path : "/usr/bin:/bin");
	char *rest = copy;
	char *folder;

	if (!copy)
		return err_nomem(e);
	while (!strchr(name, '/') && (folder = strsep(&rest, ":"))) {
		AUTO_FREE char *there = str_format("%s/%s", folder, name);

		if (there && *folder == '/' && access(there, X_OK) == 0) {
			*ret = realpath(there, NULL);
			if (*ret)
				return 0;
		}
	}
	if (strchr(name, '/') && access(name, X_OK) == 0 && (*ret = realpath(name, NULL)))
		return 0;
	return err_set(e, ENOENT, "there is no program '%s'", name);
}

/* What is not there needs no rule. */
static void add_path(struct plan *p, const char *path, unsigned access)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd >= 0)
		p->rules[p->n_rules++] = (struct landlock_rule){fd, access};
}

static void make_rules(struct plan *p)
{
	for (size_t i = 0; i < p->j->n_files; i++)
		p->rules[p->n_rules++] = (struct landlock_rule){
			p->j->files[i].fd,
			LANDLOCK_READ | (p->j->files[i].writable ? LANDLOCK_WRITE : 0)};
	add_path(p, p->program, LANDLOCK_READ | LANDLOCK_EXEC);
	for (size_t i = 0; i < ARRAY_SIZE(library_folders); i++)
		add_path(p, library_folders[i], LANDLOCK_READ | LANDLOCK_EXEC);
	add_path(p, "/etc/ld.so.cache", LANDLOCK_READ);
	add_path(p, "/dev/null", LANDLOCK_READ | LANDLOCK_WRITE);
}

/* ---- in the child ------------------------------------------------------------------------------ */

/* Root keeps the one right without which it could not open again what it opened. */
static int drop_capabilities(struct err *e)
{
	for (int cap = 0; geteuid() == 0 && cap <= CAP_LAST_CAP; cap++) {
		if (cap != CAP_DAC_OVERRIDE && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			return err_errno(e, errno, "giving up privileges");
	}
	return 0;
}

/* 0, 1, 2 and the files from JAIL_FIRST_FD on; all else is closed. */
static int place_descriptors(const struct plan *p, struct err *e)
{
	int fds[JAIL_FIRST_FD + JAIL_FILES_MAX];
	int n = JAIL_FIRST_FD + (int)p->j->n_files;
	int report = n;

	fds[0] = fds[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[2] = p->said;
	for (size_t i = 0; i < p->j->n_files; i++)
		fds[JAIL_FIRST_FD + i] = p->j->files[i].fd;
	/* First out of the way, then into place. */
	for (int i = 0; i <= n; i++) {
		int *fd = i == n ? &report : &fds[i];

		*fd = fcntl(i == n ? p->report : fds[i], F_DUPFD_CLOEXEC, n + 1);
		if (*fd < 0)
			return err_errno(e, errno, "dup");
	}
	for (int i = 0; i < n; i++) {
		if (dup2(fds[i], i) < 0)
			return err_errno(e, errno, "dup");
	}
	if (dup3(report, n, O_CLOEXEC) < 0 || close_range((unsigned)n + 1, UINT_MAX, 0) < 0)
		return err_errno(e, errno, "dup");
	return 0;
}

static int set_limits(const struct jail *j, struct err *e)
{
	uint64_t cpu_s = (uint64_t)j->timeout_s * pool_default_threads();
	int rc = sandbox_limit(RLIMIT_CORE, 0, e);

	if (rc == 0)
		rc = sandbox_limit(RLIMIT_AS, j->memory, e);
	if (rc == 0)
		rc = sandbox_limit(RLIMIT_FSIZE, j->file_size, e);
	if (rc == 0)
		rc = sandbox_limit(RLIMIT_NOFILE, DESCRIPTORS, e);
	if (rc == 0 && j->timeout_s)
		rc = sandbox_limit(RLIMIT_CPU, cpu_s, e);
	return rc;
}

static int confine(const struct plan *p, struct err *e)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* A terminal's ^C is for its parent, who ends it. */
	setsid();
	if (chdir("/") < 0)
		return err_errno(e, errno, "chdir");
	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	rc = drop_capabilities(e);
	if (rc == 0)
		rc = sandbox_before_exec(p->rules, p->n_rules, e);
	if (rc == 0)
		rc = place_descriptors(p, e);
	/* Last: what there is now may be larger than what the program is to be. */
	return rc == 0 ? set_limits(p->j, e) : rc;
}

/* Does not return. An error goes through the pipe that closes by itself when exec succeeds. */
static void child(const struct plan *p)
{
	/* One arena of malloc: addresses are counted. */
	char arenas[] = "MALLOC_ARENA_MAX=1", locale[] = "LC_ALL=C";
	char *environment[] = {arenas, locale, NULL};
	struct err e = {0};
	int report = p->report;

	if (confine(p, &e) == 0) {
		report = JAIL_FIRST_FD + (int)p->j->n_files;
		execve(p->program, (char *const *)p->j->argv, environment);
		err_errno(&e, errno, "starting '%s'", p->program);
	}
	if (write(report, &e, sizeof(e)) < 0)
		_exit(126);
	_exit(127);
}

/*
 * Forks, into namespaces of its own where that is allowed: no network, no other processes. Root
 * needs no namespace of users for that, and would lose its right to open what it opened.
 */
static pid_t fork_apart(void)
{
	unsigned long flags = CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC |
			      CLONE_NEWUTS | (geteuid() ? CLONE_NEWUSER : 0);
	pid_t pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	return pid < 0 ? fork() : pid;
}

/* ---- in the parent ----------------------------------------------------------------------------- */

/* Reads what is there; what is too much is dropped. Returns false at the end. */
static bool take_words(int from, struct buf *said)
{
	char chunk[4096];
	ssize_t n = read(from, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EINTR;
	if (n > 0 && said->len < SAID_MAX)
		(void)buf_add(said, chunk, MIN((size_t)n, SAID_MAX - said->len));
	return n > 0;
}

static int check_space(const struct jail *j, struct err *e)
{
	struct stat st;

	if (j->watched_fd < 0 || fstat(j->watched_fd, &st) < 0 ||
	    (uint64_t)st.st_blocks * 512 <= j->watched_max)
		return 0;
	return err_set(e, EFBIG, "'%s' has written more than %llu bytes", j->argv[0],
		       (unsigned long long)j->watched_max);
}

/* Until the program has ended, or has to. */
static int watch(const struct jail *j, int ended, int from, struct buf *said, struct err *e)
{
	uint64_t until = clock_ms() + j->timeout_s * UINT64_C(1000);
	struct pollfd p[2] = {{.fd = ended, .events = POLLIN}, {.fd = from, .events = POLLIN}};

	while (!p[0].revents) {
		int rc = stop_check(e);

		if (rc == 0)
			rc = check_space(j, e);
		if (rc < 0)
			return rc;
		if (j->timeout_s && clock_ms() >= until)
			return err_set(e, ETIMEDOUT, "'%s' took longer than %u seconds", j->argv[0],
				       j->timeout_s);
		if (poll(p, ARRAY_SIZE(p), POLL_MS) < 0 && errno != EINTR)
			return err_errno(e, errno, "waiting for '%s'", j->argv[0]);
		/* It may close its standard error long before its end. */
		if (p[1].revents && !take_words(from, said))
			p[1].fd = -1;
	}
	while (p[1].fd >= 0 && poll(&p[1], 1, 0) > 0 && take_words(from, said))
		;
	/* Once more: it may have been quick. */
	return check_space(j, e);
}

static int wait_end(const struct jail *j, pid_t pid, int from, struct buf *said, struct err *e)
{
	AUTO_FD int ended = (int)syscall(SYS_pidfd_open, pid, 0);
	int rc = ended < 0 ? err_errno(e, errno, "watching '%s'", j->argv[0])
			   : watch(j, ended, from, said, e);
	int status;

	if (rc < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_errno(e, errno, "waiting for '%s'", j->argv[0]);
	}
	if (rc < 0)
		return rc;
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "'%s' died of signal %d (%s)", j->argv[0], WTERMSIG(status),
			       sigdescr_np(WTERMSIG(status)));
	if (WEXITSTATUS(status) != 0)
		return err_set(e, EIO, "'%s' ended with status %d", j->argv[0],
			       WEXITSTATUS(status));
	return 0;
}

static int start(struct plan *p, pid_t *ret_pid, struct err *e)
{
	int report[2];
	struct err why;
	ssize_t n;

	if (pipe2(report, O_CLOEXEC) < 0)
		return err_errno(e, errno, "making a pipe");
	p->report = report[1];
	*ret_pid = fork_apart();
	if (*ret_pid == 0) {
		close(report[0]);
		child(p);
	}
	if (*ret_pid < 0) {
		close(report[0]);
		return err_errno(e, errno, "starting '%s'", p->program);
	}
	close(steal_fd(&p->report));
	close(steal_fd(&p->said));
	do
		n = read(report[0], &why, sizeof(why));
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (n == 0)
		return 0;
	kill(*ret_pid, SIGKILL);
	while (waitpid(*ret_pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof(why))
		return err_set(e, EIO, "starting '%s'", p->program);
	return err_set(e, why.code, "%s", why.msg);
}

int jail_run(const struct jail *j, struct buf *said, struct err *e)
{
	AUTO(plan_release) struct plan p = {.j = j, .said = -1, .report = -1};
	AUTO_FD int from = -1;
	int ends[2];
	pid_t pid;
	int rc = find_program(j->argv[0], &p.program, e);

	if (rc < 0)
		return rc;
	if (!landlock_abi())
		return err_set(e, ENOTSUP,
			       "this kernel has no Landlock, without which '%s' could open other "
			       "files",
			       j->argv[0]);
	make_rules(&p);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(e, errno, "making a pipe");
	from = ends[0];
	p.said = ends[1];
	rc = start(&p, &pid, e);
	return rc < 0 ? rc : wait_end(j, pid, from, said, e);
}
