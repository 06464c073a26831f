/* SPDX-License-Identifier: Apache-2.0 */
/* lib/sandbox, lib/landlock, lib/worker: what a confined process can do, and what it cannot. */
#include "tests/unit/cmocka.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/fs.h"
#include "lib/landlock.h"
#include "lib/log.h"
#include "lib/pool.h"
#include "lib/progress.h"
#include "lib/sandbox.h"
#include "lib/sandbox_calls.h"
#include "lib/stop.h"
#include "lib/worker.h"

static char *dir;

static int make_dir(void **state)
{
	(void)state;
	return fs_make_temp_dir("/tmp/acclimate-sandbox", &dir, NULL);
}

static int remove_dir(void **state)
{
	int rc = fs_remove_tree(dir, NULL);

	(void)state;
	free(dir);
	return rc;
}

/* Runs fn confined; what it returns. */
static int confined(int (*fn)(void *ctx, struct err *e), void *ctx, struct err *e)
{
	struct worker w = {.run = fn, .ctx = ctx};

	e->msg[0] = '\0';
	return worker_run(&w, e);
}

/* ---- what still works ------------------------------------------------------------------------ */

static int add_one(void *job, unsigned worker, struct err *e)
{
	char *p = malloc(3 * MIB); /* an arena of this thread's own */

	(void)worker;
	if (!p)
		return err_nomem(e);
	memset(p, 1, 3 * MIB);
	free(p);
	++*(int *)job;
	return 0;
}

static int use_threads(void *ctx, struct err *e)
{
	struct pool *p;
	int jobs[100] = {0};
	void *job;
	int rc = pool_new(8, &p, e);

	(void)ctx;
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(jobs); i++)
		rc = pool_submit(p, add_one, &jobs[i], e);
	while (rc >= 0 && pool_pending(p))
		rc = pool_next(p, &job, e);
	if (rc < 0)
		return rc;
	pool_free(p, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		if (jobs[i] != 1)
			return err_set(e, EIO, "job %zu", i);
	}
	return 7;
}

static void threads_and_memory_work(void **state)
{
	struct err e;

	(void)state;
	if (confined(use_threads, NULL, &e) != 7)
		fail_msg("%s", e.msg);
}

#define TRY(call)                                                                                  \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			return err_errno(e, errno, "%s", #call);                                   \
	} while (0)

static int use_descriptors(void *ctx, struct err *e)
{
	int fd = *(int *)ctx, second;
	char bytes[100] = "hello";
	struct stat st;
	off_t in = 0, out = 8192;
	struct winsize size;
	struct timespec ts;

	TRY(pwrite(fd, bytes, sizeof(bytes), 0));
	TRY(pread(fd, bytes, sizeof(bytes), 0));
	TRY(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 65536));
	TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 32768, 4096));
	TRY(ftruncate(fd, 100000));
	TRY(copy_file_range(fd, &in, fd, &out, 100, 0));
	TRY(fstat(fd, &st));
	TRY(lseek(fd, 0, SEEK_HOLE));
	TRY(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
	TRY(fsync(fd));
	TRY(second = dup(fd));
	TRY(close(second));
	TRY(clock_gettime(CLOCK_REALTIME, &ts));
	TRY(getrandom(bytes, sizeof(bytes), 0));
	/* No terminal, but asked. */
	if (isatty(fd) || errno != ENOTTY || ioctl(fd, TIOCGWINSZ, &size) == 0 || errno != ENOTTY)
		return err_errno(e, errno, "ioctl");
	if (st.st_size != 100000)
		return err_set(e, EIO, "size");
	progress_end(progress_start("working", 3), true);
	log_debug("a line");
	return 0;
}

static void open_descriptors_work(void **state)
{
	AUTO_FREE char *path = path_join(dir, "file");
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct err e;

	(void)state;
	if (confined(use_descriptors, &fd, &e) != 0)
		fail_msg("%s", e.msg);
}

/* ---- what does not --------------------------------------------------------------------------- */

