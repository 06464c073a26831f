/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refuses QCOW2 images that use the same bytes of the file twice: 384 KiB whose L2 entries all
 * name one compressed cluster are 4 GiB of data to other readers.
 *
 * Exact for L2 tables, clusters, and whatever meets them: one bit a cluster of the file. Compressed
 * clusters share clusters of the file by design. Of them the starting points are remembered
 * (exactly, as long as there is room), and the sum of their lengths must not exceed the file:
 * the output is then bounded by what the codec could honestly make of the file's bytes.
 */
#include "imgconv/format/qcow2.h"
#include "lib/fs.h"

/* 32 MiB for each bitmap: files of 16 TiB with clusters of 64 KiB. */
#define CLUSTERS_MAX (1ull << 28)
/* Remembered starts of compressed clusters; the table is never more than half full. */
#define STARTS_BITS 20
#define STARTS_SLOTS (1u << STARTS_BITS)

/* Deflate makes at most 1032 bytes of one; a zstd frame has 9 bytes at least. */
#define DEFLATE_RATIO_MAX 1032
#define ZSTD_FRAME_MIN 9

struct qcow2_claims {
	uint64_t n_clusters;
	uint8_t *whole;   /* a bit a cluster: table or data */
	uint8_t *shared;  /* a bit a cluster: holds compressed data */
	uint64_t *starts; /* hash table of offsets, 0: free */
	uint64_t multiplier;
	uint32_t n_starts;
	uint64_t compressed; /* bytes, at least */
	uint64_t tables;     /* L1 entries whose tables are claimed */
	uint64_t next;       /* guest's offset up to which all is claimed */
};

void qcow2_claims_free(struct qcow2_claims *c)
{
	if (!c)
		return;
	free(c->whole);
	free(c->shared);
	free(c->starts);
	free(c);
}

static bool bit_get(const uint8_t *map, uint64_t i)
{
	return map[i / 8] >> (i % 8) & 1;
}

static void bit_set(uint8_t *map, uint64_t i)
{
	map[i / 8] |= (uint8_t)(1u << (i % 8));
}

/* Claims clusters that nothing else may use. */
static int claim_whole(struct qcow2 *q, const char *what, uint64_t off, uint64_t len, struct err *e)
{
	struct qcow2_claims *c = q->claims;
	uint64_t first = off >> q->cluster_bits;
	uint64_t end = MIN(div_up(off + len, q->cluster_size), c->n_clusters);

	for (uint64_t i = first; i < end; i++) {
		if (bit_get(c->whole, i) || bit_get(c->shared, i))
			return err_set(e, EBADMSG, "the %s at 0x%llx is in use twice", what,
				       (unsigned long long)(i << q->cluster_bits));
		bit_set(c->whole, i);
	}
	return 0;
}

/* False if the start was there before. */
static bool remember_start(struct qcow2_claims *c, uint64_t off)
{
	uint64_t i = hash_slot(c->multiplier, off, STARTS_BITS);

	for (; c->starts[i]; i = (i + 1) % STARTS_SLOTS) {
		if (c->starts[i] == off)
			return false;
	}
	if (c->n_starts < STARTS_SLOTS / 2) {
		c->starts[i] = off;
		c->n_starts++;
	}
	return true;
}

static int claim_compressed(struct qcow2 *q, const struct qcow2_run *run, struct err *e)
{
	struct qcow2_claims *c = q->claims;
	uint64_t first = run->host >> q->cluster_bits;
	uint64_t last = (run->host + run->host_len - 1) >> q->cluster_bits;
	uint64_t least =
		q->compression == QCOW2_ZLIB ? q->cluster_size / DEFLATE_RATIO_MAX : ZSTD_FRAME_MIN;

	/* The length counts whole sectors; all but one byte of the last one may be another's. */
	if (run->host_len > 511)
		least = MAX(least, run->host_len - 511);
	for (uint64_t i = first; i <= last; i++) {
		if (bit_get(c->whole, i))
			return err_set(e, EBADMSG,
				       "the compressed cluster at 0x%llx overlaps "
				       "another cluster",
				       (unsigned long long)run->host);
		bit_set(c->shared, i);
	}
	if (!remember_start(c, run->host))
		return err_set(e, EBADMSG, "the compressed cluster at 0x%llx is in use twice",
			       (unsigned long long)run->host);
	c->compressed += MAX(least, 1);
	if (c->compressed > q->file_end)
		return err_set(e, EBADMSG,
			       "the compressed clusters overlap: together they are "
			       "larger than the file");
	return 0;
}

