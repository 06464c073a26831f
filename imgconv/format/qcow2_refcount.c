/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reference counts of a QCOW2 image that is written to. Counts are changed in memory; the table
 * grows when the file grows over what it covers. What is on disk never says less than the tables
 * that lead to data do.
 */
#include "imgconv/format/qcow2.h"
#include "lib/fs.h"

#define FILE_END_MAX (1ull << 55) /* entries have bits for 56 */

/* Counts of less than a byte are packed from the lowest bit on. */
uint64_t qcow2_count_get(const struct qcow2 *q, const uint8_t *block, uint64_t i)
{
	unsigned bits = 1u << q->refcount_order;

	switch (bits) {
	case 8:
		return block[i];
	case 16:
		return be16_get(block + 2 * i);
	case 32:
		return be32_get(block + 4 * i);
	case 64:
		return be64_get(block + 8 * i);
	default:
		return block[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
	}
}

static void count_put(const struct qcow2 *q, uint8_t *block, uint64_t i, uint64_t v)
{
	unsigned bits = 1u << q->refcount_order;
	unsigned shift = (unsigned)(i * bits % 8);
	uint8_t *byte = block + i * bits / 8;

	switch (bits) {
	case 8:
		block[i] = (uint8_t)v;
		break;
	case 16:
		be16_put(block + 2 * i, (uint16_t)v);
		break;
	case 32:
		be32_put(block + 4 * i, (uint32_t)v);
		break;
	case 64:
		be64_put(block + 8 * i, v);
		break;
	default:
		*byte &= (uint8_t) ~(((1u << bits) - 1) << shift);
		*byte |= (uint8_t)(v << shift);
	}
}

/* The block that counts this cluster; *ret NULL if there is none. */
static int find_block(struct qcow2 *q, uint64_t cluster, struct qcow2_slot **ret, struct err *e)
{
	uint64_t i = cluster / qcow2_block_entries(q);
	struct qcow2_changes *c = q->changes;
	uint64_t off;
	int rc;

	*ret = NULL;
	if (i >= c->n_reftable || !c->reftable[i])
		return 0;
	off = c->reftable[i];
	if (off % q->cluster_size || off >= q->file_end)
		return err_set(e, EBADMSG,
			       "the refcount block at 0x%llx is not aligned or past the end of "
			       "the file",
			       (unsigned long long)off);
	rc = qcow2_check_host_range(q, "refcount block", off, q->cluster_size, e);
	return rc < 0 ? rc : qcow2_cache_get(&c->refblocks, &q->common, off, false, ret, e);
}

int qcow2_refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *ret, struct err *e)
{
	struct qcow2_slot *s;
	int rc = find_block(q, cluster, &s, e);

	if (rc == 0)
		*ret = s ? qcow2_count_get(q, s->data, cluster % qcow2_block_entries(q)) : 0;
	return rc;
}

/* ---- growing ------------------------------------------------------------------------------- */

static int count_new(struct qcow2 *q, uint64_t cluster, struct err *e);

/* The next n clusters at the end of the file that nothing refers to, not counted yet. */
static int take_clusters(struct qcow2 *q, uint64_t n, uint64_t *ret_first, struct err *e)
{
	uint64_t first = div_up(q->file_end, q->cluster_size);

	for (uint64_t i = 0; i < n; i++) {
		uint64_t count;
		int rc;

		if ((first + n) << q->cluster_bits >= FILE_END_MAX)
			return err_set(e, EFBIG, "the file is too large");
		rc = qcow2_refcount_get(q, first + i, &count, e);
		if (rc)
			return rc;
		if (count) {
			first += i + 1;
			i = UINT64_MAX; /* from 0 again */
		}
	}
	q->file_end = (first + n) << q->cluster_bits;
	*ret_first = first;
	return 0;
}

