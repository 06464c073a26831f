/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's side of the running server: see metadata-server/control.h. */
#include "metadata-server/control.h"

#include <signal.h>
#include <stdio.h>

#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"

enum {
	CONNECTIONS = 64,
	BODY = 65536,
};

struct exchange {
	struct server *s;
	bool full;
	const struct http_request *rq;
	struct http_slice body;
	struct http_response *res;
	struct err *e;
};

/* ---- answers --------------------------------------------------------------------------------- */

static int header(struct exchange *x, const char *name, const char *value)
{
	return http_response_header(x->res, name, value) ? err_nomem(x->e) : 0;
}

static int json_done(struct exchange *x, struct jsonw *w)
{
	int rc = jsonw_end(w, x->e);

	return rc ? rc : header(x, "Content-Type", "application/json");
}

static int fail(struct exchange *x, int status, const char *text)
{
	struct jsonw w;

	http_response_clear(x->res);
	x->res->status = status;
	jsonw_begin(&w, &x->res->body, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "error", text);
	jsonw_close(&w);
	return json_done(x, &w);
}

static int fail_method(struct exchange *x, const char *allow)
{
	int rc = fail(x, 405, "method is not allowed");

	return rc ? rc : header(x, "Allow", allow);
}

static bool is_method(const struct exchange *x, const char *method)
{
	return http_slice_is(x->rq->method, method);
}

static bool reads(const struct exchange *x)
{
	return is_method(x, "GET") || is_method(x, "HEAD");
}

static void counts(struct jsonw *w, const struct server *s)
{
	struct httpd_stats st = {0};

	if (s->httpd)
		httpd_stats(s->httpd, &st);
	jsonw_object(w, "connections");
	jsonw_u64(w, "open", st.open);
	jsonw_u64(w, "accepted", st.connections);
	jsonw_u64(w, "turned-away", st.turned_away);
	jsonw_u64(w, "evicted", st.evicted);
	jsonw_close(w);
	jsonw_object(w, "requests");
	jsonw_u64(w, "answered", st.requests);
	jsonw_u64(w, "malformed", st.bad);
	jsonw_u64(w, "too-fast", st.limited);
	jsonw_u64(w, "unknown-guests", s->counts.unknown);
	jsonw_u64(w, "tokens", s->counts.tokens);
	jsonw_u64(w, "with-token", s->counts.with_token);
	jsonw_u64(w, "without-token", s->counts.without_token);
	jsonw_close(w);
}

static int status(struct exchange *x)
{
	const struct server *s = x->s;
	char at[CONTEXT_TIME_SIZE];
	struct jsonw w;

	if (!reads(x))
		return fail_method(x, "GET, HEAD");
	context_format_time(s->loaded_at, at);
	jsonw_begin(&w, &x->res->body, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "folder", s->dir);
	jsonw_string(&w, "as", s->as);
	jsonw_u64(&w, "instances", server_count(s));
	jsonw_string(&w, "loaded-at", at);
	jsonw_u64(&w, "loads", s->counts.loads);
	jsonw_u64(&w, "failed-loads", s->counts.failed_loads);
	jsonw_string(&w, "faults", s->faults.len ? s->faults.data : NULL);
	counts(&w, s);
	jsonw_close(&w);
	x->res->status = 200;
	return json_done(x, &w);
}

static void one_instance(struct jsonw *w, const struct server *s, const struct instance *in)
{
	jsonw_object(w, NULL);
	jsonw_string(w, "name", in->name);
	jsonw_string(w, "file", in->file);
	jsonw_string(w, "instance-id", in->context->instance_id);
	jsonw_string(w, "hostname", in->context->hostname);
	jsonw_object(w, "identify");
	jsonw_string(w, "interface", in->identify.interface);
	jsonw_string(w, "address", in->identify.address);
	jsonw_string(w, "mac", in->identify.mac[0] ? in->identify.mac : NULL);
	jsonw_close(w);
	jsonw_bool(w, "events", events_get(&s->events, in) != NULL);
	jsonw_close(w);
}

static int instances(struct exchange *x)
{
	const struct server *s = x->s;
	struct jsonw w;

	if (!reads(x))
		return fail_method(x, "GET, HEAD");
	jsonw_begin(&w, &x->res->body, true);
	jsonw_array(&w, NULL);
	for (size_t i = 0; s->store && i < store_count(s->store); i++)
		one_instance(&w, s, store_at(s->store, i));
	if (s->one)
		one_instance(&w, s, s->one);
	jsonw_close(&w);
	x->res->status = 200;
	return json_done(x, &w);
}

static int reload(struct exchange *x)
{
	struct err why = {0};
	struct jsonw w;
	int rc;

	if (!is_method(x, "POST"))
		return fail_method(x, "POST");
	rc = server_load(x->s, true, NULL, NULL, &why);
	if (rc) {
		log_err("not loaded again: what was served before stays");
		return fail(x, 409, buf_str(&x->s->faults));
	}
	log_info("loaded again, instances: %zu", server_count(x->s));
	jsonw_begin(&w, &x->res->body, true);
	jsonw_object(&w, NULL);
	jsonw_u64(&w, "instances", server_count(x->s));
	jsonw_close(&w);
	x->res->status = 200;
	return json_done(x, &w);
}

/* ---- events ---------------------------------------------------------------------------------- */

static int show_events(struct exchange *x, const struct instance *in)
{
	const char *json = events_get(&x->s->events, in);

	x->res->status = 200;
	if (buf_addf(&x->res->body, "%s\n", json ? json : "{}"))
		return err_nomem(x->e);
	return header(x, "Content-Type", "application/json");
}

