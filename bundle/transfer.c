/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bundles to and from S3: a part is a job of an ordered pool, whole in memory (at most
 * BUNDLE_PART_LIMIT), proven by its SHA-1 on this side of the wire in both directions. The manifest
 * goes last, so that it never stands where parts are missing.
 */
#include "bundle/transfer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/pool.h"
#include "lib/stop.h"
#include "lib/str.h"

struct transfers {
	const struct transfer *t;
	const struct manifest *m;
	const struct s3_url *url;
	const char *folder; /* of the parts here */
	unsigned mode;      /* of new files */
	char *prefix;       /* of the keys: "path/" or "" */
	struct aws *aws;
	struct pool *pool;
	struct httpc **clients; /* one a worker, n_clients */
	unsigned n_clients;
	struct progress *progress;
	size_t done, kept; /* parts that were moved, and that were there */
};

struct part_job {
	struct transfers *owner;
	size_t index;
	uint64_t size;
	bool kept;
};

int transfer_take_option(struct transfer *t, int opt, const char *arg, struct err *e)
{
	uint64_t n = 0;

	switch (opt) {
	case OPT_PROFILE:
		t->aws.profile = arg;
		return 1;
	case OPT_REGION:
		t->aws.region = arg;
		return 1;
	case OPT_ENDPOINT:
		t->aws.endpoint_url = arg;
		return 1;
	case OPT_NO_SIGN:
		t->aws.anonymous = true;
		return 1;
	case OPT_PATH_STYLE:
		t->aws.path_style = true;
		return 1;
	case 'j':
		if (str_to_u64(arg, 1, 64, &n, e) < 0)
			return err_wrap(e, "--workers");
		t->workers = (unsigned)n;
		return 1;
	default:
		return 0;
	}
}

/* ---- one part --------------------------------------------------------------------------------- */

static bool is_right(const struct manifest_part *part, const struct buf *data)
{
	uint8_t sha[DIGEST_MAX];
	char hex[2 * DIGEST_MAX + 1];

	digest_of(DIGEST_SHA1, buf_str(data), data->len, sha);
	hex_encode(sha, digest_size(DIGEST_SHA1), hex);
	return !strcmp(hex, part->digest);
}

/* The part beside the manifest: a regular file, no symbolic link. Errors: ENOENT, EFBIG, errno. */
static int read_part(const struct transfers *x, const char *name, struct buf *data, struct err *e)
{
	AUTO_FREE char *path = path_join(x->folder, name);
	AUTO_FD int fd = -1;
	struct stat st;

	if (!path)
		return err_nomem(e);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "opening '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EACCES, "'%s' is no regular file", path);
	return fs_read_fd(fd, path, BUNDLE_PART_LIMIT, data, e);
}

/* Whether the bucket has it already. */
static int is_there(struct transfers *x, unsigned worker, const char *key, const struct buf *data,
		    bool *ret, struct err *e)
{
	uint8_t md5[DIGEST_MAX];
	char hex[2 * DIGEST_MAX + 1];
	struct s3_object o;
	struct err why = {0};
	int rc = s3_head(x->aws, x->clients[worker], x->url->bucket, key, &o, &why);

	*ret = false;
	/* Who may not look may still be allowed to write. */
	if (rc == -ENOENT || rc == -EACCES)
		return 0;
	if (rc < 0)
		return err_set(e, -rc, "%s", why.msg);
	digest_of(DIGEST_MD5, buf_str(data), data->len, md5);
	hex_encode(md5, digest_size(DIGEST_MD5), hex);
	*ret = o.size == data->len && !strcasecmp(o.etag, hex);
	return 0;
}

