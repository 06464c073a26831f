/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a QCOW2 image is sound. All that refers to clusters of the file is counted, and the
 * counts are compared with the refcounts on disk, as `qemu-img check` does: a refcount that is too
 * high is a leak, one that is too low, or a copied flag that does not fit, an error.
 *
 * Stricter than that: a cluster that is used as two things, or twice by one disk, is an error
 * whatever its refcount, and so are all entries that reading refuses (past the end of the file,
 * reserved bits, states that contradict each other) and the marks that the image is corrupt or
 * was not closed.
 *
 * An L2 table is read once, however many snapshots share it: its entries count as often as it is
 * referred to. Not checked: refcounts over 8190, which nothing but a hostile image has.
 */
#include <stdio.h>

#include "imgconv/format/qcow2_check.h"
#include "lib/fs.h"
#include "lib/stop.h"

/* 128 TiB with clusters of 64 KiB, 1 TiB with 512 bytes. */
#define CLUSTERS_MAX (1ull << 31)

static const char *const use_names[] = {
	[QCOW2_USE_TABLE] = "a table",          [QCOW2_USE_L2] = "an L2 table",
	[QCOW2_USE_WALKED] = "an L2 table",     [QCOW2_USE_DATA] = "data",
	[QCOW2_USE_PACKED] = "compressed data",
};

int qcow2_check_use(struct qcow2_check *c, enum qcow2_use use, bool alone, const char *what,
		    uint64_t off, uint64_t len, unsigned n, struct err *e)
{
	unsigned bits = c->q->cluster_bits;
	uint64_t end = MIN(((off + len - 1) >> bits) + 1, c->n_clusters);
	bool sound = true;

	for (uint64_t i = off >> bits; i < end; i++) {
		uint16_t **chunk = &c->chunks[i / QCOW2_CHUNK];
		uint16_t *at;

		if (!*chunk && !(*chunk = calloc(QCOW2_CHUNK, sizeof(**chunk))))
			return err_nomem(e);
		at = &(*chunk)[i % QCOW2_CHUNK];
		if (!*at) {
			*at = (uint16_t)((unsigned)use << QCOW2_COUNT_BITS |
					 MIN(n, QCOW2_COUNT_MAX));
			continue;
		}
		if (sound && (alone || use != qcow2_check_use_of(*at))) {
			int rc = qcow2_check_error(
				c, off, e, "the %s at 0x%llx is in use as %s too", what,
				(unsigned long long)off, use_names[qcow2_check_use_of(*at)]);

			if (rc < 0)
				return rc;
			sound = false;
		}
		*at = (uint16_t)((*at & ~QCOW2_COUNT_MAX) |
				 MIN(qcow2_check_count(*at) + n, QCOW2_COUNT_MAX));
	}
	return sound;
}

/* ---- refcounts ----------------------------------------------------------------------------- */

/* Makes the block that counts this cluster the current one. */
static int enter_block(struct qcow2_check *c, uint64_t index, struct err *e)
{
	struct qcow2_slot *s;
	uint64_t off = index < c->n_reftable ? c->reftable[index] : 0;
	int rc = 0;

	c->block_index = index;
	c->block_unknown = off == QCOW2_BAD_BLOCK;
	c->block = NULL;
	if (!off || c->block_unknown)
		return 0;
	rc = qcow2_cache_get(&c->blocks, &c->q->common, off, false, &s, e);
	if (rc == 0)
		c->block = s->data;
	return rc;
}

int qcow2_check_refcount(struct qcow2_check *c, uint64_t cluster, uint64_t *ret, struct err *e)
{
	uint64_t entries = qcow2_block_entries(c->q);
	int rc = 0;

	if (cluster / entries != c->block_index)
		rc = enter_block(c, cluster / entries, e);
	if (rc < 0 || c->block_unknown)
		return rc;
	*ret = c->block ? qcow2_count_get(c->q, c->block, cluster % entries) : 0;
	return 1;
}

