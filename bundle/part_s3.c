/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a bundle as objects of S3, fetched in parallel ahead of the one who reads them. A
 * dropped part is resumed where it broke off (lib/aws.h). Each is a file, in memory or kept
 * (bundle/part_keep.h): that can be handed to a confined process, a buffer cannot.
 */
#include <stdatomic.h>

#include "bundle/bundle.h"
#include "bundle/part_keep.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/pool.h"
#include "lib/s3.h"
#include "lib/stop.h"
#include "lib/str.h"

#define WORKERS 4
/* For parts that were fetched and not yet used. */
#define PREFETCH_BYTES (48 * MIB)

struct part_job {
	struct part_fetch *owner;
	size_t index;
	uint64_t size;
	int fd;
};

struct part_fetch {
	struct aws *aws;
	const struct manifest *manifest;
	char *bucket;
	char *folder; /* of the keys: "path/" or "" */
	char *keep;   /* NULL: nothing is kept */
	atomic_bool keeping;
	atomic_size_t kept;  /* parts that lie in keep */
	atomic_size_t found; /* of these, those that lay there before */
	unsigned timeout_ms;
	struct pool *pool;
	struct httpc **clients; /* one a worker */
	size_t window;
	size_t asked; /* the next part to ask for */
	size_t given; /* the next one to be given */
	struct progress *progress;
};

static void drop_job(void *job)
{
	struct part_job *j = job;

	if (j->fd >= 0)
		close(j->fd);
	free(j);
}

/* ---- on the workers -------------------------------------------------------------------------- */

/* What cannot be kept (a full disk) makes room for what is needed. */
static void stop_keeping(struct part_fetch *f, const struct err *why)
{
	if (!atomic_exchange(&f->keeping, false))
		return;
	log_warn("%s: the parts are not kept; if this is interrupted, it begins anew", why->msg);
	(void)fs_remove_tree(f->keep, NULL);
}

static int store_part(struct part_job *j, const struct buf *data, struct err *e)
{
	struct part_fetch *f = j->owner;
	struct err why = {0};
	int rc;

	j->size = data->len;
	if (!atomic_load(&f->keeping))
		return fs_memory_file("part", data->data, data->len, &j->fd, e);
	rc = part_keep_put(f->keep, f->manifest, j->index, data, &j->fd, &why);
	if (rc == 0) {
		atomic_fetch_add(&f->kept, 1);
		return 0;
	}
	/* What is wrong with a part, its reader says. */
	if (rc != -EBADMSG)
		stop_keeping(f, &why);
	return fs_memory_file("part", data->data, data->len, &j->fd, e);
}

static int fetch_part(void *job, unsigned worker, struct err *e)
{
	struct part_job *j = job;
	struct part_fetch *f = j->owner;
	AUTO_FREE char *key = NULL;
	AUTO_BUF data = BUF_INIT;
	int rc;

	if (atomic_load(&f->keeping)) {
		j->size = part_keep_find(f->keep, f->manifest, j->index, &j->fd);
		if (j->size) {
			atomic_fetch_add(&f->kept, 1);
			atomic_fetch_add(&f->found, 1);
			return 0;
		}
	}
	key = str_format("%s%s", f->folder, f->manifest->parts[j->index].filename);
	if (!key)
		return err_nomem(e);
	rc = s3_get(f->aws, f->clients[worker], f->bucket, key, BUNDLE_PART_LIMIT, f->timeout_ms,
		    f->progress, &data, e);
	return rc < 0 ? rc : store_part(j, &data, e);
}

/* ---- on the caller's thread ------------------------------------------------------------------ */

/* Keeps the window full. */
static int ask_ahead(struct part_fetch *f, struct err *e)
{
	while (f->asked < f->manifest->n_parts && pool_pending(f->pool) < f->window) {
		struct part_job *j = calloc(1, sizeof(*j));
		int rc;

		if (!j)
			return err_nomem(e);
		*j = (struct part_job){.owner = f, .index = f->asked, .fd = -1};
		rc = pool_submit(f->pool, fetch_part, j, e);
		if (rc < 0) {
			drop_job(j);
			return rc;
		}
		f->asked++;
	}
	return 0;
}

static int start(struct part_fetch *f, unsigned workers, struct err *e)
{
	/* Parts are of one size but for the last. */
	uint64_t part = div_up(f->manifest->bundled_size, f->manifest->n_parts);
	int rc;

	if (part > BUNDLE_PART_LIMIT)
		return err_set(e, EFBIG, "parts of %llu bytes are over the limit of %llu",
			       (unsigned long long)part, (unsigned long long)BUNDLE_PART_LIMIT);
	f->window = MAX((size_t)(PREFETCH_BYTES / MAX(part, MIB)), (size_t)1);
	rc = pool_new((unsigned)MIN((size_t)(workers ? workers : WORKERS), f->window), &f->pool, e);
	if (rc < 0)
		return rc;
	f->clients = calloc(pool_threads(f->pool), sizeof(struct httpc *));
	if (!f->clients)
		return err_nomem(e);
	for (unsigned i = 0; rc == 0 && i < pool_threads(f->pool); i++)
		rc = aws_http_client(f->aws, &f->clients[i], e);
	return rc;
}

int part_fetch_new(struct aws *a, const char *bucket, const char *manifest_key,
		   const struct manifest *m, const struct part_fetch_opts *o,
		   struct part_fetch **ret, struct err *e)
{
	AUTO(part_fetch_free) struct part_fetch *f = calloc(1, sizeof(*f));
	const char *slash = strrchr(manifest_key, '/');
	int rc;

	if (!f)
		return err_nomem(e);
	f->aws = a;
	f->manifest = m;
	f->progress = o->progress;
	f->timeout_ms = o->timeout_ms;
	f->bucket = strdup(bucket);
	f->folder = strndup(manifest_key, slash ? (size_t)(slash + 1 - manifest_key) : 0);
	f->keep = o->keep ? strdup(o->keep) : NULL;
	if (!f->bucket || !f->folder || (o->keep && !f->keep))
		return err_nomem(e);
	atomic_store(&f->keeping, f->keep != NULL);
	rc = start(f, o->workers, e);
	if (rc == 0)
		*ret = STEAL(f);
	return rc;
}

int part_fetch_next(struct part_fetch *f, const char *name, int *ret_fd, struct err *e)
{
	void *taken = NULL;
	struct part_job *j;
	int rc;

	if (f->given >= f->manifest->n_parts ||
	    strcmp(f->manifest->parts[f->given].filename, name) != 0)
		return err_set(e, EACCES, "'%s' is not the next part", name);
	rc = stop_check(e);
	if (rc == 0)
		rc = ask_ahead(f, e);
	if (rc < 0)
		return rc;
	rc = pool_next(f->pool, &taken, e);
	j = taken;
	if (rc > 0) {
		f->given++;
		progress_add(f->progress, j->size);
		*ret_fd = steal_fd(&j->fd);
	}
	if (j)
		drop_job(j);
	return rc < 0 ? rc : 0;
}

size_t part_fetch_kept(struct part_fetch *f, size_t *ret_found)
{
	*ret_found = atomic_load(&f->found);
	return atomic_load(&f->keeping) ? atomic_load(&f->kept) : 0;
}

void part_fetch_free(struct part_fetch *f)
{
	if (!f)
		return;
	if (f->pool) {
		unsigned n = pool_threads(f->pool);

		pool_free(f->pool, drop_job);
		for (unsigned i = 0; f->clients && i < n; i++)
			httpc_free(f->clients[i]);
	}
	free(f->clients);
	free(f->bucket);
	free(f->folder);
	free(f->keep);
	free(f);
}
