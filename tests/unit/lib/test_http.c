/* SPDX-License-Identifier: Apache-2.0 */
/* lib/http against a server that misbehaves: attempts, retries, resumed downloads, stops. */
#include "tests/unit/cmocka.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/digest.h"
#include "lib/http.h"
#include "lib/json.h"
#include "lib/stop.h"
#include "tests/unit/lib/misbehave.h"

#define OBJECT_SIZE 1048576

static const struct httpc_retry quick = {.max_attempts = 4, .base_ms = 2, .cap_ms = 8};

/* One GET of a path: the result of httpc_send. */
static int get(const char *path, struct httpc_response *r, struct err *e)
{
	/* Short for who is silent on purpose, and nobody else. */
	struct httpc_config cfg = {.stall_timeout_ms =
					   str_has_prefix(path, "/stall") ? 300 : 60000};
	AUTO(httpc_free) struct httpc *c = NULL;
	AUTO_FREE char *url = str_format("%s%s", misbehave_base, path);
	struct httpc_request req = {.url = url};

	assert_int_equal(httpc_new(&cfg, &c, e), 0);
	return httpc_send(c, &req, r, e);
}

static void assert_fails(const char *path, int rc, const char *message)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct err e = {.msg = ""};
	int got = get(path, &r, &e);

	if (got != rc || !strstr(e.msg, message))
		fail_msg("%s: %d '%s', not %d '%s'", path, got, e.msg, rc, message);
}

/* What was wrong with the first attempt must not be hidden by what the second one runs into. */
static void a_name_that_is_unknown_stays_that_when_it_is_tried_again(void **state)
{
	AUTO(httpc_free) struct httpc *c = NULL;
	struct httpc_request req = {.url = "http://nowhere.invalid/", .connect_timeout_ms = 5000};

	(void)state;
	assert_int_equal(httpc_new(NULL, &c, NULL), 0);
	for (int i = 0; i < 3; i++) {
		AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
		struct err e;
		int rc = httpc_send(c, &req, &r, &e);

		if (!httpc_error_is_transient(rc))
			fail_msg("attempt %d: %d '%s'", i, rc, e.msg);
	}
}

/* ---- one attempt ---------------------------------------------------------------------------- */

static void a_request_goes_out_as_given(void **state)
{
	static const struct httpc_header headers[] = {{"X-One", "a: b"}, {"X-Empty", ""}};
	AUTO(httpc_free) struct httpc *c = NULL;
	AUTO_FREE char *url = str_format("%s/echo/a/../b%%20c//d?x=%%2F&y", misbehave_base);
	static const enum httpc_method methods[] = {HTTPC_GET, HTTPC_PUT, HTTPC_POST, HTTPC_DELETE};
	static const char body[] = "bo\0dy";
	struct httpc_request req = {.url = url, .headers = headers, .n_headers = 2};

	(void)state;
	assert_int_equal(httpc_new(NULL, &c, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
		AUTO(value_free) struct value *v = NULL;
		bool with_body = methods[i] == HTTPC_PUT || methods[i] == HTTPC_POST;
		const struct value *h;
		struct err e;

		req.method = methods[i];
		req.body = with_body ? body : NULL;
		req.body_len = with_body ? 5 : 0;
		assert_int_equal(httpc_send(c, &req, &r, &e), 0);
		assert_int_equal(r.status, 200);
		assert_int_equal(json_parse("echo", r.body.data, r.body.len, NULL, &v, &e), 0);
		h = value_get(v, "headers");
		assert_string_equal(value_get(v, "method")->text, httpc_method_name(methods[i]));
		assert_string_equal(value_get(v, "target")->text, "/echo/a/../b%20c//d?x=%2F&y");
		assert_string_equal(value_get(h, "x-one")->text, "a: b");
		assert_string_equal(value_get(h, "x-empty")->text, "");
		assert_null(value_get(h, "expect"));
		assert_null(value_get(h, "content-type"));
		assert_null(value_get(h, "accept-encoding"));
		assert_int_equal(value_get(v, "length")->integer, with_body ? 5 : 0);
	}
}

static void connections_are_used_again(void **state)
{
	AUTO(httpc_free) struct httpc *c = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_FREE char *url = str_format("%s/status/404", misbehave_base);
	AUTO_FREE char *first = NULL;
	struct httpc_request req = {.url = url};

	(void)state;
	assert_int_equal(httpc_new(NULL, &c, NULL), 0);
	assert_int_equal(httpc_send(c, &req, &r, NULL), 0);
	first = strdup(httpc_header(&r, "X-Connection"));
	req.method = HTTPC_HEAD;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(httpc_send(c, &req, &r, NULL), 0);
		assert_int_equal(r.status, 404);
		assert_string_equal(httpc_header(&r, "x-connection"), first);
	}
}

