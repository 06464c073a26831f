/* SPDX-License-Identifier: Apache-2.0 */
/* Messages on a socket: see wire.h. */
#include "imgconv/inject/wire.h"

#include <poll.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/stop.h"

#define HEAD 8
#define PIECE MIB
#define LOOK_MS 200 /* between looks whether somebody wants an end */

/* ---- making ---------------------------------------------------------------------------------- */

/* A message for which there was no memory is empty. */
static void spoil(struct buf *m, int rc)
{
	if (rc < 0)
		buf_clear(m);
}

void wire_begin(struct buf *m, uint32_t code)
{
	uint8_t head[HEAD] = {0};

	le32_put(head + 4, code);
	buf_clear(m);
	spoil(m, buf_add(m, head, sizeof(head)));
}

void wire_bytes(struct buf *m, const void *data, size_t len)
{
	uint8_t head[4];

	if (!m->len)
		return;
	if (len > WIRE_MAX) {
		buf_clear(m);
		return;
	}
	le32_put(head, (uint32_t)len);
	spoil(m, buf_add(m, head, sizeof(head)));
	if (m->len && len)
		spoil(m, buf_add(m, data, len));
}

void wire_text(struct buf *m, const char *text)
{
	wire_bytes(m, text, strlen(text));
}

void wire_number(struct buf *m, uint64_t n)
{
	uint8_t bytes[8];

	le64_put(bytes, n);
	wire_bytes(m, bytes, sizeof(bytes));
}

int wire_send(int fd, struct buf *m, struct err *e)
{
	size_t done = 0;

	if (!m->len)
		return err_nomem(e);
	if (m->len - 4 > WIRE_MAX)
		return err_set(e, EFBIG, "a message of %zu bytes", m->len);
	le32_put(m->data, (uint32_t)(m->len - 4));
	while (done < m->len) {
		struct iovec part = {m->data + done, m->len - done};
		struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};
		ssize_t n = sendmsg(fd, &h, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return err_errno(e, errno, "talking to libguestfs");
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

/* ---- taking ---------------------------------------------------------------------------------- */

/* Bytes that are there, at most len; 0 at the end. */
static int read_some(int fd, uint64_t until_ms, void *to, size_t len, size_t *ret, struct err *e)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int rc = stop_check(e);
		ssize_t n;

		if (rc < 0)
			return rc;
		rc = poll(&p, 1, LOOK_MS);
		if (rc < 0 && errno != EINTR)
			return err_errno(e, errno, "poll");
		if (rc == 0 && clock_ms() >= until_ms)
			return err_set(e, ETIMEDOUT, "libguestfs does not answer");
		if (rc <= 0)
			continue;
		n = read(fd, to, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ECONNRESET)
			return err_errno(e, errno, "talking to libguestfs");
		*ret = n > 0 ? (size_t)n : 0;
		return 0;
	}
}

/* Appends len bytes to m; memory grows with what really comes. */
static int read_all(int fd, uint64_t until_ms, size_t len, struct buf *m, struct err *e)
{
	while (len) {
		size_t n = MIN(len, (size_t)PIECE);
		int rc = buf_reserve(m, n) < 0 ? err_nomem(e) : 0;

		if (rc == 0)
			rc = read_some(fd, until_ms, m->data + m->len, n, &n, e);
		if (rc < 0)
			return rc;
		if (!n)
			return err_set(e, EPIPE, "libguestfs ended");
		m->len += n;
		m->data[m->len] = '\0';
		len -= n;
	}
	return 0;
}

int wire_receive(int fd, unsigned timeout_s, struct buf *m, uint32_t *code, struct err *e)
{
	uint64_t until_ms = clock_ms() + (uint64_t)timeout_s * 1000;
	size_t len, had = 0;
	uint8_t head[HEAD];
	int rc;

	buf_clear(m);
	while (had < HEAD) {
		size_t n = 0;

		rc = read_some(fd, until_ms, head + had, HEAD - had, &n, e);
		if (rc < 0)
			return rc;
		if (!n)
			return had ? err_set(e, EBADMSG, "half a message of libguestfs") : 0;
		had += n;
	}
	len = le32_get(head);
	*code = le32_get(head + 4);
	if (len < 4)
		return err_set(e, EBADMSG, "a message of %zu bytes of libguestfs", len);
	if (len > WIRE_MAX)
		return err_set(e, EFBIG, "a message of %zu bytes of libguestfs", len);
	rc = read_all(fd, until_ms, len - 4, m, e);
	return rc < 0 ? rc : 1;
}

struct wire_reader wire_fields(const struct buf *m)
{
	return (struct wire_reader){.at = buf_str(m), .left = m->len};
}

bool wire_end(const struct wire_reader *r)
{
	return !r->left;
}

bool wire_take(struct wire_reader *r, const char **ret, size_t *ret_len)
{
	size_t len;

	if (r->left < 4)
		return false;
	len = le32_get(r->at);
	if (len > r->left - 4)
		return false;
	*ret = r->at + 4;
	*ret_len = len;
	r->at += 4 + len;
	r->left -= 4 + len;
	return true;
}

bool wire_take_text(struct wire_reader *r, char **ret)
{
	const char *data;
	size_t len;

	*ret = NULL;
	if (wire_take(r, &data, &len) && !memchr(data, '\0', len))
		*ret = strndup(data, len);
	return *ret;
}

bool wire_take_number(struct wire_reader *r, uint64_t *ret)
{
	const char *data;
	size_t len;

	if (!wire_take(r, &data, &len) || len != 8)
		return false;
	*ret = le64_get(data);
	return true;
}
