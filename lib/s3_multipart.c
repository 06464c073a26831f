/* SPDX-License-Identifier: Apache-2.0 */
/* Large objects of S3, written in parts: see lib/s3.h. */
#include <stdio.h>

#include "lib/fs.h"
#include "lib/pool.h"
#include "lib/s3.h"
#include "lib/stop.h"
#include "lib/str.h"
#include "lib/xml.h"

#define PART_SIZE (16 * MIB)
#define PARTS_MAX 10000 /* of S3 */
#define WORKERS 4
#define UPLOAD_ID_MAX 1024

struct upload {
	struct aws *aws;
	struct httpc *http;
	const char *bucket, *key;
	char *path;
	char *id; /* NULL: not begun, or ended */
	int fd;
	uint64_t size, part_size;
	size_t n_parts;
	char **etags; /* n_parts */
	struct pool *pool;
	struct httpc **clients; /* n_clients, one a worker */
	unsigned n_clients;
	struct progress *progress;
};

struct part_job {
	struct upload *owner;
	size_t number; /* from 0 */
};

static void upload_release(struct upload *u)
{
	if (u->pool)
		pool_free(u->pool, free);
	for (unsigned i = 0; u->clients && i < u->n_clients; i++)
		httpc_free(u->clients[i]);
	for (size_t i = 0; u->etags && i < u->n_parts; i++)
		free(u->etags[i]);
	free(u->etags);
	free(u->clients);
	free(u->path);
	free(u->id);
}
DEFINE_AUTO_STRUCT(struct upload, upload_release);

static void note_progress(void *opaque, const char *text)
{
	progress_note(opaque, text);
}

static int begin(struct upload *u, const char *acl, const char *type, struct err *e)
{
	const struct aws_param query = {"uploads", NULL};
	struct httpc_header headers[2];
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO(xml_free) struct xml_node *root = NULL;
	struct aws_request req = {
		.method = HTTPC_POST,
		.service = "s3",
		.bucket = u->bucket,
		.path = u->path,
		.query = &query,
		.n_query = 1,
		.headers = headers,
	};
	const char *id;
	int rc;

	if (acl)
		headers[req.n_headers++] = (struct httpc_header){"x-amz-acl", acl};
	if (type)
		headers[req.n_headers++] = (struct httpc_header){"content-type", type};
	rc = aws_send(u->aws, u->http, &req, &r, NULL, e);
	if (rc == 0)
		rc = xml_parse("CreateMultipartUpload", r.body.data, r.body.len, NULL, &root, e);
	if (rc < 0)
		return rc;
	id = xml_child_text(root, "UploadId", "");
	if (!*id || strlen(id) > UPLOAD_ID_MAX)
		return err_set(e, EBADMSG, "CreateMultipartUpload tells no UploadId");
	u->id = strdup(id);
	return u->id ? 0 : err_nomem(e);
}

/* A worker's job. */
static int put_part(void *job, unsigned worker, struct err *e)
{
	const struct part_job *j = job;
	struct upload *u = j->owner;
	uint64_t off = j->number * u->part_size, len = MIN(u->part_size, u->size - off);
	AUTO_FREE uint8_t *data = malloc(len);
	char number[24];
	const struct aws_param query[] = {{"partNumber", number}, {"uploadId", u->id}};
	uint8_t raw[DIGEST_MAX];
	AUTO_BUF md5 = BUF_INIT;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct httpc_header header = {"content-md5", NULL};
	struct aws_request req = {
		.method = HTTPC_PUT,
		.service = "s3",
		.bucket = u->bucket,
		.path = u->path,
		.query = query,
		.n_query = ARRAY_SIZE(query),
		.headers = &header,
		.n_headers = 1,
		.body = data,
		.body_len = len,
		.note = note_progress,
		.note_opaque = u->progress,
	};
	const char *etag;
	int rc;

	if (!data)
		return err_nomem(e);
	/* Not mapped: a file that becomes shorter would end the process. */
	rc = fs_pread(u->fd, data, len, off, e);
	if (rc < 0)
		return rc;
	snprintf(number, sizeof(number), "%zu", j->number + 1);
	digest_of(DIGEST_MD5, data, len, raw);
	if (base64_encode(raw, digest_size(DIGEST_MD5), &md5) < 0)
		return err_nomem(e);
	header.value = buf_str(&md5);
	rc = aws_send(u->aws, u->clients[worker], &req, &r, NULL, e);
	if (rc < 0)
		return err_wrap(e, "part %s", number);
	etag = httpc_header(&r, "etag");
	if (!etag || strlen(etag) > 128)
		return err_set(e, EBADMSG, "part %s has no ETag", number);
	u->etags[j->number] = strdup(etag);
	progress_add(u->progress, len);
	return u->etags[j->number] ? 0 : err_nomem(e);
}

