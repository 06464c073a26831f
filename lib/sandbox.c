/* SPDX-License-Identifier: Apache-2.0 */
/* Giving up what is not needed: see lib/sandbox.h. The lists are in lib/sandbox_calls.c. */
#include "lib/sandbox.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "lib/landlock.h"
#include "lib/pool.h"
#include "lib/sandbox_calls.h"

/* Newer than the oldest headers that this is built with. */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef FICLONE
#error "linux/fs.h knows no FICLONE"
#endif

/*
 * Memory: what a parser and its buffers need, and for each thread a stack and what malloc sets
 * aside. Of addresses there are to be more than of memory: an arena of malloc is 128 MiB of them.
 */
#define DATA_MOST GIB
#define DATA_A_THREAD (16 * MIB)
#define ADDRESSES_MOST (2 * GIB)
#define ADDRESSES_A_THREAD (160 * MIB)
#define THREADS_LEAST 64u

#define SERVER_MOST (8 * GIB)
#define MOST_RULES 8

/* clone's flags are its first argument, but on one architecture. */
#ifdef __s390__
#define CLONE_FLAGS 1
#else
#define CLONE_FLAGS 0
#endif

#define REFUSE SCMP_ACT_TRAP
#define NO_SUCH_FILE SCMP_ACT_ERRNO(ENOENT)
#define NOT_PERMITTED SCMP_ACT_ERRNO(EPERM)
#define NO_SUCH_CALL SCMP_ACT_ERRNO(ENOSYS)

/* ---- a filter -------------------------------------------------------------------------------- */

struct filter {
	scmp_filter_ctx ctx;
	int rc; /* the first that failed */
};

static void filter_free(struct filter *f)
{
	if (f->ctx)
		seccomp_release(f->ctx);
}
DEFINE_AUTO_STRUCT(struct filter, filter_free);

/* What this machine does not know has no rule; what happens anyway (EACCES) needs none. */
static void add(struct filter *f, uint32_t action, const char *name, const struct scmp_arg_cmp *arg)
{
	int number = seccomp_syscall_resolve_name(name);
	int rc;

	if (number == __NR_SCMP_ERROR)
		return;
	rc = seccomp_rule_add_array(f->ctx, action, number, arg ? 1 : 0, arg);
	if (rc < 0 && rc != -EEXIST && rc != -EACCES && !f->rc)
		f->rc = rc;
}

static void add_list(struct filter *f, uint32_t action, const char *const *names)
{
	while (*names)
		add(f, action, *names++, NULL);
}

/* `action` if the bits of an argument are set, `other` if they are not. */
static void add_bits(struct filter *f, const char *name, unsigned arg, uint64_t bits,
		     uint32_t action, uint32_t other)
{
	struct scmp_arg_cmp set = SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, bits, bits);
	struct scmp_arg_cmp clear = SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, bits, 0);

	add(f, action, name, &set);
	add(f, other, name, &clear);
}

/* Allowed with one of the values of an argument of 32 bits. */
static void add_values(struct filter *f, const char *name, unsigned arg, const uint32_t *values,
		       size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct scmp_arg_cmp is = SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, UINT32_MAX, values[i]);

		add(f, SCMP_ACT_ALLOW, name, &is);
	}
}