static int fail_by(struct exchange *x, const struct err *why)
{
	switch (why->code) {
	case ENOMEM:
		return err_nomem(x->e);
	case EBADMSG:
	case ERANGE:
	case EFBIG:
	case EINVAL:
		return fail(x, 400, why->msg);
	default:
		return fail(x, 500, why->msg);
	}
}

static int events(struct exchange *x, const struct instance *in, const char *kind)
{
	AUTO_FREE char *name = NULL; /* in is gone when its events change */
	struct err why = {0};
	int rc;

	if (reads(x) && !kind)
		return show_events(x, in);
	if (!is_method(x, "DELETE") && (kind || !is_method(x, "PATCH")))
		return fail_method(x, kind ? "DELETE" : "GET, HEAD, PATCH, DELETE");
	name = strdup(in->name);
	if (!name)
		return err_nomem(x->e);
	if (is_method(x, "DELETE"))
		rc = server_clear_events(x->s, name, kind, &why);
	else
		rc = server_set_events(x->s, name, x->body.p, x->body.len, &why);
	if (rc)
		return fail_by(x, &why);
	in = server_find(x->s, name);
	if (!in)
		return fail(x, 404, "no such instance");
	log_info("events of '%s' are now %s", name,
		 events_get(&x->s->events, in) ? events_get(&x->s->events, in) : "{}");
	return show_events(x, in);
}

/* ---- what guests say ------------------------------------------------------------------------- */

static int show_guest(struct exchange *x, const struct instance *in)
{
	struct jsonw w;
	size_t n;
	const struct context_pair *v = said_all(&x->s->said, in, &n);

	jsonw_begin(&w, &x->res->body, true);
	jsonw_object(&w, NULL);
	for (size_t i = 0; i < n; i++)
		jsonw_string(&w, v[i].key, v[i].value);
	jsonw_close(&w);
	x->res->status = 200;
	return json_done(x, &w);
}

/* key: NULL for all. */
static int guest(struct exchange *x, const struct instance *in, const char *key)
{
	struct err why = {0};

	if (reads(x) && !key)
		return show_guest(x, in);
	if (!is_method(x, "DELETE"))
		return fail_method(x, key ? "DELETE" : "GET, HEAD, DELETE");
	if (said_clear(&x->s->said, in, key, &why))
		return fail_by(x, &why);
	log_info("what '%s' said is cleared: %s", in->name, key ? key : "everything");
	return show_guest(x, in);
}

/* path: behind "/v1/instances/" */
static int instance(struct exchange *x, const char *path)
{
	size_t len = strcspn(path, "/");
	AUTO_FREE char *name = strndup(path, len);
	const struct instance *in = name ? server_find(x->s, name) : NULL;
	const char *rest = path + len;

	if (!name)
		return err_nomem(x->e);
	if (!in)
		return fail(x, 404, "no such instance");
	if (!strcmp(rest, "/events"))
		return events(x, in, NULL);
	if (str_has_prefix(rest, "/events/"))
		return events(x, in, rest + strlen("/events/"));
	if (!strcmp(rest, "/guest"))
		return guest(x, in, NULL);
	if (str_has_prefix(rest, "/guest/"))
		return guest(x, in, rest + strlen("/guest/"));
	return fail(x, 404, "no such path");
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int metrics(struct exchange *x)
{
	int rc;

	if (!reads(x))
		return fail_method(x, "GET, HEAD");
	rc = metrics_write(x->s, &x->res->body, x->e);
	x->res->status = 200;
	return rc ? rc : header(x, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
}

static int health(struct exchange *x)
{
	bool good = !x->s->faults.len;

	if (!reads(x))
		return fail_method(x, "GET, HEAD");
	x->res->status = good ? 200 : 503;
	if (buf_adds(&x->res->body,
		     good ? "ok\n"
			  : "the definitions have faults; what was good before is served\n"))
		return err_nomem(x->e);
	return header(x, "Content-Type", "text/plain");
}

static int by_path(struct exchange *x, const char *path)
{
	if (!strcmp(path, "metrics"))
		return metrics(x);
	if (!strcmp(path, "healthz"))
		return health(x);
	if (!x->full)
		return fail(x, 404, "no such path");
	if (!strcmp(path, "v1/status"))
		return status(x);
	if (!strcmp(path, "v1/instances"))
		return instances(x);
	if (!strcmp(path, "v1/reload"))
		return reload(x);
	if (str_has_prefix(path, "v1/instances/"))
		return instance(x, path + strlen("v1/instances/"));
	return fail(x, 404, "no such path");
}

int control_answer(struct server *s, bool full, const struct http_request *rq,
		   struct http_slice body, struct http_response *ret, struct err *e)
{
	struct exchange x = {.s = s, .full = full, .rq = rq, .body = body, .res = ret, .e = e};
	AUTO_BUF path = BUF_INIT;
	struct err bad = {0};
	int rc = imds_path(rq->target, &path, &bad);

	if (rc == -EBADMSG)
		return fail(&x, 400, bad.msg);
	return rc ? err_nomem(e) : by_path(&x, buf_str(&path));
}

static int on_full(void *arg, const struct httpd_exchange *x, struct http_response *res,
		   struct err *e)
{
	return control_answer(arg, true, x->request, x->body, res, e);
}

static int on_metrics(void *arg, const struct httpd_exchange *x, struct http_response *res,
		      struct err *e)
{
	return control_answer(arg, false, x->request, x->body, res, e);
}

int control_new(struct server *s, struct event_base *base, bool full, struct httpd **ret,
		struct err *e)
{
	struct httpd_opts o = HTTPD_OPTS_DEFAULT;

	o.base = base;
	o.limits.body = BODY;
	o.max_connections = CONNECTIONS;
	o.max_per_address = 0;
	o.arg = s;
	o.handle = full ? on_full : on_metrics;
	return httpd_new(&o, ret, e);
}