static int put_all(struct upload *u, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < u->n_parts; i++) {
		struct part_job *j = malloc(sizeof(*j));

		if (!j)
			return err_nomem(e);
		*j = (struct part_job){u, i};
		rc = pool_submit(u->pool, put_part, j, e);
		if (rc < 0)
			free(j);
	}
	while (rc == 0 && pool_pending(u->pool)) {
		void *job = NULL;

		rc = pool_next(u->pool, &job, e);
		free(job);
		if (rc > 0)
			rc = stop_check(e);
	}
	return rc;
}

/* The answer can be an error although its status is 200. */
static int complete(struct upload *u, struct err *e)
{
	const struct aws_param query = {"uploadId", u->id};
	AUTO_BUF body = BUF_INIT;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO(xml_free) struct xml_node *root = NULL;
	struct aws_request req = {
		.method = HTTPC_POST,
		.service = "s3",
		.bucket = u->bucket,
		.path = u->path,
		.query = &query,
		.n_query = 1,
		.total_timeout_ms = 600000,
	};
	int rc = buf_adds(&body, "<CompleteMultipartUpload>");

	for (size_t i = 0; rc == 0 && i < u->n_parts; i++) {
		rc = buf_addf(&body, "<Part><PartNumber>%zu</PartNumber><ETag>", i + 1);
		if (rc == 0)
			rc = xml_escape(u->etags[i], &body);
		if (rc == 0)
			rc = buf_adds(&body, "</ETag></Part>");
	}
	if (rc < 0 || buf_adds(&body, "</CompleteMultipartUpload>") < 0)
		return err_nomem(e);
	req.body = body.data;
	req.body_len = body.len;
	rc = aws_send(u->aws, u->http, &req, &r, NULL, e);
	if (rc == 0)
		rc = xml_parse("CompleteMultipartUpload", r.body.data, r.body.len, NULL, &root, e);
	if (rc == 0 && strcmp(root->name, "Error") == 0)
		rc = err_set(e, EIO, "%s: %s", xml_child_text(root, "Code", "error"),
			     xml_child_text(root, "Message", ""));
	return rc;
}

/* Parts that stay behind cost money: a signal, which ended the writing, does not end this. */
static void abandon(struct upload *u)
{
	const struct aws_param query = {"uploadId", u->id};
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	const struct aws_request req = {
		.method = HTTPC_DELETE,
		.service = "s3",
		.bucket = u->bucket,
		.path = u->path,
		.query = &query,
		.n_query = 1,
		.total_timeout_ms = 10000,
	};

	stop_hold(true);
	(void)aws_send(u->aws, u->http, &req, &r, NULL, NULL);
	stop_hold(false);
}

static int start_workers(struct upload *u, unsigned workers, struct err *e)
{
	int rc = pool_new(workers ? workers : WORKERS, &u->pool, e);

	if (rc < 0)
		return rc;
	u->etags = calloc(u->n_parts, sizeof(*u->etags));
	u->n_clients = pool_threads(u->pool);
	u->clients = calloc(u->n_clients, sizeof(struct httpc *));
	if (!u->clients || !u->etags)
		return err_nomem(e);
	for (unsigned i = 0; rc == 0 && i < u->n_clients; i++)
		rc = aws_http_client(u->aws, &u->clients[i], e);
	return rc;
}

/* What fits into one part is sent in one request. */
static int put_small(const struct upload *u, const char *acl, const char *type, struct err *e)
{
	AUTO_FREE uint8_t *data = malloc((size_t)u->size + 1);
	int rc = data ? fs_pread(u->fd, data, (size_t)u->size, 0, e) : err_nomem(e);

	if (rc < 0)
		return err_wrap(e, "writing 's3://%s/%s'", u->bucket, u->key);
	return s3_put(u->aws, u->http, u->bucket, u->key, acl, type, data, (size_t)u->size, e);
}

int s3_put_file(struct aws *a, struct httpc *c, const char *bucket, const char *key,
		const char *acl, const char *type, int fd, uint64_t size, unsigned workers,
		struct progress *p, struct err *e)
{
	AUTO(upload_release)
	struct upload u = {
		.aws = a,
		.http = c,
		.bucket = bucket,
		.key = key,
		.path = str_format("/%s", key),
		.fd = fd,
		.size = size,
		.part_size = MAX(PART_SIZE, round_up(div_up(size, PARTS_MAX), MIB)),
		.progress = p,
	};
	int rc;

	if (size <= u.part_size)
		return put_small(&u, acl, type, e);
	if (!u.path)
		return err_nomem(e);
	u.n_parts = div_up(size, u.part_size);
	rc = start_workers(&u, workers, e);
	if (rc == 0)
		rc = begin(&u, acl, type, e);
	if (rc == 0)
		rc = put_all(&u, e);
	if (rc == 0)
		rc = complete(&u, e);
	if (rc < 0 && u.id) {
		/* First those that are under way. */
		pool_free(STEAL(u.pool), free);
		abandon(&u);
	}
	return rc < 0 ? err_wrap(e, "writing 's3://%s/%s'", bucket, key) : 0;
}
