/* SPDX-License-Identifier: Apache-2.0 */
/* The service: loads instances, finds the one that asks, answers, tells the access log. */
#include "metadata-server/server.h"

#include <time.h>

#include "lib/log.h"
#include "lib/str.h"
#include "metadata-server/access.h"
#include "metadata-server/identify.h"
#include "metadata-server/one.h"

enum {
	MAX_FAULTS = 65536, /* bytes of s->faults */
};

static uint64_t seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (uint64_t)ts.tv_sec;
}

/* ---- loading --------------------------------------------------------------------------------- */

struct report {
	struct buf *text;
	size_t n;
};

static void on_fault(void *arg, const struct err *e)
{
	struct report *r = arg;

	report_fault(&r->n, e);
	if (r->text->len < MAX_FAULTS)
		buf_addf(r->text, "%s\n", e->msg);
}

static void warn_of_unidentified(const struct store *st)
{
	size_t n = 0;

	for (size_t i = 0; i < store_count(st); i++)
		n += !store_at(st, i)->identify.given;
	if (n)
		log_warn("%zu of %zu instances have no 'identify': no guest can be known as them",
			 n, store_count(st));
}

/* Those that have events, in the place of those that were read. */
static int apply_all(const struct events *ev, struct store *st, struct err *e)
{
	for (size_t i = 0; i < store_count(st) && ev->table.n; i++) {
		AUTO(instance_free) struct instance *with = NULL;
		int rc = events_apply(ev, (struct instance *)store_at(st, i), &with, e);

		if (!rc && with)
			rc = store_replace(st, &with, e);
		if (rc)
			return err_wrap(e, "events of '%s'", store_at(st, i)->name);
	}
	return 0;
}

static int load_folder(struct server *s, bool all, const struct strlist *only, struct report *r,
		       struct err *e)
{
	AUTO(store_free) struct store *store = NULL;
	int rc = 0;

	if (!s->directory)
		rc = directory_open(s->dir, &s->directory, e);
	rc = rc ? rc : directory_load(s->directory, all, only, on_fault, r, &store, e);
	rc = rc ? rc : apply_all(&s->events, store, e);
	if (rc)
		return rc;
	warn_of_unidentified(store);
	if (s->store)
		store_free(s->store);
	s->store = STEAL(store);
	return 0;
}

static int load_one(struct server *s, struct report *r, struct err *e)
{
	AUTO(instance_free) struct instance *one = NULL;
	AUTO(instance_free) struct instance *with = NULL;
	int rc = one_load(s->as, s->dir, on_fault, r, &one, e);

	rc = rc ? rc : events_apply(&s->events, one, &with, e);
	if (rc)
		return rc;
	if (s->one)
		instance_free(s->one);
	s->one = with ? STEAL(with) : STEAL(one);
	return 0;
}

int server_load(struct server *s, bool all, const struct strlist *only, size_t *faults,
		struct err *e)
{
	struct report r = {.text = &s->faults};
	int rc;

	buf_clear(&s->faults);
	rc = s->as ? load_one(s, &r, e) : load_folder(s, all, only, &r, e);
	if (faults)
		*faults = r.n;
	if (rc) {
		if (!s->faults.len)
			buf_addf(&s->faults, "%s\n", e->msg);
		s->counts.failed_loads++;
		return rc;
	}
	s->counts.loads++;
	s->loaded_at = seconds_now();
	s->generation++;
	if (s->httpd)
		httpd_wake(s->httpd, IMDS_CHANGED);
	return 0;
}

size_t server_count(const struct server *s)
{
	return s->store ? store_count(s->store) : s->one != NULL;
}

const struct instance *server_find(const struct server *s, const char *name)
{
	if (s->store)
		return store_find(s->store, name);
	return s->one && !strcmp(s->one->name, name) ? s->one : NULL;
}

/* ---- what is kept of instances --------------------------------------------------------------- */

static bool is_there(void *arg, const char *name, const char *id)
{
	const struct instance *in = server_find(arg, name);

	return in && in->context->instance_id && !strcmp(in->context->instance_id, id);
}

