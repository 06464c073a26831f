/* SPDX-License-Identifier: Apache-2.0 */
/* Taking URLs apart and percent-encoding (RFC 3986): see lib/http.h. */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "lib/http.h"
#include "lib/str.h"

void httpc_url_release(struct httpc_url *u)
{
	free(u->scheme);
	free(u->host);
	free(u->authority);
	free(u->path);
	free(u->query);
	*u = (struct httpc_url){0};
}

/* A name or IPv4 address of letters, digits, '.', '-', '_'; or an IPv6 address in brackets. */
static bool host_is_valid(const char *host)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
	size_t len = strlen(host);

	if (*host == '[')
		return len > 3 && host[len - 1] == ']' &&
		       strspn(host + 1, "0123456789abcdef:.") == len - 2;
	return len > 0 && len <= 253 && strspn(host, name) == len;
}

/* "host:port" into host and port. */
static int split_authority(const char *s, size_t len, struct httpc_url *u, unsigned default_port,
			   struct err *e)
{
	const char *end_of_host = *s == '[' ? memchr(s, ']', len) : NULL;
	const char *colon = end_of_host ? end_of_host + 1 : memchr(s, ':', len);
	char digits[6];
	uint64_t port = default_port;
	size_t n;

	if (memchr(s, '@', len))
		return err_set(e, EINVAL, "a user name in a URL is not supported");
	if (colon == s + len)
		colon = NULL;
	u->host = strndup(s, colon ? (size_t)(colon - s) : len);
	if (!u->host)
		return err_nomem(e);
	for (char *p = u->host; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (!host_is_valid(u->host))
		return err_set(e, EINVAL, "'%s' is not a host name", u->host);
	if (colon) {
		n = (size_t)(s + len - colon - 1);
		if (*colon != ':' || !n || n >= sizeof(digits))
			return err_set(e, EINVAL, "the port is not a number");
		memcpy(digits, colon + 1, n);
		digits[n] = '\0';
		if (str_to_u64(digits, 1, 65535, &port, NULL) < 0)
			return err_set(e, EINVAL, "the port is not from 1 to 65535");
	}
	u->port = (unsigned)port;
	u->authority =
		port == default_port ? strdup(u->host) : str_format("%s:%u", u->host, u->port);
	return u->authority ? 0 : err_nomem(e);
}

static int parse(const char *url, struct httpc_url *u, struct err *e)
{
	bool tls = !strncasecmp(url, "https://", 8);
	const char *p = url + (tls ? 8 : 7);
	const char *query;
	size_t len;
	int rc;

	if (!tls && strncasecmp(url, "http://", 7) != 0)
		return err_set(e, EINVAL, "must begin with http:// or https://");
	for (const char *c = url; *c; c++) {
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
			return err_set(e, EINVAL, "has a character that must be percent-encoded");
		if (*c == '#')
			return err_set(e, EINVAL, "must not have a fragment ('#')");
	}
	len = strcspn(p, "/?");
	rc = split_authority(p, len, u, tls ? 443 : 80, e);
	if (rc < 0)
		return rc;
	p += len;
	query = strchr(p, '?');
	len = query ? (size_t)(query - p) : strlen(p);
	u->scheme = strdup(tls ? "https" : "http");
	u->path = len ? strndup(p, len) : strdup("/");
	u->query = strdup(query ? query + 1 : "");
	return u->scheme && u->path && u->query ? 0 : err_nomem(e);
}

int httpc_url_parse(const char *url, struct httpc_url *ret, struct err *e)
{
	AUTO(httpc_url_release) struct httpc_url u = {0};
	int rc = parse(url, &u, e);

	if (rc < 0)
		return err_wrap(e, "URL '%.*s'", (int)strcspn(url, "?@"), url), rc;
	*ret = u;
	u = (struct httpc_url){0};
	return 0;
}

int httpc_percent_encode(const void *data, size_t len, bool keep_slash, struct buf *out)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";
	static const char hex[] = "0123456789ABCDEF";
	const unsigned char *p = data;
	int rc = 0;

	for (size_t i = 0; i < len && rc == 0; i++) {
		char escaped[3] = {'%', hex[p[i] >> 4], hex[p[i] & 15]};

		if ((p[i] && strchr(plain, p[i])) || (keep_slash && p[i] == '/'))
			rc = buf_addc(out, (char)p[i]);
		else
			rc = buf_add(out, escaped, sizeof(escaped));
	}
	return rc;
}
