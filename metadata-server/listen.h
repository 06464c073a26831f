/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where guests are listened to:
 *
 *	ADDRESS:PORT[,interface=NAME][,netns=NAME]    numeric; an IPv6 address in brackets
 *	vsock:PORT
 */
#ifndef METADATA_SERVER_LISTEN_H
#define METADATA_SERVER_LISTEN_H

#include "metadata-server/identify.h"

/* The network namespaces that are listened in. Listeners point here: it must stay. */
struct listening {
	struct kernel **v; /* n; the first is the server's own */
	size_t n;
	size_t listeners;
};

/* interface, NULL: of those that do not name one. The log says where. Errors: EINVAL; errno. */
int listen_guests(struct listening *l, struct httpd *h, const char *where, const char *interface,
		  struct err *e);
/* A socket that listens already, of the server's own namespace; it becomes the server's. */
int listen_fd(struct listening *l, struct httpd *h, int fd, struct err *e);
/* The server's own namespace, for connections that come otherwise. Errors: errno of socket. */
int listen_home(struct listening *l, struct kernel **ret, struct err *e);
void listening_release(struct listening *l);
DEFINE_AUTO_STRUCT(struct listening, listening_release);

/*
 * The address alone, or vsock. interface (may be NULL) is the scope of a link-local address.
 * Errors: EINVAL.
 */
int parse_listen(const char *text, const char *interface, struct sockaddr_storage *ret,
		 socklen_t *ret_len, struct err *e);

/* Plain "ADDRESS:PORT". what: "listening on", for the log. */
int listen_plain(struct httpd *h, const char *where, const char *what, struct err *e);

#endif
