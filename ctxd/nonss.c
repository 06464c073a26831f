/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-ins for what a static program must not call.
 *
 * In glibc, looking up a name or converting between character sets loads shared objects of the
 * system that the program runs on, and with them that system's libc: in a guest of another age
 * that ends in a crash. libevent and libarchive refer to such functions, for uses that we have not.
 * Here they say that they cannot, and glibc's own are not even linked.
 */
#include "ctxd/nonss.h"

#include <errno.h>
#include <iconv.h>
#include <netdb.h>
#include <stddef.h>

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

/* libarchive then uses its own conversions, which are all that an ISO image's names need. */
iconv_t iconv_open(const char *to, const char *from)
{
	(void)to;
	(void)from;
	errno = EINVAL;
	return (iconv_t)-1;
}

size_t iconv(iconv_t cd, char **in, size_t *in_left, char **out, size_t *out_left)
{
	(void)cd;
	(void)in;
	(void)in_left;
	(void)out;
	(void)out_left;
	errno = EBADF;
	return (size_t)-1;
}

int iconv_close(iconv_t cd)
{
	(void)cd;
	return 0;
}