static int send_part(void *job, unsigned worker, struct err *e)
{
	struct part_job *j = job;
	struct transfers *x = j->owner;
	const struct manifest_part *part = &x->m->parts[j->index];
	AUTO_FREE char *key = str_format("%s%s", x->prefix, part->filename);
	AUTO_BUF data = BUF_INIT;
	int rc = key ? read_part(x, part->filename, &data, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	if (!is_right(part, &data))
		return err_set(e, EBADMSG, "part %zu '%s' is not what the manifest says", j->index,
			       part->filename);
	j->size = data.len;
	rc = is_there(x, worker, key, &data, &j->kept, e);
	if (rc < 0 || j->kept)
		return rc;
	return s3_put(x->aws, x->clients[worker], x->url->bucket, key, x->t->acl,
		      "application/octet-stream", buf_str(&data), data.len, e);
}

/* Whether the folder has it already. */
static int have_part(struct part_job *j, const struct manifest_part *part, struct err *e)
{
	AUTO_BUF data = BUF_INIT;
	struct err why = {0};
	int rc = read_part(j->owner, part->filename, &data, &why);

	if (rc == -ENOENT)
		return 0;
	if (rc == 0 && is_right(part, &data)) {
		j->kept = true;
		j->size = data.len;
		return 0;
	}
	if (j->owner->t->replace)
		return 0;
	if (rc < 0)
		return err_set(e, -rc, "%s", why.msg);
	return err_set(e, EEXIST,
		       "'%s/%s' exists and is not what the manifest says; --force replaces it",
		       j->owner->folder, part->filename);
}

static int fetch_part(void *job, unsigned worker, struct err *e)
{
	struct part_job *j = job;
	struct transfers *x = j->owner;
	const struct manifest_part *part = &x->m->parts[j->index];
	AUTO_FREE char *key = str_format("%s%s", x->prefix, part->filename);
	AUTO_FREE char *path = path_join(x->folder, part->filename);
	AUTO_BUF data = BUF_INIT;
	int rc = key && path ? have_part(j, part, e) : err_nomem(e);

	if (rc < 0 || j->kept)
		return rc;
	rc = s3_get(x->aws, x->clients[worker], x->url->bucket, key, BUNDLE_PART_LIMIT, 0,
		    x->progress, &data, e);
	if (rc < 0)
		return rc;
	if (!is_right(part, &data))
		return err_set(e, EBADMSG, "'s3://%s/%s' is not what the manifest says",
			       x->url->bucket, key);
	j->size = data.len;
	return fs_write_file(path, buf_str(&data), data.len, x->mode, e);
}

/* ---- all of them ------------------------------------------------------------------------------- */

static void release(struct transfers *x)
{
	for (unsigned i = 0; i < x->n_clients; i++)
		httpc_free(x->clients[i]);
	free(x->clients);
	free(x->prefix);
	if (x->aws)
		aws_free(x->aws);
}
DEFINE_AUTO_STRUCT(struct transfers, release);

static int begin(struct transfers *x, struct err *e)
{
	unsigned n = x->t->workers ? x->t->workers : TRANSFER_WORKERS;
	AUTO_BUF text = BUF_INIT;
	int rc = aws_open(&x->t->aws, &x->aws, e);

	x->mode = fs_file_mode(); /* while there is one thread */
	x->clients = calloc(n, sizeof(struct httpc *));
	if (rc == 0 && !x->clients)
		rc = err_nomem(e);
	while (rc == 0 && x->n_clients < n) {
		rc = aws_http_client(x->aws, &x->clients[x->n_clients], e);
		x->n_clients += rc == 0;
	}
	if (rc == 0 && log_get_level() >= LOG_LEVEL_DEBUG && aws_describe(x->aws, &text) == 0)
		log_debug("%s", buf_str(&text));
	return rc;
}

static int take_oldest(struct transfers *x, struct err *e)
{
	void *job = NULL;
	int rc = pool_next(x->pool, &job, e);
	AUTO_FREE struct part_job *j = job;

	if (rc <= 0 || !j)
		return rc;
	x->done += !j->kept;
	x->kept += j->kept;
	progress_add(x->progress, j->size);
	return stop_check(e);
}

static int run_all(struct transfers *x, pool_fn *run, struct err *e)
{
	int rc = pool_new(x->n_clients, &x->pool, e);
	size_t window = rc == 0 ? pool_threads(x->pool) : 0;

	for (size_t i = 0; rc >= 0 && i < x->m->n_parts; i++) {
		struct part_job *j = calloc(1, sizeof(*j));

		if (j)
			*j = (struct part_job){.owner = x, .index = i};
		rc = j ? pool_submit(x->pool, run, j, e) : err_nomem(e);
		if (rc < 0)
			free(j);
		while (rc >= 0 && pool_pending(x->pool) >= window)
			rc = take_oldest(x, e);
	}
	while (rc >= 0 && pool_pending(x->pool))
		rc = take_oldest(x, e);
	/* After an error jobs still run, with the manifest and the progress: they are waited for. */
	if (x->pool)
		pool_free(STEAL(x->pool), free);
	return rc < 0 ? rc : 0;
}

/* A prefix is a folder, with or without a slash at its end. */
char *transfer_prefix(const char *key)
{
	size_t len = strlen(key);

	return str_format("%s%s", key, len && key[len - 1] != '/' ? "/" : "");
}

int transfer_upload(const struct transfer *t, const char *manifest, const char *parts_dir,
		    const struct s3_url *to, struct err *e)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	AUTO(release) struct transfers x = {.t = t, .url = to, .folder = parts_dir};
	AUTO_FREE char *key = NULL;
	int rc = manifest_read(manifest, &m, e);

	x.m = m;
	x.prefix = transfer_prefix(to->key);
	if (rc == 0 && !x.prefix)
		rc = err_nomem(e);
	if (rc == 0)
		rc = begin(&x, e);
	if (rc < 0)
		return rc;
	x.progress = progress_start("uploading", m->bundled_size);
	rc = run_all(&x, send_part, e);
	progress_end(x.progress, rc == 0);
	x.progress = NULL;
	if (rc < 0)
		return rc;
	key = str_format("%s%s", x.prefix, path_base(manifest));
	if (!key)
		return err_nomem(e);
	ANALYZER_KNOWS(x.clients);
	rc = s3_put(x.aws, x.clients[0], to->bucket, key, t->acl, "text/xml", m->text.data,
		    m->text.len, e);
	if (rc == 0)
		log_info("'s3://%s/%s': %zu parts sent, %zu were there", to->bucket, key, x.done,
			 x.kept);
	return rc;
}

