/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing a QCOW2 image in place.
 *
 * Data go to their place at once: into the cluster that is there if it is plain and used once,
 * else into a new one at the end of the file. Changed tables stay in memory until a commit, which
 * writes them so that what is on disk is a whole image after each step:
 *
 *	1. refcounts of new clusters, and with them all data; sync
 *	2. L2 tables; sync
 *	3. L1 entries; sync
 *	4. refcounts of what is not used any more (compressed clusters that were replaced); sync
 */
#include "imgconv/format/qcow2.h"
#include "lib/fs.h"

#define FREED_MAX 65536 /* replaced clusters that wait for a commit */

int qcow2_open_rdwr(struct qcow2 *q, struct err *e)
{
	struct qcow2_changes *c;
	int rc;

	if (q->incompatible & INCOMPAT_DIRTY)
		return err_set(e, ENOTSUP,
			       "the image was not closed (dirty bit): it is not "
			       "written to before it was repaired");
	if (q->n_snapshots)
		return err_set(e, ENOTSUP,
			       "writing to an image with internal snapshots is not "
			       "supported");
	if (q->has_bitmaps || q->autoclear & AUTOCLEAR_BITMAPS)
		return err_set(e, ENOTSUP,
			       "writing to an image with dirty bitmaps is not "
			       "supported");
	if (q->extended_l2)
		return err_set(e, ENOTSUP,
			       "writing to an image with extended L2 entries is not "
			       "supported");
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_nomem(e);
	q->changes = c;
	qcow2_cache_init(&c->refblocks, (size_t)q->cluster_size);
	c->n_reftable = (uint32_t)(q->reftable_clusters * q->cluster_size / 8);
	c->reftable = malloc((size_t)c->n_reftable * 8);
	c->cluster = malloc((size_t)q->cluster_size);
	if (!c->reftable || !c->cluster)
		return err_nomem(e);
	rc = image_file_read(&q->common, c->reftable, (size_t)c->n_reftable * 8, q->reftable_offset,
			     e);
	for (size_t i = 0; rc == 0 && i < c->n_reftable; i++)
		c->reftable[i] = be64_get(&c->reftable[i]);
	return rc;
}

void qcow2_changes_free(struct qcow2 *q)
{
	struct qcow2_changes *c = q->changes;

	if (!c)
		return;
	qcow2_cache_release(&c->refblocks);
	free(c->reftable);
	free(c->freed);
	free(c->cluster);
	free(c);
}

/* ---- commit -------------------------------------------------------------------------------- */

static int write_l1(struct qcow2 *q, struct err *e)
{
	struct qcow2_changes *c = q->changes;
	size_t n = c->l1_dirty_end - c->l1_dirty_first;
	AUTO_FREE uint8_t *entries = NULL;
	int rc;

	if (!n)
		return 0;
	entries = malloc(n * 8);
	if (!entries)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		be64_put(entries + i * 8, q->l1[c->l1_dirty_first + i]);
	rc = fs_pwrite(q->common.fd, entries, n * 8, q->l1_offset + (uint64_t)c->l1_dirty_first * 8,
		       e);
	if (rc == 0)
		rc = qcow2_sync(q, e);
	if (rc == 0)
		c->l1_dirty_first = c->l1_dirty_end = 0;
	return rc;
}

static int release_freed(struct qcow2 *q, struct err *e)
{
	struct qcow2_changes *c = q->changes;
	int rc = 0;

	if (!c->n_freed)
		return 0;
	while (rc == 0 && c->n_freed) {
		struct qcow2_freed *f = &c->freed[--c->n_freed];

		rc = qcow2_release(q, f->off, f->len, e);
		if (rc == 0 && c->refblocks.n_dirty >= c->refblocks.n_slots / 2)
			rc = qcow2_cache_write(&c->refblocks, q->common.fd, e);
	}
	if (rc == 0)
		rc = qcow2_cache_write(&c->refblocks, q->common.fd, e);
	return rc < 0 ? rc : qcow2_sync(q, e);
}

