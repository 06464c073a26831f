/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata service inside the guest, on lib/httpd.h and context/imds.h: see ctxd/serve.h. */
#include "ctxd/serve.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include "ctxd/background.h"
#include "ctxd/confine.h"
#include "ctxd/notify.h"
#include "ctxd/peer_uid.h"
#include "lib/httpd.h"
#include "lib/log.h"
#include "lib/str.h"

struct service {
	const struct instance *in;
	struct token_key key;
	struct httpd *httpd;
	bool root_user_data;
};

/* "latest/user-data", however it is written. */
static bool is_user_data(const struct http_request *rq)
{
	AUTO_BUF path = BUF_INIT;

	return imds_path(rq->target, &path, NULL) == 0 &&
	       str_has_suffix(buf_str(&path), "/user-data");
}

static bool is_root(const struct httpd_peer *peer)
{
	struct sockaddr_in client, server;
	unsigned uid;

	if (peer->remote.ss_family != AF_INET || peer->local.ss_family != AF_INET)
		return false;
	memcpy(&client, &peer->remote, sizeof(client));
	memcpy(&server, &peer->local, sizeof(server));
	return peer_uid("/proc/net/tcp", &client, &server, &uid, NULL) == 0 && uid == 0;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec;
}

static int handle(void *arg, const struct httpd_exchange *x, struct http_response *res,
		  struct err *e)
{
	struct service *s = arg;
	static const struct strlist no_names_of_its_own;
	struct imds_env env = {.key = &s->key, .now = now(), .names = &no_names_of_its_own};
	const char *why = NULL;
	int rc;

	if (s->root_user_data && is_user_data(x->request) && !is_root(x->peer)) {
		log_debug("refused: user data are for root alone");
		return http_response_error(res, 403) < 0 ? err_nomem(e) : 0;
	}
	rc = imds_answer(x->request, s->in, &env, res, &why, e);

	if (rc == 0 && why)
		log_debug("refused: %s", why);
	return rc;
}

static void log_exchange(void *arg, const struct httpd_exchange *x, const struct http_response *res,
			 const char *why)
{
	const struct http_request *rq = x->request;

	(void)arg;
	if (rq)
		log_debug("%.*s %.*s: %d%s%s", (int)rq->method.len, rq->method.p,
			  (int)rq->target.len, rq->target.p, res->status, why ? ", " : "",
			  why ? why : "");
	else
		log_debug("refused with %d: %s", res->status, why ? why : "unknown");
}

static void on_signal(void *arg, int signo)
{
	struct service *s = arg;

	(void)signo;
	httpd_stop(s->httpd);
}

static int drop_privileges(const struct serve_opts *o, struct err *e)
{
	if (!confine_privileges())
		return err_errno(e, errno, "giving up privileges");
	if (!o->uid || geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(o->gid, o->gid, o->gid) < 0 ||
	    setresuid(o->uid, o->uid, o->uid) < 0)
		return err_errno(e, errno, "becoming user %u", o->uid);
	/* A process of the same user may not read our memory. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_errno(e, errno, "giving up privileges");
	return 0;
}

static int listen_on(struct httpd *h, const struct serve_opts *o, struct err *e)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
	struct sockaddr_storage bound;
	int rc;

	if (inet_pton(AF_INET, o->address, &a.sin_addr) != 1)
		return err_set(e, EINVAL, "'%s' is no IPv4 address", o->address);
	rc = httpd_listen(h, (struct sockaddr *)&a, sizeof(a), o->interface, e);
	if (rc == 0)
		rc = httpd_local_addr(h, 0, &bound, e);
	if (rc < 0)
		return rc;
	memcpy(&a, &bound, sizeof(a));
	log_info("listening on %s:%u", o->address, ntohs(a.sin_port));
	return 0;
}

int serve(const struct instance *in, const struct serve_opts *o, struct err *e)
{
	AUTO(httpd_free) struct httpd *h = NULL;
	struct httpd_opts opts = HTTPD_OPTS_DEFAULT;
	struct service s = {.in = in, .root_user_data = o->root_user_data};
	int rc = token_key_random(&s.key, e);

	if (rc < 0)
		return rc;
	opts.arg = &s;
	opts.handle = handle;
	opts.log = log_exchange;
	opts.server = "EC2ws";
	opts.max_connections = 256;
	opts.max_per_address = 256; /* all of them come from this machine */
	rc = httpd_new(&opts, &h, e);
	if (rc < 0)
		return rc;
	s.httpd = h;
	rc = listen_on(h, o, e);
	if (rc == 0)
		rc = httpd_on_signal(h, SIGTERM, on_signal, &s, e);
	if (rc == 0)
		rc = httpd_on_signal(h, SIGINT, on_signal, &s, e);
	if (rc == 0)
		rc = notify_manager("READY=1", e);
	if (rc == 0 && o->background)
		rc = background_ready(o->background, IMDS_PID, o->ready_fd, e);
	if (rc == 0)
		rc = drop_privileges(o, e);
	return rc < 0 ? rc : httpd_run(h, e);
}
