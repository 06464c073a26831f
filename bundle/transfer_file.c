/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deliveries that are one file (an OVA, an archive for Google, a VHD, an image) to and from S3. There
 * is no manifest to hold them against: what is sent goes along with its MD5, what is fetched must be
 * one version of the object, and is there when it is whole.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "bundle/format.h"
#include "bundle/transfer.h"
#include "lib/log.h"
#include "lib/pool.h"
#include "lib/stop.h"
#include "lib/str.h"

#define SHORTEST 18     /* bytes: less is no manifest, whatever it begins with */
#define RANGE (8 * MIB) /* of a request; one is in memory for each connection */

bool transfer_is_manifest(const void *data, size_t len)
{
	const struct bundle_head head = {
		.data = data, .len = MIN(len, (size_t)BUNDLE_HEAD), .file_size = len};

	if (len < SHORTEST)
		return false;
	for (size_t i = 0; bundle_formats[i]; i++) {
		if (bundle_formats[i]->probe && bundle_formats[i]->probe(&head))
			return bundle_formats[i] == &bundle_format_ec2;
	}
	return false;
}

int transfer_names_manifest(const char *path, bool *ret, struct err *e)
{
	uint8_t head[BUNDLE_HEAD];
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t len;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "opening '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "'%s' is no regular file", path);
	len = (size_t)MIN((uint64_t)st.st_size, (uint64_t)sizeof(head));
	rc = fs_pread(fd, head, len, 0, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", path);
	*ret = transfer_is_manifest(head, len);
	return 0;
}

/* ---- sending ---------------------------------------------------------------------------------- */

int transfer_upload_file(const struct transfer *t, const char *path, const struct s3_url *to,
			 struct err *e)
{
	AUTO_FREE char *prefix = transfer_prefix(to->key);
	AUTO_FREE char *key = prefix ? str_format("%s%s", prefix, path_base(path)) : NULL;
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO(aws_free) struct aws *aws = NULL;
	AUTO(httpc_free) struct httpc *http = NULL;
	struct progress *p;
	struct stat st;
	uint64_t size;
	int rc;

	if (!key)
		return err_nomem(e);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "opening '%s'", path);
	if (!st.st_size)
		return err_set(e, EINVAL, "'%s' is empty", path);
	size = (uint64_t)st.st_size;
	rc = aws_open(&t->aws, &aws, e);
	if (rc == 0)
		rc = aws_http_client(aws, &http, e);
	if (rc < 0)
		return rc;
	p = progress_start("uploading", size);
	rc = s3_put_file(aws, http, to->bucket, key, t->acl, "application/octet-stream", fd, size,
			 t->workers, p, e);
	progress_end(p, rc == 0);
	if (rc == 0)
		log_info("'s3://%s/%s': %llu bytes sent", to->bucket, key,
			 (unsigned long long)size);
	return rc < 0 ? err_wrap(e, "'%s'", path) : 0;
}

/* ---- fetching --------------------------------------------------------------------------------- */

struct fetch {
	struct aws *aws;
	const struct s3_url *url;
	char *path; /* of the request */
	char *etag; /* with its quotes; NULL: the server tells none */
	int fd;
	struct httpc **clients;
	unsigned n_clients;
	struct pool *pool;
	struct progress *progress;
};

struct range_job {
	struct fetch *owner;
	uint64_t off;
	size_t len;
	struct buf data;
};

static void drop_job(void *job)
{
	struct range_job *j = job;

	buf_release(&j->data);
	free(j);
}
DEFINE_AUTO(struct range_job *, drop_job);

static void fetch_release(struct fetch *f)
{
	for (unsigned i = 0; i < f->n_clients; i++)
		httpc_free(f->clients[i]);
	free(f->clients);
	free(f->path);
	free(f->etag);
}
DEFINE_AUTO_STRUCT(struct fetch, fetch_release);

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

static void note(void *opaque, const char *text)
{
	progress_note(opaque, text);
}