static int commit(struct qcow2 *q, struct err *e)
{
	int rc = qcow2_refcounts_write(q, e);

	if (rc == 0 && q->l2.n_dirty) {
		rc = qcow2_cache_write(&q->l2, q->common.fd, e);
		if (rc == 0)
			rc = qcow2_sync(q, e);
	}
	if (rc == 0)
		rc = write_l1(q, e);
	if (rc == 0)
		rc = release_freed(q, e);
	if (rc < 0)
		q->changes->failed = true;
	return rc;
}

int qcow2_flush(struct image *im, struct err *e)
{
	struct qcow2 *q = to_qcow2(im);

	if (!q->changes->started)
		return 0;
	if (q->changes->failed)
		return err_set(e, EIO, "an earlier write of tables failed");
	return commit(q, e);
}

/* Before the first change: features that a writer has to know to keep are struck out. */
int qcow2_start_changes(struct qcow2 *q, struct err *e)
{
	static const uint8_t none[8];
	int rc = 0;

	if (q->changes->started)
		return 0;
	if (q->version >= 3 && q->autoclear) {
		rc = fs_pwrite(q->common.fd, none, sizeof(none), HDR_AUTOCLEAR, e);
		if (rc == 0)
			rc = qcow2_sync(q, e);
	}
	if (rc == 0)
		q->changes->started = true;
	return rc;
}

/* Room in the caches for what one cluster can change. */
static int make_room(struct qcow2 *q, struct err *e)
{
	struct qcow2_changes *c = q->changes;

	if (q->l2.n_dirty < q->l2.n_slots / 2 && c->refblocks.n_dirty < c->refblocks.n_slots / 2 &&
	    !c->reftable_moved && c->n_freed < FREED_MAX)
		return 0;
	return commit(q, e);
}

/* ---- one cluster --------------------------------------------------------------------------- */

int qcow2_check_used_once(struct qcow2 *q, const char *what, uint64_t host, struct err *e)
{
	uint64_t count;
	int rc = qcow2_refcount_get(q, host >> q->cluster_bits, &count, e);

	if (rc == 0 && count != 1)
		rc = err_set(e, EBADMSG, "the refcount of the %s at 0x%llx is %llu, not 1", what,
			     (unsigned long long)host, (unsigned long long)count);
	return rc;
}

void qcow2_set_l1(struct qcow2 *q, uint32_t i, uint64_t entry)
{
	struct qcow2_changes *c = q->changes;

	q->l1[i] = entry;
	if (c->l1_dirty_first == c->l1_dirty_end) {
		c->l1_dirty_first = i;
		c->l1_dirty_end = i + 1;
	}
	c->l1_dirty_first = MIN(c->l1_dirty_first, i);
	c->l1_dirty_end = MAX(c->l1_dirty_end, i + 1);
}

/* The L2 table for off, made if there is none. */
static int table_to_change(struct qcow2 *q, uint64_t off, struct qcow2_slot **ret, struct err *e)
{
	uint32_t i = (uint32_t)(off / (q->cluster_size * q->l2_entries));
	uint64_t l2;
	int rc = qcow2_l2_offset(q, i, &l2, e);

	if (rc == 0 && l2) {
		rc = qcow2_check_used_once(q, "L2 table", l2, e);
		return rc < 0 ? rc : qcow2_cache_get(&q->l2, &q->common, l2, false, ret, e);
	}
	if (rc == 0)
		rc = qcow2_allocate(q, 1, &l2, e);
	if (rc == 0)
		rc = qcow2_cache_get(&q->l2, &q->common, l2, true, ret, e);
	if (rc)
		return rc;
	qcow2_cache_dirty(&q->l2, *ret);
	qcow2_set_l1(q, i, l2 | ENTRY_COPIED);
	return 0;
}