/* Makes what is set for the instance visible to its guest. */
static int apply_events(struct server *s, const char *name, struct err *e)
{
	/* ours to change: one thread, and between two requests */
	struct instance *in = (struct instance *)server_find(s, name);
	AUTO(instance_free) struct instance *with = NULL;
	int rc;

	if (!in)
		return err_set(e, ENOENT, "no instance '%s'", name);
	rc = events_apply(&s->events, in, &with, e);
	if (rc || !with)
		return rc;
	if (s->store) {
		rc = store_replace(s->store, &with, e);
	} else {
		instance_free(s->one);
		s->one = STEAL(with);
	}
	s->generation++;
	if (s->httpd)
		httpd_wake(s->httpd, IMDS_CHANGED);
	return rc;
}

int server_set_events(struct server *s, const char *name, const char *body, size_t len,
		      struct err *e)
{
	const struct instance *in = server_find(s, name);
	int rc;

	if (!in)
		return err_set(e, ENOENT, "no instance '%s'", name);
	rc = events_set(&s->events, in, body, len, e);
	if (rc == -ENOSPC) {
		rc = events_forget(&s->events, is_there, s, e);
		rc = rc ? rc : events_set(&s->events, in, body, len, e);
	}
	return rc ? rc : apply_events(s, name, e);
}

int server_clear_events(struct server *s, const char *name, const char *kind, struct err *e)
{
	const struct instance *in = server_find(s, name);
	int rc = in ? events_clear(&s->events, in, kind, e)
		    : err_set(e, ENOENT, "no instance '%s'", name);

	return rc ? rc : apply_events(s, name, e);
}

static const struct context_pair *all_said(void *arg, const struct instance *in, size_t *n)
{
	return said_all(&((struct server *)arg)->said, in, n);
}

static int say(void *arg, const struct instance *in, const char *key, const char *value,
	       struct err *e)
{
	struct server *s = arg;
	int rc = said_set(&s->said, in, key, value, e);

	if (rc == -ENOSPC) {
		said_forget(&s->said, is_there, s);
		rc = said_set(&s->said, in, key, value, e);
	}
	return rc;
}

struct imds_said server_said(struct server *s)
{
	return (struct imds_said){.arg = s, .all = all_said, .set = say};
}

/* ---- requests -------------------------------------------------------------------------------- */

/* What was found out about a connection, while the instances stay the same. */
struct known {
	uint64_t generation;
	const struct instance *in;
	/* that a request waits to see changed; NULL: none does */
	struct instance *waits_for;
	char address[46], interface[16];
};

static void known_free(void *slot)
{
	struct known *k = slot;

	if (k->waits_for)
		instance_free(k->waits_for);
	free(k);
}

/* Is it woken although its own instance has not changed? Then nothing is made anew for it. */
static bool waits_on(const struct known *k, const struct instance *in, bool timed_out)
{
	return k && k->waits_for == in && !timed_out;
}

static void note_wait(struct known *k, struct instance *in, const struct http_response *res)
{
	if (!k)
		return;
	if (k->waits_for)
		instance_free(k->waits_for);
	k->waits_for = res->wait_ms && res->wait_key == IMDS_CHANGED ? instance_ref(in) : NULL;
}

/* An unknown guest can ask as often as it likes; the log must not grow as fast. */
static void warn_unknown(struct server *s, uint64_t now)
{
	if (now != s->warned_at) {
		if (s->warned > SERVER_WARNINGS_PER_SECOND)
			log_warn("%u more requests of unknown guests in that second",
				 s->warned - SERVER_WARNINGS_PER_SECOND);
		s->warned_at = now;
		s->warned = 0;
	}
	if (s->warned++ < SERVER_WARNINGS_PER_SECOND)
		log_warn("%s", s->unknown.msg);
}

/* Who asks; kept with the connection, whose other end stays who it is. */
static const struct instance *who(struct server *s, const struct httpd_exchange *x)
{
	struct known *k = *x->slot;
	const struct instance *in;

	if (s->one)
		return s->one;
	if (k && k->generation == s->generation)
		return k->in;
	if (identify(s->store, x->peer, &in, &s->unknown))
		return NULL;
	if (!k) {
		k = calloc(1, sizeof(*k));
		if (!k)
			return in; /* found out once more the next time */
		peer_address(x->peer, k->address);
		peer_interface(x->peer, k->interface);
		*x->slot = k;
	}
	k->generation = s->generation;
	k->in = in;
	return in;
}

