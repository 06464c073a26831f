/* SPDX-License-Identifier: Apache-2.0 */
/* The walk of QCOW2's check over L1 and L2 tables, the disk's and the snapshots'. */
#include <stdio.h>

#include "imgconv/format/qcow2_check.h"
#include "lib/fs.h"
#include "lib/progress.h"
#include "lib/stop.h"

#define L1_PIECE 8192u /* entries that are read at once */

/* What an L2 table is of. */
struct place {
	bool active; /* of the disk itself: copied flags count, nothing is shared */
	unsigned n;  /* references that each entry stands for */
};

/* The copied flag says that the refcount is 1. */
static int check_copied(struct qcow2_check *c, const char *what, uint64_t entry, uint64_t at,
			struct err *e)
{
	uint64_t refcount;
	int rc = qcow2_check_refcount(c, (entry & ENTRY_OFFSET_MASK) >> c->q->cluster_bits,
				      &refcount, e);

	if (rc <= 0 || (refcount == 1) == !!(entry & ENTRY_COPIED))
		return rc;
	return qcow2_check_error(c, at, e, "%s 0x%016llx: the copied flag is %s, but refcount %llu",
				 what, (unsigned long long)entry,
				 entry & ENTRY_COPIED ? "set" : "not set",
				 (unsigned long long)refcount);
}

/* ---- L2 ------------------------------------------------------------------------------------ */

static int check_compressed(struct qcow2_check *c, const struct place *p, uint64_t entry,
			    uint64_t at, struct err *e)
{
	const struct qcow2 *q = c->q;
	unsigned x = 62 - (q->cluster_bits - 8);
	uint64_t off = entry & ((1ull << x) - 1);
	uint64_t sectors = (entry & (ENTRY_COMPRESSED - 1)) >> x;
	uint64_t len = (sectors + 1) * 512 - off % 512;
	int rc = 0;

	if (entry & ENTRY_COPIED)
		rc = qcow2_check_error(
			c, at, e, "L2 entry 0x%016llx: a compressed cluster has the copied flag",
			(unsigned long long)entry);
	if (rc >= 0 &&
	    (off >= q->file_end || !range_within(off, len, c->n_clusters << q->cluster_bits)))
		rc = qcow2_check_error(c, at, e,
				       "L2 entry 0x%016llx: the compressed data reach past the end "
				       "of the file",
				       (unsigned long long)entry);
	if (rc < 0 || off >= q->file_end)
		return rc;
	return qcow2_check_use(c, QCOW2_USE_PACKED, false, "compressed cluster", off, len, p->n, e);
}

/* Subclusters of an entry that has them; *ret_wrong says what is wrong. */
static const char *wrong_subclusters(uint64_t entry, uint64_t bitmap)
{
	uint32_t data = (uint32_t)bitmap, zeros = (uint32_t)(bitmap >> 32);

	if (entry & ENTRY_COMPRESSED)
		return bitmap ? "a compressed cluster has subclusters" : NULL;
	if (data & zeros)
		return "a subcluster is both data and zeros";
	if (data && !(entry & ENTRY_OFFSET_MASK))
		return "a subcluster of data has no cluster";
	return NULL;
}

static int check_l2_entry(struct qcow2_check *c, const struct place *p, const uint8_t *data,
			  uint64_t at, struct err *e)
{
	const struct qcow2 *q = c->q;
	uint64_t entry = be64_get(data);
	uint64_t off = entry & ENTRY_OFFSET_MASK;
	const char *wrong = q->extended_l2 ? wrong_subclusters(entry, be64_get(data + 8)) : NULL;
	bool misplaced = false;
	int rc = 0;

	if (!(entry & ENTRY_COMPRESSED)) {
		misplaced = off % q->cluster_size || off >= q->file_end;
		if (entry & L2_RESERVED ||
		    (entry & ENTRY_ZERO && (q->version < 3 || q->extended_l2)))
			wrong = "reserved bits are set";
		else if (off % q->cluster_size)
			wrong = "the cluster is not aligned";
		else if (off >= q->file_end)
			wrong = "the cluster lies past the end of the file";
	}
	if (wrong)
		rc = qcow2_check_error(c, at, e, "L2 entry 0x%016llx: %s",
				       (unsigned long long)entry, wrong);
	if (rc < 0 || misplaced)
		return rc;
	if (entry & ENTRY_COMPRESSED)
		return check_compressed(c, p, entry, at, e);
	if (!off)
		return 0;
	rc = qcow2_check_use(c, QCOW2_USE_DATA, p->active, "cluster", off, q->cluster_size, p->n,
			     e);
	return rc < 0 || !p->active ? rc : check_copied(c, "L2 entry", entry, at, e);
}

