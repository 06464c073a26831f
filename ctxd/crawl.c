/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata services: see ctxd/crawl.h.
 *
 *	nocloud     meta-data, user-data, vendor-data, network-config below the URL
 *	openstack   openstack/latest/meta_data.json and others
 *	cloudstack  latest/meta-data/ and others, latest/user-data
 *	gce         computeMetadata/v1/?recursive=true, with "Metadata-Flavor: Google"
 *	ec2         all leaves below latest/meta-data/, latest/user-data, the identity document; with a
 *	            session token (IMDSv2) where the service gives one
 */
#include "ctxd/crawl.h"

#include <time.h>

#include "ctxd/http_client.h"
#include "lib/str.h"

#define TIMEOUT_MS 5000
#define TRIES 4
#define TRY_WAIT_S 2
#define ROUTE_TRIES 40 /* a second each */
#define DOC_MAX (4 * MIB)
#define ALL_MAX (16 * MIB)
#define REQUESTS_MAX 1000
#define DEPTH_MAX 8
#define TOKEN_MAX 512

struct crawler {
	struct http_url url;
	struct tree *docs;
	const char *headers[2]; /* of each request, NULL-ended */
	char token[TOKEN_MAX + 64];
	size_t requests, bytes;
	struct err *e;
};

/* Returns the status, or an error. */
static int ask(struct crawler *c, const char *path, struct buf *out)
{
	struct http_exchange x = {
		.headers = c->headers, .timeout_ms = TIMEOUT_MS, .limit = DOC_MAX};
	int rc;

	if (++c->requests > REQUESTS_MAX)
		return err_set(c->e, EFBIG, "more than %d documents", REQUESTS_MAX);
	rc = http_ask(&c->url, path, &x, out, c->e);
	if (rc < 0)
		return err_wrap(c->e, "'%s'", path);
	c->bytes += out->len;
	return c->bytes > ALL_MAX
		       ? err_set(c->e, EFBIG, "more than %llu bytes", (unsigned long long)ALL_MAX)
		       : rc;
}

/* The same for the first one, which may take a while to be there. */
static int ask_first(struct crawler *c, const char *path, struct buf *out)
{
	static const struct timespec wait = {.tv_sec = TRY_WAIT_S};
	int rc;

	for (unsigned tries = TRIES;;) {
		buf_clear(out);
		rc = ask(c, path, out);
		if ((rc >= 200 && rc < 500 && rc != 429) || rc == -EBADMSG || rc == -EFBIG ||
		    rc == -ENOMEM || !--tries)
			return rc;
		nanosleep(&wait, NULL);
	}
}

/* Adds what is there; must: it has to be. */
static int take(struct crawler *c, int status, const char *path, const char *name,
		const struct buf *body, bool must)
{
	if (status < 0)
		return status;
	if (status == 200)
		return tree_add(c->docs, 0, name, body->data, body->len, c->e);
	if (status == 404 && !must)
		return 0;
	return err_set(c->e, status == 404 ? ENOENT : EIO, "'%s': the answer was %d", path, status);
}

/* Documents by their names below prefix; the first one must be there. */
static int take_list(struct crawler *c, const char *prefix, const char *const *names, bool keep)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && names[i]; i++) {
		AUTO_FREE char *path = str_format("%s%s", prefix, names[i]);
		AUTO_BUF body = BUF_INIT;

		if (!path)
			return err_nomem(c->e);
		rc = i ? ask(c, path, &body) : ask_first(c, path, &body);
		rc = take(c, rc, path, keep ? path : names[i], &body, i == 0);
	}
	return rc;
}

static int crawl_nocloud(struct crawler *c)
{
	static const char *const names[] = {"meta-data", "user-data", "vendor-data",
					    "network-config", NULL};

	return take_list(c, "", names, false);
}

static int crawl_openstack(struct crawler *c)
{
	static const char *const names[] = {"meta_data.json",   "network_data.json", "user_data",
					    "vendor_data.json", "vendor_data2.json", NULL};

	return take_list(c, "openstack/latest/", names, true);
}

static int crawl_cloudstack(struct crawler *c)
{
	static const char *const names[] = {"meta-data/instance-id",
					    "meta-data/local-hostname",
					    "meta-data/public-hostname",
					    "meta-data/local-ipv4",
					    "meta-data/public-ipv4",
					    "meta-data/availability-zone",
					    "meta-data/service-offering",
					    "meta-data/vm-id",
					    "meta-data/cloud-identifier",
					    "user-data",
					    NULL};

	/* Below meta-data EC2's list of keys may be in the keys' place. */
	static const char *const keys[] = {"latest/public-keys", "latest/meta-data/public-keys"};
	int rc = take_list(c, "latest/", names, true), status = 404;

	for (size_t i = 0; rc == 0 && status == 404 && i < ARRAY_SIZE(keys); i++) {
		AUTO_BUF body = BUF_INIT;

		status = ask(c, keys[i], &body);
		rc = take(c, status, keys[i], keys[1], &body, false);
	}
	return rc;
}

