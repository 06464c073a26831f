/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-ins for what a static program must not call, and for what an old kernel has not.
 *
 * In glibc, looking up a name loads shared objects of the system that the program runs on, and with
 * them that system's libc: in a guest of another age that ends in a crash. libevent refers to such
 * functions, for uses that we have not. Here they say that they cannot, and glibc's own are not
 * even linked.
 */
#include "ctxd/nonss.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

void nonss_init(void)
{
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret)
{
	(void)node;
	(void)service;
	(void)hints;
	*ret = NULL;
	return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *ai)
{
	(void)ai;
}

struct servent *getservbyname(const char *name, const char *protocol)
{
	(void)name;
	(void)protocol;
	return NULL;
}

struct protoent *getprotobynumber(int number)
{
	(void)number;
	return NULL;
}

/*
 * libevent reads addresses by sscanf, in a function that nobody here calls: 80 KB of glibc. These are
 * the names that sscanf has in object files, by the C standard that they were made for.
 */
int __isoc99_sscanf(const char *text, const char *format, ...);
int __isoc23_sscanf(const char *text, const char *format, ...);

int __isoc99_sscanf(const char *text, const char *format, ...)
{
	(void)text;
	(void)format;
	return EOF;
}

int __isoc23_sscanf(const char *text, const char *format, ...)
{
	(void)text;
	(void)format;
	return EOF;
}

/* The kernel has it from 3.17 on; glibc's own has no other way. */
ssize_t getrandom(void *out, size_t len, unsigned flags)
{
	ssize_t n = syscall(SYS_getrandom, out, len, flags);
	int fd;

	if (n >= 0 || errno != ENOSYS)
		return n;
	fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, out, len);
	close(fd);
	return n;
}
