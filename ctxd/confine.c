/* SPDX-License-Identifier: Apache-2.0 */
/* Giving up what a reader does not need: see ctxd/confine.h. */
#include "ctxd/confine.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "lib/sandbox.h"

#define CPU_SECONDS 5
#define MEMORY (128 * MIB)
#define NOBODY 65534
#define CONNECTION 1 /* descriptor behind the two */

/* ---- descriptors, limits, identity ----------------------------------------------------------- */

static bool limit(int resource, rlim_t value)
{
	struct rlimit l = {value, value};

	return setrlimit(resource, &l) == 0;
}

static bool keep_two(int in, int out)
{
	int high_in = fcntl(in, F_DUPFD, 3), high_out = fcntl(out, F_DUPFD, 3);

	if (high_in < 0 || high_out < 0 || dup2(high_in, 0) < 0 || dup2(high_out, 1) < 0)
		return false;
#ifdef SYS_close_range
	if (syscall(SYS_close_range, 2, ~0u, 0) == 0)
		return true;
#endif
	for (int fd = 2; fd < 1024; fd++)
		close(fd);
	return true;
}

/*
 * The sanitizers' run-time library needs memory and descriptors of its own, so with them some
 * bounds are left out.
 */
static bool set_limits(bool network)
{
	rlim_t descriptors = network ? 2 + CONNECTION : 0;

	if (!limit(RLIMIT_CPU, CPU_SECONDS) || !limit(RLIMIT_CORE, 0) || !limit(RLIMIT_FSIZE, 0))
		return false;
	return SANDBOX_SANITIZED || (limit(RLIMIT_AS, MEMORY) && limit(RLIMIT_NOFILE, descriptors));
}

bool confine_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 || errno == EINVAL;
}

static bool become_nobody(void)
{
	return geteuid() != 0 ||
	       (setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
		setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

/* ---- system calls ---------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef ARCHITECTURE
/* Of descriptors that are open, memory, time, and a process's own end. */
static const unsigned short calls[] = {
	SYS_read,
	SYS_write,
	SYS_readv,
	SYS_writev,
	SYS_pread64,
	SYS_lseek,
	SYS_fstat,
	SYS_close,
	SYS_ppoll,
	SYS_brk,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_futex,
	SYS_nanosleep,
	SYS_clock_gettime,
	SYS_gettimeofday,
	SYS_getrandom,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_restart_syscall,
	SYS_getpid,
	SYS_gettid,
	SYS_clock_nanosleep,
	SYS_exit,
	SYS_exit_group,
#ifdef SYS_poll
	SYS_poll,
#endif
};

static const unsigned short network_calls[] = {
	SYS_socket,   SYS_connect,    SYS_sendto,
	SYS_recvfrom, SYS_getsockopt, SYS_ioctl, /* the number of an interface */
};

struct program {
	struct sock_filter code[3 * (ARRAY_SIZE(calls) + ARRAY_SIZE(network_calls)) + 16];
	unsigned short n;
};

#define LOAD(member)                                                                               \
	(struct sock_filter)                                                                       \
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define SKIP_UNLESS(test, k, n) (struct sock_filter) BPF_JUMP(BPF_JMP | (test) | BPF_K, (k), 0, (n))
#define SKIP_IF(k, n) (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (n), 0)
#define RETURN(what) (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, (what))

static void add(struct program *p, struct sock_filter instruction)
{
	p->code[p->n++] = instruction;
}

static void allow(struct program *p, const unsigned short *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		add(p, SKIP_UNLESS(BPF_JEQ, list[i], 1));
		add(p, RETURN(SECCOMP_RET_ALLOW));
	}
}

/* Memory, but none that can be executed. */
static void allow_memory(struct program *p, unsigned short call)
{
	add(p, SKIP_UNLESS(BPF_JEQ, call, 4));
	add(p, LOAD(args[2]));
	add(p, SKIP_UNLESS(BPF_JSET, PROT_EXEC, 1));
	add(p, RETURN(SECCOMP_RET_ERRNO | EPERM));
	add(p, RETURN(SECCOMP_RET_ALLOW));
}

/* A kernel without filters leaves the limits; one without PR_SET_NO_NEW_PRIVS has none. */
static bool filter_calls(bool network)
{
	struct program p = {.n = 0};
	struct sock_fprog all = {.filter = p.code};

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return true;
	/* Call numbers of another architecture would mean something else. */
	add(&p, LOAD(arch));
	add(&p, SKIP_IF(ARCHITECTURE, 1));
	add(&p, RETURN(SECCOMP_RET_KILL));
	add(&p, LOAD(nr));
	allow_memory(&p, SYS_mmap);
	allow_memory(&p, SYS_mprotect);
	allow(&p, calls, ARRAY_SIZE(calls));
	if (network)
		allow(&p, network_calls, ARRAY_SIZE(network_calls));
	add(&p, RETURN(SECCOMP_RET_ERRNO | ENOSYS));
	all.len = p.n;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) == 0 || errno == EINVAL;
}
#else
static bool filter_calls(bool network)
{
	(void)network;
	return true;
}
#endif

bool confine(int in, int out, bool network)
{
	if (!keep_two(in, out) || !confine_privileges() || !set_limits(network) || !become_nobody())
		return false;
	/* Who becomes somebody else loses this. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return false;
	return SANDBOX_SANITIZED || filter_calls(network);
}