/* A refcount table with room for block i and half as much again, at a new place. */
static int grow_table(struct qcow2 *q, uint64_t i, struct err *e)
{
	struct qcow2_changes *c = q->changes;
	uint64_t per_cluster = q->cluster_size / 8;
	uint64_t clusters = div_up((i + 1) * 3 / 2, per_cluster);
	uint64_t *grown;
	uint64_t first;
	int rc;

	if (clusters * q->cluster_size > MAX(QCOW2_REFTABLE_MAX, q->cluster_size))
		return err_set(e, EFBIG, "the refcount table would be over its limit");
	if (c->reftable_moved)
		return err_set(e, EFBIG, "the refcount table grows twice between flushes");
	grown = reallocarray(c->reftable, clusters * per_cluster, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	c->reftable = grown;
	rc = take_clusters(q, clusters, &first, e);
	if (rc)
		return rc;
	memset(grown + c->n_reftable, 0, (clusters * per_cluster - c->n_reftable) * sizeof(*grown));
	c->old_reftable = q->reftable_offset;
	c->old_reftable_clusters = q->reftable_clusters;
	c->n_reftable = (uint32_t)(clusters * per_cluster);
	c->reftable_dirty = c->reftable_moved = true;
	q->reftable_offset = first << q->cluster_bits;
	q->reftable_clusters = (uint32_t)clusters;
	for (uint64_t n = 0; rc == 0 && n < clusters; n++)
		rc = count_new(q, first + n, e);
	return rc;
}

/* Makes a block for counts that have none. It may well count itself. */
static int new_block(struct qcow2 *q, uint64_t i, struct err *e)
{
	struct qcow2_changes *c = q->changes;
	struct qcow2_slot *s;
	uint64_t cluster;
	int rc = 0;

	if (i >= c->n_reftable)
		rc = grow_table(q, i, e);
	if (rc < 0 || c->reftable[i])
		return rc;
	rc = take_clusters(q, 1, &cluster, e);
	if (rc == 0)
		rc = qcow2_cache_get(&c->refblocks, &q->common, cluster << q->cluster_bits, true,
				     &s, e);
	if (rc)
		return rc;
	qcow2_cache_dirty(&c->refblocks, s);
	c->reftable[i] = cluster << q->cluster_bits;
	c->reftable_dirty = true;
	return count_new(q, cluster, e);
}

/* Sets the count of a new cluster to 1. */
static int count_new(struct qcow2 *q, uint64_t cluster, struct err *e)
{
	struct qcow2_changes *c = q->changes;
	struct qcow2_slot *s;
	int rc = 0;

	/* Counts of what nothing refers to yet may reach the disk at any time. */
	if (c->refblocks.n_dirty >= c->refblocks.n_slots / 2)
		rc = qcow2_cache_write(&c->refblocks, q->common.fd, e);
	if (rc == 0)
		rc = find_block(q, cluster, &s, e);

	if (rc == 0 && !s) {
		rc = new_block(q, cluster / qcow2_block_entries(q), e);
		if (rc == 0)
			rc = find_block(q, cluster, &s, e);
	}
	if (rc)
		return rc;
	ANALYZER_KNOWS(s); /* there is a block now */
	count_put(q, s->data, cluster % qcow2_block_entries(q), 1);
	qcow2_cache_dirty(&c->refblocks, s);
	return 0;
}

int qcow2_allocate(struct qcow2 *q, uint64_t n, uint64_t *ret_offset, struct err *e)
{
	/* With their refcount blocks, and more: the table grows once for all of them. */
	uint64_t last = div_up(q->file_end, q->cluster_size) + 2 * n;
	uint64_t first;
	int rc = 0;

	if (n > 1 && last / qcow2_block_entries(q) >= q->changes->n_reftable)
		rc = grow_table(q, last / qcow2_block_entries(q), e);
	if (rc == 0)
		rc = take_clusters(q, n, &first, e);
	for (uint64_t i = 0; rc == 0 && i < n; i++)
		rc = count_new(q, first + i, e);
	if (rc == 0)
		*ret_offset = first << q->cluster_bits;
	return rc;
}

int qcow2_release(struct qcow2 *q, uint64_t off, uint64_t len, struct err *e)
{
	uint64_t last = (off + len - 1) >> q->cluster_bits;

	for (uint64_t cluster = off >> q->cluster_bits; cluster <= last; cluster++) {
		uint64_t i = cluster % qcow2_block_entries(q);
		struct qcow2_slot *s;
		int rc = find_block(q, cluster, &s, e);
		uint64_t count;

		if (rc)
			return rc;
		count = s ? qcow2_count_get(q, s->data, i) : 0;
		if (!count)
			return err_set(e, EBADMSG, "the refcount of the cluster at 0x%llx is 0",
				       (unsigned long long)(cluster << q->cluster_bits));
		count_put(q, s->data, i, count - 1);
		qcow2_cache_dirty(&q->changes->refblocks, s);
	}
	return 0;
}

/* ---- to disk ------------------------------------------------------------------------------- */

int qcow2_sync(struct qcow2 *q, struct err *e)
{
	return fdatasync(q->common.fd) < 0 ? err_errno(e, errno, "fdatasync") : 0;
}

static int write_table(struct qcow2 *q, struct err *e)
{
	struct qcow2_changes *c = q->changes;
	size_t len = (size_t)c->n_reftable * 8;
	AUTO_FREE uint8_t *table = malloc(len);

	if (!table)
		return err_nomem(e);
	for (size_t i = 0; i < c->n_reftable; i++)
		be64_put(table + i * 8, c->reftable[i]);
	return fs_pwrite(q->common.fd, table, len, q->reftable_offset, e);
}

/* The header's two fields lie in one sector, next to each other. */
static int point_header(struct qcow2 *q, struct err *e)
{
	uint8_t fields[12];

	be64_put(fields, q->reftable_offset);
	be32_put(fields + 8, q->reftable_clusters);
	return fs_pwrite(q->common.fd, fields, sizeof(fields), HDR_REFTABLE_OFFSET, e);
}

int qcow2_refcounts_write(struct qcow2 *q, struct err *e)
{
	struct qcow2_changes *c = q->changes;
	int rc = qcow2_cache_write(&c->refblocks, q->common.fd, e);

	if (rc == 0)
		rc = qcow2_sync(q, e);
	if (rc < 0 || !c->reftable_dirty)
		return rc;
	rc = write_table(q, e);
	if (rc == 0)
		rc = qcow2_sync(q, e);
	if (rc == 0 && c->reftable_moved) {
		rc = point_header(q, e);
		if (rc == 0)
			rc = qcow2_sync(q, e);
		if (rc == 0)
			rc = qcow2_release(q, c->old_reftable,
					   c->old_reftable_clusters * q->cluster_size, e);
		if (rc == 0)
			rc = qcow2_cache_write(&c->refblocks, q->common.fd, e);
		c->reftable_moved = false;
	}
	if (rc == 0)
		c->reftable_dirty = false;
	return rc;
}