static int fetch_range(void *job, unsigned worker, struct err *e)
{
	struct range_job *j = job;
	struct fetch *f = j->owner;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	const struct httpc_sink sink = {sink_append, sink_restart, &j->data};
	const struct aws_request req = {
		.method = HTTPC_GET,
		.service = "s3",
		.bucket = f->url->bucket,
		.path = f->path,
		.sink = &sink,
		.max_sink = j->len,
		.first = j->off,
		.length = j->len,
		.if_match = f->etag,
		.note = note,
		.note_opaque = f->progress,
	};
	int rc = aws_send(f->aws, f->clients[worker], &req, &r, NULL, e);

	if (rc == 0 && j->data.len != j->len)
		rc = err_set(e, EBADMSG, "%zu bytes came in place of %zu", j->data.len, j->len);
	return rc < 0 ? err_wrap(e, "reading 's3://%s/%s'", f->url->bucket, f->url->key) : 0;
}

static int take_oldest(struct fetch *f, struct err *e)
{
	void *job = NULL;
	int rc = pool_next(f->pool, &job, e);
	AUTO(drop_job) struct range_job *j = job;

	if (rc <= 0 || !j)
		return rc;
	rc = fs_pwrite(f->fd, j->data.data, j->len, j->off, e);
	progress_add(f->progress, j->len);
	return rc < 0 ? rc : stop_check(e);
}

static int submit(struct fetch *f, uint64_t off, size_t len, struct err *e)
{
	struct range_job *j = calloc(1, sizeof(*j));
	int rc;

	if (!j)
		return err_nomem(e);
	*j = (struct range_job){.owner = f, .off = off, .len = len, .data = BUF_INIT};
	rc = pool_submit(f->pool, fetch_range, j, e);
	if (rc < 0)
		drop_job(j);
	return rc;
}

static int fetch_all(struct fetch *f, uint64_t size, struct err *e)
{
	int rc = pool_new(f->n_clients, &f->pool, e);

	for (uint64_t off = 0; rc >= 0 && off < size; off += RANGE) {
		rc = submit(f, off, (size_t)MIN(size - off, RANGE), e);
		while (rc >= 0 && pool_pending(f->pool) >= f->n_clients)
			rc = take_oldest(f, e);
	}
	while (rc >= 0 && pool_pending(f->pool))
		rc = take_oldest(f, e);
	/* After an error jobs still run, with the progress: they are waited for. */
	if (f->pool)
		pool_free(STEAL(f->pool), drop_job);
	return rc < 0 ? rc : 0;
}

static int fetch_begin(struct fetch *f, const struct transfer *t, const char *etag, struct err *e)
{
	unsigned n = t->workers ? t->workers : TRANSFER_WORKERS;
	int rc = 0;

	f->path = str_format("/%s", f->url->key);
	f->etag = *etag ? str_format("\"%s\"", etag) : NULL;
	f->clients = calloc(n, sizeof(struct httpc *));
	if (!f->path || (*etag && !f->etag) || !f->clients)
		return err_nomem(e);
	while (rc == 0 && f->n_clients < n) {
		rc = aws_http_client(f->aws, &f->clients[f->n_clients], e);
		f->n_clients += rc == 0;
	}
	return rc;
}

int transfer_download_file(const struct transfer *t, struct aws *aws, const struct s3_url *from,
			   const struct s3_object *o, const char *path, struct err *e)
{
	AUTO(atomic_file_abort) struct atomic_file file = ATOMIC_FILE_INIT;
	AUTO(fetch_release) struct fetch f = {.aws = aws, .url = from};
	int rc = 0;

	if (!t->replace && access(path, F_OK) == 0)
		return err_set(e, EEXIST, "'%s' exists; --force replaces it", path);
	rc = fetch_begin(&f, t, o->etag, e);
	if (rc == 0)
		rc = atomic_file_begin(&file, path, t->replace ? 0 : FS_NO_REPLACE, e);
	if (rc < 0)
		return rc;
	f.fd = file.fd;
	f.progress = progress_start("downloading", o->size);
	rc = fetch_all(&f, o->size, e);
	progress_end(f.progress, rc == 0);
	f.progress = NULL;
	if (rc == 0)
		rc = atomic_file_commit(&file, fs_file_mode(), e);
	if (rc == 0)
		log_info("'%s': %llu bytes fetched", path, (unsigned long long)o->size);
	return rc;
}
