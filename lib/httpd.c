/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server: listeners, the loop, signals. Connections are in lib/httpd_conn.c, what a
 * request may look like in lib/http_parse.c, what it means in the handler.
 *
 * libevent's own HTTP server is not used because it cannot refuse what must be refused; see
 * docs/decisions/0001-own-http-request-parser.md.
 */
#include "lib/httpd_private.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "lib/log.h"

enum {
	ACCEPT_AT_ONCE = 64,
	ACCEPT_PAUSE_MS = 100, /* when descriptors or memory are out */
};

static void on_libevent_log(int severity, const char *msg)
{
	(void)severity;
	log_debug("libevent: %s", msg);
}

void httpd_end_if_done(struct httpd *h)
{
	if (!h->conns && !h->listeners && !h->o.base)
		event_base_loopbreak(h->base);
}

void httpd_set_accepting(struct httpd *h, bool on)
{
	if (h->paused == !on)
		return;
	h->paused = !on;
	for (struct listener *l = h->listeners; l; l = l->next) {
		if (on)
			event_add(&l->ev, NULL);
		else
			event_del(&l->ev);
	}
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct httpd *h = arg;

	(void)fd;
	(void)what;
	if (h->n_conns < h->o.max_connections)
		httpd_set_accepting(h, true);
}

/*
 * The interface that a connection came in by, as the kernel noted when the handshake ended
 * (ip(7) IP_PKTINFO; for TCP the kernel gives it by IP_PKTOPTIONS, RFC 2292 section 7 for IPv6).
 * It is the interface of the packet, not the one that has our address.
 */
static unsigned ingress_ifindex(int fd, int family)
{
	union {
		char bytes[256];
		struct cmsghdr align;
	} control;
	socklen_t len = sizeof(control);
	struct msghdr m = {.msg_control = control.bytes};

	if (family == AF_INET
		    ? getsockopt(fd, IPPROTO_IP, IP_PKTOPTIONS, control.bytes, &len)
		    : getsockopt(fd, IPPROTO_IPV6, IPV6_2292PKTOPTIONS, control.bytes, &len))
		return 0;
	m.msg_controllen = len;
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(&m); cm; cm = CMSG_NXTHDR(&m, cm)) {
		struct in_pktinfo v4;
		struct in6_pktinfo v6;

		if (cm->cmsg_level == IPPROTO_IP && cm->cmsg_type == IP_PKTINFO) {
			memcpy(&v4, CMSG_DATA(cm), sizeof(v4));
			return v4.ipi_ifindex > 0 ? (unsigned)v4.ipi_ifindex : 0;
		}
		if (cm->cmsg_level == IPPROTO_IPV6 && cm->cmsg_type == IPV6_PKTINFO) {
			memcpy(&v6, CMSG_DATA(cm), sizeof(v6));
			return v6.ipi6_ifindex;
		}
	}
	return 0;
}

