/* SPDX-License-Identifier: Apache-2.0 */
/* Files mapped into memory: see lib/mapped.h. */
#include "lib/mapped.h"

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

static bool allowed;
static struct sigaction before;

/* What this thread reads now. */
static _Thread_local struct {
	const uint8_t *start;
	size_t len; /* 0: nothing */
	sigjmp_buf lost;
} reading;

/*
 * The signal comes from the reading instruction itself: no lock is held, and leaving it by a jump
 * is as good as not having begun. Any other SIGBUS is as it would be without us: the instruction
 * is tried again.
 */
static void on_sigbus(int sig, siginfo_t *si, void *context)
{
	uintptr_t at = (uintptr_t)si->si_addr, start = (uintptr_t)reading.start;

	(void)context;
	if (reading.len && at >= start && at - start < reading.len)
		siglongjmp(reading.lost, 1);
	(void)sigaction(sig, &before, NULL);
}

int mapped_allow(struct err *e)
{
	/* The mask is as before when a jump leaves the handler. */
	struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};
	struct sigaction old;

	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGBUS, &sa, &old) < 0)
		return err_errno(e, errno, "sigaction");
	if (old.sa_sigaction != on_sigbus)
		before = old;
	allowed = true;
	return 0;
}

bool mapped_allowed(void)
{
	return allowed;
}

void *mapped_get(int fd, uint64_t off, size_t len)
{
	void *p;

	if (!allowed || off > INT64_MAX)
		return NULL;
	p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, (off_t)off);
	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, len, MADV_SEQUENTIAL);
	return p;
}

void mapped_put(void *p, size_t len)
{
	(void)munmap(p, len);
}

bool mapped_read(const void *p, size_t len, void (*read)(void *ctx), void *ctx)
{
	if (sigsetjmp(reading.lost, 0)) {
		reading.len = 0;
		return false;
	}
	reading.start = p;
	reading.len = len;
	/* The handler sees it, whatever the compiler knows of `read`. */
	atomic_signal_fence(memory_order_seq_cst);
	read(ctx);
	atomic_signal_fence(memory_order_seq_cst);
	reading.len = 0;
	return true;
}
