/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP to literal addresses: see ctxd/http_client.h. RFC 9112.
 *
 * The connection is closed behind each answer, so an answer is all that comes until then; a
 * Content-Length or a chunked coding must agree with that.
 */
#include "ctxd/http_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/str.h"

#define HEAD_MAX (16 * KIB)
#define PIECE (16 * KIB)

void http_url_release(struct http_url *u)
{
	free(u->path);
	u->path = NULL;
}

/* ---- URLs -------------------------------------------------------------------------------- */

static int not_taken(const char *url, const char *why, struct err *e)
{
	return err_set(e, EINVAL, "'%s': %s", url, why);
}

/* The part between "//" and '/': address, port. */
static int parse_authority(const char *url, char *text, struct http_url *u, struct err *e)
{
	char *host = text, *port = NULL, *zone;
	uint64_t number = 80;
	unsigned char raw[16];

	if (*host == '[') {
		char *end = strchr(++host, ']');

		if (!end)
			return not_taken(url, "'[' is not closed", e);
		*end = '\0';
		port = end[1] ? end + 1 : NULL;
		if (port && *port != ':')
			return not_taken(url, "is no URL", e);
	} else {
		port = strchr(host, ':');
	}
	if (port)
		*port++ = '\0';
	if (port && str_to_u64(port, 1, 65535, &number, NULL) < 0)
		return not_taken(url, "its port is no number", e);
	zone = strchr(host, '%');
	if (zone) {
		*zone++ = '\0';
		u->zone = if_nametoindex(zone);
		if (!u->zone)
			return not_taken(url, "there is no such interface", e);
	}
	if (strlen(host) >= sizeof(u->address) ||
	    (inet_pton(AF_INET, host, raw) != 1 && inet_pton(AF_INET6, host, raw) != 1))
		return not_taken(url, "only numeric addresses are taken", e);
	memcpy(u->address, host, strlen(host) + 1);
	u->port = (unsigned)number;
	return 0;
}

int http_url_parse(const char *url, struct http_url *ret, struct err *e)
{
	const char *p = url + strlen("http://"), *slash;
	AUTO(http_url_release) struct http_url u = {.port = 80};
	AUTO_FREE char *authority = NULL;
	int rc;

	if (!str_has_prefix(url, "http://"))
		return not_taken(url, "only http:// is taken", e);
	for (const char *c = url; *c; c++) {
		if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == '#' || *c == '@' || *c == '\\')
			return not_taken(url, "is no URL", e);
	}
	slash = p + strcspn(p, "/?");
	authority = strndup(p, (size_t)(slash - p));
	u.path = str_format("%s%s", *slash == '/' ? "" : "/", slash);
	if (!authority || !u.path)
		return err_nomem(e);
	rc = parse_authority(url, authority, &u, e);
	if (rc < 0)
		return rc;
	*ret = u;
	u.path = NULL;
	return 0;
}

/* ---- answers ----------------------------------------------------------------------------- */

static int bad(struct err *e, const char *why)
{
	return err_set(e, EBADMSG, "the answer is no HTTP: %s", why);
}

/* The value of a header field, or NULL; *len without blanks at its end. */
static const char *find_field(const char *head, const char *end, const char *name, size_t *len)
{
	size_t n = strlen(name);

	for (const char *line = head; line < end;) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));

		if (!eol)
			eol = end;
		if ((size_t)(eol - line) > n && strncasecmp(line, name, n) == 0 && line[n] == ':') {
			const char *v = line + n + 1;

			while (v < eol && (*v == ' ' || *v == '\t'))
				v++;
			while (eol > v && (eol[-1] == '\r' || eol[-1] == ' ' || eol[-1] == '\t'))
				eol--;
			*len = (size_t)(eol - v);
			return v;
		}
		line = eol + 1;
	}
	return NULL;
}

static int add_body(struct buf *out, size_t before, const char *p, size_t len, size_t limit,
		    struct err *e)
{
	if (out->len - before + len > limit)
		return err_set(e, EFBIG, "the answer is larger than %zu bytes", limit);
	return len && buf_add(out, p, len) < 0 ? err_nomem(e) : 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
		return (c | 0x20) - 'a' + 10;
	return -1;
}

