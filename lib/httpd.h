/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP/1.x server on libevent, for hostile clients: strict requests (lib/http_parse.h),
 * keep-alive, pipelined requests answered in order, every wait bounded. One thread; the handler
 * must not block: it answers at once, or asks to be called again (http_response.wait_ms).
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
	const void *tag;  /* of the listener, see httpd_set_tag */
};

struct httpd_exchange {
	const struct http_request *request;
	struct http_slice body; /* request->content_length bytes */
	const struct httpd_peer *peer;
	/* For the handler to keep something with the connection; starts as NULL. For the log it may
	 * be NULL itself: there was no connection. */
	void **slot;
	bool timed_out; /* the handler waited with this request, and nobody called httpd_wake */
};

/* A bucket of tokens for each client: `rate` are put in a second, at most `burst` are in it. */
struct httpd_rate {
	uint64_t rate; /* 0: no limit */
	uint64_t burst;
};

struct httpd_opts {
	struct http_limits limits;
	/*
	 * At once, from all clients. One more ends one that is kept alive and idle, or one of the
	 * client that has most; where there is none it waits in the kernel's queue.
	 */
	unsigned max_connections;
	unsigned max_per_address;    /* at once from one client; more get 503; 0: no limit */
	struct httpd_rate requests;  /* of one client; more get 429, and the connection ends */
	struct httpd_rate bytes;     /* of answers to one client; the same */
	unsigned max_requests;       /* on one connection, then it is closed; 0: no limit */
	unsigned idle_timeout_ms;    /* kept alive, nothing asked */
	unsigned request_timeout_ms; /* from a request's first byte to its last */
	unsigned write_timeout_ms;   /* until an answer is taken */
	const char *server;          /* Server: header; NULL: none */
	struct event_base *base;     /* NULL: the server makes its own; else the caller runs it */
	void *arg;
	void (*free_slot)(void *slot); /* what a handler left in *x->slot; may be NULL */
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

/*
 * A client is an address (of IPv6 a /64, which one guest has whole, but for link-local ones) on an
 * interface and a listener's tag. What is not a network has no limits of a client.
 */

/* Makes a server. o is copied. Errors: ENOMEM, EIO (no event mechanism). */
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
/* What peers of the listeners that are added from now on have as their tag; it must stay. */
void httpd_set_tag(struct httpd *h, const void *tag);
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
/* Calls the handler again for the requests that wait with that key. */
void httpd_wake(struct httpd *h, uint64_t key);
/* Calls fn in the loop when the signal comes; replaces the process's handler. At most 8. */
int httpd_on_signal(struct httpd *h, int signo, void (*fn)(void *arg, int signo), void *arg,
		    struct err *e);
/* The loop, for daemons that watch more than HTTP; the server's. */
struct event_base *httpd_base(const struct httpd *h);
/* Open connections. */
size_t httpd_connections(const struct httpd *h);

/* What happened since the server was made. */
struct httpd_stats {
	uint64_t connections; /* accepted, those turned away included */
	uint64_t turned_away; /* too many of one client, or too fast */
	uint64_t evicted;     /* ended to make room */
	uint64_t requests;    /* answered, those refused included */
	uint64_t bad;         /* refused before the handler saw them */
	uint64_t limited;     /* answered with 429 */
	uint64_t timeouts;    /* ended because the client took too long */
	uint64_t bytes_in, bytes_out;
	size_t open, waiting, clients; /* now */
};
void httpd_stats(const struct httpd *h, struct httpd_stats *ret);

#endif
