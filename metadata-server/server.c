/* SPDX-License-Identifier: Apache-2.0 */
/* The service: loads instances, finds the one that asks, answers, writes the access log. */
#include "metadata-server/server.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <time.h>

#include "lib/log.h"
#include "lib/str.h"
#include "metadata-server/identify.h"
#include "metadata-server/one.h"

static void warn_of_unidentified(const struct store *st)
{
	size_t n = 0;

	for (size_t i = 0; i < store_count(st); i++)
		n += !store_at(st, i)->identify.given;
	if (n)
		log_warn("%zu of %zu instances have no 'identify': no guest can be known as them",
			 n, store_count(st));
}

int server_load(struct server *s, size_t *faults, struct err *e)
{
	AUTO(instance_free) struct instance *one = NULL;
	AUTO(store_free) struct store *store = NULL;
	int rc;

	if (s->as)
		rc = one_load(s->as, s->dir, faults, &one, e);
	else
		rc = directory_load(s->dir, report_fault, faults, &store, e);
	if (rc)
		return rc;
	if (store)
		warn_of_unidentified(store);
	if (s->one)
		instance_free(s->one);
	if (s->store)
		store_free(s->store);
	s->one = STEAL(one);
	s->store = STEAL(store);
	return 0;
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

static uint64_t seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec;
}

static int on_request(void *arg, const struct httpd_exchange *x, struct http_response *res,
		      struct err *e)
{
	struct server *s = arg;
	struct imds_env env = {.key = &s->key, .now = seconds_now()};

	s->why = NULL;
	s->asked = s->one;
	if (!s->asked && identify(s->store, x->peer, &s->asked, &s->unknown)) {
		s->asked = NULL;
		s->why = "unknown guest";
		warn_unknown(s, env.now);
		return http_response_error(res, 404) ? err_nomem(e) : 0;
	}
	return imds_answer(x->request, s->asked, &env, res, &s->why, e);
}

/* key=value, the request's target last: it is the one value that a guest chose, and has no blanks.
 */
static void on_log(void *arg, const struct httpd_exchange *x, const struct http_response *res,
		   const char *why)
{
	struct server *s = arg;
	const struct http_request *rq = x->request;
	struct http_slice none = {"-", 1};
	struct http_slice method = rq ? rq->method : none;
	struct http_slice target = rq ? rq->target : none;
	char address[46], interface[16];

	if (!why)
		why = rq ? s->why : NULL;
	if (res->status >= 500)
		log_err("answering with %d: %s", res->status, why ? why : "unknown");
	if (log_get_level() < LOG_LEVEL_DEBUG)
		return;
	peer_address(x->peer, address);
	peer_interface(x->peer, interface);
	log_debug("access peer=%s interface=%s instance=%s status=%d bytes=%zu why=\"%s\" "
		  "method=%.*s target=%.*s",
		  address[0] ? address : "-", interface[0] ? interface : "-",
		  rq && s->asked ? s->asked->name : "-", res->status, res->body.len, why ? why : "",
		  (int)MIN(method.len, 16), method.p, (int)MIN(target.len, 512), target.p);
}

int server_start(struct server *s, struct err *e)
{
	struct httpd_opts o = HTTPD_OPTS_DEFAULT;

	o.server = IMDS_SERVER;
	o.arg = s;
	o.handle = on_request;
	o.log = on_log;
	return httpd_new(&o, &s->httpd, e);
}

void server_release(struct server *s)
{
	if (s->httpd)
		httpd_free(s->httpd);
	if (s->one)
		instance_free(s->one);
	if (s->store)
		store_free(s->store);
	explicit_bzero(&s->key, sizeof(s->key));
	*s = (struct server){0};
}

int parse_listen(const char *text, const char *interface, struct sockaddr_storage *ret,
		 socklen_t *ret_len, struct err *e)
{
	const char *colon = strrchr(text, ':');
	AUTO_FREE char *address = NULL;
	struct ip_prefix ip;
	uint64_t port;
	size_t len;

	if (!colon || str_to_u64(colon + 1, 0, 65535, &port, NULL))
		return err_set(e, EINVAL, "'%s': is not ADDRESS:PORT", text);
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && colon[-1] == ']')
		address = strndup(text + 1, len - 2);
	else if (!memchr(text, ':', len))
		address = strndup(text, len);
	else
		return err_set(e, EINVAL, "'%s': an IPv6 address needs brackets: [ADDRESS]:PORT",
			       text);
	if (!address)
		return err_nomem(e);
	if (context_parse_ip(address, &ip, NULL) || ip.has_prefix)
		return err_set(e, EINVAL, "'%s': '%s' is not a numeric address", text, address);
	*ret = (struct sockaddr_storage){0};
	if (ip.family == AF_INET) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)ret;

		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		memcpy(&v4->sin_addr, ip.b, 4);
		*ret_len = sizeof(*v4);
	} else {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		memcpy(&v6->sin6_addr, ip.b, 16);
		if (interface && IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
			v6->sin6_scope_id = if_nametoindex(interface);
		*ret_len = sizeof(*v6);
	}
	return 0;
}