/* An L2 table that was counted, but whose entries were not. */
static int walk_l2(struct qcow2_check *c, uint64_t off, bool active, struct err *e)
{
	struct qcow2 *q = c->q;
	uint16_t *count = qcow2_check_at(c, off >> q->cluster_bits);
	struct place p = {.active = active};
	int rc = stop_check(e);

	if (rc < 0 || off % q->cluster_size || !count || qcow2_check_use_of(*count) != QCOW2_USE_L2)
		return rc;
	p.n = qcow2_check_count(*count);
	*count = (uint16_t)(QCOW2_USE_WALKED << QCOW2_COUNT_BITS | p.n);
	rc = qcow2_table_load(&q->common, c->table, (size_t)q->cluster_size, off, e);
	if (rc == 0 && !range_within(off, q->cluster_size, q->file_end))
		rc = qcow2_check_error(c, off, e, "the file ends inside of the L2 table at 0x%llx",
				       (unsigned long long)off);
	for (size_t at = 0; rc >= 0 && at < q->cluster_size; at += q->entry_size) {
		if (!be64_get(c->table + at) && !q->extended_l2)
			continue;
		rc = check_l2_entry(c, &p, c->table + at, off + at, e);
	}
	return rc < 0 ? rc : 0;
}

/* ---- L1 ------------------------------------------------------------------------------------ */

static int check_l1_entry(struct qcow2_check *c, const char *whose, bool active, uint64_t entry,
			  uint64_t at, struct err *e)
{
	const struct qcow2 *q = c->q;
	uint64_t off = entry & ENTRY_OFFSET_MASK;
	const char *wrong = NULL;
	int rc = 0;

	if (entry & L1_RESERVED)
		wrong = "reserved bits are set";
	else if (!off)
		wrong = "flags, but no L2 table";
	else if (off % q->cluster_size)
		wrong = "the L2 table is not aligned";
	else if (off >= q->file_end)
		wrong = "the L2 table lies past the end of the file";
	if (wrong)
		rc = qcow2_check_error(c, at, e, "%sL1 entry 0x%016llx: %s", whose,
				       (unsigned long long)entry, wrong);
	if (rc < 0 || !off || off % q->cluster_size || off >= q->file_end)
		return rc;
	rc = qcow2_check_use(c, QCOW2_USE_L2, active, "L2 table", off, q->cluster_size, 1, e);
	return rc < 0 || !active ? rc : check_copied(c, "L1 entry", entry, at, e);
}

enum l1_job {
	L1_COUNT, /* the tables */
	L1_WALK,  /* what is in the tables */
};

/* An L1 table that lies in the file. */
static int walk_l1(struct qcow2_check *c, const char *whose, uint64_t off, uint64_t n,
		   enum l1_job job, bool active, struct err *e)
{
	const struct qcow2 *q = c->q;
	uint64_t covers = q->cluster_size * q->l2_entries;
	AUTO_FREE uint8_t *piece = malloc(L1_PIECE * 8);
	int rc = 0;

	if (!piece)
		return err_nomem(e);
	for (uint64_t i = 0; rc >= 0 && i < n; i++) {
		uint64_t k = i % L1_PIECE, entry;

		if (!k) {
			rc = stop_check(e);
			if (rc == 0)
				rc = image_file_read(&q->common, piece,
						     (size_t)MIN(n - i, (uint64_t)L1_PIECE) * 8,
						     off + i * 8, e);
		}
		entry = rc < 0 ? 0 : be64_get(piece + k * 8);
		if (!entry)
			continue;
		if (job == L1_COUNT)
			rc = check_l1_entry(c, whose, active, entry, off + i * 8, e);
		else if ((entry & ENTRY_OFFSET_MASK) < q->file_end)
			rc = walk_l2(c, entry & ENTRY_OFFSET_MASK, active, e);
		if (job == L1_WALK)
			progress_set(c->progress, MIN(i * covers, q->common.size));
	}
	return rc < 0 ? rc : 0;
}

