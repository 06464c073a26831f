/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of NBD, as little as QEMU needs: fixed newstyle handshake, simple replies
 * (https://github.com/NetworkBlockDevice/nbd, doc/proto.md, as of version 3.25). All is big-endian.
 *
 *	server          8 "NBDMAGIC"  8 "IHAVEOPT"  2 flags
 *	client          4 flags
 *	option          8 "IHAVEOPT"  4 option  4 length  data
 *	option's reply  8 0x3e889045565a9  4 option  4 type  4 length  data
 *	request         4 0x25609513  2 flags  2 type  8 handle  8 offset  4 length  data
 *	reply           4 0x67446698  4 error  8 handle  data
 *
 * Not supported: structured replies, TLS, listing, trim, write zeroes, block status.
 */
#include "imgconv/nbd.h"

#include <poll.h>
#include <sys/socket.h>

#define MAGIC UINT64_C(0x4e42444d41474943)
#define OPTION_MAGIC UINT64_C(0x49484156454f5054)
#define REPLY_MAGIC UINT64_C(0x0003e889045565a9)
#define REQUEST_MAGIC 0x25609513u
#define ANSWER_MAGIC 0x67446698u

#define FLAG_FIXED_NEWSTYLE 1u
#define FLAG_NO_ZEROES 2u

#define OPT_EXPORT_NAME 1u
#define OPT_ABORT 2u
#define OPT_INFO 6u
#define OPT_GO 7u

#define REP_ACK 1u
#define REP_INFO 3u
#define REP_ERR_UNSUP 0x80000001u
#define INFO_EXPORT 0u

#define EXPORT_HAS_FLAGS 1u
#define EXPORT_SEND_FLUSH 4u

#define CMD_READ 0u
#define CMD_WRITE 1u
#define CMD_DISCONNECT 2u
#define CMD_FLUSH 3u

#define OPTION_MAX 4096u
#define OPTIONS_MOST 64u
#define PIECE_MAX (32 * MIB) /* what QEMU asks for at most */

struct server {
	struct image *im;
	int fd;
	bool no_zeroes;
	uint8_t *data; /* PIECE_MAX */
	struct err failure;
	struct err *e;
};

/* ---- the socket ------------------------------------------------------------------------------ */

/* 1; 0 at an end that comes before the first byte. */
static int get(struct server *s, void *to, size_t len)
{
	uint8_t *at = to;
	size_t had = 0;

	while (had < len) {
		ssize_t n = read(s->fd, at + had, len - had);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 && !had)
			return 0;
		if (n == 0)
			return err_set(s->e, EBADMSG, "NBD: the peer ended within a message");
		if (n < 0)
			return errno == ECONNRESET ? 0 : err_errno(s->e, errno, "NBD");
		had += (size_t)n;
	}
	return 1;
}

static int must_get(struct server *s, void *to, size_t len)
{
	int rc = len ? get(s, to, len) : 1;

	return rc ? rc : err_set(s->e, EBADMSG, "NBD: the peer ended within a message");
}

/* 1; 0: nobody reads it any more. */
static int put(struct server *s, const void *from, size_t len)
{
	const uint8_t *at = from;

	while (len) {
		struct iovec part = {(void *)at, len};
		struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};
		ssize_t n = sendmsg(s->fd, &h, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EPIPE || errno == ECONNRESET
				       ? 0
				       : err_errno(s->e, errno, "NBD");
		at += n;
		len -= (size_t)n;
	}
	return 1;
}

/* ---- handshake --------------------------------------------------------------------------------- */

static void put_export(uint8_t *to, const struct server *s)
{
	be64_put(to, image_size(s->im));
	be16_put(to + 8, EXPORT_HAS_FLAGS | EXPORT_SEND_FLUSH);
}

static int reply_option(struct server *s, uint32_t option, uint32_t type, const void *data,
			size_t len)
{
	uint8_t head[20];
	int rc;

	be64_put(head, REPLY_MAGIC);
	be32_put(head + 8, option);
	be32_put(head + 12, type);
	be32_put(head + 16, (uint32_t)len);
	rc = put(s, head, sizeof(head));
	return rc > 0 && len ? put(s, data, len) : rc;
}

static int export_name(struct server *s)
{
	uint8_t head[10 + 124] = {0};

	put_export(head, s);
	return put(s, head, s->no_zeroes ? 10 : sizeof(head));
}

static int export_info(struct server *s, uint32_t option)
{
	uint8_t info[12];
	int rc;

	be16_put(info, INFO_EXPORT);
	put_export(info + 2, s);
	rc = reply_option(s, option, REP_INFO, info, sizeof(info));
	return rc > 0 ? reply_option(s, option, REP_ACK, NULL, 0) : rc;
}

