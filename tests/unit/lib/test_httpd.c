/* SPDX-License-Identifier: Apache-2.0 */
/* The server's patience and its bounds, with limits small enough to be met in a test. */
#include "tests/unit/cmocka.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

#include "lib/httpd.h"

struct server {
	struct httpd *h;
	pthread_t thread;
	uint16_t port;
	unsigned handled, logged, refused;
	size_t body_seen;
	size_t answer; /* bytes of a body */
	unsigned hop_limit;
	unsigned wait_ms;         /* the first time that a request is seen */
	struct httpd_stats stats; /* when it was stopped */
	unsigned waited, timed_out, slots_freed;
	bool fail;
};

static int handle(void *arg, const struct httpd_exchange *x, struct http_response *res,
		  struct err *e)
{
	struct server *s = arg;

	s->handled++;
	s->body_seen = x->body.len;
	if (s->fail)
		return err_set(e, EIO, "on purpose");
	if (http_slice_is(x->request->target, "/wake"))
		httpd_wake(s->h, 7);
	if (http_slice_is(x->request->target, "/wait") && !*x->slot) {
		*x->slot = s;
		s->waited++;
		res->wait_ms = s->wait_ms;
		res->wait_key = 7;
		return 0;
	}
	if (http_slice_is(x->request->target, "/for-ever") && !x->timed_out) {
		__atomic_add_fetch(&s->waited, 1, __ATOMIC_RELAXED);
		res->wait_ms = s->wait_ms;
		res->wait_key = 7;
		return 0;
	}
	s->timed_out += x->timed_out;
	assert_true(x->peer->ifindex > 0 || x->peer->remote.ss_family == AF_UNSPEC);
	res->status = 200;
	res->hop_limit = s->hop_limit;
	for (size_t i = 0; i < s->answer; i++)
		if (buf_addc(&res->body, 'x'))
			return err_nomem(e);
	return buf_add(&res->body, x->request->target.p, x->request->target.len);
}

static void log_answer(void *arg, const struct httpd_exchange *x, const struct http_response *res,
		       const char *why)
{
	struct server *s = arg;

	(void)res;
	s->logged++;
	s->refused += !x->request && why;
}

static void free_slot(void *slot)
{
	((struct server *)slot)->slots_freed++;
}

static struct httpd_opts options(struct server *s)
{
	struct httpd_opts o = HTTPD_OPTS_DEFAULT;

	o.arg = s;
	o.free_slot = free_slot;
	o.handle = handle;
	o.log = log_answer;
	return o;
}

static void on_stop(void *arg, int signo)
{
	(void)signo;
	httpd_stop(((struct server *)arg)->h);
}

static void *run(void *arg)
{
	struct server *s = arg;

	return httpd_run(s->h, NULL) ? s : NULL;
}

static void start(struct server *s, const struct httpd_opts *o)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_storage bound;
	struct err e = {0};

	assert_int_equal(httpd_new(o, &s->h, &e), 0);
	assert_int_equal(httpd_listen(s->h, (struct sockaddr *)&a, sizeof(a), NULL, &e), 0);
	assert_int_equal(httpd_local_addr(s->h, 0, &bound, &e), 0);
	assert_int_equal(httpd_local_addr(s->h, 1, &bound, &e), -ENOENT);
	s->port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
	assert_int_equal(httpd_on_signal(s->h, SIGUSR1, on_stop, s, &e), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
}

static void stop(struct server *s)
{
	void *failed;

	kill(getpid(), SIGUSR1);
	assert_int_equal(pthread_join(s->thread, &failed), 0);
	assert_null(failed);
	assert_int_equal(httpd_connections(s->h), 0);
	httpd_stats(s->h, &s->stats);
	httpd_free(s->h);
}

