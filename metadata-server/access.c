/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access log. As text, a line is
 *
 *	TIME peer=... interface=... instance=... status=... bytes=... token=... why="..."
 *	method=... target=...
 *
 * and the target, the one value that a guest chose, comes last and has no blanks.
 */
#include "metadata-server/access.h"

#include <event2/event.h>
#include <fcntl.h>
#include <time.h>

#include "lib/json.h"
#include "lib/str.h"

enum {
	FLUSH_AT = 32768, /* bytes that are written at once */
	FLUSH_MS = 500,
	MAX_METHOD = 16,
	MAX_TARGET = 512,
};

struct access_log {
	int fd;
	bool ours, json;
	struct buf out;
	struct event *timer;
	uint64_t dropped; /* lines */
	size_t lines;     /* in out */
};

int access_open(const char *path, bool json, struct access_log **ret, struct err *e)
{
	AUTO(access_close) struct access_log *a = calloc(1, sizeof(*a));
	int flags;

	if (!a)
		return err_nomem(e);
	a->json = json;
	a->fd = STDOUT_FILENO;
	if (strcmp(path, "-")) {
		a->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
		if (a->fd < 0)
			return err_errno(e, errno, "access log '%s'", path);
		a->ours = true;
	}
	flags = fcntl(a->fd, F_GETFL);
	if (flags < 0 || fcntl(a->fd, F_SETFL, flags | O_NONBLOCK))
		return err_errno(e, errno, "access log '%s'", path);
	*ret = STEAL(a);
	return 0;
}

static void flush(struct access_log *a)
{
	size_t off = 0;

	while (off < a->out.len) {
		ssize_t n = write(a->fd, a->out.data + off, a->out.len - off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			a->dropped += a->lines;
			break;
		}
		off += (size_t)n;
	}
	buf_clear(&a->out);
	a->lines = 0;
}

void access_close(struct access_log *a)
{
	flush(a);
	if (a->timer)
		event_free(a->timer);
	if (a->ours && a->fd >= 0)
		close(a->fd);
	buf_release(&a->out);
	free(a);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

int access_attach(struct access_log *a, struct event_base *base, struct err *e)
{
	static const struct timeval tv = {.tv_usec = FLUSH_MS * 1000};

	a->timer = event_new(base, -1, EV_PERSIST, on_timer, a);
	if (!a->timer || event_add(a->timer, &tv))
		return err_nomem(e);
	return 0;
}

/* "2024-04-11T06:00:00.123Z" */
static void now_text(char out[40])
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, 40 - n, ".%03uZ", (unsigned)(ts.tv_nsec / 1000000) % 1000);
}

static const char *or_null(const char *s)
{
	return s && *s ? s : NULL;
}

static void add_text(struct access_log *a, const char *when, const struct access_line *l)
{
	buf_addf(&a->out,
		 "%s peer=%s interface=%s instance=%s status=%d bytes=%zu token=%s why=\"%s\" "
		 "method=%.*s target=%.*s\n",
		 when, or_dash(l->peer), or_dash(l->interface), or_dash(l->instance), l->status,
		 l->bytes, or_dash(l->token), l->why ? l->why : "",
		 (int)MIN(l->method.len, (size_t)MAX_METHOD), l->method.p,
		 (int)MIN(l->target.len, (size_t)MAX_TARGET), l->target.p);
}

static void add_json(struct access_log *a, const char *when, const struct access_line *l)
{
	size_t before = a->out.len;
	struct jsonw w;

	jsonw_begin(&w, &a->out, false);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "time", when);
	jsonw_string(&w, "peer", or_null(l->peer));
	jsonw_string(&w, "interface", or_null(l->interface));
	jsonw_string(&w, "instance", l->instance);
	jsonw_string(&w, "instance-id", l->instance_id);
	jsonw_string_n(&w, "method", l->method.p, MIN(l->method.len, (size_t)MAX_METHOD));
	jsonw_string_n(&w, "target", l->target.p, MIN(l->target.len, (size_t)MAX_TARGET));
	jsonw_string(&w, "token", l->token);
	jsonw_i64(&w, "status", l->status);
	jsonw_u64(&w, "bytes", l->bytes);
	jsonw_string(&w, "why", l->why);
	jsonw_close(&w);
	if (jsonw_end(&w, NULL) || buf_addc(&a->out, '\n')) {
		a->out.len = before;
		a->dropped++;
	}
}

void access_write(struct access_log *a, const struct access_line *l)
{
	char when[40];

	now_text(when);
	if (a->json)
		add_json(a, when, l);
	else
		add_text(a, when, l);
	a->lines++;
	if (a->out.len >= FLUSH_AT)
		flush(a);
}

uint64_t access_dropped(const struct access_log *a)
{
	return a->dropped;
}