static int take_chunks(const char *p, const char *end, size_t limit, struct buf *out, struct err *e)
{
	size_t before = out->len;

	for (;;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		uint64_t size = 0;
		unsigned digits = 0;
		int rc;

		if (!eol)
			return bad(e, "a chunk is cut");
		for (; hex_digit(*p) >= 0; p++, digits++)
			size = size << 4 | (unsigned)hex_digit(*p);
		if (!digits || digits > 8 || !strchr("\r\n; ", *p))
			return bad(e, "a chunk has no size");
		p = eol + 1;
		if (!size)
			return 0; /* trailers are of no use */
		if ((uint64_t)(end - p) < size + 2)
			return bad(e, "a chunk is cut");
		rc = add_body(out, before, p, (size_t)size, limit, e);
		if (rc < 0)
			return rc;
		p += size;
		p += *p == '\r';
		if (*p++ != '\n')
			return bad(e, "a chunk is longer than it says");
	}
}

int http_answer_parse(const char *data, size_t len, size_t limit, struct buf *out, struct err *e)
{
	const char *end = data + len, *head, *body, *v;
	uint64_t status, length = 0;
	size_t n;
	int rc;

	if (len < 12 || (memcmp(data, "HTTP/1.1 ", 9) != 0 && memcmp(data, "HTTP/1.0 ", 9) != 0))
		return bad(e, "no status line");
	for (unsigned i = 9; i < 12; i++) {
		if (data[i] < '0' || data[i] > '9')
			return bad(e, "no status");
	}
	status = (uint64_t)(data[9] - '0') * 100 + (uint64_t)(data[10] - '0') * 10 +
		 (uint64_t)(data[11] - '0');
	head = memchr(data, '\n', len);
	body = memmem(data, MIN(len, HEAD_MAX), "\r\n\r\n", 4);
	if (!head || !body)
		return bad(e, "its head is cut or too long");
	body += 4;
	v = find_field(head + 1, body, "Transfer-Encoding", &n);
	if (v) {
		if (n != 7 || strncasecmp(v, "chunked", 7) != 0)
			return bad(e, "an unknown transfer coding");
		rc = take_chunks(body, end, limit, out, e);
		return rc < 0 ? rc : (int)status;
	}
	v = find_field(head + 1, body, "Content-Length", &n);
	if (v) {
		AUTO_FREE char *text = strndup(v, n);

		if (!text || str_to_u64(text, 0, UINT32_MAX, &length, NULL) < 0)
			return bad(e, "its length is no number");
		if ((uint64_t)(end - body) < length)
			return bad(e, "it is cut");
		end = body + length;
	}
	rc = add_body(out, out->len, body, (size_t)(end - body), limit, e);
	return rc < 0 ? rc : (int)status;
}

/* ---- the exchange ------------------------------------------------------------------------ */

static int wait_for(int fd, short events, uint64_t deadline, struct err *e)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int left = clock_left_ms(deadline);
		int rc = left ? poll(&p, 1, left) : 0;

		if (rc > 0)
			return 0;
		if (rc == 0)
			return err_set(e, ETIMEDOUT, "no answer in time");
		if (errno != EINTR)
			return err_errno(e, errno, "waiting for an answer");
	}
}

static socklen_t make_address(const struct http_url *u, struct sockaddr_storage *out)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
				  .sin6_port = htons((uint16_t)u->port),
				  .sin6_scope_id = u->zone};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)u->port)};

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, u->address, &v4.sin_addr) == 1) {
		memcpy(out, &v4, sizeof(v4));
		return sizeof(v4);
	}
	inet_pton(AF_INET6, u->address, &v6.sin6_addr);
	memcpy(out, &v6, sizeof(v6));
	return sizeof(v6);
}

