/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of the HTTP server.
 *
 * It reads into `in`, answers every complete request in `in` into `out` (in order: a request is
 * looked at only when the one before it has been answered), and writes `out`. While much of `out`
 * is not taken yet, nothing more is read, so a client that does not read costs a bounded amount of
 * memory. One timer always runs, for whatever the connection waits for.
 */
#include "lib/httpd_private.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <time.h>

#include "lib/clock.h"

enum {
	READ_SIZE = 8192,      /* bytes asked of the kernel at a time */
	EVICT_LOOK = 256,      /* of the oldest connections that are looked at */
	OUT_HIGH = 65536,      /* untaken bytes of answers above which no request is read */
	KEEP_BUFFER = 16384,   /* larger buffers are given back when they are empty */
	FAIR_SHARE = 8,        /* connections of one client that are not ended to make room */
	LINGER_MS = 1000,      /* after a refusal, what still comes is read and thrown away */
	LINGER_BYTES = 262144, /* at most so much of it */
	PARKED_BYTES = 65536, /* that are read while the handler waits; then no more is looked at */
};

/* ---- waiting ------------------------------------------------------------------------------- */

/* The time limit starts when what is waited for changes. Returns 0 or -ENOMEM. */
static int wait_for(struct conn *c, enum wait wait)
{
	const struct httpd_opts *o = &c->h->o;
	unsigned ms = LINGER_MS;
	struct timeval tv;

	if (c->wait == wait)
		return 0;
	c->wait = wait;
	if (wait == WAIT_IDLE)
		ms = o->idle_timeout_ms;
	else if (wait == WAIT_REQUEST)
		ms = o->request_timeout_ms;
	else if (wait == WAIT_WRITE)
		ms = o->write_timeout_ms;
	tv = (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	return evtimer_add(&c->timer, &tv) ? -ENOMEM : 0;
}

/*
 * A descriptor that cannot be polled is always ready: its callback is run from the loop. Should
 * the kernel refuse to watch one (memory), then the timer ends the connection.
 */
static void watch(struct event *ev, short what, bool polls, bool *is_on, bool on)
{
	if (on && !polls)
		event_active(ev, what, 1);
	else if (on && !*is_on)
		event_add(ev, NULL);
	else if (!on && *is_on && polls)
		event_del(ev);
	*is_on = on;
}

static void want_read(struct conn *c, bool on)
{
	watch(&c->rd, EV_READ, c->in_polls, &c->rd_on, on);
}

static void want_write(struct conn *c, bool on)
{
	watch(&c->wr, EV_WRITE, c->out_polls, &c->wr_on, on);
}

/* ---- answers ------------------------------------------------------------------------------- */

static const char *now_text(struct httpd *h)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	if (h->date_of != (uint64_t)ts.tv_sec || !h->date[0]) {
		h->date_of = (uint64_t)ts.tv_sec;
		http_date(h->date_of, h->date);
	}
	return h->date;
}

/* Appends the answer in h->res to c->out; -ENOMEM leaves out as it was. */
static int queue_answer(struct conn *c, bool keep, bool minor0, bool head_only)
{
	struct httpd *h = c->h;
	struct http_response *r = &h->res;
	size_t before = c->out.len;
	int rc;

	rc = buf_addf(&c->out, "HTTP/1.1 %d %s\r\n", r->status, http_status_text(r->status));
	rc = rc ? rc : buf_add(&c->out, buf_str(&r->headers), r->headers.len);
	rc = rc ? rc
		: buf_addf(&c->out, "Content-Length: %zu\r\nDate: %s\r\n%s%s%s%s\r\n", r->body.len,
			   now_text(h), h->o.server ? "Server: " : "",
			   h->o.server ? h->o.server : "", h->o.server ? "\r\n" : "",
			   !keep    ? "Connection: close\r\n"
			   : minor0 ? "Connection: keep-alive\r\n"
				    : "");
	if (!rc && !head_only)
		rc = buf_add(&c->out, buf_str(&r->body), r->body.len);
	if (rc && c->out.data) {
		c->out.len = before;
		c->out.data[before] = '\0';
	}
	return rc;
}

/* Lowers the TTL of what is sent from now on; it stays lowered, for retransmissions too. */
static int set_hop_limit(struct conn *c, unsigned limit)
{
	int v = (int)limit;

	switch (c->peer.remote.ss_family) {
	case AF_INET:
		return setsockopt(c->out_fd, IPPROTO_IP, IP_TTL, &v, sizeof(v)) ? -errno : 0;
	case AF_INET6:
		return setsockopt(c->out_fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &v, sizeof(v))
			       ? -errno
			       : 0;
	default: /* not a network of ours: the one who forwards has the hops in hand */
		return 0;
	}
}

