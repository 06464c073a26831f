/* SPDX-License-Identifier: Apache-2.0 */
/* `serve`: see metadata-server/service.h. */
#include "metadata-server/service.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>

#include "lib/cli.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"
#include "metadata-server/access.h"
#include "metadata-server/control.h"
#include "metadata-server/host.h"
#include "metadata-server/one.h"

struct service {
	const struct service_opts *o;
	struct server server;
	struct httpd *control, *metrics;
	struct watch *watch;
	struct host host;
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
	if (s->control && s->o->control)
		unlink(s->o->control);
	server_release(&s->server);
	host_release(&s->host);
}
DEFINE_AUTO_STRUCT(struct service, service_release);

/* ---- what comes in --------------------------------------------------------------------------- */

static void on_stop(void *arg, int signo)
{
	struct service *s = arg;

	(void)signo;
	if (s->control)
		httpd_stop(s->control);
	if (s->metrics)
		httpd_stop(s->metrics);
	httpd_stop(s->server.httpd);
}

static void load_again(struct service *s, bool all)
{
	struct err e = {0};
	size_t faults = 0;

	if (!server_load(&s->server, all, &faults, &e)) {
		log_info("loaded again, instances: %zu", server_count(&s->server));
		return;
	}
	if (!faults)
		log_err("%s", e.msg);
	log_err("not loaded again: what was served before stays");
}

static void on_reload(void *arg, int signo)
{
	(void)signo;
	load_again(arg, true);
}

static void on_change(void *arg, bool all)
{
	load_again(arg, all);
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

/* Before this process gives up starting others. */
static int start_host(struct service *s, struct err *e)
{
	const struct service_opts *o = s->o;
	int rc = 0;

	if (o->identity_key)
		rc = signer_open(o->identity_key, o->identity_cert, &s->host.signer, e);
	if (!rc && wants_process(&s->server))
		rc = credentials_start(o->as, o->instances, &s->host.credentials, e);
	if (!rc)
		host_make(&s->host, &s->server.host);
	return rc;
}

/* ---- listeners ------------------------------------------------------------------------------- */

static int say_listening(const struct httpd *h, size_t i, const char *what, struct err *e)
{
	struct sockaddr_storage ss;
	char ip[INET6_ADDRSTRLEN] = "";
	int rc = httpd_local_addr(h, i, &ss, e);

	if (rc)
		return rc;
	if (ss.ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&ss;

		inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
		log_info("%s %s:%u", what, ip, ntohs(v4->sin_port));
	} else {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&ss;

		inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
		log_info("%s [%s]:%u", what, ip, ntohs(v6->sin6_port));
	}
	return 0;
}

static int listen_on(struct httpd *h, const char *where, const char *interface, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int rc = parse_listen(where, interface, &ss, &len, e);

	return rc ? rc : httpd_listen(h, (struct sockaddr *)&ss, len, interface, e);
}

static int open_listeners(struct service *s, struct err *e)
{
	const struct service_opts *o = s->o;

	for (size_t i = 0; i < o->n_listen; i++) {
		int rc = listen_on(s->server.httpd, o->listen[i], o->interface, e);

		rc = rc ? rc : say_listening(s->server.httpd, i, "listening on", e);
		if (rc)
			return rc;
	}
	return 0;
}

static int open_control(struct service *s, struct err *e)
{
	struct event_base *base = httpd_base(s->server.httpd);
	const struct service_opts *o = s->o;
	AUTO_FD int fd = -1;
	int rc = 0;

	if (o->metrics) {
		rc = control_new(&s->server, base, false, &s->metrics, e);
		rc = rc ? rc : listen_on(s->metrics, o->metrics, NULL, e);
		rc = rc ? rc : say_listening(s->metrics, 0, "metrics are at", e);
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

static int start(struct service *s, struct err *e)
{
	struct httpd_opts limits = HTTPD_OPTS_DEFAULT;
	const struct service_opts *o = s->o;
	int rc = load_key(o, &s->server.key, e);

	limits.max_connections = o->max_connections;
	limits.max_per_address = o->guest_connections;
	limits.requests = o->guest_requests;
	limits.bytes = o->guest_bytes;
	if (!rc && o->access_log)
		rc = access_open(o->access_log, o->access_json, &s->server.access, e);
	rc = rc ? rc : start_host(s, e);
	rc = rc ? rc : server_start(&s->server, &limits, e);
	if (!rc && s->host.credentials)
		rc = credentials_attach(s->host.credentials, httpd_base(s->server.httpd),
					s->server.httpd, e);
	rc = rc ? rc : watch_signals(s, e);
	if (!rc && !o->stdio && !o->no_watch)
		rc = watch_new(httpd_base(s->server.httpd),
			       s->server.store ? o->instances : s->server.one->file, on_change, s,
			       &s->watch, e);
	rc = rc ? rc : open_control(s, e);
	if (rc)
		return rc;
	return o->stdio ? httpd_serve_fds(s->server.httpd, STDIN_FILENO, STDOUT_FILENO, e)
			: open_listeners(s, e);
}

int service_run(const struct service_opts *o)
{
	AUTO(service_release) struct service s = {.o = o};
	struct err e = {0};
	size_t faults = 0;

	s.server.dir = o->instances;
	s.server.as = o->as;
	fs_raise_file_limit();
	if (events_open(&s.server.events, o->state, &e))
		return cli_fail(&e);
	if (server_load(&s.server, true, &faults, &e))
		return one_fail(faults, &e);
	if (start(&s, &e) || httpd_run(s.server.httpd, &e))
		return cli_fail(&e);
	return EXIT_OK;
}
