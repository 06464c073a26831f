/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request by libcurl: see lib/http.h. The retries are in lib/http_retry.c.
 *
 * libcurl is driven by its multi interface, because there the wait is ours: it ends every 100 ms to
 * look for a stop request and for a stalled connection.
 */
#include "lib/http.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

#include "lib/clock.h"
#include "lib/http_curl.h"
#include "lib/stop.h"
#include "lib/str.h"
#include "lib/version.h"

#define DEFAULT_CONNECT_MS 10000
#define DEFAULT_STALL_MS 30000
#define DEFAULT_MAX_BODY (1u << 20)
#define MAX_HEADERS 256
#define MAX_HEADER_BYTES (64u << 10)
#define POLL_MS 100
#define RECEIVE_BUFFER (256L << 10)

struct httpc {
	CURL *easy;
	CURLM *multi;
	unsigned connect_timeout_ms, stall_timeout_ms;
	char *ca_file, *user_agent;
	char errbuf[CURL_ERROR_SIZE];
};

/* One attempt. */
struct transfer {
	const struct httpc_request *req;
	struct httpc_response *r;
	struct httpc_url url;
	struct curl_slist *headers;
	size_t header_bytes;
	uint64_t body_bytes;
	bool head_complete;
	int rc; /* a callback's failure; e is filled then */
	struct err *e;
};

const char *httpc_method_name(enum httpc_method m)
{
	static const char *const names[] = {
		[HTTPC_GET] = "GET",   [HTTPC_HEAD] = "HEAD",     [HTTPC_PUT] = "PUT",
		[HTTPC_POST] = "POST", [HTTPC_DELETE] = "DELETE",
	};

	return names[m];
}

bool httpc_error_is_transient(int rc)
{
	return rc == -EHOSTUNREACH || rc == -ECONNREFUSED || rc == -ECONNRESET ||
	       rc == -ETIMEDOUT || rc == -EAGAIN;
}

/* ---- client --------------------------------------------------------------------------------- */

static int set_up(struct httpc *c, const struct httpc_config *cfg)
{
	c->connect_timeout_ms =
		cfg->connect_timeout_ms ? cfg->connect_timeout_ms : DEFAULT_CONNECT_MS;
	c->stall_timeout_ms = cfg->stall_timeout_ms ? cfg->stall_timeout_ms : DEFAULT_STALL_MS;
	c->user_agent = strdup(cfg->user_agent ? cfg->user_agent : "acclimate/" ACCLIMATE_VERSION);
	c->ca_file = cfg->ca_file ? strdup(cfg->ca_file) : NULL;
	c->easy = curl.easy_init();
	c->multi = curl.multi_init();
	return c->user_agent && (c->ca_file || !cfg->ca_file) && c->easy && c->multi ? 0 : -ENOMEM;
}

int httpc_new(const struct httpc_config *cfg, struct httpc **ret, struct err *e)
{
	static const struct httpc_config none = {0};
	AUTO(httpc_free) struct httpc *c = NULL;
	int rc = curl_load(e);

	if (rc < 0)
		return rc;
	c = calloc(1, sizeof(*c));
	if (!c || set_up(c, cfg ? cfg : &none) < 0)
		return err_nomem(e);
	*ret = STEAL(c);
	return 0;
}

void httpc_free(struct httpc *c)
{
	if (!c)
		return;
	if (c->easy)
		curl.easy_cleanup(c->easy);
	if (c->multi)
		curl.multi_cleanup(c->multi);
	free(c->ca_file);
	free(c->user_agent);
	free(c);
}

/* ---- response ------------------------------------------------------------------------------- */

static void clear_headers(struct httpc_response *r)
{
	for (size_t i = 0; i < r->n_headers; i++) {
		free(r->headers[i].name);
		free(r->headers[i].value);
	}
	free(r->headers);
	r->headers = NULL;
	r->n_headers = 0;
}

void httpc_response_release(struct httpc_response *r)
{
	clear_headers(r);
	buf_release(&r->body);
	r->status = 0;
}

const char *httpc_header(const struct httpc_response *r, const char *name)
{
	for (size_t i = 0; i < r->n_headers; i++) {
		if (!strcasecmp(r->headers[i].name, name))
			return r->headers[i].value;
	}
	return NULL;
}

int httpc_header_u64(const struct httpc_response *r, const char *name, uint64_t *ret, struct err *e)
{
	const char *value = httpc_header(r, name);

	if (!value)
		return err_set(e, ENOENT, "the response has no header '%s'", name);
	if (str_to_u64(value, 0, UINT64_MAX, ret, NULL) < 0)
		return err_set(e, EBADMSG, "the header '%s: %s' is not a number", name, value);
	return 0;
}

