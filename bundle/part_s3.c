/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a bundle as objects of S3, fetched in parallel ahead of the one who reads them. A
 * dropped part is resumed where it broke off (lib/aws.h).
 */
#include "bundle/bundle.h"
#include "lib/pool.h"
#include "lib/s3.h"
#include "lib/stop.h"
#include "lib/str.h"

#define WORKERS 4
/* Memory for parts that were fetched and not yet used. */
#define PREFETCH_BYTES (48 * MIB)

struct part_job {
	struct prefetch *owner;
	size_t index;
	struct buf data;
};

struct prefetch {
	struct aws *aws;
	const struct manifest *manifest;
	char *bucket;
	char *folder; /* of the keys: "path/" or "" */
	struct pool *pool;
	struct httpc **clients; /* one a worker */
	size_t window;
	size_t next;              /* the next part to ask for */
	struct part_job *current; /* the part that is being read */
	size_t read;              /* bytes of it that were given */
	struct progress *progress;
};

static void drop_job(void *job)
{
	struct part_job *j = job;

	buf_release(&j->data);
	free(j);
}

static int fetch_part(void *job, unsigned worker, struct err *e)
{
	struct part_job *j = job;
	struct prefetch *p = j->owner;
	AUTO_FREE char *key = str_format("%s%s", p->folder, p->manifest->parts[j->index].filename);

	if (!key)
		return err_nomem(e);
	return s3_get(p->aws, p->clients[worker], p->bucket, key, BUNDLE_PART_LIMIT, p->progress,
		      &j->data, e);
}

/* Keeps the window full. */
static int ask_ahead(struct prefetch *p, struct err *e)
{
	while (p->next < p->manifest->n_parts && pool_pending(p->pool) < p->window) {
		struct part_job *j = calloc(1, sizeof(*j));
		int rc;

		if (!j)
			return err_nomem(e);
		j->owner = p;
		j->index = p->next;
		rc = pool_submit(p->pool, fetch_part, j, e);
		if (rc < 0) {
			drop_job(j);
			return rc;
		}
		p->next++;
	}
	return 0;
}

/* Waits for the part after the current one. */
static int next_part(struct prefetch *p, size_t index, struct err *e)
{
	void *job = NULL;
	int rc;

	if (p->current)
		drop_job(STEAL(p->current));
	/* The memory of the part that was used is free again. */
	rc = stop_check(e);
	if (rc == 0)
		rc = ask_ahead(p, e);
	if (rc < 0)
		return rc;
	rc = pool_next(p->pool, &job, e);
	p->current = job;
	p->read = 0;
	if (rc < 0)
		return rc;
	if (rc == 0 || p->current->index != index)
		return err_set(e, EINVAL, "parts are not read in order");
	return 0;
}

static int read_part(void *ctx, size_t index, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	struct prefetch *p = ctx;
	size_t n;

	if (!p->current || p->current->index != index) {
		int rc = next_part(p, index, e);

		if (rc < 0)
			return rc;
	}
	n = MIN(len, p->current->data.len - p->read);
	if (n)
		memcpy(buf, p->current->data.data + p->read, n);
	p->read += n;
	*ret_len = n;
	return 0;
}

static void prefetch_free(struct prefetch *p)
{
	if (p->pool) {
		unsigned n = pool_threads(p->pool);

		pool_free(p->pool, drop_job);
		for (unsigned i = 0; p->clients && i < n; i++)
			httpc_free(p->clients[i]);
	}
	if (p->current)
		drop_job(p->current);
	free(p->clients);
	free(p->bucket);
	free(p->folder);
	free(p);
}
DEFINE_AUTO(struct prefetch *, prefetch_free);

static int start(struct prefetch *p, unsigned workers, struct err *e)
{
	/* Parts are of one size but for the last. */
	uint64_t part = div_up(p->manifest->bundled_size, p->manifest->n_parts);
	int rc;

	if (part > BUNDLE_PART_LIMIT)
		return err_set(e, EFBIG, "parts of %llu bytes are over the limit of %llu",
			       (unsigned long long)part, (unsigned long long)BUNDLE_PART_LIMIT);
	p->window = MAX((size_t)(PREFETCH_BYTES / MAX(part, MIB)), (size_t)1);
	rc = pool_new((unsigned)MIN((size_t)(workers ? workers : WORKERS), p->window), &p->pool, e);
	if (rc < 0)
		return rc;
	p->clients = calloc(pool_threads(p->pool), sizeof(struct httpc *));
	if (!p->clients)
		return err_nomem(e);
	for (unsigned i = 0; rc == 0 && i < pool_threads(p->pool); i++)
		rc = aws_http_client(p->aws, &p->clients[i], e);
	return rc;
}

int part_source_s3(struct aws *a, const char *bucket, const char *manifest_key,
		   const struct manifest *m, unsigned workers, struct progress *progress,
		   struct part_source *ret, struct err *e)
{
	AUTO(prefetch_free) struct prefetch *p = calloc(1, sizeof(*p));
	const char *slash = strrchr(manifest_key, '/');
	int rc;

	if (!p)
		return err_nomem(e);
	p->aws = a;
	p->manifest = m;
	p->progress = progress;
	p->bucket = strdup(bucket);
	p->folder = strndup(manifest_key, slash ? (size_t)(slash + 1 - manifest_key) : 0);
	if (!p->bucket || !p->folder)
		return err_nomem(e);
	rc = start(p, workers, e);
	if (rc < 0)
		return rc;
	*ret = (struct part_source){.read = read_part, .ctx = STEAL(p)};
	return 0;
}

void part_source_s3_free(struct part_source *s)
{
	if (s->ctx)
		prefetch_free(s->ctx);
	*s = (struct part_source){0};
}