static int dial(const struct server *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(s->port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval patience = {.tv_sec = 30};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Everything until the server closes; *closed is false if it did not. */
static void hear(int fd, struct buf *out)
{
	for (;;) {
		char data[4096];
		ssize_t n = recv(fd, data, sizeof(data), 0);

		if (n < 0 && errno == ECONNRESET)
			return;
		assert_true(n >= 0); /* else it waits for ever */
		if (!n)
			return;
		assert_int_equal(buf_add(out, data, (size_t)n), 0);
	}
}

static size_t count(const struct buf *b, const char *text)
{
	size_t n = 0;

	for (const char *p = buf_str(b); (p = strstr(p, text)); p++)
		n++;
	return n;
}

static void an_idle_connection_is_closed_in_silence(void **state)
{
	struct server s = {0};
	struct httpd_opts o = options(&s);
	AUTO_BUF got = BUF_INIT;
	AUTO_FD int fd = -1;

	(void)state;
	o.idle_timeout_ms = 50;
	start(&s, &o);
	fd = dial(&s);
	hear(fd, &got);
	assert_int_equal(got.len, 0);
	stop(&s);
	assert_int_equal(s.logged, 0);
}

static void a_request_that_does_not_end_is_given_up(void **state)
{
	static const char *const begun[] = {
		"G", "GET / HTTP/1.1\r\nHost: a\r\nX: ",
		"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc"};
	struct server s = {0};
	struct httpd_opts o = options(&s);

	(void)state;
	o.request_timeout_ms = 50;
	start(&s, &o);
	for (size_t i = 0; i < ARRAY_SIZE(begun); i++) {
		AUTO_BUF got = BUF_INIT;
		AUTO_FD int fd = dial(&s);

		say(fd, begun[i]);
		hear(fd, &got);
		assert_int_equal(count(&got, "HTTP/1.1 408 "), 1);
		assert_int_equal(count(&got, "Connection: close\r\n"), 1);
	}
	stop(&s);
	assert_int_equal(s.handled, 0);
	assert_int_equal(s.refused, 3);
}

static void a_request_that_drips_is_given_up_too(void **state)
{
	struct server s = {0};
	struct httpd_opts o = options(&s);
	AUTO_FD int fd = -1;
	bool closed = false;

	(void)state;
	o.request_timeout_ms = 100;
	start(&s, &o);
	fd = dial(&s);
	say(fd, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	/* a byte each few ms: no single wait is long */
	for (int i = 0; i < 5000 && !closed; i++) {
		char c;

		closed = send(fd, "x", 1, MSG_NOSIGNAL) < 0 || recv(fd, &c, 1, MSG_DONTWAIT) >= 0;
		usleep(5000);
	}
	assert_true(closed);
	stop(&s);
}

static void a_client_that_does_not_read_is_given_up(void **state)
{
	struct server s = {.answer = 16 << 20};
	struct httpd_opts o = options(&s);
	AUTO_BUF got = BUF_INIT;
	AUTO_FD int fd = -1;

	(void)state;
	o.write_timeout_ms = 100;
	start(&s, &o);
	fd = dial(&s);
	say(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0;
	     i < 6000 && (!__atomic_load_n(&s.logged, __ATOMIC_RELAXED) || httpd_connections(s.h));
	     i++)
		usleep(10000);
	hear(fd, &got);
	assert_true(got.len < s.answer);
	stop(&s);
}

static void bodies_come_whole_or_not_at_all(void **state)
{
	struct server s = {0};
	struct httpd_opts o = options(&s);
	AUTO_BUF got = BUF_INIT;
	AUTO_FD int fd = -1;

	(void)state;
	start(&s, &o);
	fd = dial(&s);
	say(fd, "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n");
	while (!count(&got, "\r\n\r\n")) {
		char data[256];
		ssize_t n = recv(fd, data, sizeof(data), 0);

		assert_true(n > 0);
		assert_int_equal(buf_add(&got, data, (size_t)n), 0);
	}
	assert_string_equal(got.data, "HTTP/1.1 100 Continue\r\n\r\n");
	say(fd, "01234");
	usleep(20000);
	say(fd, "56789GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	hear(fd, &got);
	assert_int_equal(count(&got, "HTTP/1.1 200 "), 2);
	assert_int_equal(count(&got, "\r\n\r\n/a"), 1);
	assert_int_equal(count(&got, "\r\n\r\n/b"), 1);
	stop(&s);
	assert_int_equal(s.handled, 2);
}

static void a_handler_that_fails_is_a_500_and_the_end(void **state)
{
	struct server s = {.fail = true};
	struct httpd_opts o = options(&s);
	AUTO_BUF got = BUF_INIT;
	AUTO_FD int fd = -1;

	(void)state;
	start(&s, &o);
	fd = dial(&s);
	say(fd, "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
	hear(fd, &got);
	assert_int_equal(count(&got, "HTTP/1.1 "), 1);
	assert_int_equal(count(&got, "HTTP/1.1 500 "), 1);
	stop(&s);
}

static void add_requests(struct buf *out, int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(buf_adds(out, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
}

static void a_connection_has_so_many_requests(void **state)
{
	struct server s = {0};
	struct httpd_opts o = options(&s);
	AUTO_BUF got = BUF_INIT;
	AUTO_BUF all = BUF_INIT;
	AUTO_FD int fd = -1;

	(void)state;
	o.max_requests = 3;
	start(&s, &o);
	fd = dial(&s);
	/* At once: who goes on where the server has closed fails. */
	add_requests(&all, 5);
	say(fd, all.data);
	hear(fd, &got);
	assert_int_equal(count(&got, "HTTP/1.1 200 "), 3);
	assert_int_equal(count(&got, "Connection: close\r\n"), 1);
	stop(&s);
}

static void connections_above_the_limit_wait_their_turn(void **state)
{
	struct server s = {0};
	struct httpd_opts o = options(&s);
	int fds[20];

	(void)state;
	o.max_connections = 4;
	start(&s, &o);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = dial(&s);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		AUTO_BUF got = BUF_INIT;

		say(fds[i], "GET / HTTP/1.0\r\n\r\n");
		hear(fds[i], &got);
		assert_int_equal(count(&got, "HTTP/1.1 200 "), 1);
		close(fds[i]);
	}
	stop(&s);
}

static void a_full_server_makes_room_among_those_who_have_most(void **state)
{
	struct server s = {0};
	struct httpd_opts o = options(&s);
	AUTO_BUF got = BUF_INIT;
	int fds[20], last;

	(void)state;
	o.max_connections = ARRAY_SIZE(fds);
	start(&s, &o);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = dial(&s);
		say(fds[i], "GET / HTTP/1.1\r\nX: "); /* and never the rest */
	}
	last = dial(&s);
	say(last, "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	hear(last, &got);
	assert_int_equal(count(&got, "\r\n\r\n/last"), 1);
	close(last);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	stop(&s);
	assert_true(s.stats.evicted >= 1);
}

static void one_who_asks_too_fast_is_told_so(void **state)
{
	struct server s = {0};
	struct httpd_opts o = options(&s);
	AUTO_BUF got = BUF_INIT;
	AUTO_BUF all = BUF_INIT;
	int fd;

	(void)state;
	o.requests = (struct httpd_rate){.rate = 1, .burst = 3};
	start(&s, &o);
	fd = dial(&s);
	add_requests(&all, 20);
	say(fd, all.data);
	hear(fd, &got);
	close(fd);
	assert_in_range(count(&got, "HTTP/1.1 200 "), 3, 19); /* a slow machine gets some back */
	assert_int_equal(count(&got, "HTTP/1.1 429 "), 1);
	assert_int_equal(count(&got, "Retry-After: 1\r\n"), 1);
	stop(&s);
}

static void one_who_is_sent_too_much_is_told_so(void **state)
{
	struct server s = {.answer = 100000};
	struct httpd_opts o = options(&s);
	AUTO_BUF got = BUF_INIT;
	AUTO_BUF all = BUF_INIT;
	int fd;

	(void)state;
	o.bytes = (struct httpd_rate){.rate = 1, .burst = 150000};
	start(&s, &o);
	fd = dial(&s);
	add_requests(&all, 20);
	say(fd, all.data);
	hear(fd, &got);
	close(fd);
	assert_in_range(count(&got, "HTTP/1.1 200 "), 2, 19); /* as above */
	assert_int_equal(count(&got, "HTTP/1.1 429 "), 1);
	buf_clear(&got);
	fd = dial(&s); /* nor by another connection */
	say(fd, all.data);
	hear(fd, &got);
	close(fd);
	assert_in_range(count(&got, "HTTP/1.1 200 "), 0, 19);
	assert_int_equal(count(&got, "HTTP/1.1 429 "), 1);
	stop(&s);
}

/* Its end is seen by the other thread. */
static bool is_forgotten(const struct server *s)
{
	for (int i = 0; i < 2000; i++) {
		if (__atomic_load_n(&s->slots_freed, __ATOMIC_RELAXED))
			return true;
		usleep(5000);
	}
	return false;
}

static void who_hangs_up_while_a_handler_waits_is_forgotten(void **state)
{
	static const char *const asked[] = {
		"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /wait HTTP/1.1\r\nHost: a\r\n\r\nGET /after HTTP/1.1\r\nHost: a\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		struct server s = {.wait_ms = 600000};
		struct httpd_opts o = options(&s);
		int fd;

		start(&s, &o);
		fd = dial(&s);
		say(fd, asked[i]);
		for (int n = 0; n < 2000 && !__atomic_load_n(&s.waited, __ATOMIC_RELAXED); n++)
			usleep(5000);
		assert_false(__atomic_load_n(&s.slots_freed, __ATOMIC_RELAXED));
		close(fd);
		assert_true(is_forgotten(&s));
		stop(&s);
		assert_int_equal(s.stats.requests, 0);
	}
}

static void a_handler_waits_until_it_is_woken(void **state)
{
	struct server s = {.wait_ms = 600000};
	struct httpd_opts o = options(&s);
	AUTO_BUF got = BUF_INIT;
	AUTO_BUF other = BUF_INIT;
	int fd, waker;

	(void)state;
	start(&s, &o);
	fd = dial(&s);
	say(fd, "GET /before HTTP/1.1\r\nHost: a\r\n\r\nGET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
		"GET /after HTTP/1.0\r\n\r\n");
	while (!count(&got, "/before")) {
		char data[256];
		ssize_t n = recv(fd, data, sizeof(data), 0);

		assert_true(n > 0);
		assert_int_equal(buf_add(&got, data, (size_t)n), 0);
	}
	waker = dial(&s);
	say(waker, "GET /wake HTTP/1.0\r\n\r\n");
	hear(waker, &other);
	hear(fd, &got);
	assert_int_equal(count(&got, "HTTP/1.1 200 "), 3);
	assert_true(strstr(buf_str(&got), "\r\n\r\n/wait") < strstr(buf_str(&got), "/after"));
	close(fd);
	close(waker);
	stop(&s);
	assert_int_equal(s.waited, 1);
	assert_int_equal(s.timed_out, 0);
	assert_int_equal(s.slots_freed, 1);
}

static void a_handler_that_nobody_wakes_is_asked_in_the_end(void **state)
{
	struct server s = {.wait_ms = 30};
	struct httpd_opts o = options(&s);
	AUTO_BUF got = BUF_INIT;
	int fd;

	(void)state;
	start(&s, &o);
	fd = dial(&s);
	say(fd, "GET /wait HTTP/1.0\r\n\r\n");
	hear(fd, &got);
	assert_int_equal(count(&got, "HTTP/1.1 200 "), 1);
	close(fd);
	fd = dial(&s); /* one that goes away is no harm */
	say(fd, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
	close(fd);
	stop(&s);
	assert_in_range(s.timed_out, 1, 2);
}

static void a_handler_that_is_woken_in_vain_does_not_wait_longer(void **state)
{
	struct server s = {.wait_ms = 1000};
	struct httpd_opts o = options(&s);
	AUTO_FD int fd = -1;
	char c;
	bool done = false;

	(void)state;
	o.requests = (struct httpd_rate){0};
	start(&s, &o);
	fd = dial(&s);
	say(fd, "GET /for-ever HTTP/1.1\r\nHost: a\r\n\r\n");
	/* never so long without being woken that it could begin anew */
	for (int i = 0; i < 1000 && !done; i++) {
		AUTO_BUF got = BUF_INIT;
		AUTO_FD int other = dial(&s);

		say(other, "GET /wake HTTP/1.0\r\n\r\n");
		hear(other, &got);
		usleep(5000);
		done = recv(fd, &c, 1, MSG_DONTWAIT) == 1;
	}
	assert_true(done);
	stop(&s);
	assert_true(s.waited > 1);
	assert_int_equal(s.timed_out, 1);
}

static void stopping_finishes_the_answer_in_hand(void **state)
{
	struct server s = {.answer = 8 << 20};
	struct httpd_opts o = options(&s);
	AUTO_BUF got = BUF_INIT;
	AUTO_FD int busy = -1;
	AUTO_FD int idle = -1;
	void *failed;
	char c;

	(void)state;
	start(&s, &o);
	busy = dial(&s);
	idle = dial(&s);
	say(busy, "GET /end HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(recv(busy, &c, 1, MSG_PEEK), 1);
	kill(getpid(), SIGUSR1);
	hear(busy, &got);
	assert_true(got.len > s.answer);
	assert_string_equal(got.data + got.len - 5, "x/end");
	assert_int_equal(recv(idle, &c, 1, 0), 0);
	assert_int_equal(pthread_join(s.thread, &failed), 0);
	assert_null(failed);
	httpd_free(s.h);
}

static void a_connection_that_is_open_already_is_served_to_its_end(void **state)
{
	struct server s = {.hop_limit = 1};
	struct httpd_opts o = options(&s);
	AUTO_BUF got = BUF_INIT;
	struct err e = {0};
	int in[2], out[2];
	char data[4096];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(httpd_new(&o, &s.h, &e), 0);
	dprintf(in[1], "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
	close(in[1]);
	assert_int_equal(httpd_serve_fds(s.h, in[0], out[1], &e), 0);
	assert_int_equal(s.handled, 0); /* not before its time */
	assert_int_equal(httpd_run(s.h, &e), 0);
	httpd_free(s.h);
	close(in[0]);
	close(out[1]);
	while ((n = read(out[0], data, sizeof(data))) > 0)
		assert_int_equal(buf_add(&got, data, (size_t)n), 0);
	close(out[0]);
	assert_int_equal(count(&got, "HTTP/1.1 200 "), 2);
	assert_int_equal(s.handled, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_connection_is_closed_in_silence),
		cmocka_unit_test(a_request_that_does_not_end_is_given_up),
		cmocka_unit_test(a_request_that_drips_is_given_up_too),
		cmocka_unit_test(a_client_that_does_not_read_is_given_up),
		cmocka_unit_test(bodies_come_whole_or_not_at_all),
		cmocka_unit_test(a_handler_that_fails_is_a_500_and_the_end),
		cmocka_unit_test(a_connection_has_so_many_requests),
		cmocka_unit_test(connections_above_the_limit_wait_their_turn),
		cmocka_unit_test(a_full_server_makes_room_among_those_who_have_most),
		cmocka_unit_test(one_who_asks_too_fast_is_told_so),
		cmocka_unit_test(one_who_is_sent_too_much_is_told_so),
		cmocka_unit_test(who_hangs_up_while_a_handler_waits_is_forgotten),
		cmocka_unit_test(a_handler_waits_until_it_is_woken),
		cmocka_unit_test(a_handler_that_nobody_wakes_is_asked_in_the_end),
		cmocka_unit_test(a_handler_that_is_woken_in_vain_does_not_wait_longer),
		cmocka_unit_test(stopping_finishes_the_answer_in_hand),
		cmocka_unit_test(a_connection_that_is_open_already_is_served_to_its_end),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