int64_t httpc_date(const char *s)
{
	return curl_load(NULL) == 0 ? curl.getdate(s, NULL) : -1;
}

static int add_header(struct httpc_response *r, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	const char *value = colon + 1, *end = line + len;
	struct httpc_field *f;

	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && strchr(" \t\r\n", end[-1]))
		end--;
	/* MAX_HEADERS bounds it, so grow in one step. */
	if (!r->headers)
		r->headers = calloc(MAX_HEADERS, sizeof(*r->headers));
	if (!r->headers)
		return -ENOMEM;
	f = &r->headers[r->n_headers++];
	f->name = strndup(line, (size_t)(colon - line));
	f->value = strndup(value, (size_t)(end - value));
	return f->name && f->value ? 0 : -ENOMEM;
}

/* "HTTP/1.1 206 Partial Content" */
static int status_line(struct transfer *t, const char *line, size_t len)
{
	const char *p = memchr(line, ' ', len);
	int status = 0;

	for (int i = 1; p && i <= 3 && p + i < line + len && p[i] >= '0' && p[i] <= '9'; i++)
		status = status * 10 + (p[i] - '0');
	if (status < 100 || status > 599)
		return err_set(t->e, EPROTO, "the response has no status");
	clear_headers(t->r);
	t->r->status = status;
	t->head_complete = false;
	return 0;
}

static int header_line(struct transfer *t, const char *line, size_t len)
{
	if (t->head_complete && t->r->status >= 200)
		return 0; /* a trailer: nothing that we trust comes there */
	t->header_bytes += len;
	if (t->header_bytes > MAX_HEADER_BYTES || t->r->n_headers >= MAX_HEADERS)
		return err_set(t->e, EPROTO,
			       "the response has more than %u headers or %u bytes "
			       "of them",
			       MAX_HEADERS, MAX_HEADER_BYTES);
	if (len > 5 && !strncasecmp(line, "HTTP/", 5) && !memchr(line, ':', 5))
		return status_line(t, line, len);
	if (line[0] == '\r' || line[0] == '\n') {
		t->head_complete = true;
		return 0;
	}
	if (line[0] == ' ' || line[0] == '\t' || line[0] == ':' || memchr(line, '\0', len) ||
	    !memchr(line, ':', len))
		return err_set(t->e, EPROTO, "the response has a malformed header");
	return add_header(t->r, line, len) < 0 ? err_nomem(t->e) : 0;
}

static size_t on_header(char *line, size_t one, size_t len, void *opaque)
{
	struct transfer *t = opaque;

	(void)one;
	if (t->rc == 0 && len)
		t->rc = header_line(t, line, len);
	return t->rc == 0 ? len : CURL_WRITEFUNC_ERROR;
}

static int body_piece(struct transfer *t, const char *data, size_t len)
{
	const struct httpc_request *req = t->req;
	size_t max = req->max_body ? req->max_body : DEFAULT_MAX_BODY;

	if (req->sink && (t->r->status == 200 || t->r->status == 206)) {
		if (req->max_sink && t->body_bytes + len > req->max_sink)
			return err_set(t->e, EFBIG, "the body is longer than %llu bytes",
				       (unsigned long long)req->max_sink);
		t->body_bytes += len;
		return req->sink->write(req->sink->opaque, data, len, t->e);
	}
	t->body_bytes += len;
	if (len > max - MIN(max, t->r->body.len))
		return err_set(t->e, EFBIG, "the body is longer than %zu bytes", max);
	return buf_add(&t->r->body, data, len) < 0 ? err_nomem(t->e) : 0;
}

static size_t on_body(char *data, size_t one, size_t len, void *opaque)
{
	struct transfer *t = opaque;

	(void)one;
	if (t->rc == 0 && len)
		t->rc = body_piece(t, data, len);
	return t->rc == 0 ? len : CURL_WRITEFUNC_ERROR;
}

/* ---- request -------------------------------------------------------------------------------- */

static bool token_is_valid(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "0123456789!#$%&'*+-.^_`|~");

	return n > 0 && !s[n];
}

static bool value_is_valid(const char *s)
{
	for (; *s; s++) {
		if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
			return false;
	}
	return true;
}

static int add_line(struct transfer *t, const char *line)
{
	struct curl_slist *more = curl.slist_append(t->headers, line);

	if (!more)
		return err_nomem(t->e);
	t->headers = more;
	return 0;
}