static int filter_init(struct filter *f, uint32_t otherwise, struct err *e)
{
	*f = (struct filter){.ctx = seccomp_init(otherwise)};
	if (!f->ctx)
		return err_nomem(e);
	/* Call numbers of another architecture would mean something else. */
	f->rc = seccomp_attr_set(f->ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* Old kernels slow a filtered process down, lest code of its own making reads its
	 * secrets by speculation: it makes no code and has no secrets. */
	if (f->rc == 0)
		(void)seccomp_attr_set(f->ctx, SCMP_FLTATR_CTL_SSB, 1);
	return f->rc < 0 ? err_errno(e, -f->rc, "seccomp") : 0;
}

static int filter_load(struct filter *f, struct err *e)
{
	int rc = f->rc;

	if (rc == 0)
		rc = seccomp_load(f->ctx);
	if (rc < 0)
		return err_errno(e, -rc, "filtering system calls (seccomp)");
	return 0;
}

/* ---- a parser -------------------------------------------------------------------------------- */

static void add_parser(struct filter *f, unsigned flags)
{
	static const uint32_t ioctls[] = {
		TIOCGWINSZ, TCGETS,  BLKGETSIZE64, BLKSSZGET,     BLKPBSZGET,    BLKDISCARD,
		BLKZEROOUT, FICLONE, FICLONERANGE, FIDEDUPERANGE, FS_IOC_FIEMAP,
	};
	static const uint32_t fcntls[] = {F_GETFD, F_SETFD,         F_GETFL,      F_SETFL,
					  F_DUPFD, F_DUPFD_CLOEXEC, F_GETPIPE_SZ, F_SETPIPE_SZ};
	static const uint32_t prctls[] = {PR_SET_NAME, PR_SET_VMA};
	struct scmp_arg_cmp only_asks = SCMP_CMP64(2, SCMP_CMP_EQ, 0);
	uint32_t self = (uint32_t)getpid();

	add_list(f, SCMP_ACT_ALLOW, sandbox_calls_parser);
	if (flags & SANDBOX_MEMORY_FILES)
		add(f, SCMP_ACT_ALLOW, "memfd_create", NULL);
	add_list(f, NO_SUCH_FILE, sandbox_calls_paths);
	add_list(f, REFUSE, sandbox_calls_network);
	add_list(f, REFUSE, sandbox_calls_programs);
	add_list(f, REFUSE, sandbox_calls_processes);
	/* Of descriptors alone; the C library's fstat is one of these. */
	add_bits(f, "newfstatat", 3, AT_EMPTY_PATH, SCMP_ACT_ALLOW, NO_SUCH_FILE);
	add_bits(f, "fstatat64", 3, AT_EMPTY_PATH, SCMP_ACT_ALLOW, NO_SUCH_FILE);
	add_bits(f, "statx", 2, AT_EMPTY_PATH, SCMP_ACT_ALLOW, NO_SUCH_FILE);
	/* No code at run time. */
	add_bits(f, "mmap", 2, PROT_EXEC, REFUSE, SCMP_ACT_ALLOW);
	add_bits(f, "mmap2", 2, PROT_EXEC, REFUSE, SCMP_ACT_ALLOW);
	add_bits(f, "mprotect", 2, PROT_EXEC, REFUSE, SCMP_ACT_ALLOW);
	/* Threads, no processes. clone3, whose flags a filter cannot see, does not exist; the C
	 * library then calls clone. */
	add_bits(f, "clone", CLONE_FLAGS, CLONE_THREAD, SCMP_ACT_ALLOW, REFUSE);
	add_values(f, "tgkill", 0, &self, 1);
	add_values(f, "ioctl", 1, ioctls, ARRAY_SIZE(ioctls));
	add_values(f, "fcntl", 1, fcntls, ARRAY_SIZE(fcntls));
	add_values(f, "fcntl64", 1, fcntls, ARRAY_SIZE(fcntls));
	add_values(f, "prctl", 0, prctls, ARRAY_SIZE(prctls));
	add(f, SCMP_ACT_ALLOW, "prlimit64", &only_asks);
}

/* What a leak checker leaves to be refused: it traces its own process and reads /proc. */
static void add_sanitized(struct filter *f)
{
	add_list(f, REFUSE, sandbox_calls_network);
	add_list(f, REFUSE, sandbox_calls_programs);
	add_list(f, REFUSE, sandbox_calls_powers);
}

static void (*on_refused)(int number);

static void say_refused(int number)
{
	char line[160];
	int n = snprintf(line, sizeof(line), "%s: refused: system call %d in the sandbox\n",
			 program_invocation_short_name, number);

	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		_exit(1);
}

/* snprintf of a string and a number allocates nothing and takes no lock. */
static void on_sigsys(int sig, siginfo_t *si, void *context)
{
	(void)sig;
	(void)context;
	on_refused(si->si_syscall);
	_exit(1);
}

static int handle_refusals(void (*refused)(int number), struct err *e)
{
	struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO | SA_NODEFER};

	on_refused = refused ? refused : say_refused;
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGSYS, &sa, NULL) < 0)
		return err_errno(e, errno, "sigaction");
	return 0;
}

int sandbox_limit(int resource, uint64_t most, struct err *e)
{
	struct rlimit now;

	if (getrlimit(resource, &now) < 0)
		return err_errno(e, errno, "getrlimit");
	now.rlim_max = MIN(now.rlim_max, (rlim_t)most);
	now.rlim_cur = MIN(now.rlim_cur, now.rlim_max);
	if (setrlimit(resource, &now) < 0)
		return err_errno(e, errno, "setrlimit");
	return 0;
}

/* Shadow memory knows no bound. */
static int limit_memory(struct err *e)
{
	uint64_t threads = MAX(pool_default_threads(), THREADS_LEAST);
	int rc = sandbox_limit(RLIMIT_CORE, 0, e);

	if (rc < 0 || SANDBOX_SANITIZED)
		return rc;
	rc = sandbox_limit(RLIMIT_DATA, DATA_MOST + threads * DATA_A_THREAD, e);
	if (rc < 0)
		return rc;
	return sandbox_limit(RLIMIT_AS, ADDRESSES_MOST + threads * ADDRESSES_A_THREAD, e);
}

/* A sanitizer's run-time library reads these, and what it says needs the program's symbols. */
static int restrict_files(const struct landlock_rule *more, size_t n_more, struct err *e)
{
	static const char *const readable[] = {"/proc", "/usr/lib", "/lib"};
	struct landlock_rule rules[ARRAY_SIZE(readable) + MOST_RULES];
	size_t n = 0;
	int rc;

	if (!landlock_abi())
		return 0;
	if (n_more > MOST_RULES)
		return err_set(e, EINVAL, "too many rules");
	for (size_t i = 0; SANDBOX_SANITIZED && i < ARRAY_SIZE(readable); i++) {
		rules[n].fd = open(readable[i], O_PATH | O_CLOEXEC);
		rules[n].access = LANDLOCK_READ | LANDLOCK_LIST;
		if (rules[n].fd >= 0)
			n++;
	}
	if (n_more)
		memcpy(rules + n, more, n_more * sizeof(*more));
	rc = landlock_restrict(rules, n + n_more, e);
	while (n)
		close(rules[--n].fd);
	return rc;
}

