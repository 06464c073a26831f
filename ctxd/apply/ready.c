/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READY: to OneGate (PUT ENDPOINT/vm with the machine's token), or as a form that is posted to a URL,
 * when all else was applied and, if the context brings one, a script says so by succeeding. Once a
 * boot, and again when the context is another: updates are many.
 *
 * Plain HTTP to a literal address is spoken by ctxd itself; for the rest, TLS and names, the guest's
 * curl is run, which gets URL and token by its standard input, where no other process sees them.
 */
#include <stdio.h>
#include <time.h>

#include "ctxd/applied.h"
#include "ctxd/http_client.h"
#include "ctxd/run.h"
#include "ctxd/state.h"
#include "ctxd/wire.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/str.h"

#define TRIES_DEFAULT 3
#define WAIT_DEFAULT 10
#define TIMEOUT_S 30
#define ANSWER_MAX (64 * KIB)

struct report {
	const char *method;
	char *url, *body;
	char *headers[3];
};

static void report_release(struct report *r)
{
	free(r->url);
	free(r->body);
	for (size_t i = 0; i < ARRAY_SIZE(r->headers); i++)
		free(r->headers[i]);
}
DEFINE_AUTO_STRUCT(struct report, report_release);

static bool is_text(const char *s)
{
	for (; s && *s; s++) {
		if ((unsigned char)*s < ' ' || *s == '"' || *s == '\\')
			return false;
	}
	return true;
}

static int make_onegate(const struct context *c, struct report *r, struct err *e)
{
	const struct context_ready *ready = &c->ready;

	if (!ready->token || !ready->vm_id)
		return err_set(e, EINVAL, "the context has no token for OneGate, or no VMID");
	r->method = "PUT";
	r->url = str_format("%s/vm", ready->endpoint);
	r->body = strdup("READY=YES");
	r->headers[0] = str_format("X-ONEGATE-TOKEN: %s", ready->token);
	r->headers[1] = str_format("X-ONEGATE-VMID: %s", ready->vm_id);
	return r->url && r->body && r->headers[0] && r->headers[1] ? 0 : err_nomem(e);
}

/* Percent-encodes what is not plain (WHATWG URL, application/x-www-form-urlencoded). */
static int add_form(struct buf *out, const char *key, const char *value)
{
	int rc = buf_addf(out, "%s%s=", out->len ? "&" : "", key);

	for (; rc == 0 && value && *value; value++) {
		unsigned char c = (unsigned char)*value;
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			     (c >= 'a' && c <= 'z') || strchr("-._", c);

		rc = plain ? buf_addc(out, *value) : buf_addf(out, "%%%02X", c);
	}
	return rc;
}

static int make_form(const struct context *c, struct report *r, struct err *e)
{
	AUTO_BUF body = BUF_INIT;

	if (add_form(&body, "instance_id", c->instance_id) < 0 ||
	    add_form(&body, "hostname", c->hostname) < 0 || add_form(&body, "ready", "YES") < 0)
		return err_nomem(e);
	r->method = "POST";
	r->url = strdup(c->ready.url);
	r->body = buf_detach(&body);
	r->headers[0] = strdup("Content-Type: application/x-www-form-urlencoded");
	return r->url && r->body && r->headers[0] ? 0 : err_nomem(e);
}

/* ---- sending ----------------------------------------------------------------------------- */

static int send_self(const struct report *r, const struct http_url *u, struct err *e)
{
	struct http_exchange x = {
		.method = r->method,
		.headers = (const char *const *)r->headers,
		.body = r->body,
		.body_len = strlen(r->body),
		.timeout_ms = TIMEOUT_S * 1000,
		.limit = ANSWER_MAX,
	};
	AUTO_BUF answer = BUF_INIT;
	int rc = http_ask(u, NULL, &x, &answer, e);

	if (rc < 0)
		return rc;
	return rc / 100 == 2 ? 0 : err_set(e, EIO, "the answer was %d", rc);
}

static int send_by_curl(const struct report *r, struct err *e)
{
	/* No pattern in an address, no other scheme; redirections are not followed anyway. */
	static const char *const argv[] = {"curl", "-sSfg", "--proto", "=http,https",
					   "-m",   "30",    "-o",      "/dev/null",
					   "-K",   "-",     NULL};
	AUTO_BUF config = BUF_INIT;
	int rc = buf_addf(&config, "url = \"%s\"\nrequest = \"%s\"\ndata = \"%s\"\n", r->url,
			  r->method, r->body);

	for (size_t i = 0; rc == 0 && r->headers[i]; i++)
		rc = buf_addf(&config, "header = \"%s\"\n", r->headers[i]);
	if (rc < 0)
		return err_nomem(e);
	if (!is_text(r->url) || !is_text(r->headers[0]) || !is_text(r->headers[1]))
		return err_set(e, EINVAL, "the URL or the token has characters that none has");
	return proc_run(argv, config.data, config.len, NULL, 0, TIMEOUT_S + 5, e);
}

static int try_all(const struct apply *a, const struct report *r, struct err *e)
{
	uint32_t tries = a->c->ready.retries ? a->c->ready.retries : TRIES_DEFAULT;
	struct timespec wait = {.tv_sec = a->c->ready.retry_wait ? a->c->ready.retry_wait
								 : WAIT_DEFAULT};
	AUTO(http_url_release) struct http_url u = {0};
	bool self = http_url_parse(r->url, &u, NULL) == 0;
	int rc;

	for (;;) {
		rc = self ? send_self(r, &u, e) : send_by_curl(r, e);
		if (rc == 0 || !--tries)
			return rc < 0 ? err_wrap(e, "'%s'", r->url) : 0;
		log_debug("'%s': %s; once more in %u s", r->url, e->msg, (unsigned)wait.tv_sec);
		nanosleep(&wait, NULL);
	}
}

/* The context as it was found, not only what is reported: it was applied anew. */
static int context_digest(const struct guest *g, char out[17], struct err *e)
{
	struct applied_digest d = APPLIED_DIGEST_INIT;
	AUTO_FREE char *path = guest_path(g, STATE_CONTEXT);
	AUTO_BUF bytes = BUF_INIT;
	int rc = path ? fs_read_file(path, WIRE_MAX, &bytes, e) : err_nomem(e);

	applied_add(&d, buf_str(&bytes), bytes.len);
	applied_text(&d, out);
	return rc;
}

static bool was_sent(const struct guest *g, const char *digest)
{
	AUTO_FREE char *path = guest_path(g, STATE_READY);
	AUTO_BUF sent = BUF_INIT;

	return path && fs_read_file(path, 64, &sent, NULL) == 0 &&
	       strcmp(buf_str(&sent), digest) == 0;
}

static int note_sent(const struct guest *g, const char *digest, struct err *e)
{
	AUTO_FREE char *path = guest_path(g, STATE_READY);

	return path ? fs_write_file(path, digest, strlen(digest), 0600, e) : err_nomem(e);
}

static int apply_ready(struct apply *a, struct err *e)
{
	const struct context_ready *ready = &a->c->ready;
	AUTO(report_release) struct report r = {0};
	char digest[17];
	int rc;

	if (ready->report != CHOICE_YES && !ready->url)
		return 0;
	if (!ready->url && !ready->endpoint)
		return err_set(e, EINVAL, "the context does not say to whom");
	rc = context_digest(a->g, digest, e);
	if (rc < 0 || was_sent(a->g, digest))
		return rc;
	rc = ready->url ? make_form(a->c, &r, e) : make_onegate(a->c, &r, e);
	if (rc == 0 && ready->script.len)
		rc = run_script(a, "ready", &ready->script, e);
	if (rc == 0 && guest_tell(a->g, e, "ready to %s", r.url) < 0)
		rc = -ENOMEM;
	if (rc < 0 || a->g->dry_run || !a->g->live)
		return rc;
	state_unlock(a->g); /* the last part: an update need not wait for an answer */
	rc = try_all(a, &r, e);
	return rc < 0 ? rc : note_sent(a->g, digest, e);
}

const struct part part_ready = {"ready", apply_ready, NULL};