static void any_status_is_a_response(void **state)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	uint64_t n = 0;
	struct err e;

	(void)state;
	assert_int_equal(get("/status/503", &r, &e), 0);
	assert_int_equal(r.status, 503);
	assert_string_equal(buf_str(&r.body), "status 503");
	assert_int_equal(httpc_header_u64(&r, "content-LENGTH", &n, &e), 0);
	assert_int_equal(n, 10);
	assert_int_equal(httpc_header_u64(&r, "X-None", &n, &e), -ENOENT);
	assert_int_equal(get("/redirect", &r, &e), 0);
	assert_int_equal(r.status, 302);
	assert_int_equal(httpc_header_u64(&r, "Location", &n, &e), -EBADMSG);
	assert_int_equal(get("/gzip", &r, &e), 0);
	assert_memory_equal(r.body.data, "\x1f\x8b raw", 6);
	assert_int_equal(get("/chunks", &r, &e), 0);
	assert_string_equal(buf_str(&r.body), "abcdefg");
	assert_null(httpc_header(&r, "X-Early"));
	assert_null(httpc_header(&r, "X-Late"));
	assert_int_equal(get("/headers/200", &r, &e), 0);
	assert_int_equal(r.n_headers, 203);
}

static void broken_responses_are_errors(void **state)
{
	(void)state;
	assert_fails("/nothing", -ECONNRESET, "the connection broke off");
	assert_fails("/garbage", -EPROTO, "HTTP/0.9");
	assert_fails("/ancient", -EPROTO, "HTTP/0.9");
	assert_fails("/nul", -EPROTO, "");
	assert_fails("/fold", -EPROTO, "malformed header");
	assert_fails("/bad-chunks", -ECONNRESET, "chunk");
	assert_fails("/headers/300", -EPROTO, "more than 256 headers");
	assert_fails("/header/70000", -EPROTO, "65536 bytes");
	assert_fails("/long/1048577", -EFBIG, "longer than 1048576 bytes");
	assert_fails("/object?drop=9:1000", -ECONNRESET, "after 1000 of 1048576 bytes");
}

static void silence_ends_an_attempt(void **state)
{
	(void)state;
	assert_fails("/stall/10", -ETIMEDOUT, "no byte came for 300 ms");
}

static void a_slow_drip_ends_by_the_total_time(void **state)
{
	AUTO(httpc_free) struct httpc *c = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_FREE char *url = str_format("%s/drip", misbehave_base);
	struct httpc_request req = {.url = url, .total_timeout_ms = 300};
	struct err e;

	(void)state;
	assert_int_equal(httpc_new(NULL, &c, NULL), 0);
	assert_int_equal(httpc_send(c, &req, &r, &e), -ETIMEDOUT);
}