static int on_request(void *arg, const struct httpd_exchange *x, struct http_response *res,
		      struct err *e)
{
	struct server *s = arg;
	struct imds_said said = server_said(s);
	struct imds_env env = {.key = &s->key,
			       .said = &said,
			       .body = x->body,
			       .names = s->names,
			       .now = seconds_now(),
			       .host = s->host.make ? &s->host : NULL,
			       .timed_out = x->timed_out};
	int rc;

	s->why = NULL;
	s->asked = who(s, x);
	if (!s->asked) {
		s->why = "unknown guest";
		s->counts.unknown++;
		warn_unknown(s, env.now);
		return http_response_error(res, 404) ? err_nomem(e) : 0;
	}
	if (waits_on(*x->slot, s->asked, x->timed_out)) {
		res->wait_ms = 1; /* until when was said the first time */
		res->wait_key = IMDS_CHANGED;
		return 0;
	}
	rc = imds_answer(x->request, s->asked, &env, res, &s->why, e);
	note_wait(*x->slot, (struct instance *)s->asked, res);
	return rc;
}

static void count(struct server *s, const struct http_request *rq, const struct http_response *res,
		  bool has_token)
{
	if (res->status >= 100 && res->status < 600)
		s->counts.by_status[res->status / 100]++;
	if (!rq || res->status != 200)
		return;
	if (res->hop_limit)
		s->counts.tokens++;
	else if (has_token)
		s->counts.with_token++;
	else
		s->counts.without_token++;
}

static void log_line(const struct access_line *l)
{
	log_debug("access peer=%s interface=%s instance=%s status=%d bytes=%zu why=\"%s\" "
		  "method=%.*s target=%.*s",
		  l->peer[0] ? l->peer : "-", l->interface[0] ? l->interface : "-",
		  l->instance ? l->instance : "-", l->status, l->bytes, l->why ? l->why : "",
		  (int)MIN(l->method.len, (size_t)16), l->method.p,
		  (int)MIN(l->target.len, (size_t)512), l->target.p);
}

static void on_log(void *arg, const struct httpd_exchange *x, const struct http_response *res,
		   const char *why)
{
	struct server *s = arg;
	const struct http_request *rq = x->request;
	const struct known *k = x->slot ? *x->slot : NULL;
	bool has_token = rq && http_field_find(rq, "X-aws-ec2-metadata-token", NULL);
	bool debug = log_get_level() >= LOG_LEVEL_DEBUG;
	struct http_slice none = {"-", 1};
	char address[46], interface[16];
	struct access_line l = {
		.method = rq ? rq->method : none,
		.target = rq ? rq->target : none,
		.token = rq ? (has_token ? "v2" : "v1") : NULL,
		.status = res->status,
		.bytes = res->body.len,
		.why = why || !rq ? why : s->why,
	};

	count(s, rq, res, has_token);
	if (res->status >= 500 && res->status != 503)
		log_err("answering with %d: %s", res->status, l.why ? l.why : "unknown");
	if (!debug && !s->access)
		return;
	if (!k) {
		peer_address(x->peer, address);
		peer_interface(x->peer, interface);
	}
	l.peer = k ? k->address : address;
	l.interface = k ? k->interface : interface;
	if (rq && s->asked) {
		l.instance = s->asked->name;
		l.instance_id = s->asked->context->instance_id;
	}
	if (s->access)
		access_write(s->access, &l);
	if (debug)
		log_line(&l);
}

int server_start(struct server *s, const struct httpd_opts *opts, struct err *e)
{
	struct httpd_opts o = *opts;
	int rc;

	o.server = IMDS_SERVER;
	o.arg = s;
	o.handle = on_request;
	o.free_slot = known_free;
	o.log = on_log;
	rc = httpd_new(&o, &s->httpd, e);
	if (!rc && s->access)
		rc = access_attach(s->access, httpd_base(s->httpd), e);
	return rc;
}

void server_release(struct server *s)
{
	if (s->access)
		access_close(s->access);
	if (s->httpd)
		httpd_free(s->httpd);
	if (s->one)
		instance_free(s->one);
	if (s->store)
		store_free(s->store);
	if (s->directory)
		directory_free(s->directory);
	events_release(&s->events);
	said_release(&s->said);
	buf_release(&s->faults);
	explicit_bzero(&s->key, sizeof(s->key));
	*s = (struct server){0};
}
