/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of S3: see lib/s3.h. */
#include "lib/s3.h"

#include "lib/str.h"

#define SCHEME "s3://"
#define KEY_MAX 1024 /* bytes, of S3 */

/* ---- names --------------------------------------------------------------------------------- */

bool s3_url_is(const char *text)
{
	return str_has_prefix(text, SCHEME);
}

int s3_url_parse(const char *text, struct s3_url *ret, struct err *e)
{
	AUTO(s3_url_release) struct s3_url u = {0};
	size_t len;

	if (!s3_url_is(text))
		return err_set(e, EINVAL, "'%s' does not begin with " SCHEME, text);
	text += strlen(SCHEME);
	len = strcspn(text, "/");
	if (!len)
		return err_set(e, EINVAL, "'" SCHEME "%s' names no bucket", text);
	u.bucket = strndup(text, len);
	u.key = strdup(text[len] ? text + len + 1 : "");
	if (!u.bucket || !u.key)
		return err_nomem(e);
	if (strlen(u.key) > KEY_MAX)
		return err_set(e, EINVAL, "a key of more than %d bytes", KEY_MAX);
	ret->bucket = STEAL(u.bucket);
	ret->key = STEAL(u.key);
	return 0;
}

void s3_url_release(struct s3_url *u)
{
	free(u->bucket);
	free(u->key);
	*u = (struct s3_url){0};
}

/* ---- requests ------------------------------------------------------------------------------ */

static void note_progress(void *opaque, const char *text)
{
	progress_note(opaque, text);
}

static int sink_append(void *opaque, const void *data, size_t len, struct err *e)
{
	return buf_add(opaque, data, len) < 0 ? err_nomem(e) : 0;
}

static int sink_restart(void *opaque, struct err *e)
{
	(void)e;
	buf_clear(opaque);
	return 0;
}

int s3_get(struct aws *a, struct httpc *c, const char *bucket, const char *key, uint64_t limit,
	   unsigned timeout_ms, struct progress *p, struct buf *data, struct err *e)
{
	AUTO_FREE char *path = str_format("/%s", key);
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	const struct httpc_sink sink = {sink_append, sink_restart, data};
	struct aws_request req = {
		.method = HTTPC_GET,
		.service = "s3",
		.bucket = bucket,
		.path = path,
		.sink = &sink,
		.max_sink = limit,
		.total_timeout_ms = timeout_ms,
		.note = note_progress,
		.note_opaque = p,
	};
	int rc;

	if (!path)
		return err_nomem(e);
	rc = aws_send(a, c, &req, &r, NULL, e);
	return rc < 0 ? err_wrap(e, "reading '" SCHEME "%s/%s'", bucket, key) : 0;
}

/* An ETag as the header has it, without its quotes. */
static void take_etag(const char *header, struct s3_object *o)
{
	size_t len = header ? strlen(header) : 0;

	if (len >= 2 && header[0] == '"' && header[len - 1] == '"') {
		header++;
		len -= 2;
	}
	if (!len || len >= sizeof(o->etag))
		return;
	memcpy(o->etag, header, len);
	o->etag[len] = '\0';
}

int s3_head(struct aws *a, struct httpc *c, const char *bucket, const char *key,
	    struct s3_object *ret, struct err *e)
{
	AUTO_FREE char *path = str_format("/%s", key);
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct s3_object o = {0};
	struct aws_request req = {
		.method = HTTPC_HEAD, .service = "s3", .bucket = bucket, .path = path};
	int rc;

	if (!path)
		return err_nomem(e);
	rc = aws_send(a, c, &req, &r, NULL, e);
	if (rc == 0)
		rc = httpc_header_u64(&r, "content-length", &o.size, e);
	if (rc < 0)
		return err_wrap(e, "'" SCHEME "%s/%s'", bucket, key);
	take_etag(httpc_header(&r, "etag"), &o);
	*ret = o;
	return 0;
}

/* base64 of the MD5, as Content-MD5 has it. */
static int md5_header(const void *data, size_t len, struct buf *ret)
{
	uint8_t md5[DIGEST_MAX];

	digest_of(DIGEST_MD5, data, len, md5);
	return base64_encode(md5, digest_size(DIGEST_MD5), ret);
}

int s3_put(struct aws *a, struct httpc *c, const char *bucket, const char *key, const char *acl,
	   const char *type, const void *data, size_t len, struct err *e)
{
	AUTO_FREE char *path = str_format("/%s", key);
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_BUF md5 = BUF_INIT;
	struct httpc_header headers[3];
	struct aws_request req = {
		.method = HTTPC_PUT,
		.service = "s3",
		.bucket = bucket,
		.path = path,
		.headers = headers,
		.body = data,
		.body_len = len,
	};
	int rc;

	if (!path || md5_header(data, len, &md5) < 0)
		return err_nomem(e);
	headers[req.n_headers++] = (struct httpc_header){"Content-MD5", buf_str(&md5)};
	if (type)
		headers[req.n_headers++] = (struct httpc_header){"Content-Type", type};
	if (acl)
		headers[req.n_headers++] = (struct httpc_header){"x-amz-acl", acl};
	rc = aws_send(a, c, &req, &r, NULL, e);
	return rc < 0 ? err_wrap(e, "writing '" SCHEME "%s/%s'", bucket, key) : 0;
}