/* Paths lead nowhere: -1 where one did. */
static int look_around(void *ctx, struct err *e)
{
	const char *path = ctx;
	struct stat st;
	char text[100];

	if (open(path, O_RDONLY | O_CLOEXEC) >= 0)
		return err_set(e, EIO, "open");
	if (open(path, O_WRONLY | O_CLOEXEC) >= 0)
		return err_set(e, EIO, "open to write");
	if (openat(AT_FDCWD, "new", O_RDWR | O_CREAT | O_CLOEXEC, 0600) >= 0)
		return err_set(e, EIO, "create");
	if (unlink(path) == 0 || rename(path, "other") == 0 || link(path, "other") == 0)
		return err_set(e, EIO, "unlink, rename, link");
	if (mkdir("new", 0700) == 0 || symlink(path, "new") == 0)
		return err_set(e, EIO, "mkdir, symlink");
	if (SANDBOX_SANITIZED) /* the rest is not refused */
		return 0;
	if (stat(path, &st) == 0 || access(path, F_OK) == 0 || truncate(path, 0) == 0)
		return err_set(e, EIO, "stat, access, truncate");
	if (readlink("/proc/self/exe", text, sizeof(text)) >= 0)
		return err_set(e, EIO, "readlink");
	if (chmod(path, 0777) == 0 || chown(path, 1, 1) == 0)
		return err_set(e, EIO, "chmod, chown");
	if (mount("none", "/", "tmpfs", 0, NULL) == 0 || chroot("/") == 0 || setuid(1) == 0)
		return err_set(e, EIO, "mount, chroot, setuid");
	return 0;
}

static void paths_lead_nowhere(void **state)
{
	AUTO_FREE char *path = path_join(dir, "secret");
	struct stat st;
	struct err e;

	(void)state;
	assert_int_equal(fs_write_file(path, "secret", 6, 0600, &e), 0);
	if (confined(look_around, path, &e) != 0)
		fail_msg("%s worked", e.msg);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, 6);
}

static int make_socket(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static int make_pair(void *ctx, struct err *e)
{
	int ends[2];

	(void)ctx;
	(void)e;
	return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0;
}

static int connect_inherited(void *ctx, struct err *e)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};

	(void)e;
	return connect(*(int *)ctx, (struct sockaddr *)&to, sizeof(to)) == 0;
}

static int execute(void *ctx, struct err *e)
{
	char word[] = "true", *argv[] = {word, NULL};

	(void)ctx;
	(void)e;
	return execv("/bin/true", argv);
}

static int start_process(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return fork() >= 0;
}

static int kill_parent(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return kill(getppid(), SIGUSR1) == 0;
}

static int trace_parent(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static int make_code(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) != MAP_FAILED;
}

static int execute_data(void *ctx, struct err *e)
{
	static char page[8192] __attribute__((aligned(4096)));

	(void)ctx;
	(void)e;
	return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

/* On a thread of a pool, which blocks signals. */
static int socket_job(void *job, unsigned worker, struct err *e)
{
	(void)worker;
	return make_socket(job, e);
}

static int make_socket_on_a_thread(void *ctx, struct err *e)
{
	struct pool *p;
	int rc = pool_new(1, &p, e);

	if (rc == 0)
		rc = pool_submit(p, socket_job, ctx, e);
	return rc < 0 ? rc : pool_next(p, &ctx, e);
}

static void refused(int (*fn)(void *ctx, struct err *e), void *ctx, int number)
{
	char text[32];
	struct err e;

	assert_int_equal(confined(fn, ctx, &e), -EOWNERDEAD);
	snprintf(text, sizeof(text), "system call %d,", number);
	if (!strstr(e.msg, text))
		fail_msg("'%s' does not name %s", e.msg, text);
}

static void what_no_parser_does_ends_it_with_its_number(void **state)
{
	AUTO_FD int open_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	refused(make_socket, NULL, SYS_socket);
	refused(make_pair, NULL, SYS_socketpair);
	refused(connect_inherited, &open_socket, SYS_connect);
	refused(execute, NULL, SYS_execve);
	refused(make_socket_on_a_thread, NULL, SYS_socket);
	if (SANDBOX_SANITIZED)
		return;
	refused(start_process, NULL, SYS_clone);
	refused(kill_parent, NULL, SYS_kill);
	refused(trace_parent, NULL, SYS_ptrace);
	refused(make_code, NULL, SYS_mmap);
	refused(execute_data, NULL, SYS_mprotect);
}

static int take_memory(void *ctx, struct err *e)
{
	uint64_t taken = 0;

	(void)ctx;
	for (; taken < 64 * GIB; taken += 64 * MIB) {
		/* Not touched: it is the bound that is looked for. */
		if (mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0) == MAP_FAILED)
			return errno == ENOMEM ? 1 : err_errno(e, errno, "mmap");
	}
	return 0;
}