/* The L2 tables of snapshots alone: those that were counted and not walked yet. */
static int walk_rest(struct qcow2_check *c, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->n_chunks; i++) {
		for (uint64_t k = 0; rc == 0 && c->chunks[i] && k < QCOW2_CHUNK; k++) {
			uint16_t v = c->chunks[i][k];

			if (v && qcow2_check_use_of(v) == QCOW2_USE_L2)
				rc = walk_l2(c, (i * QCOW2_CHUNK + k) << c->q->cluster_bits, false,
					     e);
		}
	}
	return rc;
}

/* ---- snapshots ----------------------------------------------------------------------------- */

/* What is malformed is told, and the check goes on; other errors end it. */
static int tell_error(struct qcow2_check *c, uint64_t offset, int rc, const struct err *why,
		      struct err *e)
{
	if (rc != -EBADMSG && rc != -EFBIG)
		return err_set(e, -rc, "%s", why->msg);
	return qcow2_check_error(c, offset, e, "%s", why->msg);
}

static int walk_snapshot(struct qcow2_check *c, const struct qcow2_snapshot *s, struct err *e)
{
	char whose[32];
	struct err why;
	int rc = 0;

	snprintf(whose, sizeof(whose), "snapshot %u's ", s->number);
	/* Version 3 asks for the size of the disk. */
	if (c->q->version >= 3 && s->n_extra < 16)
		rc = qcow2_check_error(c, s->end, e, "snapshot %u: its entry is too short",
				       s->number);
	if (rc < 0)
		return rc;
	rc = qcow2_snapshot_check_size(c->q, s, &why);
	if (rc < 0) {
		err_wrap(&why, "snapshot %u", s->number);
		rc = tell_error(c, s->l1_offset, rc, &why, e);
	}
	if (rc < 0)
		return rc;
	rc = qcow2_snapshot_check_place(c->q, s, &why);
	if (rc < 0) {
		err_wrap(&why, "snapshot %u", s->number);
		return tell_error(c, s->l1_offset, rc, &why, e);
	}
	if (!s->n_l1)
		return 0;
	rc = qcow2_check_use(c, QCOW2_USE_TABLE, true, "snapshot's L1 table", s->l1_offset,
			     (uint64_t)s->n_l1 * 8, 1, e);
	/* One that is something else too is not walked: it would be walked for ever. */
	if (rc <= 0)
		return rc;
	return walk_l1(c, whose, s->l1_offset, s->n_l1, L1_COUNT, false, e);
}

static int walk_snapshots(struct qcow2_check *c, struct err *e)
{
	AUTO(qcow2_snapshot_release) struct qcow2_snapshot s = {0};
	struct qcow2 *q = c->q;
	struct err why;
	int rc;

	if (!q->n_snapshots)
		return 0;
	while ((rc = qcow2_snapshot_next(q, &s, &why)) > 0) {
		rc = walk_snapshot(c, &s, e);
		if (rc < 0)
			return rc;
	}
	if (rc < 0)
		rc = tell_error(c, q->snapshots_offset, rc, &why, e);
	if (rc < 0 || s.end <= q->snapshots_offset)
		return rc;
	return qcow2_check_use(c, QCOW2_USE_TABLE, true, "snapshot table", q->snapshots_offset,
			       s.end - q->snapshots_offset, 1, e);
}

int qcow2_check_walk(struct qcow2_check *c, struct err *e)
{
	struct qcow2 *q = c->q;
	int rc = 0;

	if (q->n_l1) {
		rc = qcow2_check_use(c, QCOW2_USE_TABLE, true, "L1 table", q->l1_offset,
				     (uint64_t)q->n_l1 * 8, 1, e);
		if (rc >= 0)
			rc = walk_l1(c, "", q->l1_offset, q->n_l1, L1_COUNT, true, e);
	}
	if (rc >= 0)
		rc = walk_snapshots(c, e);
	/* How often each L2 table is referred to is known now. */
	if (rc >= 0)
		rc = walk_l1(c, "", q->l1_offset, q->n_l1, L1_WALK, true, e);
	return rc < 0 ? rc : walk_rest(c, e);
}