static void a_closed_port_and_an_unknown_host_are_named(void **state)
{
	AUTO(httpc_free) struct httpc *c = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct httpc_request req = {.url = "http://127.0.0.1:1/"};
	struct err e;
	int rc;

	(void)state;
	assert_int_equal(httpc_new(NULL, &c, NULL), 0);
	assert_int_equal(httpc_send(c, &req, &r, &e), -ECONNREFUSED);
	assert_string_equal(e.msg, "cannot connect to 127.0.0.1:1: Connection refused");
	req.url = "http://no-such-host.invalid/";
	req.connect_timeout_ms = 5000; /* where no name server answers */
	/* the second time, too, for who tries again */
	for (int i = 0; i < 2; i++) {
		rc = httpc_send(c, &req, &r, &e);
		assert_true(rc == -EAGAIN || rc == -ETIMEDOUT);
	}
}

static void requests_that_would_break_http_are_refused(void **state)
{
	static const char *const urls[] = {
		"ftp://h/",     "file:///etc/passwd",
		"http://",      "http://u:p@h/",
		"http://h:0/",  "http://h:99999/",
		"http://h/a b", "http://h/\r\nX: y",
		"http://h/#f",  "h/x",
		"http://h:/",   "http://[::1/",
		"http://[x]/",  "http://a/\x7f",
		"http://h%41/", "",
	};
	static const struct httpc_header bad[] = {
		{"X A", "v"}, {"X", "a\r\nY: b"}, {"", "v"}, {"X:", "v"}, {"X", "a\nb"}};
	AUTO(httpc_free) struct httpc *c = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct httpc_request req = {0};

	(void)state;
	assert_int_equal(httpc_new(NULL, &c, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		req.url = urls[i];
		assert_int_equal(httpc_send(c, &req, &r, NULL), -EINVAL);
	}
	req.url = misbehave_base;
	req.n_headers = 1;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		req.headers = &bad[i];
		assert_int_equal(httpc_send(c, &req, &r, NULL), -EINVAL);
	}
}

/* A proxy that nobody listens at: what goes through it fails. */
static void loopback_and_link_local_go_past_proxies(void **state)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO(httpc_free) struct httpc *c = NULL;
	struct httpc_request req = {.url = "http://192.0.2.1/", .total_timeout_ms = 2000};
	struct err e;

	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	assert_int_equal(get("/status/200", &r, &e), 0);
	assert_int_equal(httpc_new(NULL, &c, NULL), 0);
	assert_int_equal(httpc_send(c, &req, &r, &e), -ECONNREFUSED);
	unsetenv("http_proxy");
}

/* The server plays the proxy: it gets the whole URL. */
static void other_hosts_are_asked_through_the_proxy(void **state)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO(httpc_free) struct httpc *c = NULL;
	struct httpc_request req = {.url = "http://far.example/echo?x"};

	(void)state;
	setenv("http_proxy", misbehave_base, 1);
	assert_int_equal(httpc_new(NULL, &c, NULL), 0);
	assert_int_equal(httpc_send(c, &req, &r, NULL), 0);
	assert_non_null(strstr(buf_str(&r.body), "\"target\": \"http://far.example/echo?x\""));
	unsetenv("http_proxy");
}

static int get_tls(const char *host, const char *ca_file, struct err *e)
{
	struct httpc_config cfg = {.ca_file = ca_file};
	AUTO(httpc_free) struct httpc *c = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_FREE char *url =
		str_format("https://%s:%s/echo", host, strrchr(misbehave_tls, ':') + 1);
	struct httpc_call call = {.request = {.url = url}, .retry = &quick};

	assert_int_equal(httpc_new(&cfg, &c, e), 0);
	return httpc_call(c, &call, &r, e);
}

static void certificates_are_verified(void **state)
{
	struct err e = {.msg = ""};

	(void)state;
	assert_int_equal(get_tls("localhost", misbehave_ca, &e), 0);
	assert_int_equal(get_tls("localhost", NULL, &e), -EKEYREJECTED);
	assert_null(strstr(e.msg, "attempts"));
	assert_int_equal(get_tls("127.0.0.1", misbehave_ca, &e), -EKEYREJECTED);
	assert_int_equal(get_tls("localhost", "/no/such/file", &e), -EKEYREJECTED);
}