static int no_new_privileges(struct err *e)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, errno, "prctl");
	return 0;
}

int sandbox_enter(unsigned flags, void (*refused)(int number), struct err *e)
{
	AUTO(filter_free) struct filter f = {0};
	int rc = filter_init(&f, SANDBOX_SANITIZED ? SCMP_ACT_ALLOW : NO_SUCH_CALL, e);

	if (rc == 0)
		rc = no_new_privileges(e);
	if (rc == 0)
		rc = limit_memory(e);
	if (rc == 0)
		rc = restrict_files(NULL, 0, e);
	if (rc == 0)
		rc = handle_refusals(refused, e);
	if (rc < 0)
		return rc;
	if (SANDBOX_SANITIZED)
		add_sanitized(&f);
	else
		add_parser(&f, flags);
	return filter_load(&f, e);
}

/* ---- a server -------------------------------------------------------------------------------- */

static void add_server(struct filter *f)
{
	static const uint32_t prctls[] = {PR_SET_NAME, PR_SET_VMA};
	struct scmp_arg_cmp only_asks = SCMP_CMP64(2, SCMP_CMP_EQ, 0);

	add_list(f, SCMP_ACT_ALLOW, sandbox_calls_parser);
	add_list(f, SCMP_ACT_ALLOW, sandbox_calls_server);
	add_list(f, REFUSE, sandbox_calls_reach);
	add_list(f, REFUSE, sandbox_calls_programs);
	add_list(f, REFUSE, sandbox_calls_processes);
	add_bits(f, "mmap", 2, PROT_EXEC, REFUSE, SCMP_ACT_ALLOW);
	add_bits(f, "mmap2", 2, PROT_EXEC, REFUSE, SCMP_ACT_ALLOW);
	add_bits(f, "mprotect", 2, PROT_EXEC, REFUSE, SCMP_ACT_ALLOW);
	add_bits(f, "clone", CLONE_FLAGS, CLONE_THREAD, SCMP_ACT_ALLOW, REFUSE);
	add_values(f, "prctl", 0, prctls, ARRAY_SIZE(prctls));
	add(f, SCMP_ACT_ALLOW, "prlimit64", &only_asks);
}

int sandbox_serve(const struct landlock_rule *rules, size_t n_rules, void (*refused)(int number),
		  struct err *e)
{
	AUTO(filter_free) struct filter f = {0};
	int rc = filter_init(&f, SANDBOX_SANITIZED ? SCMP_ACT_ALLOW : NO_SUCH_CALL, e);

	rc = rc ? rc : no_new_privileges(e);
	rc = rc ? rc : sandbox_limit(RLIMIT_CORE, 0, e);
	if (rc == 0 && !SANDBOX_SANITIZED)
		rc = sandbox_limit(RLIMIT_DATA, SERVER_MOST, e);
	rc = rc ? rc : restrict_files(rules, n_rules, e);
	rc = rc ? rc : handle_refusals(refused, e);
	if (rc < 0)
		return rc;
	if (SANDBOX_SANITIZED)
		add_list(&f, REFUSE, sandbox_calls_reach);
	else
		add_server(&f);
	return filter_load(&f, e);
}

/* ---- another program ------------------------------------------------------------------------- */

int sandbox_before_exec(const struct landlock_rule *rules, size_t n_rules, struct err *e)
{
	AUTO(filter_free) struct filter f = {0};
	int rc = filter_init(&f, SCMP_ACT_ALLOW, e);

	if (rc == 0)
		rc = no_new_privileges(e);
	if (rc == 0)
		rc = landlock_restrict(rules, n_rules, e);
	if (rc < 0)
		return rc;
	add_list(&f, NOT_PERMITTED, sandbox_calls_changes);
	add_list(&f, NOT_PERMITTED, sandbox_calls_network);
	add_list(&f, NOT_PERMITTED, sandbox_calls_processes);
	add_list(&f, NOT_PERMITTED, sandbox_calls_powers);
	add(&f, NOT_PERMITTED, "fork", NULL);
	add(&f, NOT_PERMITTED, "vfork", NULL);
	add(&f, NO_SUCH_CALL, "clone3", NULL);
	add_bits(&f, "clone", CLONE_FLAGS, CLONE_THREAD, SCMP_ACT_ALLOW, NOT_PERMITTED);
	/* Before Landlock's third version opening could truncate any file. */
	add_bits(&f, "open", 1, O_TRUNC, NOT_PERMITTED, SCMP_ACT_ALLOW);
	add_bits(&f, "openat", 2, O_TRUNC, NOT_PERMITTED, SCMP_ACT_ALLOW);
	return filter_load(&f, e);
}
