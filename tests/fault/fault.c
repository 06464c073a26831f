/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer between a program and its files that fails on request, for LD_PRELOAD:
 *
 *	FAULT_CALL   read, write, pread, pwrite, ftruncate, fsync, fallocate; name: rename, link,
 *	             symlink, unlink; any: every one of them
 *	FAULT_NTH    which of these calls fails, from 1; 0: none
 *	FAULT_KIND   EIO, ENOSPC, EINTR; short: half of what was asked for is done; KILL: the
 *	             process ends there, as by kill -9; CUT: the call is as ever, but before it a file
 *	             becomes shorter
 *	FAULT_FILE   that file, and FAULT_SIZE its bytes from then on
 *	FAULT_COUNT  a descriptor that is told at the end how many of these calls there were
 *
 * Calls are counted over all threads and over the processes that it starts, as long as they run no
 * other program; descriptors 0 to 2 are left alone. From the failing call on
 * every further one fails as well, as on a full or broken disk; EINTR and short happen once.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

enum what {
	GO_ON,
	FAIL,
	SHORT
};

static const char *fault_call;
static unsigned long fault_nth;
static int fault_errno; /* 0: short */
static bool fault_once, fault_kill;
static int count_fd = -1, cut_fd = -1;
static off_t cut_size;
static atomic_ulong *count; /* in memory that children share */

/* Opened at the beginning: later it may not be possible. */
static void fault_cut(void)
{
	const char *file = getenv("FAULT_FILE"), *size = getenv("FAULT_SIZE");

	cut_fd = file ? open(file, O_WRONLY | O_CLOEXEC) : -1;
	if (cut_fd < 0 || !size)
		abort();
	cut_size = strtoll(size, NULL, 10);
}

__attribute__((constructor)) static void fault_setup(void)
{
	const char *nth = getenv("FAULT_NTH"), *kind = getenv("FAULT_KIND");
	const char *fd = getenv("FAULT_COUNT");

	count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (count == MAP_FAILED)
		abort();
	fault_call = getenv("FAULT_CALL");
	fault_nth = nth ? strtoul(nth, NULL, 10) : 0;
	count_fd = fd ? atoi(fd) : -1;
	if (!kind || strcmp(kind, "EIO") == 0)
		fault_errno = EIO;
	else if (strcmp(kind, "ENOSPC") == 0)
		fault_errno = ENOSPC;
	else if (strcmp(kind, "EINTR") == 0)
		fault_errno = EINTR;
	else if (strcmp(kind, "KILL") == 0)
		fault_kill = true;
	else if (strcmp(kind, "CUT") == 0)
		fault_cut();
	fault_once = fault_errno == EINTR || !fault_errno;
}

__attribute__((destructor)) static void fault_report(void)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%lu\n", atomic_load(count));

	if (count_fd >= 0 && write(count_fd, text, (size_t)n) != n)
		abort();
}

static enum what ask(const char *call, int fd)
{
	unsigned long n;

	if (fd <= 2 || fd == count_fd || !fault_call ||
	    (strcmp(call, fault_call) != 0 && strcmp(fault_call, "any") != 0))
		return GO_ON;
	n = atomic_fetch_add(count, 1) + 1;
	if (!fault_nth || n < fault_nth || (fault_once && n > fault_nth))
		return GO_ON;
	if (fault_kill)
		raise(SIGKILL);
	if (cut_fd >= 0) {
		if (REAL(ftruncate64)(cut_fd, cut_size) < 0)
			abort();
		return GO_ON;
	}
	if (!fault_errno)
		return SHORT;
	errno = fault_errno;
	return FAIL;
}

#define HALF(len) ((len) > 1 ? (len) / 2 : (len))

#define TRANSFER(name, call, ...)                                                                  \
	switch (ask(call, fd)) {                                                                   \
	case FAIL:                                                                                 \
		return -1;                                                                         \
	case SHORT:                                                                                \
		len = HALF(len);                                                                   \
		break;                                                                             \
	case GO_ON:                                                                                \
		break;                                                                             \
	}                                                                                          \
	return REAL(name)(fd, buf, len, ##__VA_ARGS__)

ssize_t pread64(int fd, void *buf, size_t len, off64_t off)
{
	TRANSFER(pread64, "pread", off);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	TRANSFER(pwrite64, "pwrite", off);
}

ssize_t read(int fd, void *buf, size_t len)
{
	TRANSFER(read, "read");
}

ssize_t write(int fd, const void *buf, size_t len)
{
	TRANSFER(write, "write");
}

int ftruncate64(int fd, off64_t length)
{
	return ask("ftruncate", fd) == FAIL ? -1 : REAL(ftruncate64)(fd, length);
}

int fsync(int fd)
{
	return ask("fsync", fd) == FAIL ? -1 : REAL(fsync)(fd);
}

int fallocate64(int fd, int mode, off64_t off, off64_t len);
int fallocate64(int fd, int mode, off64_t off, off64_t len)
{
	return ask("fallocate", fd) == FAIL ? -1 : REAL(fallocate64)(fd, mode, off, len);
}

/* Calls that have no descriptor count as of this one. */
#define NO_FD 3

int rename(const char *from, const char *to)
{
	return ask("name", NO_FD) == FAIL ? -1 : REAL(rename)(from, to);
}

int link(const char *from, const char *to)
{
	return ask("name", NO_FD) == FAIL ? -1 : REAL(link)(from, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	return ask("name", NO_FD) == FAIL ? -1 : REAL(linkat)(from_dir, from, to_dir, to, flags);
}

int symlink(const char *target, const char *path)
{
	return ask("name", NO_FD) == FAIL ? -1 : REAL(symlink)(target, path);
}

int unlink(const char *path)
{
	return ask("name", NO_FD) == FAIL ? -1 : REAL(unlink)(path);
}

int unlinkat(int dir, const char *path, int flags)
{
	return ask("name", NO_FD) == FAIL ? -1 : REAL(unlinkat)(dir, path, flags);
}

/* What a hardened build calls instead. */
ssize_t __pread64_chk(int fd, void *buf, size_t len, off64_t off, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t len, off64_t off, size_t room)
{
	return len > room ? (abort(), -1) : pread64(fd, buf, len, off);
}

ssize_t __read_chk(int fd, void *buf, size_t len, size_t room);
ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
	return len > room ? (abort(), -1) : read(fd, buf, len);
}