static void urls_are_taken_apart(void **state)
{
	AUTO(httpc_url_release) struct httpc_url u = {0};
	AUTO(httpc_url_release) struct httpc_url v = {0};
	AUTO_BUF out = BUF_INIT;

	(void)state;
	assert_int_equal(httpc_url_parse("HTTPS://S3.Example.org:8443/a%20b?x=y?z", &u, NULL), 0);
	assert_string_equal(u.scheme, "https");
	assert_string_equal(u.host, "s3.example.org");
	assert_int_equal(u.port, 8443);
	assert_string_equal(u.authority, "s3.example.org:8443");
	assert_string_equal(u.path, "/a%20b");
	assert_string_equal(u.query, "x=y?z");
	assert_int_equal(httpc_url_parse("http://[FE80::1]:80", &v, NULL), 0);
	assert_string_equal(v.authority, "[fe80::1]");
	assert_string_equal(v.path, "/");
	assert_int_equal(httpc_percent_encode("a/b~\xff\0 +", 8, true, &out), 0);
	assert_string_equal(buf_str(&out), "a/b~%FF%00%20%2B");
	assert_int_equal(httpc_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
	assert_int_equal(httpc_date("yesterday"), -1);
}

/* ---- retries -------------------------------------------------------------------------------- */

struct notes {
	unsigned begun, ended;
	char last[400];
};

static void take_note(void *opaque, const char *text)
{
	struct notes *n = opaque;

	if (text) {
		n->begun++;
		snprintf(n->last, sizeof(n->last), "%s", text);
	} else {
		n->ended++;
	}
}

static int call_path(const char *path, const struct httpc_retry *retry, struct httpc_response *r,
		     struct err *e)
{
	AUTO(httpc_free) struct httpc *c = NULL;
	AUTO_FREE char *url = str_format("%s%s", misbehave_base, path);
	struct httpc_call call = {.request = {.url = url}, .retry = retry};

	assert_int_equal(httpc_new(NULL, &c, e), 0);
	return httpc_call(c, &call, r, e);
}

static void server_errors_are_tried_again_with_notes(void **state)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct notes n = {0};
	struct httpc_retry retry = quick;
	struct err e;

	(void)state;
	retry.note = take_note;
	retry.note_opaque = &n;
	assert_int_equal(call_path("/fail/503/2/a", &retry, &r, &e), 0);
	assert_string_equal(buf_str(&r.body), "ok after all");
	assert_int_equal(n.begun, 2);
	assert_int_equal(n.ended, 2);
	assert_non_null(strstr(n.last, "HTTP 503; attempt 3 of 4 in 0.0 s"));
}

static void attempts_are_bounded(void **state)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct err e;

	(void)state;
	assert_int_equal(call_path("/fail/500/9/b?secret=1", &quick, &r, &e), -EIO);
	assert_non_null(strstr(e.msg, "/fail/500/9/b: after 4 attempts: HTTP 500"));
	assert_null(strstr(e.msg, "secret"));
	assert_string_equal(httpc_header(&r, "X-Hits"), "4");
	assert_int_equal(call_path("/nothing", &quick, &r, &e), -ECONNRESET);
}

static void what_cannot_get_better_fails_at_once(void **state)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct err e;

	(void)state;
	assert_int_equal(call_path("/fail/404/9/c", &quick, &r, &e), -ENOENT);
	assert_string_equal(httpc_header(&r, "X-Hits"), "1");
	assert_int_equal(call_path("/fail/403/9/c", &quick, &r, &e), -EACCES);
	assert_int_equal(call_path("/garbage", &quick, &r, &e), -EPROTO);
	assert_int_equal(call_path("/redirect", &quick, &r, &e), -EIO);
	assert_non_null(strstr(e.msg, "HTTP 302"));
}