static int build_headers(struct transfer *t)
{
	const struct httpc_request *req = t->req;
	bool has_type = false;
	int rc = add_line(t, "Expect:"); /* no 100-continue: bodies are small */

	for (size_t i = 0; i < req->n_headers && rc == 0; i++) {
		const struct httpc_header *h = &req->headers[i];
		AUTO_FREE char *line = NULL;

		/* The value is not shown: it may be a secret. */
		if (!token_is_valid(h->name) || !value_is_valid(h->value))
			return err_set(t->e, EINVAL, "the header '%s' cannot be sent", h->name);
		has_type |= !strcasecmp(h->name, "Content-Type");
		/* libcurl's way to say "with an empty value". */
		line = str_format(*h->value ? "%s: %s" : "%s;", h->name, h->value);
		if (!line)
			return err_nomem(t->e);
		rc = add_line(t, line);
		explicit_bzero(line, strlen(line));
	}
	if (rc == 0 && !has_type)
		rc = add_line(t, "Content-Type:");
	return rc;
}

static bool is_direct_ipv6(const char *host)
{
	static const uint8_t imds[16] = {0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54};
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;
	size_t len = strlen(host);

	if (*host != '[' || len - 2 >= sizeof(text))
		return false;
	memcpy(text, host + 1, len - 2);
	text[len - 2] = '\0';
	if (inet_pton(AF_INET6, text, &a) != 1)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&a) || IN6_IS_ADDR_LINKLOCAL(&a) ||
	       !memcmp(&a, imds, sizeof(imds));
}

/* Loopback and link-local: never by a proxy, which would answer for another machine. */
static bool is_direct(const char *host)
{
	struct in_addr a;

	if (!strcmp(host, "localhost") || str_has_suffix(host, ".localhost"))
		return true;
	if (inet_pton(AF_INET, host, &a) == 1) {
		uint32_t ip = ntohl(a.s_addr);

		return ip >> 24 == 127 || ip >> 16 == 0xa9fe;
	}
	return is_direct_ipv6(host);
}

static int set_method(CURL *c, const struct httpc_request *req)
{
	CURLcode rc = CURLE_OK;

	if (req->method == HTTPC_HEAD)
		rc = curl.easy_setopt(c, CURLOPT_NOBODY, 1L);
	if (req->method == HTTPC_PUT || req->method == HTTPC_POST || req->body) {
		rc |= curl.easy_setopt(c, CURLOPT_POST, 1L);
		rc |= curl.easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
		rc |= curl.easy_setopt(c, CURLOPT_POSTFIELDS, req->body ? req->body : "");
	}
	if (req->method != HTTPC_HEAD)
		rc |= curl.easy_setopt(c, CURLOPT_CUSTOMREQUEST, httpc_method_name(req->method));
	return rc == CURLE_OK ? 0 : -ENOMEM;
}

static int set_options(struct httpc *client, struct transfer *t)
{
	const struct httpc_request *req = t->req;
	unsigned connect_ms =
		req->connect_timeout_ms ? req->connect_timeout_ms : client->connect_timeout_ms;
	CURL *c = client->easy;
	CURLcode rc = CURLE_OK;

	curl.easy_reset(c); /* keeps the connections */
	rc |= curl.easy_setopt(c, CURLOPT_ERRORBUFFER, client->errbuf);
	rc |= curl.easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	rc |= curl.easy_setopt(c, CURLOPT_URL, req->url);
	rc |= curl.easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	rc |= curl.easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	rc |= curl.easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	rc |= curl.easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	rc |= curl.easy_setopt(c, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	rc |= curl.easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	rc |= curl.easy_setopt(c, CURLOPT_USERAGENT, client->user_agent);
	rc |= curl.easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
	/* Refused while a buffer is there, as after a name that was not found: that is as large. */
	(void)curl.easy_setopt(c, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
	rc |= curl.easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	rc |= curl.easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)req->total_timeout_ms);
	rc |= curl.easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	rc |= curl.easy_setopt(c, CURLOPT_HEADERDATA, t);
	rc |= curl.easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	rc |= curl.easy_setopt(c, CURLOPT_WRITEDATA, t);
	/* Do not wait for a name look-up that a stop request or a time limit has cut short. */
	rc |= curl.easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
	if (client->ca_file)
		rc |= curl.easy_setopt(c, CURLOPT_CAINFO, client->ca_file);
	if (is_direct(t->url.host))
		rc |= curl.easy_setopt(c, CURLOPT_PROXY, "");
	if (rc != CURLE_OK || set_method(c, req) < 0)
		return err_set(t->e, ENOMEM, "libcurl does not take the request");
	return 0;
}

/* ---- the attempt ---------------------------------------------------------------------------- */

static int connect_error(struct httpc *c, struct transfer *t)
{
	long os = 0;

	curl.easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &os);
	if (os == 0 || os == EINPROGRESS)
		return err_set(t->e, EHOSTUNREACH, "cannot connect to %s", t->url.authority);
	return err_errno(t->e, os == ECONNREFUSED ? ECONNREFUSED : EHOSTUNREACH,
			 "cannot connect to %s", t->url.authority);
}