static void memory_has_a_bound(void **state)
{
	struct err e;

	(void)state;
	/* A sanitizer's shadow memory knows no bound. */
	assert_int_equal(confined(take_memory, NULL, &e), SANDBOX_SANITIZED ? 0 : 1);
}

static int raise_limits(void *ctx, struct err *e)
{
	struct rlimit lim;

	(void)ctx;
	(void)e;
	if (getrlimit(RLIMIT_CORE, &lim) < 0 || lim.rlim_max != 0)
		return 1;
	return setrlimit(RLIMIT_CORE, &lim) == 0 && !SANDBOX_SANITIZED;
}

static void limits_stay(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(confined(raise_limits, NULL, &e), 0);
}

/* What seccomp does not see, Landlock does not allow: each holds alone. */
static void landlock_alone_keeps_files_closed(void **state)
{
	AUTO_FREE char *path = path_join(dir, "locked");
	AUTO_FREE char *open_to = path_join(dir, "allowed");
	struct err e;
	int status;
	pid_t pid;

	(void)state;
	if (!landlock_abi()) {
		print_message("this kernel has no Landlock\n");
		return;
	}
	assert_int_equal(fs_write_file(path, "x", 1, 0644, &e), 0);
	assert_int_equal(fs_write_file(open_to, "x", 1, 0644, &e), 0);
	pid = fork();
	if (pid == 0) {
		struct landlock_rule rule = {open(open_to, O_PATH | O_CLOEXEC), LANDLOCK_READ};

		if (syscall(SYS_prctl, 38 /* PR_SET_NO_NEW_PRIVS */, 1, 0, 0, 0) < 0 ||
		    landlock_restrict(&rule, 1, &e) < 0)
			_exit(1);
		if (open(path, O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
			_exit(2);
		if (open(open_to, O_RDONLY | O_CLOEXEC) < 0)
			_exit(3);
		if (open(open_to, O_WRONLY | O_CLOEXEC) >= 0)
			_exit(4);
		if (unlink(open_to) == 0)
			_exit(5);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- a server -------------------------------------------------------------------------------- */

static void end_with_3(int number)
{
	(void)number;
	_exit(3);
}

/* In a child: 0 it could, 1 it could not, 2 the sandbox failed, 3 it was ended for trying. */
static void serve_and_do(int listener, const char *deed)
{
	AUTO_FREE char *inside = path_join(dir, "inside");
	AUTO_FREE char *made = path_join(dir, "made");
	struct landlock_rule rule = {.access = LANDLOCK_READ | LANDLOCK_LIST};
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct err e;
	int rc = 0;

	rule.fd = open(dir, O_PATH);
	if (sandbox_serve(&rule, landlock_abi() ? 1 : 0, end_with_3, &e))
		_exit(2);
	if (!strcmp(deed, "accept"))
		rc = accept4(listener, NULL, NULL, SOCK_CLOEXEC) < 0;
	else if (!strcmp(deed, "read"))
		rc = open(inside, O_RDONLY) < 0;
	else if (!strcmp(deed, "read outside"))
		rc = open("/etc/passwd", O_RDONLY) < 0;
	else if (!strcmp(deed, "write"))
		rc = open(inside, O_WRONLY) < 0;
	else if (!strcmp(deed, "make"))
		rc = open(made, O_WRONLY | O_CREAT, 0600) < 0;
	else if (!strcmp(deed, "socket"))
		rc = socket(AF_INET, SOCK_STREAM, 0) < 0;
	else if (!strcmp(deed, "connect"))
		rc = connect(listener, (struct sockaddr *)&a, sizeof(a)) < 0;
	else if (!strcmp(deed, "fork"))
		rc = fork() < 0;
	else if (!strcmp(deed, "execute"))
		rc = execl("/bin/true", "true", NULL) < 0;
	else if (!strcmp(deed, "kill"))
		rc = kill(getppid(), 0) < 0;
	_exit(rc);
}

static void a_server_serves_and_does_nothing_else(void **state)
{
	static const struct {
		const char *deed;
		int status;       /* of serve_and_do */
		bool landlock;    /* only where there is Landlock */
		bool unsanitized; /* only where nothing is let through for a sanitizer */
	} tries[] = {
		{"accept", 0, false, false},      {"read", 0, false, false},
		{"read outside", 1, true, false}, {"write", 1, true, false},
		{"make", 1, true, false},         {"socket", 3, false, false},
		{"connect", 3, false, false},     {"fork", 3, false, true},
		{"execute", 3, false, true},      {"kill", 3, false, true},
	};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	AUTO_FREE char *inside = path_join(dir, "inside");
	AUTO_FD int listener = socket(AF_INET, SOCK_STREAM, 0);
	AUTO_FD int client = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(a);

	(void)state;
	assert_int_equal(fs_write_file(inside, "x", 1, 0600, NULL), 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		int status;
		pid_t pid;

		if ((tries[i].landlock && !landlock_abi()) ||
		    (tries[i].unsanitized && SANDBOX_SANITIZED))
			continue;
		pid = fork();
		if (!pid)
			serve_and_do(listener, tries[i].deed);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != tries[i].status)
			fail_msg("%s: status %x", tries[i].deed, (unsigned)status);
	}
}

static void every_call_has_a_known_name(void **state)
{
	const char *const *const lists[] = {
		sandbox_calls_parser,  sandbox_calls_paths,    sandbox_calls_changes,
		sandbox_calls_network, sandbox_calls_programs, sandbox_calls_processes,
		sandbox_calls_powers,
	};
	/* Younger than the libseccomp of Debian 12. */
	static const char *const young[] = {"fchmodat2"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		for (const char *const *name = lists[i]; *name; name++) {
			if (seccomp_syscall_resolve_name(*name) == __NR_SCMP_ERROR &&
			    strcmp(*name, young[0]) != 0)
				fail_msg("no system call '%s'", *name);
		}
	}
}

/* ---- the worker ------------------------------------------------------------------------------ */

struct work {
	char *allowed;
	uint64_t number;
	unsigned asked;
};

static int serve(void *ctx, unsigned what, const char *text, size_t len, struct worker_answer *ret,
		 struct err *e)
{
	struct work *work = ctx;

	work->asked++;
	if (what != 3 || len != strlen(text) || strcmp(text, work->allowed) != 0)
		return err_set(e, EACCES, "'%s' is not for you", text);
	ret->fd = open(text, O_RDONLY | O_CLOEXEC);
	ret->text = strdup("here you are");
	return ret->fd < 0 ? err_errno(e, errno, "opening") : 0;
}

static int ask(void *ctx, struct err *e)
{
	struct work *work = ctx;
	AUTO_FD int fd = -1;
	char bytes[6] = "";
	AUTO_FREE char *text = NULL;
	struct err other;
	int rc = worker_ask(3, work->allowed, strlen(work->allowed), &fd, &text, e);

	if (rc < 0)
		return rc;
	if (strcmp(text, "here you are") != 0)
		return err_set(e, EIO, "text: %s", text);
	if (read(fd, bytes, 6) != 6 || memcmp(bytes, "inside", 6) != 0)
		return err_set(e, EIO, "read");
	if (worker_ask(3, "/etc/passwd", 11, &fd, NULL, &other) != -EACCES)
		return err_set(e, EIO, "another file");
	if (strcmp(other.msg, "'/etc/passwd' is not for you") != 0)
		return err_set(e, EIO, "message: %s", other.msg);
	work->number = 0x1122334455667788;
	return 5;
}

static void files_are_asked_for(void **state)
{
	AUTO_FREE char *path = path_join(dir, "inside");
	struct work work = {.allowed = path};
	struct worker w = {.run = ask,
			   .serve = serve,
			   .ctx = &work,
			   .result = &work.number,
			   .result_len = sizeof(work.number)};
	struct err e = {0};

	(void)state;
	assert_int_equal(fs_write_file(path, "inside", 6, 0644, &e), 0);
	if (worker_run(&w, &e) != 5)
		fail_msg("%s", e.msg);
	assert_int_equal(work.number, 0x1122334455667788);
	assert_int_equal(work.asked, 2);

	/* The same, unconfined. */
	work.number = 0;
	setenv("ACCLIMATE_SANDBOX", "off", 1);
	assert_int_equal(worker_run(&w, &e), 5);
	unsetenv("ACCLIMATE_SANDBOX");
	assert_int_equal(work.number, 0x1122334455667788);
}

static int fail_with_text(void *ctx, struct err *e)
{
	(void)ctx;
	return err_set(e, EBADMSG, "table at 0x10 \x01 lies");
}

static int crash(void *ctx, struct err *e)
{
	(void)e;
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
	return ctx != NULL;
}

static int say_nonsense(void *ctx, struct err *e)
{
	(void)ctx;
	err_set(e, EIO, "nonsense");
	return INT_MIN;
}

static int leave(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	_exit(3);
}

static void errors_and_deaths_are_told(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(confined(fail_with_text, NULL, &e), -EBADMSG);
	assert_string_equal(e.msg, "table at 0x10 \\x01 lies");
	assert_int_equal(confined(crash, NULL, &e), -EOWNERDEAD);
	assert_string_equal(e.msg, "the confined process died of signal 11 (Segmentation fault)");
	assert_int_equal(confined(leave, NULL, &e), -EOWNERDEAD);
	assert_string_equal(e.msg, "the confined process ended with status 3");
	/* What has no counterpart among the positive numbers is no error's. */
	assert_int_equal(confined(say_nonsense, NULL, &e), -EBADMSG);
}

static int wait_to_be_stopped(void *ctx, struct err *e)
{
	int rc = 0;

	if (write(*(int *)ctx, "x", 1) != 1)
		return err_errno(e, errno, "write");
	while (rc == 0) {
		poll(NULL, 0, 10);
		rc = stop_check(e);
	}
	return rc;
}

/* A signal for the parent alone reaches the child; a child does not outlive its parent. */
static void signals_reach_the_child(void **state)
{
	int signals[] = {SIGTERM, SIGKILL};
	int p[2];
	char byte;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		int status;
		pid_t pid;

		assert_int_equal(pipe(p), 0);
		pid = fork();
		if (pid == 0) {
			struct err e;
			int rc;

			close(p[0]);
			stop_install();
			rc = confined(wait_to_be_stopped, &p[1], &e);
			_exit(rc == -ECANCELED ? 42 : 1);
		}
		close(p[1]);
		assert_int_equal(read(p[0], &byte, 1), 1);
		kill(pid, signals[i]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (signals[i] == SIGKILL)
			assert_true(WIFSIGNALED(status));
		else
			assert_int_equal(WEXITSTATUS(status), 42);
		/* The end of the pipe: all that had it are gone. */
		assert_int_equal(read(p[0], &byte, 1), 0);
		close(p[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_and_memory_work),
		cmocka_unit_test(open_descriptors_work),
		cmocka_unit_test(paths_lead_nowhere),
		cmocka_unit_test(what_no_parser_does_ends_it_with_its_number),
		cmocka_unit_test(memory_has_a_bound),
		cmocka_unit_test(limits_stay),
		cmocka_unit_test(landlock_alone_keeps_files_closed),
		cmocka_unit_test(a_server_serves_and_does_nothing_else),
		cmocka_unit_test(every_call_has_a_known_name),
		cmocka_unit_test(files_are_asked_for),
		cmocka_unit_test(errors_and_deaths_are_told),
		cmocka_unit_test(signals_reach_the_child),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