/* Over a limit of its client: told so, without a connection of ours. */
static void turn_away(struct httpd *h, int fd, const struct httpd_peer *peer, bool too_fast)
{
	struct httpd_exchange x = {.peer = peer};
	int status = too_fast ? 429 : 503;
	char text[160];
	int len = snprintf(text, sizeof(text),
			   "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
			   "Connection: close\r\n\r\n",
			   status, http_status_text(status));

	h->stats.turned_away++;
	/* as much as fits: nobody waits for one who has too many connections */
	if (send(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("answering a connection too many: %s", strerror(errno));
	close(fd);
	if (http_response_error(&h->res, status) == 0 && h->o.log)
		h->o.log(h->o.arg, &x, &h->res,
			 too_fast ? "this client asks too fast"
				  : "too many connections of this client");
}

static void accepted(struct httpd *h, int fd, const struct httpd_peer *peer)
{
	struct client *client;
	struct conn *c;
	enum client_verdict verdict = client_enter(h, peer, &client);

	h->stats.connections++;
	if (verdict != CLIENT_MAY) {
		turn_away(h, fd, peer, verdict == CLIENT_TOO_FAST);
		return;
	}
	if (conn_new(h, fd, fd, peer, &c)) {
		client_leave(h, client);
		close(fd);
		return;
	}
	c->client = client;
	conn_start(c); /* the request is often here already */
}

static void pause_accepting(struct httpd *h)
{
	static const struct timeval tv = {.tv_usec = ACCEPT_PAUSE_MS * 1000};

	/* without the timer, the next connection that ends must let them accept again */
	if (evtimer_add(&h->resume, &tv) && !h->n_conns)
		return;
	httpd_set_accepting(h, false);
}

static void on_accept(evutil_socket_t lfd, short what, void *arg)
{
	struct listener *l = arg;
	struct httpd *h = l->h;

	(void)what;
	for (unsigned i = 0; i < ACCEPT_AT_ONCE && !h->paused; i++) {
		struct httpd_peer peer = {.tag = l->tag};
		socklen_t len = sizeof(peer.remote);
		int fd = accept4(lfd, (struct sockaddr *)&peer.remote, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 &&
		    (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
			if (conn_evict(h))
				continue; /* there is room now */
			pause_accepting(h);
		}
		if (fd < 0)
			return; /* EAGAIN; or an error of a client that is gone: next event */
		len = sizeof(peer.local);
		if (getsockname(fd, (struct sockaddr *)&peer.local, &len))
			peer.local.ss_family = AF_UNSPEC;
		if (peer.remote.ss_family == AF_INET || peer.remote.ss_family == AF_INET6)
			peer.ifindex = ingress_ifindex(fd, peer.remote.ss_family);
		accepted(h, fd, &peer);
		if (h->n_conns >= h->o.max_connections && !conn_evict(h))
			httpd_set_accepting(h, false);
	}
}

/* ---- face ---------------------------------------------------------------------------------- */

int httpd_new(const struct httpd_opts *o, struct httpd **ret, struct err *e)
{
	AUTO(httpd_free) struct httpd *h = calloc(1, sizeof(*h));

	if (!h)
		return err_nomem(e);
	h->o = *o;
	/* only spreads addresses over buckets; without it they still are, if predictably */
	if (getrandom(&h->seed, sizeof(h->seed), GRND_NONBLOCK) < 0)
		h->seed = 2166136261u;
	event_set_log_callback(on_libevent_log);
	h->base = o->base ? o->base : event_base_new();
	if (!h->base)
		return err_set(e, EIO, "no event mechanism of the system can be used");
	evtimer_assign(&h->resume, h->base, on_resume, h);
	*ret = STEAL(h);
	return 0;
}

static void close_listeners(struct httpd *h)
{
	while (h->listeners) {
		struct listener *l = h->listeners;

		h->listeners = l->next;
		event_del(&l->ev);
		close(l->fd);
		free(l);
	}
}

void httpd_free(struct httpd *h)
{
	close_listeners(h);
	while (h->conns)
		conn_close(h->conns);
	for (size_t i = 0; i < h->n_signals; i++)
		event_del(&h->signals[i].ev);
	if (h->base) {
		event_del(&h->resume);
		if (!h->o.base)
			event_base_free(h->base);
	}
	clients_free(h);
	http_response_release(&h->res);
	free(h);
}

int httpd_listen_fd(struct httpd *h, int fd, struct err *e)
{
	struct listener *l = calloc(1, sizeof(*l));
	struct listener **last = &h->listeners;
	int on = 1;
	int flags = fcntl(fd, F_GETFL);

	if (!l)
		return err_nomem(e);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) {
		free(l);
		return err_errno(e, errno, "socket to listen on");
	}
	/* accepted sockets inherit these; other families refuse them, and have no interface */
	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	l->h = h;
	l->fd = fd;
	l->tag = h->tag;
	event_assign(&l->ev, h->base, fd, EV_READ | EV_PERSIST, on_accept, l);
	if (!h->paused && event_add(&l->ev, NULL)) {
		free(l);
		return err_set(e, EIO, "socket to listen on cannot be watched");
	}
	while (*last)
		last = &(*last)->next;
	*last = l;
	return 0;
}

/* "127.0.0.1:80", "[::1]:80": for messages. */
static void address_text(const struct sockaddr *addr, char out[80])
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (addr->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)addr;

		inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
		snprintf(out, 80, "%s:%u", ip, ntohs(v4->sin_port));
	} else if (addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)addr;

		inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
		snprintf(out, 80, "[%s]:%u", ip, ntohs(v6->sin6_port));
	} else {
		snprintf(out, 80, "address of family %d", addr->sa_family);
	}
}

int httpd_listen(struct httpd *h, const struct sockaddr *addr, socklen_t len, const char *interface,
		 struct err *e)
{
	AUTO_FD int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[80];
	int on = 1;
	int rc;