static void a_servers_wish_to_wait_is_honoured(void **state)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct httpc_retry retry = quick;
	struct timespec a, b;
	struct err e;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(call_path("/after/1/1", &retry, &r, &e), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 >= 999);
	retry.total_ms = 2000;
	assert_int_equal(call_path("/after/3600/1", &retry, &r, &e), -EIO);
	assert_non_null(strstr(e.msg, "the server asks to wait 3600 s: HTTP 503"));
	assert_int_equal(call_path("/after/Fri,+31+Dec+2100+00:00:00+GMT/1", &retry, &r, &e), -EIO);
	assert_non_null(strstr(e.msg, "the server asks to wait"));
}

/* ---- downloads ------------------------------------------------------------------------------ */

struct download {
	struct buf data;
	unsigned restarts;
	int fail_with; /* from write */
};

static int on_write(void *opaque, const void *data, size_t len, struct err *e)
{
	struct download *d = opaque;

	if (d->fail_with)
		return err_set(e, d->fail_with, "the sink is full");
	return buf_add(&d->data, data, len);
}

static int on_restart(void *opaque, struct err *e)
{
	struct download *d = opaque;

	(void)e;
	buf_clear(&d->data);
	d->restarts++;
	return 0;
}

static void download_release(struct download *d)
{
	buf_release(&d->data);
}
DEFINE_AUTO_STRUCT(struct download, download_release);

static int download(const char *options, uint64_t first, uint64_t length, const char *if_match,
		    bool can_restart, struct download *d, struct err *e)
{
	struct httpc_sink sink = {on_write, can_restart ? on_restart : NULL, d};
	AUTO(httpc_free) struct httpc *c = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_FREE char *url = str_format("%s/object?%s", misbehave_base, options);
	struct httpc_call call = {
		.request = {.url = url, .sink = &sink},
		.retry = &quick,
		.first = first,
		.length = length,
		.if_match = if_match,
	};

	assert_int_equal(httpc_new(NULL, &c, e), 0);
	return httpc_call(c, &call, &r, e);
}

/* The object's bytes [first, first + len), as the server makes them. */
static void assert_object(const struct download *d, uint64_t first, size_t len)
{
	AUTO_BUF object = BUF_INIT;
	uint8_t digest[DIGEST_MAX];
	char number[16];

	for (int i = 0; i < 32768; i++) {
		int n = snprintf(number, sizeof(number), "%d", i);

		digest_of(DIGEST_SHA256, number, (size_t)n, digest);
		assert_int_equal(buf_add(&object, digest, 32), 0);
	}
	assert_int_equal(d->data.len, len);
	if (len)
		assert_memory_equal(d->data.data, object.data + first, len);
}