/* 1: the next option; 2: the requests begin; 0: the peer is gone. */
static int take_option(struct server *s)
{
	uint8_t head[16];
	uint32_t option, len;
	int rc = get(s, head, sizeof(head));

	if (rc <= 0)
		return rc;
	option = be32_get(head + 8);
	len = be32_get(head + 12);
	if (be64_get(head) != OPTION_MAGIC || len > OPTION_MAX)
		return err_set(s->e, EBADMSG, "NBD: a malformed option");
	rc = must_get(s, s->data, len);
	if (rc <= 0)
		return rc;
	switch (option) {
	case OPT_EXPORT_NAME:
		rc = export_name(s);
		return rc > 0 ? 2 : rc;
	case OPT_ABORT:
		rc = reply_option(s, option, REP_ACK, NULL, 0);
		return rc < 0 ? rc : 0;
	case OPT_INFO:
		return export_info(s, option);
	case OPT_GO:
		rc = export_info(s, option);
		return rc > 0 ? 2 : rc;
	default:
		return reply_option(s, option, REP_ERR_UNSUP, NULL, 0);
	}
}

/* 1: the requests begin; 0: the peer is gone. */
static int greet(struct server *s)
{
	uint8_t head[18], flags[4];
	int rc;

	be64_put(head, MAGIC);
	be64_put(head + 8, OPTION_MAGIC);
	be16_put(head + 16, FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES);
	rc = put(s, head, sizeof(head));
	if (rc > 0)
		rc = get(s, flags, sizeof(flags));
	if (rc <= 0)
		return rc;
	s->no_zeroes = be32_get(flags) & FLAG_NO_ZEROES;
	rc = 1;
	for (unsigned i = 0; i < OPTIONS_MOST && rc == 1; i++)
		rc = take_option(s);
	if (rc == 1)
		return err_set(s->e, EBADMSG, "NBD: more than %u options", OPTIONS_MOST);
	return rc < 0 ? rc : rc / 2;
}

/* ---- requests ---------------------------------------------------------------------------------- */

struct request {
	uint16_t type;
	uint8_t handle[8];
	uint64_t offset;
	uint32_t len;
};

static int answer(struct server *s, const struct request *r, uint32_t code, size_t len)
{
	uint8_t head[16];
	int rc;

	be32_put(head, ANSWER_MAGIC);
	be32_put(head + 4, code);
	memcpy(head + 8, r->handle, 8);
	rc = put(s, head, sizeof(head));
	return rc > 0 && len ? put(s, s->data, len) : rc;
}

/* What failed here is told to the peer as EIO, and kept. */
static int failed(struct server *s, const struct request *r, const struct err *why)
{
	if (!s->failure.code)
		s->failure = *why;
	return answer(s, r, EIO, 0);
}

static int do_request(struct server *s, const struct request *r)
{
	bool moves = r->type == CMD_READ || r->type == CMD_WRITE;
	struct err why = {0};
	int rc = 0;

	if (moves && (r->len > PIECE_MAX || !range_within(r->offset, r->len, image_size(s->im))))
		return err_set(s->e, EBADMSG, "NBD: a request for %u bytes at 0x%llx",
			       (unsigned)r->len, (unsigned long long)r->offset);
	switch (r->type) {
	case CMD_READ:
		rc = image_pread(s->im, s->data, r->len, r->offset, &why);
		return rc < 0 ? failed(s, r, &why) : answer(s, r, 0, r->len);
	case CMD_WRITE:
		rc = must_get(s, s->data, r->len);
		if (rc <= 0)
			return rc;
		rc = image_pwrite(s->im, s->data, r->len, r->offset, &why);
		return rc < 0 ? failed(s, r, &why) : answer(s, r, 0, 0);
	case CMD_FLUSH:
		return answer(s, r, 0, 0);
	case CMD_DISCONNECT:
		return 0;
	default:
		return answer(s, r, EINVAL, 0);
	}
}

static int take_request(struct server *s)
{
	uint8_t head[28];
	struct request r;
	int rc = get(s, head, sizeof(head));

	if (rc <= 0)
		return rc;
	if (be32_get(head) != REQUEST_MAGIC)
		return err_set(s->e, EBADMSG, "NBD: a malformed request");
	r.type = be16_get(head + 6);
	memcpy(r.handle, head + 8, 8);
	r.offset = be64_get(head + 16);
	r.len = be32_get(head + 24);
	return do_request(s, &r);
}

int nbd_serve(struct image *im, int fd, struct err *e)
{
	AUTO_FREE uint8_t *data = malloc(PIECE_MAX);
	struct server s = {.im = im, .fd = fd, .data = data, .e = e};
	int rc = data ? greet(&s) : err_nomem(e);

	while (rc > 0)
		rc = take_request(&s);
	if (s.failure.code && e)
		*e = s.failure;
	return s.failure.code ? -s.failure.code : rc;
}