/* The refcount table and its blocks. */
static int read_reftable(struct qcow2_check *c, struct err *e)
{
	struct qcow2 *q = c->q;
	size_t len = (size_t)(q->reftable_clusters * q->cluster_size);
	int rc = qcow2_check_use(c, QCOW2_USE_TABLE, true, "refcount table", q->reftable_offset,
				 len, 1, e);

	c->n_reftable = len / 8;
	c->reftable = malloc(len);
	if (rc < 0 || !c->reftable)
		return rc < 0 ? rc : err_nomem(e);
	rc = image_file_read(&q->common, c->reftable, len, q->reftable_offset, e);
	for (size_t i = 0; rc >= 0 && i < c->n_reftable; i++) {
		uint64_t entry = be64_get(&c->reftable[i]);
		const char *wrong = NULL;

		c->reftable[i] = QCOW2_BAD_BLOCK;
		if (entry & REFTABLE_RESERVED)
			wrong = "has reserved bits set";
		else if (entry % q->cluster_size)
			wrong = "is not aligned";
		else if (entry >= q->file_end)
			wrong = "lies past the end of the file";
		if (wrong) {
			rc = qcow2_check_error(c, q->reftable_offset + i * 8, e,
					       "refcount table entry %zu, 0x%016llx, %s", i,
					       (unsigned long long)entry, wrong);
			continue;
		}
		c->reftable[i] = entry;
		if (entry)
			rc = qcow2_check_use(c, QCOW2_USE_TABLE, true, "refcount block", entry,
					     q->cluster_size, 1, e);
	}
	return rc < 0 ? rc : 0;
}

/* ---- comparing ----------------------------------------------------------------------------- */

/* Neighbouring clusters whose refcounts are wrong in the same way. */
struct wrong_run {
	uint64_t first, end; /* none if equal */
	uint64_t refcount;
	unsigned count;
};

static int tell_run(struct qcow2_check *c, struct wrong_run *r, struct err *e)
{
	uint64_t n = r->end - r->first;
	uint64_t off = r->first << c->q->cluster_bits;
	uint64_t bytes = n << c->q->cluster_bits;
	bool leak = r->refcount > r->count;
	char many[48] = "the cluster has";

	if (!n)
		return 0;
	r->first = r->end;
	if (n > 1)
		snprintf(many, sizeof(many), "%llu clusters have", (unsigned long long)n);
	if (leak && !r->count)
		return image_check_add(c->out, IMAGE_FINDING_LEAK, off, bytes, e,
				       "%s refcount %llu, but nothing uses %s", many,
				       (unsigned long long)r->refcount, n == 1 ? "it" : "them");
	return image_check_add(c->out, leak ? IMAGE_FINDING_LEAK : IMAGE_FINDING_ERROR, off,
			       leak ? bytes : 0, e, "%s refcount %llu, but %u %s", many,
			       (unsigned long long)r->refcount, r->count,
			       r->count == 1 ? "use" : "uses");
}

static int compare_cluster(struct qcow2_check *c, struct wrong_run *r, uint64_t i,
			   uint64_t refcount, unsigned count, struct err *e)
{
	int rc = 0;

	if (refcount == count || (count == QCOW2_COUNT_MAX && refcount > count))
		return 0;
	if (r->end != i || r->refcount != refcount || r->count != count) {
		rc = tell_run(c, r, e);
		*r = (struct wrong_run){.first = i, .refcount = refcount, .count = count};
	}
	r->end = i + 1;
	return rc;
}