/* Answers what is no request, or came too late; the connection ends with it. */
static void refuse(struct conn *c, int status, const char *why)
{
	struct httpd_exchange x = {.peer = &c->peer, .slot = &c->slot};

	c->closing = true;
	c->refused = true;
	c->h->stats.requests++;
	c->h->stats.bad++;
	if (http_response_error(&c->h->res, status) || queue_answer(c, false, false, false))
		return; /* out of memory: closed without a word */
	if (c->h->o.log)
		c->h->o.log(c->h->o.arg, &x, &c->h->res, why);
}

/* The handler wants to be asked again later: after ms from the first time that it said so. */
static void park(struct conn *c, uint64_t ms, uint64_t key)
{
	struct httpd *h = c->h;
	uint64_t now = clock_ms();
	struct timeval tv;

	if (!c->again)
		c->wait_until = now + ms;
	ms = c->wait_until - MIN(now, c->wait_until);
	tv = (struct timeval){.tv_sec = (time_t)(ms / 1000),
			      .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	c->wait_key = key;
	c->parked = true;
	c->woken = false;
	c->next_parked = h->parked;
	if (c->next_parked)
		c->next_parked->parked_in = &c->next_parked;
	c->parked_in = &h->parked;
	h->parked = c;
	h->n_parked++;
	if (evtimer_add(&c->park, &tv))
		event_active(&c->park, EV_TIMEOUT, 1);
}

static void unpark(struct conn *c)
{
	if (!c->parked)
		return;
	c->parked = false;
	if (c->next_parked)
		c->next_parked->parked_in = c->parked_in;
	*c->parked_in = c->next_parked;
	c->h->n_parked--;
	event_del(&c->park);
}

void httpd_wake(struct httpd *h, uint64_t key)
{
	for (struct conn *c = h->parked; c; c = c->next_parked) {
		if (c->wait_key != key)
			continue;
		c->woken = true;
		event_active(&c->park, EV_TIMEOUT, 1);
	}
}

/* Its client asks too fast: nothing is looked at, and the connection ends. */
static void limit(struct conn *c)
{
	c->h->res.status = 429;
	if (http_response_error(&c->h->res, 429) ||
	    http_response_header(&c->h->res, "Retry-After", "1"))
		http_response_clear(&c->h->res);
	c->h->res.close = true;
	c->refused = true; /* more of its requests may be here unread */
	c->h->stats.limited++;
}

/* Fills h->res. Returns why it is what it is, NULL for nothing to tell. */
static const char *ask_handler(struct conn *c, const struct httpd_exchange *x, struct err *e)
{
	struct httpd *h = c->h;
	const char *why = NULL;

	http_response_clear(&h->res);
	if (!c->again && !client_may_ask(h, c->client)) {
		limit(c);
		return "this client asks too fast";
	}
	if (h->o.handle(h->o.arg, x, &h->res, e) < 0)
		why = e->msg;
	else if (h->res.wait_ms)
		return NULL;
	else if (h->res.hop_limit && set_hop_limit(c, h->res.hop_limit))
		why = "the hop limit cannot be set";
	if (why) {
		if (http_response_error(&h->res, 500))
			http_response_clear(&h->res);
		h->res.close = true;
	}
	return why;
}

/* False: the handler waits. */
static bool answer(struct conn *c, const struct http_request *rq, struct http_slice body)
{
	struct httpd *h = c->h;
	struct httpd_exchange x = {.request = rq,
				   .body = body,
				   .peer = &c->peer,
				   .slot = &c->slot,
				   .timed_out = c->timed_out};
	struct err e = {0};
	const char *why = ask_handler(c, &x, &e);
	size_t before = c->out.len;
	bool keep;

	if (h->res.wait_ms) {
		park(c, h->res.wait_ms, h->res.wait_key);
		return false;
	}
	if (!h->res.status) { /* out of memory */
		c->closing = true;
		return true;
	}
	c->served++;
	h->stats.requests++;
	keep = rq->keep_alive && !h->res.close && !h->stopping &&
	       (!h->o.max_requests || c->served < h->o.max_requests);
	if (!keep)
		c->closing = true;
	if (queue_answer(c, keep, !rq->minor, http_slice_is(rq->method, "HEAD"))) {
		c->closing = true;
		why = "out of memory";
	}
	client_charge(h, c->client, c->out.len - before);
	if (h->o.log)
		h->o.log(h->o.arg, &x, &h->res, why);
	return true;
}

/* ---- requests ------------------------------------------------------------------------------ */

static void next_request(struct conn *c)
{
	http_parser_init(&c->parser, &c->h->o.limits);
	c->need = 0;
	c->continued = false;
	c->again = c->timed_out = false;
}

/* Looks at what is in `in`; true if a request was answered or refused. */
static bool take_request(struct conn *c)
{
	const char *data = buf_str(&c->in) + c->in_off;
	size_t len = c->in.len - c->in_off;
	struct http_request rq;
	size_t head;

	if (c->need > len)
		return false;
	if (c->need) /* `in` may have moved since the head was parsed */
		http_parser_init(&c->parser, &c->h->o.limits);
	switch (http_parse(&c->parser, data, len, &rq)) {
	case HTTP_MORE:
		return false;
	case HTTP_BAD:
		refuse(c, c->parser.status, c->parser.reason);
		return true;
	case HTTP_DONE:
		break;
	}
	head = c->parser.head_len;
	if (rq.content_length > len - head) {
		c->need = head + rq.content_length; /* both within the limits: no overflow */
		if (rq.expect_continue && !c->continued && len == head) {
			c->continued = true;
			if (buf_adds(&c->out, "HTTP/1.1 100 Continue\r\n\r\n"))
				c->closing = true;
		}
		return false;
	}
	c->need = head + rq.content_length;
	if (!answer(c, &rq, (struct http_slice){data + head, (size_t)rq.content_length}))
		return false;
	c->in_off += head + (size_t)rq.content_length;
	next_request(c);
	return true;
}

static void trim(struct buf *b, size_t *off)
{
	if (*off == b->len && b->cap > KEEP_BUFFER)
		buf_release(b);
	else
		buf_consume(b, *off);
	*off = 0;
}

/* ---- bytes --------------------------------------------------------------------------------- */

/* Writes what can be written. Returns 1 if all is taken, 0 if not, a negative errno if broken. */
static int flush(struct conn *c)
{
	while (c->out_off < c->out.len) {
		const char *p = c->out.data + c->out_off;
		size_t len = c->out.len - c->out_off;
		ssize_t n = c->is_socket ? send(c->out_fd, p, len, MSG_NOSIGNAL)
					 : write(c->out_fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		c->out_off += (size_t)n;
		c->h->stats.bytes_out += (uint64_t)n;
	}
	trim(&c->out, &c->out_off);
	return 1;
}

/* Reads what is there, at most READ_SIZE. Returns bytes, 0 for none yet, a negative errno. */
static ssize_t fill(struct conn *c)
{
	ssize_t n;

	if (buf_reserve(&c->in, READ_SIZE))
		return -ENOMEM;
	do
		n = read(c->in_fd, c->in.data + c->in.len, READ_SIZE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (!n)
		c->eof = true;
	c->in.len += (size_t)n;
	c->in.data[c->in.len] = '\0';
	c->h->stats.bytes_in += (uint64_t)n;
	return n;
}

static void linger(struct conn *c)
{
	shutdown(c->out_fd, SHUT_WR);
	c->lingered = c->in.len;
	buf_release(&c->in);
	c->in_off = 0;
	want_write(c, false);
	want_read(c, true);
	if (wait_for(c, WAIT_LINGER))
		conn_close(c);
}

/* Reads and forgets; see c->refused. */
static void on_linger(struct conn *c)
{
	ssize_t n = fill(c);

	c->lingered += c->in.len;
	buf_clear(&c->in);
	if (n < 0 || c->eof || c->lingered > LINGER_BYTES)
		conn_close(c);
}

/* Its handler waits: nobody is left to be answered, or the next requests come already. */
static void on_parked(struct conn *c)
{
	if (fill(c) < 0 || c->eof)
		conn_close(c);
	else if (c->in.len - c->in_off >= PARKED_BYTES)
		want_read(c, false);
}

/* All taken, nothing more to answer: waits for the next request, or ends. May free c. */
static void all_sent(struct conn *c)
{
	if (c->parked && !c->closing) {
		want_write(c, false);
		want_read(c, c->is_socket); /* to see it go */
		event_del(&c->timer);       /* `park` runs */
		c->wait = WAIT_HANDLER;
		return;
	}
	if (c->closing && c->refused && c->is_socket && !c->eof) {
		linger(c);
		return;
	}
	if (c->closing || c->eof) {
		conn_close(c);
		return;
	}
	want_write(c, false);
	want_read(c, true);
	if (wait_for(c, c->in.len ? WAIT_REQUEST : WAIT_IDLE))
		conn_close(c);
}

/* Does all that can be done now, then says what to wait for. May free c. */
static void conn_work(struct conn *c)
{
	bool held;
	int sent;

	do {
		held = false;
		while (!c->closing && !held && !c->parked) {
			held = c->out.len - c->out_off >= OUT_HIGH;
			if (held || !take_request(c))
				break;
			c->wait = WAIT_NONE; /* each request has its own time */
		}
		sent = flush(c);
	} while (sent > 0 && held);
	trim(&c->in, &c->in_off);
	if (sent > 0) {
		all_sent(c);
		return;
	}
	if (sent < 0) {
		conn_close(c);
		return;
	}
	want_read(c, false);
	want_write(c, true);
	if (wait_for(c, WAIT_WRITE))
		conn_close(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->wait == WAIT_LINGER) {
		on_linger(c);
		return;
	}
	if (c->wait == WAIT_HANDLER) {
		on_parked(c);
		return;
	}
	if (fill(c) < 0)
		conn_close(c);
	else
		conn_work(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_work(arg);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	c->h->stats.timeouts += c->wait == WAIT_REQUEST || c->wait == WAIT_WRITE;
	if (c->wait == WAIT_REQUEST) {
		refuse(c, 408, "the request did not come to its end in time");
		c->wait = WAIT_NONE;
		conn_work(c);
	} else {
		conn_close(c);
	}
}

static void on_park(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	c->again = true;
	c->timed_out = !c->woken;
	unpark(c);
	conn_work(c);
}

/* ---- connections --------------------------------------------------------------------------- */

/*
 * May it be ended to make room? Nobody loses an answer by that: it is kept alive and idle, or it
 * waits for a client that has more than its share.
 */
static bool can_end(const struct conn *c)
{
	if ((c->wait == WAIT_IDLE && c->served) || c->wait == WAIT_LINGER)
		return true;
	return (c->wait == WAIT_IDLE || c->wait == WAIT_REQUEST || c->wait == WAIT_HANDLER) &&
	       c->client && c->client->conns > FAIR_SHARE;
}

bool conn_evict(struct httpd *h)
{
	struct conn *victim = NULL;
	struct conn *c = h->oldest;

	for (size_t i = 0; c && i < EVICT_LOOK; i++, c = c->prev) {
		unsigned most = victim && victim->client ? victim->client->conns : 0;

		if (can_end(c) && (!victim || (c->client && c->client->conns > most)))
			victim = c;
	}
	if (!victim)
		return false;
	h->stats.evicted++;
	conn_close(victim);
	return true;
}

static void conn_link(struct conn *c)
{
	struct httpd *h = c->h;

	c->next = h->conns;
	if (c->next)
		c->next->prev = c;
	else
		h->oldest = c;
	h->conns = c;
	h->n_conns++;
}

static void conn_unlink(struct conn *c)
{
	struct httpd *h = c->h;

	if (c->next)
		c->next->prev = c->prev;
	else
		h->oldest = c->prev;
	if (c->prev)
		c->prev->next = c->next;
	else
		h->conns = c->next;
	h->n_conns--;
}

void conn_close(struct conn *c)
{
	struct httpd *h = c->h;

	event_del(&c->rd);
	event_del(&c->wr);
	event_del(&c->timer);
	event_del(&c->park);
	unpark(c);
	conn_unlink(c);
	client_leave(h, c->client);
	if (c->slot && h->o.free_slot)
		h->o.free_slot(c->slot);
	if (c->ours) {
		close(c->in_fd);
	} else {
		fcntl(c->in_fd, F_SETFL, c->in_flags);
		fcntl(c->out_fd, F_SETFL, c->out_flags);
	}
	buf_release(&c->in);
	buf_release(&c->out);
	free(c);
	if (h->paused && h->n_conns < h->o.max_connections && !evtimer_pending(&h->resume, NULL))
		httpd_set_accepting(h, true);
	httpd_end_if_done(h);
}

int conn_new(struct httpd *h, int in_fd, int out_fd, const struct httpd_peer *peer,
	     struct conn **ret)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->h = h;
	c->in_fd = in_fd;
	c->out_fd = out_fd;
	c->ours = true;
	c->is_socket = c->in_polls = c->out_polls = true;
	event_assign(&c->rd, h->base, in_fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->wr, h->base, out_fd, EV_WRITE | EV_PERSIST, on_writable, c);
	evtimer_assign(&c->timer, h->base, on_timeout, c);
	evtimer_assign(&c->park, h->base, on_park, c);
	if (wait_for(c, WAIT_IDLE)) {
		free(c);
		return -ENOMEM;
	}
	next_request(c);
	if (peer)
		c->peer = *peer;
	conn_link(c);
	*ret = c;
	return 0;
}

void conn_start(struct conn *c)
{
	/* One that was there before the loop waits for it: who serves may not be ready yet. */
	if (c->ours)
		on_readable(c->in_fd, EV_READ, c);
	else
		want_read(c, true);
}
