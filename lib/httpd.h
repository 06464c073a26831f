/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP/1.x server on libevent, for hostile clients: strict requests (lib/http_parse.h),
 * keep-alive, pipelined requests answered in order, every wait bounded. One thread; the handler
 * answers at once and must not block.
 */
#ifndef LIB_HTTPD_H
#define LIB_HTTPD_H

#include <sys/socket.h>

#include "lib/http_parse.h"
#include "lib/http_response.h"

struct event_base;
struct httpd;

/* Who asks, as the kernel says it: nothing here comes from what the client sent. */
struct httpd_peer {
	struct sockaddr_storage remote; /* ss_family AF_UNSPEC: not a network socket */
	struct sockaddr_storage local;
	unsigned ifindex; /* interface that the connection came in by; 0: unknown */
};

struct httpd_exchange {
	const struct http_request *request;
	struct http_slice body; /* request->content_length bytes */
	const struct httpd_peer *peer;
};

struct httpd_opts {
	struct http_limits limits;
	unsigned max_connections;    /* at once; further ones wait in the kernel's queue */
	unsigned max_per_address;    /* at once from one address (IPv6: one /64); more get 503 */
	unsigned max_requests;       /* on one connection, then it is closed; 0: no limit */
	unsigned idle_timeout_ms;    /* kept alive, nothing asked */
	unsigned request_timeout_ms; /* from a request's first byte to its last */
	unsigned write_timeout_ms;   /* until an answer is taken */
	const char *server;          /* Server: header; NULL: none */
	void *arg;
	/* Fills *res (HTTP_RESPONSE_INIT when called). A failure is answered with 500. */
	int (*handle)(void *arg, const struct httpd_exchange *x, struct http_response *res,
		      struct err *e);
	/*
	 * Called after each answer, and for requests that were refused before the handler saw them
	 * (x->request is NULL then). why: what was wrong, or NULL. May be NULL.
	 */
	void (*log)(void *arg, const struct httpd_exchange *x, const struct http_response *res,
		    const char *why);
};
#define HTTPD_OPTS_DEFAULT                                                                         \
	((struct httpd_opts){.limits = HTTP_LIMITS_DEFAULT,                                        \
			     .max_connections = 1024,                                              \
			     .max_per_address = 64,                                                \
			     .max_requests = 10000,                                                \
			     .idle_timeout_ms = 15000,                                             \
			     .request_timeout_ms = 10000,                                          \
			     .write_timeout_ms = 10000})

/* Makes a server with a loop of its own. o is copied. Errors: ENOMEM, EIO (no event mechanism). */
int httpd_new(const struct httpd_opts *o, struct httpd **ret, struct err *e);
void httpd_free(struct httpd *h);
DEFINE_AUTO(struct httpd *, httpd_free);

/*
 * Listens on a numeric address; interface (NULL: any) binds to that network interface, so that
 * nothing that comes in by another one is seen. IPv6 sockets take IPv6 alone. Several calls add
 * listeners. Errors: errno of socket, setsockopt, bind, listen.
 */
int httpd_listen(struct httpd *h, const struct sockaddr *addr, socklen_t len, const char *interface,
		 struct err *e);
/* The same with a socket that listens already (it becomes the server's). */
int httpd_listen_fd(struct httpd *h, int fd, struct err *e);
/* The address of listener i (0 is the first), for those who asked for port 0. Errors: ENOENT. */
int httpd_local_addr(const struct httpd *h, size_t i, struct sockaddr_storage *ret, struct err *e);

/*
 * Takes one connection that is open already: requests from in_fd, answers to out_fd. They may be
 * the same descriptor or two; sockets, pipes, terminals or files. They stay the caller's, and are
 * made non-blocking while the server has them. Once that connection has ended and nothing listens,
 * httpd_run returns.
 */
int httpd_serve_fds(struct httpd *h, int in_fd, int out_fd, struct err *e);

/* Runs until httpd_stop, or until there is nothing left to serve. Errors: EIO. */
int httpd_run(struct httpd *h, struct err *e);
/*
 * Ends gracefully: listeners close, idle connections too, answers in hand are still sent (bounded
 * by write_timeout_ms), then httpd_run returns.
 */
void httpd_stop(struct httpd *h);
/* Calls fn in the loop when the signal comes; replaces the process's handler. At most 8. */
int httpd_on_signal(struct httpd *h, int signo, void (*fn)(void *arg, int signo), void *arg,
		    struct err *e);
/* The loop, for daemons that watch more than HTTP; the server's. */
struct event_base *httpd_base(const struct httpd *h);
/* Open connections. */
size_t httpd_connections(const struct httpd *h);

#endif