	address_text(addr, text);
	if (fd < 0)
		return err_errno(e, errno, "socket for %s", text);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		return err_errno(e, errno, "address %s", text);
	if (addr->sa_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)))
		return err_errno(e, errno, "address %s", text);
	if (interface && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
				    (socklen_t)strlen(interface) + 1))
		return err_errno(e, errno, "binding to interface '%s'", interface);
	if (bind(fd, addr, len))
		return err_errno(e, errno, "address %s", text);
	if (listen(fd, SOMAXCONN))
		return err_errno(e, errno, "listening on %s", text);
	rc = httpd_listen_fd(h, fd, e);
	if (!rc)
		steal_fd(&fd);
	return rc;
}

void httpd_set_tag(struct httpd *h, const void *tag)
{
	h->tag = tag;
}

int httpd_local_addr(const struct httpd *h, size_t i, struct sockaddr_storage *ret, struct err *e)
{
	const struct listener *l = h->listeners;
	socklen_t len = sizeof(*ret);

	while (l && i--)
		l = l->next;
	if (!l)
		return err_set(e, ENOENT, "no such listener");
	if (getsockname(l->fd, (struct sockaddr *)ret, &len))
		return err_errno(e, errno, "address of a listener");
	return 0;
}

/* Can the kernel wait on it? Files and /dev/null are always ready, and epoll refuses them. */
static bool can_poll(mode_t mode, int fd)
{
	return S_ISSOCK(mode) || S_ISFIFO(mode) || (S_ISCHR(mode) && isatty(fd));
}

int httpd_serve_fds(struct httpd *h, int in_fd, int out_fd, struct err *e)
{
	int in_flags = fcntl(in_fd, F_GETFL);
	int out_flags = fcntl(out_fd, F_GETFL);
	struct httpd_peer peer = {.tag = h->tag};
	socklen_t len = sizeof(peer.remote);
	struct stat in, out;
	struct conn *c;

	if (in_flags < 0 || out_flags < 0 || fstat(in_fd, &in) || fstat(out_fd, &out))
		return err_errno(e, errno, "descriptors %d and %d", in_fd, out_fd);
	if (!S_ISSOCK(out.st_mode) || getpeername(out_fd, (struct sockaddr *)&peer.remote, &len) ||
	    (peer.remote.ss_family != AF_INET && peer.remote.ss_family != AF_INET6))
		memset(&peer.remote, 0, sizeof(peer.remote));
	if (fcntl(in_fd, F_SETFL, in_flags | O_NONBLOCK) ||
	    fcntl(out_fd, F_SETFL, out_flags | O_NONBLOCK))
		return err_errno(e, errno, "descriptors %d and %d", in_fd, out_fd);
	if (conn_new(h, in_fd, out_fd, &peer, &c))
		return err_nomem(e);
	c->ours = false;
	c->in_flags = in_flags;
	c->out_flags = out_flags;
	c->in_polls = can_poll(in.st_mode, in_fd);
	c->out_polls = can_poll(out.st_mode, out_fd);
	c->is_socket = S_ISSOCK(out.st_mode);
	conn_start(c);
	return 0;
}

int httpd_run(struct httpd *h, struct err *e)
{
	if (!h->conns && !h->listeners)
		return 0;
	if (event_base_dispatch(h->base) < 0)
		return err_set(e, EIO, "waiting for events failed");
	return 0;
}

void httpd_stop(struct httpd *h)
{
	struct conn *next;

	h->stopping = true;
	close_listeners(h);
	for (struct conn *c = h->conns; c; c = next) {
		next = c->next;
		c->closing = true;
		if (c->out_off == c->out.len && c->wait != WAIT_LINGER)
			conn_close(c);
	}
	httpd_end_if_done(h);
}

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct signal_slot *s = arg;

	(void)what;
	s->fn(s->arg, (int)signo);
}

int httpd_on_signal(struct httpd *h, int signo, void (*fn)(void *arg, int signo), void *arg,
		    struct err *e)
{
	struct signal_slot *s;

	if (h->n_signals == MAX_SIGNALS)
		return err_set(e, ENOSPC, "too many signals are watched");
	s = &h->signals[h->n_signals];
	s->fn = fn;
	s->arg = arg;
	evsignal_assign(&s->ev, h->base, signo, on_signal, s);
	if (event_add(&s->ev, NULL))
		return err_set(e, EIO, "signal %d cannot be watched", signo);
	h->n_signals++;
	return 0;
}

struct event_base *httpd_base(const struct httpd *h)
{
	return h->base;
}

size_t httpd_connections(const struct httpd *h)
{
	return h->n_conns;
}

void httpd_stats(const struct httpd *h, struct httpd_stats *ret)
{
	*ret = h->stats;
	ret->open = h->n_conns;
	ret->waiting = h->n_parked;
	ret->clients = h->n_clients;
}