static int compare(struct qcow2_check *c, struct err *e)
{
	uint64_t entries = qcow2_block_entries(c->q);
	struct wrong_run run = {0};
	uint64_t i = 0;
	int rc = 0;

	while (rc >= 0 && i < c->n_clusters) {
		uint64_t end = MIN((i / QCOW2_CHUNK + 1) * QCOW2_CHUNK, c->n_clusters);
		const uint16_t *counts = qcow2_check_at(c, i);

		end = MIN(end, (i / entries + 1) * entries);
		rc = stop_check(e);
		if (rc == 0)
			rc = enter_block(c, i / entries, e);
		if (rc < 0 || c->block_unknown || (!c->block && !counts)) {
			i = end;
			continue;
		}
		for (uint64_t k = 0; rc >= 0 && i < end; i++, k++)
			rc = compare_cluster(c, &run, i,
					     c->block ? qcow2_count_get(c->q, c->block, i % entries)
						      : 0,
					     counts ? qcow2_check_count(counts[k]) : 0, e);
	}
	return rc < 0 ? rc : tell_run(c, &run, e);
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* What the header itself says, beyond what opening refuses. */
static int check_header(struct qcow2_check *c, struct err *e)
{
	const struct qcow2 *q = c->q;
	int rc = 0;

	if (q->incompatible & INCOMPAT_CORRUPT)
		rc = qcow2_check_error(c, HDR_INCOMPATIBLE, e, "the image is marked as corrupt");
	if (rc >= 0 && q->incompatible & INCOMPAT_DIRTY)
		rc = qcow2_check_error(c, HDR_INCOMPATIBLE, e,
				       "the image was not closed: it is marked as dirty");
	if (rc >= 0 && q->compression != QCOW2_ZLIB && q->compression != QCOW2_ZSTD)
		rc = qcow2_check_error(c, HDR_COMPRESSION, e, "there is no compression type %u",
				       (unsigned)q->compression);
	else if (rc >= 0 &&
		 (q->compression != QCOW2_ZLIB) != !!(q->incompatible & INCOMPAT_COMPRESSION))
		rc = qcow2_check_error(c, HDR_COMPRESSION, e,
				       "compression type and its feature bit disagree");
	if (rc >= 0 && q->autoclear & AUTOCLEAR_RAW_DATA)
		rc = qcow2_check_error(c, HDR_AUTOCLEAR, e,
				       "a raw data file is promised, but there is none");
	if (rc >= 0 && q->extended_l2 && q->cluster_bits < QCOW2_EXTENDED_MIN_BITS)
		rc = qcow2_check_error(c, HDR_CLUSTER_BITS, e,
				       "extended L2 entries need clusters of 16 KiB or more");
	return rc;
}

static int check_all(struct qcow2_check *c, struct err *e)
{
	struct qcow2 *q = c->q;
	int rc = check_header(c, e);

	if (rc >= 0)
		rc = qcow2_check_use(c, QCOW2_USE_TABLE, true, "header", 0, q->cluster_size, 1, e);
	if (rc >= 0)
		rc = read_reftable(c, e);
	if (rc >= 0 && q->luks_len && range_within(q->luks_offset, q->luks_len, q->file_end))
		rc = qcow2_check_use(c, QCOW2_USE_TABLE, true, "LUKS header", q->luks_offset,
				     q->luks_len, 1, e);
	if (rc >= 0 && q->has_bitmaps && q->autoclear & AUTOCLEAR_BITMAPS)
		rc = qcow2_check_bitmaps(c, e);
	if (rc >= 0)
		rc = qcow2_check_walk(c, e);
	return rc < 0 ? rc : compare(c, e);
}

/* An image whose structure means something else than we think is not looked at. */
static int refuse(const struct qcow2 *q, struct err *e)
{
	if (q->incompatible & INCOMPAT_DATA_FILE || q->data_file)
		return err_set(e, EACCES, "the image's data lie in another file, '%s'",
			       q->data_file ? q->data_file : "");
	if (q->incompatible & ~INCOMPAT_KNOWN || q->crypt > 2)
		return err_set(e, q->refusal.code, "%s", q->refusal.msg);
	return 0;
}

int qcow2_check(struct image *im, struct image_check *out, struct progress *p, struct err *e)
{
	struct qcow2 *q = to_qcow2(im);
	struct qcow2_check c = {.q = q, .out = out, .progress = p, .block_index = UINT64_MAX};
	int rc = refuse(q, e);

	if (rc)
		return rc;
	c.n_clusters = div_up(q->file_end, q->cluster_size);
	if (c.n_clusters > CLUSTERS_MAX)
		return err_set(e, EFBIG, "the file has more than %llu clusters", CLUSTERS_MAX);
	c.n_chunks = (size_t)div_up(c.n_clusters, QCOW2_CHUNK);
	c.chunks = calloc(c.n_chunks, sizeof(*c.chunks));
	c.table = malloc((size_t)q->cluster_size);
	qcow2_cache_init(&c.blocks, (size_t)q->cluster_size);
	rc = c.chunks && c.table ? check_all(&c, e) : err_nomem(e);
	for (size_t i = 0; c.chunks && i < c.n_chunks; i++)
		free(c.chunks[i]);
	free(c.chunks);
	free(c.reftable);
	free(c.table);
	qcow2_cache_release(&c.blocks);
	return rc < 0 ? rc : 0;
}
