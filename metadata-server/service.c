/* SPDX-License-Identifier: Apache-2.0 */
/* `serve`: see metadata-server/service.h. */
#include "metadata-server/service.h"

#include <signal.h>
#include <time.h>

#include "lib/cli.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"
#include "metadata-server/access.h"
#include "metadata-server/confine.h"
#include "metadata-server/control.h"
#include "metadata-server/host.h"
#include "metadata-server/listen.h"
#include "metadata-server/notify.h"
#include "metadata-server/one.h"

struct service {
	const struct service_opts *o;
	struct server server;
	struct httpd *control, *metrics;
	struct watch *watch;
	struct host host;
	struct listening listening;
	struct notify *notify;
	size_t faults; /* of the first load */
};

/* The parts of one loop, which is the server's, last. */
static void service_release(struct service *s)
{
	if (s->watch)
		watch_free(s->watch);
	if (s->control)
		httpd_free(s->control);
	if (s->metrics)
		httpd_free(s->metrics);
	if (s->notify)
		notify_close(s->notify);
	server_release(&s->server);
	listening_release(&s->listening);
	host_release(&s->host);
}
DEFINE_AUTO_STRUCT(struct service, service_release);

/* ---- what comes in --------------------------------------------------------------------------- */

static void on_stop(void *arg, int signo)
{
	struct service *s = arg;

	(void)signo;
	notify_send(s->notify, "STOPPING=1");
	if (s->control)
		httpd_stop(s->control);
	if (s->metrics)
		httpd_stop(s->metrics);
	httpd_stop(s->server.httpd);
}

static void load_again(struct service *s, bool all, const struct strlist *only)
{
	struct err e = {0};
	size_t faults = 0;
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	notify_send(s->notify, "RELOADING=1\nMONOTONIC_USEC=%llu",
		    (unsigned long long)ts.tv_sec * 1000000 +
			    (unsigned long long)ts.tv_nsec / 1000);
	if (!server_load(&s->server, all, only, &faults, &e)) {
		log_info("loaded again, instances: %zu", server_count(&s->server));
		notify_send(s->notify, "READY=1\nSTATUS=%zu instances", server_count(&s->server));
		return;
	}
	notify_send(s->notify, "READY=1\nSTATUS=%zu instances; the definitions have faults",
		    server_count(&s->server));
	if (!faults)
		log_err("%s", e.msg);
	log_err("not loaded again: what was served before stays");
}

static void on_reload(void *arg, int signo)
{
	(void)signo;
	load_again(arg, true, NULL);
}

static void on_change(void *arg, bool all, const struct strlist *only)
{
	load_again(arg, all, only);
}

static int watch_signals(struct service *s, struct err *e)
{
	struct httpd *h = s->server.httpd;
	int rc = httpd_on_signal(h, SIGTERM, on_stop, s, e);

	rc = rc ? rc : httpd_on_signal(h, SIGINT, on_stop, s, e);
	return rc ? rc : httpd_on_signal(h, SIGHUP, on_reload, s, e);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/*
 * Where --stdio has its key by default. One process serves one connection, and a token of one must
 * hold on the next, so that the key cannot be of the process alone.
 */
static int default_key(struct token_key *ret, struct err *e)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	AUTO_FREE char *dir = NULL;
	AUTO_FREE char *path = NULL;
	int rc;

	if (!runtime || runtime[0] != '/')
		return err_set(e, EINVAL,
			       "--stdio needs --token-key FILE where XDG_RUNTIME_DIR is not set");
	dir = path_join(runtime, "acclimate");
	path = dir ? path_join(dir, "token.key") : NULL;
	if (!path)
		return err_nomem(e);
	rc = fs_mkdir_p(dir, 0700, e);
	return rc ? rc : token_key_load(path, ret, e);
}

static int load_key(const struct service_opts *o, struct token_key *ret, struct err *e)
{
	if (o->token_key)
		return token_key_load(o->token_key, ret, e);
	return o->stdio ? default_key(ret, e) : token_key_random(ret, e);
}

static bool wants_process(const struct server *s)
{
	return !s->one || s->one->context->iam_role.credential_process;
}

/* ---- listeners ------------------------------------------------------------------------------- */

/* Those that the service manager listens on for us; what they are for is in their names. */
static int take_sockets(struct service *s, struct err *e)
{
	struct event_base *base = httpd_base(s->server.httpd);
	int fd;
	unsigned n = notify_sockets(&fd);

	for (unsigned i = 0; i < n; i++, fd++) {
		bool control, metrics;
		struct httpd **h;
		char name[64];
		int rc = 0;

		notify_socket_name(i, name);
		control = !strcmp(name, "control");
		metrics = !strcmp(name, "metrics");
		h = control ? &s->control : &s->metrics;
		if ((control || metrics) && !*h)
			rc = control_new(&s->server, base, control, h, e);
		if (!rc)
			rc = control || metrics ? httpd_listen_fd(*h, fd, e)
						: listen_fd(&s->listening, s->server.httpd, fd, e);
		if (rc)
			return err_wrap(e, "socket '%s' of the service manager", name);
	}
	return 0;
}