static void downloads_come_whole_whatever_happens(void **state)
{
	static const struct {
		const char *options;
		uint64_t first, length;
		size_t size;
		unsigned restarts;
	} cases[] = {
		{"plain=1", 0, 0, OBJECT_SIZE, 0},
		{"ranged=1", 1000, 0, OBJECT_SIZE - 1000, 0},
		{"part=1", 1000, 5000, 5000, 0},
		/* Resumed by Range and If-Match. */
		{"drop=3:1000", 0, 0, OBJECT_SIZE, 0},
		{"drop=9:120000", 0, 0, OBJECT_SIZE, 0}, /* progress makes attempts count anew */
		{"drop=2:70000&x", 1000, 0, OBJECT_SIZE - 1000, 0},
		{"drop=2:2000", 1000, 5000, 5000, 0},
		{"drop=2:0", 0, 0, OBJECT_SIZE, 0},
		/* Without lengths: the end is known by 416. */
		{"chunked=1", 0, 0, OBJECT_SIZE, 0},
		{"chunked=1&drop=2:300000", 0, 0, OBJECT_SIZE, 0},
		{"chunked=1&drop=1:1048576", 0, 0, OBJECT_SIZE, 0},
		/* The range is ignored: what is there is skipped, as the ETag is the same. */
		{"range=0&drop=2:300000", 0, 0, OBJECT_SIZE, 0},
		{"range=0", 70000, 0, OBJECT_SIZE - 70000, 0},
		/* No strong ETag: from the start. */
		{"etag=0&drop=2:300000", 0, 0, OBJECT_SIZE, 2},
		{"etag=weak&drop=1:300000", 0, 0, OBJECT_SIZE, 1},
		{"etag=change&range=0&drop=1:0", 0, 0, OBJECT_SIZE, 0},
		/* A server may send less than asked for. */
		{"range=short&drop=1:1000", 0, 0, OBJECT_SIZE, 0},
		{"end=1", OBJECT_SIZE, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(download_release) struct download d = {.restarts = 0};
		struct err e;

		if (download(cases[i].options, cases[i].first, cases[i].length, NULL,
			     cases[i].restarts > 0, &d, &e) < 0)
			fail_msg("%s: %s", cases[i].options, e.msg);
		if (d.restarts != cases[i].restarts)
			fail_msg("%s: %u restarts", cases[i].options, d.restarts);
		assert_object(&d, cases[i].first, cases[i].size);
	}
}

static void downloads_that_cannot_be_right_fail(void **state)
{
	static const struct {
		const char *options;
		uint64_t first, length;
		const char *if_match;
		int rc;
		const char *message;
	} cases[] = {
		{"etag=change&drop=1:70000", 0, 0, NULL, -ESTALE, "changed on the server"},
		{"if=1", 0, 0, "\"other\"", -ESTALE, "changed on the server"},
		{"grow=1&drop=1:70000", 0, 0, NULL, -ESTALE, "changed on the server"},
		{"range=wrong&drop=1:70000", 0, 0, NULL, -EPROTO, "Content-Range"},
		{"range=0&p", 10, 10, NULL, -ENOTSUP, "does not honour Range"},
		{"etag=0&drop=1:70000&q", 0, 0, NULL, -ECONNRESET, "no ETag to resume by"},
		{"etag=0&drop=1:700&q", 5, 0, NULL, -ECONNRESET, "no ETag to resume by"},
		{"end=2", OBJECT_SIZE + 1, 0, NULL, -ERANGE, "has 1048576 bytes"},
		{"end=3", OBJECT_SIZE, 1, NULL, -ERANGE, "has 1048576 bytes"},
		{"end=4", OBJECT_SIZE - 5, 10, NULL, -ERANGE, "ends at byte 1048576"},
		{"range=0&r", OBJECT_SIZE + 9, 0, NULL, -ERANGE, "ends before byte"},
		{"drop=9:100", 0, 0, NULL, -ECONNRESET, "after 4 attempts"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(download_release) struct download d = {.restarts = 0};
		struct err e = {.msg = ""};
		int rc = download(cases[i].options, cases[i].first, cases[i].length,
				  cases[i].if_match, false, &d, &e);

		if (rc != cases[i].rc || !strstr(e.msg, cases[i].message))
			fail_msg("%s: %d %s", cases[i].options, rc, e.msg);
	}
}

static void a_changed_object_starts_again_where_it_can(void **state)
{
	AUTO(download_release) struct download d = {.restarts = 0};
	struct err e;

	(void)state;
	assert_int_equal(download("etag=change&range=0&drop=1:70000", 0, 0, NULL, true, &d, &e),
			 -ESTALE); /* by 412: the server knows */
	d.restarts = 0;
	buf_clear(&d.data);
	assert_int_equal(download("etag=0&range=0&drop=1:70000", 0, 0, NULL, true, &d, &e), 0);
	assert_int_equal(d.restarts, 1);
	assert_object(&d, 0, OBJECT_SIZE);
}

static void a_sinks_error_is_final(void **state)
{
	/* A code that a connection's error could have too. */
	AUTO(download_release) struct download d = {.fail_with = ECONNRESET};
	struct err e;

	(void)state;
	assert_int_equal(download("sink=1", 0, 0, NULL, true, &d, &e), -ECONNRESET);
	assert_non_null(strstr(e.msg, "the sink is full"));
	assert_null(strstr(e.msg, "attempts"));
}

static void an_error_page_never_reaches_the_sink(void **state)
{
	AUTO(download_release) struct download d = {.restarts = 0};
	struct httpc_sink sink = {on_write, on_restart, &d};
	AUTO(httpc_free) struct httpc *c = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_FREE char *url = str_format("%s/fail/500/1/sink", misbehave_base);
	struct httpc_call call = {.request = {.url = url, .sink = &sink, .max_sink = 12},
				  .retry = &quick};
	struct err e;

	(void)state;
	assert_int_equal(httpc_new(NULL, &c, &e), 0);
	assert_int_equal(httpc_call(c, &call, &r, &e), 0);
	assert_string_equal(buf_str(&d.data), "ok after all");
	call.request.max_sink = 11;
	buf_clear(&d.data);
	assert_int_equal(httpc_call(c, &call, &r, &e), -EFBIG);
}

/* ---- stop ----------------------------------------------------------------------------------- */

static void *stop_soon(void *opaque)
{
	struct timespec ts = {.tv_nsec = 150000000};

	(void)opaque;
	nanosleep(&ts, NULL);
	kill(getpid(), SIGTERM);
	return NULL;
}

/* In a process of its own, because a stop request cannot be taken back. */
static void assert_stops(const char *path, const struct httpc_retry *retry)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
		pthread_t t;
		int rc;

		stop_install();
		if (pthread_create(&t, NULL, stop_soon, NULL) != 0)
			_exit(1);
		rc = path ? call_path(path, retry, &r, NULL) : httpc_sleep_ms(600000, NULL);
		pthread_join(t, NULL);
		httpc_response_release(&r);
		_exit(rc == -ECANCELED ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_stop_request_ends_every_wait(void **state)
{
	static const struct httpc_retry slow = {
		.base_ms = 600000, .cap_ms = 600000, .total_ms = 2000000};

	(void)state;
	assert_stops("/fail/503/9/stop", &slow); /* the pause between attempts */
	assert_stops("/stall/5", NULL);
	assert_stops("/drip", NULL);
	assert_stops(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_that_is_unknown_stays_that_when_it_is_tried_again),
		cmocka_unit_test(a_request_goes_out_as_given),
		cmocka_unit_test(connections_are_used_again),
		cmocka_unit_test(any_status_is_a_response),
		cmocka_unit_test(broken_responses_are_errors),
		cmocka_unit_test(silence_ends_an_attempt),
		cmocka_unit_test(a_slow_drip_ends_by_the_total_time),
		cmocka_unit_test(a_closed_port_and_an_unknown_host_are_named),
		cmocka_unit_test(requests_that_would_break_http_are_refused),
		cmocka_unit_test(loopback_and_link_local_go_past_proxies),
		cmocka_unit_test(other_hosts_are_asked_through_the_proxy),
		cmocka_unit_test(certificates_are_verified),
		cmocka_unit_test(urls_are_taken_apart),
		cmocka_unit_test(server_errors_are_tried_again_with_notes),
		cmocka_unit_test(attempts_are_bounded),
		cmocka_unit_test(what_cannot_get_better_fails_at_once),
		cmocka_unit_test(a_servers_wish_to_wait_is_honoured),
		cmocka_unit_test(downloads_come_whole_whatever_happens),
		cmocka_unit_test(downloads_that_cannot_be_right_fail),
		cmocka_unit_test(a_changed_object_starts_again_where_it_can),
		cmocka_unit_test(a_sinks_error_is_final),
		cmocka_unit_test(an_error_page_never_reaches_the_sink),
		cmocka_unit_test(a_stop_request_ends_every_wait),
	};

	return cmocka_run_group_tests(tests, misbehave_start, misbehave_end);
}