bool http_has_route(const struct http_url *u)
{
	struct sockaddr_storage a;
	socklen_t len = make_address(u, &a);
	AUTO_FD int fd = socket(a.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || connect(fd, (struct sockaddr *)&a, len) == 0 ||
	       (errno != ENETUNREACH && errno != EHOSTUNREACH && errno != ENETDOWN &&
		errno != EADDRNOTAVAIL);
}

static int open_connection(const struct http_url *u, uint64_t deadline, int *ret, struct err *e)
{
	struct sockaddr_storage a;
	socklen_t len = make_address(u, &a), n = sizeof(int);
	AUTO_FD int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0, rc;

	if (fd < 0)
		return err_errno(e, errno, "opening a socket");
	if (connect(fd, (struct sockaddr *)&a, len) < 0) {
		if (errno != EINPROGRESS)
			return err_errno(e, errno, "connecting");
		rc = wait_for(fd, POLLOUT, deadline, e);
		if (rc < 0)
			return rc;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 || error)
			return err_errno(e, error ? error : errno, "connecting");
	}
	*ret = steal_fd(&fd);
	return 0;
}

static int make_request(const struct http_url *u, const char *path, const struct http_exchange *x,
			struct buf *out)
{
	bool v6 = strchr(u->address, ':');
	const char *slash = strrchr(u->path, '/');
	int rc = buf_addf(out, "%s ", x->method ? x->method : "GET");

	if (rc == 0 && path && *path != '/')
		rc = buf_add(out, u->path, (size_t)(slash - u->path) + 1);
	if (rc == 0)
		rc = buf_addf(out, "%s HTTP/1.1\r\nHost: %s%s%s", path ? path : u->path,
			      v6 ? "[" : "", u->address, v6 ? "]" : "");
	if (rc == 0 && u->port != 80)
		rc = buf_addf(out, ":%u", u->port);
	if (rc == 0)
		rc = buf_adds(out, "\r\nUser-Agent: ctxd\r\nAccept: */*\r\nConnection: close\r\n");
	for (const char *const *h = x->headers; rc == 0 && h && *h; h++)
		rc = buf_addf(out, "%s\r\n", *h);
	if (rc == 0 && (x->body_len || (x->method && strcmp(x->method, "GET") != 0)))
		rc = buf_addf(out, "Content-Length: %zu\r\n", x->body_len);
	if (rc == 0)
		rc = buf_adds(out, "\r\n");
	return rc < 0 || !x->body_len ? rc : buf_add(out, x->body, x->body_len);
}

static int send_all(int fd, const struct buf *b, uint64_t deadline, struct err *e)
{
	size_t at = 0;

	while (at < b->len) {
		ssize_t n = send(fd, b->data + at, b->len - at, MSG_NOSIGNAL);

		if (n > 0) {
			at += (size_t)n;
		} else if (errno == EAGAIN || errno == EINTR) {
			if (wait_for(fd, POLLOUT, deadline, e) < 0)
				return -e->code;
		} else {
			return err_errno(e, errno, "sending");
		}
	}
	return 0;
}

static int receive_all(int fd, size_t limit, uint64_t deadline, struct buf *out, struct err *e)
{
	for (;;) {
		ssize_t n;

		if (buf_reserve(out, PIECE) < 0)
			return err_nomem(e);
		n = recv(fd, out->data + out->len, PIECE, 0);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_errno(e, errno, "receiving");
		if (n < 0 && wait_for(fd, POLLIN, deadline, e) < 0)
			return -e->code;
		out->len += n > 0 ? (size_t)n : 0;
		out->data[out->len] = '\0';
		/* Chunks take some bytes more. */
		if (out->len > HEAD_MAX + limit + limit / 2)
			return err_set(e, EFBIG, "the answer is larger than %zu bytes", limit);
	}
}

int http_ask(const struct http_url *u, const char *path, const struct http_exchange *x,
	     struct buf *out, struct err *e)
{
	uint64_t deadline = clock_ms() + x->timeout_ms;
	AUTO_BUF request = BUF_INIT, answer = BUF_INIT;
	AUTO_FD int fd = -1;
	int rc = make_request(u, path, x, &request) < 0 ? err_nomem(e) : 0;

	if (rc == 0)
		rc = open_connection(u, deadline, &fd, e);
	if (rc == 0)
		rc = send_all(fd, &request, deadline, e);
	if (rc == 0)
		rc = receive_all(fd, x->limit, deadline, &answer, e);
	if (rc == 0)
		rc = http_answer_parse(buf_str(&answer), answer.len, x->limit, out, e);
	return rc;
}