/* The manifest itself; one that is there must be the same. */
static int save_manifest(const struct transfers *x, const char *path, struct err *e)
{
	AUTO_BUF old = BUF_INIT;

	if (!x->t->replace && access(path, F_OK) == 0) {
		int rc = fs_read_file(path, MANIFEST_LIMIT, &old, e);

		if (rc < 0)
			return rc;
		if (old.len == x->m->text.len && !memcmp(old.data, x->m->text.data, old.len))
			return 0;
		return err_set(e, EEXIST, "'%s' exists and is another one; --force replaces it",
			       path);
	}
	return fs_write_file(path, x->m->text.data, x->m->text.len, x->mode, e);
}

/* The manifest is there: now its parts. */
static int download_parts(struct transfers *x, const char *origin, const char *name, struct err *e)
{
	int rc;

	for (size_t i = 0; i < x->m->n_parts; i++) {
		if (!strcmp(x->m->parts[i].filename, name))
			return err_set(e, EBADMSG, "'%s' names itself as a part", origin);
	}
	x->progress = progress_start("downloading", x->m->bundled_size);
	rc = run_all(x, fetch_part, e);
	progress_end(x->progress, rc == 0);
	x->progress = NULL;
	return rc;
}

static int download_bundle(struct transfers *x, const struct buf *text, const char *path,
			   struct err *e)
{
	const char *name = path_base(x->url->key);
	AUTO_FREE char *origin = str_format("s3://%s/%s", x->url->bucket, x->url->key);
	AUTO(manifest_free) struct manifest *m = NULL;
	int rc = origin ? manifest_parse_confined(buf_str(text), text->len, origin, &m, e)
			: err_nomem(e);

	if (rc == 0)
		rc = fs_mkdir_p(x->folder, 0777, e);
	if (rc < 0)
		return rc;
	ANALYZER_KNOWS(m);
	x->m = m;
	rc = download_parts(x, origin, name, e);
	if (rc == 0)
		rc = save_manifest(x, path, e);
	if (rc == 0)
		log_info("'%s': %zu parts fetched, %zu were there", path, x->done, x->kept);
	x->m = NULL;
	return rc;
}

/* Looks what it is: only a small object can be a manifest. *ret stays empty for another one. */
static int fetch_manifest(struct transfers *x, const struct s3_object *o, struct buf *ret,
			  struct err *e)
{
	int rc = 0;

	if (o->size <= MANIFEST_LIMIT)
		rc = s3_get(x->aws, x->clients[0], x->url->bucket, x->url->key, MANIFEST_LIMIT, 0,
			    NULL, ret, e);
	if (rc == 0 && !transfer_is_manifest(buf_str(ret), ret->len))
		buf_clear(ret);
	return rc;
}

int transfer_download(const struct transfer *t, const struct s3_url *from, const char *folder,
		      struct err *e)
{
	AUTO(release) struct transfers x = {.t = t, .url = from, .folder = folder};
	const char *name = path_base(from->key);
	AUTO_FREE char *path = path_join(folder, name);
	AUTO_BUF text = BUF_INIT;
	struct s3_object o = {0};
	int rc;

	if (!path)
		return err_nomem(e);
	if (!name_is_plain(name))
		return err_set(e, EINVAL, "'s3://%s/%s' does not name a file", from->bucket,
			       from->key);
	x.prefix = strndup(from->key, (size_t)(name - from->key));
	rc = x.prefix ? begin(&x, e) : err_nomem(e);
	if (rc == 0)
		rc = s3_head(x.aws, x.clients[0], from->bucket, from->key, &o, e);
	if (rc == 0)
		rc = fetch_manifest(&x, &o, &text, e);
	if (rc == 0 && text.len)
		return download_bundle(&x, &text, path, e);
	if (rc == 0)
		rc = fs_mkdir_p(folder, 0777, e);
	return rc < 0 ? rc : transfer_download_file(t, x.aws, from, &o, path, e);
}