static int crawl_gce(struct crawler *c)
{
	static const char path[] = "computeMetadata/v1/?recursive=true&alt=json";
	AUTO_BUF body = BUF_INIT;

	c->headers[0] = "Metadata-Flavor: Google";
	return take(c, ask_first(c, path, &body), path, "computeMetadata.json", &body, true);
}

/* ---- EC2 --------------------------------------------------------------------------------- */

/* A service without session tokens answers otherwise, and is asked without one. */
static int get_token(struct crawler *c)
{
	static const char *const headers[] = {"X-aws-ec2-metadata-token-ttl-seconds: 300", NULL};
	struct http_exchange x = {
		.method = "PUT", .headers = headers, .timeout_ms = TIMEOUT_MS, .limit = TOKEN_MAX};
	AUTO_BUF token = BUF_INIT;
	int rc = http_ask(&c->url, "/latest/api/token", &x, &token, NULL);

	if (rc != 200)
		return 0;
	for (size_t i = 0; i < token.len; i++) {
		if ((unsigned char)token.data[i] <= ' ' || (unsigned char)token.data[i] >= 0x7f)
			return err_set(c->e, EBADMSG,
				       "the session token has characters that none has");
	}
	memcpy(c->token, "X-aws-ec2-metadata-token: ", 26);
	memcpy(c->token + 26, buf_str(&token), token.len + 1);
	c->headers[0] = c->token;
	return 0;
}

/* Secrets that nobody here needs. */
static bool is_left_out(const char *name)
{
	return strcmp(name, "iam/") == 0 || strcmp(name, "identity-credentials/") == 0;
}

static int crawl_listing(struct crawler *c, const char *path, unsigned depth);

/* A line of a listing: "name", "name/", or below public-keys "0=name", which is a folder. */
static int crawl_entry(struct crawler *c, const char *path, char *line, unsigned depth)
{
	bool is_key = str_has_suffix(path, "/public-keys/");
	AUTO_FREE char *full = NULL;
	AUTO_BUF body = BUF_INIT;
	int rc;

	if (is_key)
		line[strcspn(line, "=")] = '\0';
	if (!*line || is_left_out(line) || strpbrk(line, "?#% \t\\") || strstr(line, ".."))
		return 0;
	full = str_format("%s%s%s", path, line, is_key ? "/" : "");
	if (!full)
		return err_nomem(c->e);
	if (str_has_suffix(full, "/"))
		return depth < DEPTH_MAX ? crawl_listing(c, full, depth + 1) : 0;
	rc = ask(c, full, &body);
	return take(c, rc, full, full + strlen("latest/"), &body, false);
}

static int crawl_listing(struct crawler *c, const char *path, unsigned depth)
{
	AUTO_BUF body = BUF_INIT;
	char *save = NULL;
	int rc = depth ? ask(c, path, &body) : ask_first(c, path, &body);

	if (rc < 0)
		return rc;
	if (rc != 200)
		return depth ? 0
			     : err_set(c->e, rc == 404 ? ENOENT : EIO, "'%s': the answer was %d",
				       path, rc);
	if (memchr(buf_str(&body), '\0', body.len))
		return err_set(c->e, EBADMSG, "'%s' is no listing", path);
	rc = 0;
	for (char *line = body.data ? strtok_r(body.data, "\r\n", &save) : NULL; rc == 0 && line;
	     line = strtok_r(NULL, "\r\n", &save))
		rc = crawl_entry(c, path, line, depth);
	return rc;
}

static int crawl_ec2(struct crawler *c)
{
	static const char document[] = "latest/dynamic/instance-identity/document";
	AUTO_BUF user_data = BUF_INIT, identity = BUF_INIT;
	int rc = get_token(c);

	if (rc == 0)
		rc = crawl_listing(c, "latest/meta-data/", 0);
	if (rc == 0)
		rc = take(c, ask(c, "latest/user-data", &user_data), "latest/user-data",
			  "user-data", &user_data, false);
	return rc < 0 ? rc
		      : take(c, ask(c, document, &identity), document, document + strlen("latest/"),
			     &identity, false);
}

/*
 * Init systems start this when the network's programs run, which may be before there is an address: a
 * token that is not given then would be taken for a service without tokens.
 */
static void wait_for_route(const struct http_url *u)
{
	static const struct timespec wait = {.tv_sec = 1};

	for (unsigned tries = 0; tries < ROUTE_TRIES && !http_has_route(u); tries++)
		nanosleep(&wait, NULL);
}

int crawl(const char *dialect, const char *url, struct tree *docs, struct err *e)
{
	static const struct {
		const char *name;
		int (*crawl)(struct crawler *c);
	} kinds[] = {
		{"nocloud", crawl_nocloud}, {"openstack", crawl_openstack},   {"ec2", crawl_ec2},
		{"gce", crawl_gce},         {"cloudstack", crawl_cloudstack},
	};
	AUTO_FREE struct crawler *c = calloc(1, sizeof(*c));
	int rc = c ? http_url_parse(url, &c->url, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	c->docs = docs;
	c->e = e;
	rc = err_set(e, ENOTSUP, "%s has no metadata service", dialect);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].name, dialect) == 0) {
			wait_for_route(&c->url);
			rc = kinds[i].crawl(c);
			break;
		}
	}
	http_url_release(&c->url);
	return rc;
}