static int open_listeners(struct service *s, struct err *e)
{
	const struct service_opts *o = s->o;

	for (size_t i = 0; i < o->n_listen; i++) {
		int rc = listen_guests(&s->listening, s->server.httpd, o->listen[i], o->interface,
				       e);

		if (rc)
			return rc;
	}
	return take_sockets(s, e);
}

static int serve_stdio(struct service *s, struct err *e)
{
	struct kernel *home;
	int rc = listen_home(&s->listening, &home, e);

	httpd_set_tag(s->server.httpd, home);
	return rc ? rc : httpd_serve_fds(s->server.httpd, STDIN_FILENO, STDOUT_FILENO, e);
}

static int open_control(struct service *s, struct err *e)
{
	struct event_base *base = httpd_base(s->server.httpd);
	const struct service_opts *o = s->o;
	AUTO_FD int fd = -1;
	int rc = 0;

	if (o->metrics) {
		rc = control_new(&s->server, base, false, &s->metrics, e);
		rc = rc ? rc : listen_plain(s->metrics, o->metrics, "metrics are at", e);
	}
	if (rc || !o->control)
		return rc;
	rc = control_listen(o->control, &fd, e);
	rc = rc ? rc : control_new(&s->server, base, true, &s->control, e);
	rc = rc ? rc : httpd_listen_fd(s->control, fd, e);
	if (!rc)
		steal_fd(&fd);
	return rc;
}

/* ---- all ------------------------------------------------------------------------------------- */

static int watch_definitions(struct service *s, struct err *e)
{
	struct event_base *base = httpd_base(s->server.httpd);
	const struct service_opts *o = s->o;
	AUTO_FREE char *file = NULL;

	if (!o->as)
		return watch_new(base, o->instances, on_change, s, &s->watch, e);
	return one_file(o->as, o->instances, &file, e)
		       ? -e->code
		       : watch_new(base, file, on_change, s, &s->watch, e);
}

static int start_serving(struct service *s, struct err *e)
{
	struct httpd_opts limits = HTTPD_OPTS_DEFAULT;
	const struct service_opts *o = s->o;
	int rc;

	limits.max_connections = o->max_connections;
	limits.max_per_address = o->guest_connections;
	limits.requests = o->guest_requests;
	limits.bytes = o->guest_bytes;
	rc = server_start(&s->server, &limits, e);
	/* before definitions are read: what changes from then on is not missed */
	if (!rc && !o->stdio && !o->no_watch)
		rc = watch_definitions(s, e);
	if (!rc)
		rc = server_load(&s->server, true, NULL, &s->faults, e);
	rc = rc ? rc : watch_signals(s, e);
	rc = rc ? rc : open_control(s, e);
	if (rc)
		return rc;
	return o->stdio ? serve_stdio(s, e) : open_listeners(s, e);
}

/* A file that is written anew is another one: what it lies in stays. */
static int confine_to(const struct service *s, struct err *e)
{
	const struct service_opts *o = s->o;
	AUTO_FREE char *folder = NULL;
	const char *slash;

	if (s->server.store)
		return confine(o->instances, o->state, e);
	slash = strrchr(s->server.one->file, '/');
	folder = slash ? strndup(s->server.one->file, (size_t)(slash - s->server.one->file) + 1)
		       : strdup(".");
	return folder ? confine(folder, o->state, e) : err_nomem(e);
}

/* What needs no privileges; the process that gets credentials is not to have any either. */
static int start_unprivileged(struct service *s, struct err *e)
{
	const struct service_opts *o = s->o;
	struct event_base *base = httpd_base(s->server.httpd);
	int rc = confine_user(o->user, e);

	if (!rc && wants_process(&s->server))
		rc = credentials_start(o->as, o->instances, &s->host.credentials, e);
	if (!rc && s->host.credentials)
		rc = credentials_attach(s->host.credentials, base, s->server.httpd, e);
	rc = rc ? rc : confine_to(s, e);
	return rc ? rc : notify_watchdog(s->notify, base, e);
}

static int start(struct service *s, struct err *e)
{
	const struct service_opts *o = s->o;
	int rc = load_key(o, &s->server.key, e);

	if (!rc && !o->stdio)
		rc = notify_open(&s->notify, e);
	if (!rc && o->access_log)
		rc = access_open(o->access_log, o->access_json, &s->server.access, e);
	if (!rc && o->identity_key)
		rc = signer_open(o->identity_key, o->identity_cert, &s->host.signer, e);
	if (!rc)
		host_make(&s->host, &s->server.host);
	rc = rc ? rc : start_serving(s, e);
	return rc ? rc : start_unprivileged(s, e);
}

int service_run(const struct service_opts *o)
{
	AUTO(service_release) struct service s = {.o = o};
	struct err e = {0};

	s.server.dir = o->instances;
	s.server.as = o->as;
	s.server.names = o->any_host ? NULL : &o->hosts;
	fs_raise_file_limit();
	if (events_open(&s.server.events, o->state, &e) || said_open(&s.server.said, o->state, &e))
		return cli_fail(&e);
	if (start(&s, &e))
		return one_fail(s.faults, &e);
	notify_send(s.notify, "READY=1\nSTATUS=%zu instances", server_count(&s.server));
	return httpd_run(s.server.httpd, &e) ? cli_fail(&e) : EXIT_OK;
}
