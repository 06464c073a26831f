/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-ins for what a static program must not call.
 *
 * In glibc, looking up a name loads shared objects of the system that the program runs on, and with
 * them that system's libc: in a guest of another age that ends in a crash. libevent refers to such
 * functions, for uses that we have not. Here they say that they cannot, and glibc's own are not
 * even linked.
 */
#include "ctxd/nonss.h"

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