int qcow2_free_later(struct qcow2 *q, uint64_t off, uint64_t len, struct err *e)
{
	struct qcow2_changes *c = q->changes;
	struct qcow2_freed *last = c->n_freed ? &c->freed[c->n_freed - 1] : NULL;
	int rc;

	/* Neighbours are one, if they share no cluster. */
	if (last && last->off + last->len == off && off % q->cluster_size == 0) {
		last->len += len;
		return 0;
	}
	if (c->n_freed >= FREED_MAX) {
		rc = commit(q, e);
		if (rc)
			return rc;
	}
	if (c->n_freed == c->cap_freed) {
		size_t cap = c->cap_freed ? 2 * c->cap_freed : 64;
		struct qcow2_freed *grown = reallocarray(c->freed, cap, sizeof(*grown));

		if (!grown)
			return err_nomem(e);
		c->freed = grown;
		c->cap_freed = cap;
	}
	ANALYZER_KNOWS(c->freed);
	c->freed[c->n_freed++] = (struct qcow2_freed){off, len};
	return 0;
}

/* What the cluster reads as, with the change, put together in c->cluster. */
static int compose(struct qcow2 *q, const void *buf, size_t len, uint64_t off, struct err *e)
{
	uint64_t start_off = off - off % q->cluster_size;
	size_t in_disk = (size_t)MIN(q->cluster_size, q->common.size - start_off);
	uint8_t *cluster = q->changes->cluster;
	int rc = 0;

	memset(cluster + in_disk, 0, (size_t)q->cluster_size - in_disk);
	if (len < in_disk)
		rc = qcow2_pread(&q->common, cluster, in_disk, start_off, e);
	memcpy(cluster + off % q->cluster_size, buf, len);
	return rc;
}

/* Gives the guest's cluster at off a cluster of the file, old or new, with new contents. */
static int replace(struct qcow2 *q, const struct qcow2_run *run, const void *buf, size_t len,
		   uint64_t off, struct err *e)
{
	bool keep = run->kind == QCOW2_ZEROS && run->host;
	uint64_t host = keep ? run->host - off % q->cluster_size : 0;
	struct qcow2_slot *table;
	int rc = compose(q, buf, len, off, e);

	if (rc == 0)
		rc = keep ? qcow2_check_used_once(q, "cluster", host, e)
			  : qcow2_allocate(q, 1, &host, e);
	if (rc)
		return rc;
	rc = fs_pwrite(q->common.fd, q->changes->cluster, (size_t)q->cluster_size, host, e);
	q->file_end = MAX(q->file_end, host + q->cluster_size);
	if (rc == 0)
		rc = table_to_change(q, off, &table, e);
	if (rc == 0 && run->kind == QCOW2_COMPRESSED)
		rc = qcow2_free_later(q, run->host, run->host_len, e);
	if (rc) {
		if (!keep)
			(void)qcow2_release(q, host, q->cluster_size, NULL);
		return rc;
	}
	be64_put(table->data + (off >> q->cluster_bits) % q->l2_entries * 8, host | ENTRY_COPIED);
	qcow2_cache_dirty(&q->l2, table);
	return 0;
}

static int change_cluster(struct qcow2 *q, const void *buf, size_t len, uint64_t off, struct err *e)
{
	struct qcow2_run run;
	int rc = make_room(q, e);

	if (rc == 0)
		rc = qcow2_map(q, off, false, &run, e);
	if (rc)
		return rc;
	if (run.kind == QCOW2_DATA) {
		rc = qcow2_check_used_once(q, "cluster", run.host - off % q->cluster_size, e);
		if (rc == 0)
			rc = fs_pwrite(q->common.fd, buf, len, run.host, e);
		q->file_end = MAX(q->file_end, run.host + len);
		return rc;
	}
	if ((run.kind == QCOW2_ZEROS || (run.kind == QCOW2_UNALLOCATED && !q->backing)) &&
	    mem_is_zero(buf, len))
		return 0;
	return replace(q, &run, buf, len, off, e);
}

int qcow2_pwrite(struct image *im, const void *buf, size_t len, uint64_t off, struct err *e)
{
	struct qcow2 *q = to_qcow2(im);
	const uint8_t *at = buf;
	int rc;

	if (q->changes->failed)
		return err_set(e, EIO, "an earlier write of tables failed");
	rc = qcow2_start_changes(q, e);
	while (rc == 0 && len) {
		size_t n = (size_t)MIN((uint64_t)len, q->cluster_size - off % q->cluster_size);

		rc = change_cluster(q, at, n, off, e);
		at += n;
		off += n;
		len -= n;
	}
	return rc;
}