/* Header, L1 table, refcount table and its blocks. */
static int claim_metadata(struct qcow2 *q, struct err *e)
{
	size_t len = (size_t)(q->reftable_clusters * q->cluster_size);
	AUTO_FREE uint8_t *table = malloc(len);
	int rc;

	if (!table)
		return err_nomem(e);
	rc = claim_whole(q, "header", 0, q->cluster_size, e);
	if (rc == 0 && q->n_l1)
		rc = claim_whole(q, "L1 table", q->l1_offset, (uint64_t)q->n_l1 * 8, e);
	if (rc == 0 && q->map_entries && q->map_offset != q->l1_offset)
		rc = claim_whole(q, "snapshot's L1 table", q->map_offset,
				 (uint64_t)q->map_entries * 8, e);
	if (rc == 0)
		rc = claim_whole(q, "refcount table", q->reftable_offset, len, e);
	if (rc == 0)
		rc = image_file_read(&q->common, table, len, q->reftable_offset, e);
	for (size_t at = 0; rc == 0 && at < len; at += 8) {
		uint64_t off = be64_get(table + at);

		if (!off)
			continue;
		if (off % q->cluster_size || off >= q->file_end)
			return err_set(e, EBADMSG,
				       "the refcount block at 0x%llx is not aligned or past the "
				       "end of the file",
				       (unsigned long long)off);
		rc = claim_whole(q, "refcount block", off, q->cluster_size, e);
	}
	return rc;
}

static int claims_new(struct qcow2 *q, struct err *e)
{
	struct qcow2_claims *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(e);
	q->claims = c;
	c->multiplier = hash_multiplier();
	c->n_clusters = div_up(q->file_end, q->cluster_size);
	if (c->n_clusters > CLUSTERS_MAX)
		return err_set(e, EFBIG, "the file has more than %llu clusters",
			       (unsigned long long)CLUSTERS_MAX);
	c->whole = calloc(1, (size_t)c->n_clusters / 8 + 1);
	c->shared = calloc(1, (size_t)c->n_clusters / 8 + 1);
	c->starts = calloc(STARTS_SLOTS, sizeof(*c->starts));
	if (!c->whole || !c->shared || !c->starts)
		return err_nomem(e);
	return claim_metadata(q, e);
}

/* The L2 tables for the range that were not claimed before. */
static int claim_tables(struct qcow2 *q, uint64_t off, uint64_t len, struct err *e)
{
	uint64_t covers = q->cluster_size * q->l2_entries;
	uint64_t end = MIN(div_up(off + len, covers), (uint64_t)q->l1_used);
	struct qcow2_claims *c = q->claims;

	for (; c->tables < end; c->tables++) {
		uint64_t l2;
		int rc = qcow2_l2_offset(q, c->tables, &l2, e);

		if (rc == 0 && l2)
			rc = claim_whole(q, "L2 table", l2, q->cluster_size, e);
		if (rc)
			return rc;
	}
	return 0;
}

/* One cluster whose subclusters have states of their own. */
static int claim_subclusters(struct qcow2 *q, uint64_t off, struct err *e)
{
	uint64_t end = MIN(off + q->cluster_size, q->common.size);

	for (; off < end; off += q->unit_size) {
		struct qcow2_run run;
		int rc = qcow2_map(q, off, false, &run, e);

		if (rc)
			return rc;
		if (run.kind == QCOW2_COMPRESSED)
			return claim_compressed(q, &run, e);
		if (run.kind == QCOW2_DATA)
			return claim_whole(q, "cluster", run.host - run.host % q->cluster_size,
					   q->cluster_size, e);
	}
	return 0;
}

/* What lies at off, a cluster's start; *ret_length is how much was claimed, in whole clusters. */
static int claim_run(struct qcow2 *q, uint64_t off, uint64_t max, uint64_t *ret_length,
		     struct err *e)
{
	struct qcow2_run run;
	int rc = qcow2_map(q, off, false, &run, e);

	if (rc)
		return rc;
	*ret_length = MAX(run.length - run.length % q->cluster_size, q->cluster_size);
	if (run.kind == QCOW2_COMPRESSED)
		return claim_compressed(q, &run, e);
	if (run.kind == QCOW2_DATA && !q->extended_l2) {
		*ret_length = MIN(*ret_length, max);
		return claim_whole(q, "cluster", run.host, *ret_length, e);
	}
	if (run.kind == QCOW2_DATA || run.length < q->cluster_size) {
		*ret_length = q->cluster_size;
		return q->extended_l2 ? claim_subclusters(q, off, e) : 0;
	}
	return 0;
}

int qcow2_claim(struct image *im, uint64_t off, uint64_t len, struct err *e)
{
	struct qcow2 *q = to_qcow2(im);
	uint64_t end = round_up(off + len, q->cluster_size);
	int rc = 0;

	if (off == 0) {
		qcow2_claims_free(q->claims);
		q->claims = NULL;
		rc = claims_new(q, e);
	}
	/* The hub does not walk over a backing file: that is claimed along with this one. */
	if (rc == 0 && q->backing && off < image_size(q->backing) && q->backing->format->claim)
		rc = q->backing->format->claim(q->backing, off,
					       MIN(len, image_size(q->backing) - off), e);
	if (rc == 0)
		rc = claim_tables(q, off, len, e);
	/* Each cluster once, though an extent may begin or end inside of one. */
	while (rc == 0 && q->claims->next < end && q->claims->next < im->size) {
		uint64_t done = 0;

		rc = claim_run(q, q->claims->next, end - q->claims->next, &done, e);
		q->claims->next += done;
	}
	return rc;
}