static int broken_off(struct transfer *t, const char *detail)
{
	uint64_t length = 0;

	if (t->head_complete && httpc_header_u64(t->r, "Content-Length", &length, NULL) == 0)
		return err_set(t->e, ECONNRESET,
			       "the connection broke off after %llu of %llu bytes",
			       (unsigned long long)t->body_bytes, (unsigned long long)length);
	return err_set(t->e, ECONNRESET, "the connection broke off: %s", detail);
}

/* libcurl's code to ours. */
static int curl_error(struct httpc *c, struct transfer *t, CURLcode code)
{
	const char *detail = *c->errbuf ? c->errbuf : curl.easy_strerror(code);

	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return err_set(t->e, EAGAIN, "%s", detail);
	case CURLE_COULDNT_CONNECT:
		return connect_error(c, t);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(t->e, ETIMEDOUT, "%s", detail);
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SSL_CONNECT_ERROR:
		return broken_off(t, detail);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
		return err_set(t->e, EKEYREJECTED, "%s", detail);
	case CURLE_OUT_OF_MEMORY:
		return err_nomem(t->e);
	case CURLE_URL_MALFORMAT:
		return err_set(t->e, EINVAL, "%s", detail);
	default:
		return err_set(t->e, EPROTO, "%s", detail);
	}
}

/* Runs until libcurl is through, a stop request, or a stall. */
static int drive(struct httpc *c, struct transfer *t)
{
	uint64_t moved = 0, moved_at = clock_ms();
	int running = 1;

	for (;;) {
		curl_off_t sent = 0, connected = 0;
		CURLMcode mc = curl.multi_perform(c->multi, &running);

		if (mc == CURLM_OK && running)
			mc = curl.multi_poll(c->multi, NULL, 0, POLL_MS, NULL);
		if (mc != CURLM_OK)
			return err_set(t->e, mc == CURLM_OUT_OF_MEMORY ? ENOMEM : EIO, "%s",
				       curl.multi_strerror(mc));
		if (!running)
			return 0;
		if (stop_requested())
			return stop_check(t->e);
		curl.easy_getinfo(c->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
		curl.easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
		/* Until it is connected, CURLOPT_CONNECTTIMEOUT_MS watches. */
		if (!connected || moved != t->header_bytes + t->body_bytes + (uint64_t)sent) {
			moved = t->header_bytes + t->body_bytes + (uint64_t)sent;
			moved_at = clock_ms();
		} else if (clock_ms() - moved_at >= c->stall_timeout_ms) {
			return err_set(t->e, ETIMEDOUT, "no byte came for %u ms",
				       c->stall_timeout_ms);
		}
	}
}

static int perform(struct httpc *c, struct transfer *t)
{
	CURLMsg *msg;
	int left, rc;

	c->errbuf[0] = '\0';
	if (curl.multi_add_handle(c->multi, c->easy) != CURLM_OK)
		return err_nomem(t->e);
	rc = drive(c, t);
	msg = rc == 0 ? curl.multi_info_read(c->multi, &left) : NULL;
	if (t->rc < 0)
		rc = t->rc;
	else if (rc == 0 && (!msg || msg->msg != CURLMSG_DONE))
		rc = err_set(t->e, EIO, "libcurl ended without a result");
	else if (rc == 0 && msg->data.result != CURLE_OK)
		rc = curl_error(c, t, msg->data.result);
	curl.multi_remove_handle(c->multi, c->easy);
	return rc;
}

static void transfer_release(struct transfer *t)
{
	/* Authorization and tokens lie in it. */
	for (struct curl_slist *h = t->headers; h; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl.slist_free_all(t->headers);
	httpc_url_release(&t->url);
}
DEFINE_AUTO_STRUCT(struct transfer, transfer_release);

int httpc_send(struct httpc *c, const struct httpc_request *req, struct httpc_response *r,
	       struct err *e)
{
	struct err local = {.code = 0};
	AUTO(transfer_release) struct transfer t = {.req = req, .r = r, .e = e ? e : &local};
	int rc;

	clear_headers(r);
	buf_clear(&r->body);
	r->status = 0;
	rc = stop_check(t.e);
	if (rc == 0)
		rc = httpc_url_parse(req->url, &t.url, t.e);
	if (rc == 0)
		rc = build_headers(&t);
	if (rc == 0)
		rc = set_options(c, &t);
	if (rc == 0)
		rc = perform(c, &t);
	if (rc == 0 && r->status < 200)
		rc = err_set(t.e, EPROTO, "the response has no status");
	return rc;
}
