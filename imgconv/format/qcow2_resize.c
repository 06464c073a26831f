/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another size for a QCOW2 image, in place. What is on disk is a whole image after each step.
 *
 * Larger: what lies behind the old end, and would appear, has to be nothing; the rest of the last
 * cluster is made zero; an L1 table that is too small is written anew at the end of the file;
 * then the header, whose fields lie in one sector, gets size and L1 table at once; then the old
 * L1 table's clusters are free.
 *
 * Smaller (the hub knows that nothing but zeros is lost): clusters behind the new end are freed
 * and the file is cut where nothing follows; the header comes last. The L1 table keeps its
 * length. Over a backing file the header comes first, for without the clusters on top the backing
 * file's data would appear.
 */
#include "imgconv/format/qcow2.h"
#include "lib/fs.h"
#include "lib/stop.h"

/* Size, encryption, L1 table: bytes 24 to 48 of the header. */
static int write_header(struct qcow2 *q, uint64_t size, struct err *e)
{
	uint8_t fields[HDR_L1_OFFSET + 8 - HDR_SIZE];
	int rc;

	be64_put(fields, size);
	be32_put(fields + (HDR_CRYPT - HDR_SIZE), q->crypt);
	be32_put(fields + (HDR_L1_ENTRIES - HDR_SIZE), q->n_l1);
	be64_put(fields + (HDR_L1_OFFSET - HDR_SIZE), q->l1_offset);
	rc = fs_pwrite(q->common.fd, fields, sizeof(fields), HDR_SIZE, e);
	if (rc == 0)
		rc = qcow2_sync(q, e);
	if (rc == 0)
		q->disk_size = size;
	else
		q->changes->failed = true; /* which of the two it has is not known */
	return rc;
}

static uint64_t l1_needed(const struct qcow2 *q, uint64_t size)
{
	return div_up(size, q->cluster_size * q->l2_entries);
}

/* ---- larger -------------------------------------------------------------------------------- */

/* The L1 table in memory, as long as the larger disk needs it, with what is on disk of it. */
static int extend_l1(struct qcow2 *q, uint64_t needed, struct err *e)
{
	uint64_t there = MIN(needed, (uint64_t)q->n_l1);
	uint64_t *grown = reallocarray(q->l1, needed, sizeof(*grown));
	int rc = 0;

	if (!grown)
		return err_nomem(e);
	q->l1 = grown;
	memset(grown + q->l1_used, 0, (needed - q->l1_used) * sizeof(*grown));
	if (there > q->l1_used)
		rc = image_file_read(&q->common, grown + q->l1_used, (there - q->l1_used) * 8,
				     q->l1_offset + (uint64_t)q->l1_used * 8, e);
	for (uint64_t i = q->l1_used; rc == 0 && i < there; i++)
		grown[i] = be64_get(&grown[i]);
	if (rc == 0)
		q->l1_used = (uint32_t)needed;
	return rc;
}

/* Nothing appears behind the old end but zeros; q has the new size already. */
static int check_nothing_behind(struct qcow2 *q, uint64_t end, struct err *e)
{
	uint64_t off = round_up(end, q->cluster_size);
	struct qcow2_run run;

	if (q->backing && image_size(q->backing) > end)
		return err_set(e, ENOTSUP,
			       "the backing file is larger than the disk: what it has behind the "
			       "disk's end would appear");
	while (off < q->common.size) {
		int rc = qcow2_map(q, off, false, &run, e);

		if (rc)
			return rc;
		if (run.kind == QCOW2_DATA || run.kind == QCOW2_COMPRESSED || run.host)
			return err_set(e, ENOTSUP,
				       "there are clusters behind the end of the disk, at 0x%llx, "
				       "which would appear",
				       (unsigned long long)off);
		off += run.length;
	}
	return 0;
}

/* The rest of the cluster in which the old end lies. */
static int clear_last_cluster(struct qcow2 *q, uint64_t end, struct err *e)
{
	size_t len = (size_t)(MIN(round_up(end, q->cluster_size), q->common.size) - end);
	AUTO_FREE uint8_t *rest = NULL;
	int rc;

	if (!len)
		return 0;
	rest = malloc(len);
	if (!rest)
		return err_nomem(e);
	rc = qcow2_pread(&q->common, rest, len, end, e);
	if (rc < 0 || mem_is_zero(rest, len))
		return rc;
	memset(rest, 0, len);
	return qcow2_pwrite(&q->common, rest, len, end, e);
}

/* A new place for the L1 table, which is written there in whole. */
static int move_l1(struct qcow2 *q, uint64_t n, uint64_t *ret_offset, struct err *e)
{
	uint64_t clusters = div_up(n * 8, q->cluster_size);
	AUTO_FREE uint8_t *table = calloc((size_t)clusters, (size_t)q->cluster_size);
	int rc;

	if (!table)
		return err_nomem(e);
	rc = qcow2_allocate(q, clusters, ret_offset, e);
	if (rc)
		return rc;
	for (uint64_t i = 0; i < q->l1_used; i++)
		be64_put(table + i * 8, q->l1[i]);
	rc = fs_pwrite(q->common.fd, table, (size_t)(clusters * q->cluster_size), *ret_offset, e);
	/* The refcounts first: they are synced before the header is. */
	return rc < 0 ? rc : qcow2_refcounts_write(q, e);
}

static int grow(struct qcow2 *q, uint64_t size, struct err *e)
{
	uint64_t old_size = q->common.size, old_offset = q->l1_offset, offset = 0;
	uint32_t old_used = q->l1_used, old_n = q->n_l1;
	uint64_t needed = l1_needed(q, size);
	int rc;

	if (needed * 8 > QCOW2_L1_MAX)
		return err_set(e, EFBIG, "%llu bytes are too many for clusters of %llu bytes",
			       (unsigned long long)size, (unsigned long long)q->cluster_size);
	rc = extend_l1(q, needed, e);
	q->common.size = size;
	if (rc == 0)
		rc = check_nothing_behind(q, old_size, e);
	if (rc == 0)
		rc = clear_last_cluster(q, old_size, e);
	/* Entries of the old table may have changed by that; the new one has them as well. */
	if (rc == 0)
		rc = qcow2_flush(&q->common, e);
	if (rc == 0 && needed > q->n_l1)
		rc = move_l1(q, needed, &offset, e);
	if (rc < 0) {
		q->common.size = old_size;
		q->l1_used = old_used;
		return rc;
	}
	if (offset) {
		q->l1_offset = q->map_offset = offset;
		q->n_l1 = q->map_entries = (uint32_t)needed;
	}
	rc = write_header(q, size, e);
	if (rc == 0 && offset && old_n) {
		rc = qcow2_free_later(q, old_offset, (uint64_t)old_n * 8, e);
		if (rc == 0)
			rc = qcow2_flush(&q->common, e);
	}
	return rc;
}

/* ---- smaller ------------------------------------------------------------------------------- */

/* Frees what an entry of an L2 table refers to. */
static int free_entry(struct qcow2 *q, const uint8_t *entry, struct err *e)
{
	struct qcow2_run run;
	int rc = qcow2_classify(q, entry, 0, &run, e);

	if (rc < 0 || !run.host)
		return rc;
	if (run.kind == QCOW2_COMPRESSED)
		return qcow2_free_later(q, run.host, run.host_len, e);
	rc = qcow2_check_used_once(q, "cluster", run.host, e);
	return rc < 0 ? rc : qcow2_free_later(q, run.host, q->cluster_size, e);
}

/* A table behind the new end, with all in it. */
static int free_table(struct qcow2 *q, uint32_t i, uint64_t l2, struct err *e)
{
	uint8_t *table = q->changes->cluster;
	int rc = qcow2_check_used_once(q, "L2 table", l2, e);

	if (rc == 0)
		rc = qcow2_table_load(&q->common, table, (size_t)q->cluster_size, l2, e);
	if (rc)
		return rc;
	/* What is freed is not referred to on disk when it is: a commit that comes in between
	 * writes this entry first. */
	qcow2_cache_drop(&q->l2, l2);
	qcow2_set_l1(q, i, 0);
	for (size_t at = 0; rc == 0 && at < q->cluster_size; at += q->entry_size)
		rc = free_entry(q, table + at, e);
	return rc < 0 ? rc : qcow2_free_later(q, l2, q->cluster_size, e);
}

/* The entries of one table from `first` on. */
static int free_part(struct qcow2 *q, uint64_t l2, uint64_t first, struct err *e)
{
	struct qcow2_slot *s;
	int rc = qcow2_check_used_once(q, "L2 table", l2, e);

	for (uint64_t k = first; rc == 0 && k < q->l2_entries; k++) {
		uint8_t entry[8];

		/* Freeing may write tables and look into others: the slot is asked for again. */
		rc = qcow2_cache_get(&q->l2, &q->common, l2, false, &s, e);
		if (rc)
			return rc;
		memcpy(entry, s->data + k * 8, sizeof(entry));
		if (!be64_get(entry))
			continue;
		be64_put(s->data + k * 8, 0);
		qcow2_cache_dirty(&q->l2, s);
		rc = free_entry(q, entry, e);
	}
	return rc;
}

/* All clusters that lie behind the new end as a whole. */
static int free_behind(struct qcow2 *q, uint64_t size, struct err *e)
{
	uint64_t cluster = div_up(size, q->cluster_size);
	uint64_t first = cluster % q->l2_entries;
	int rc = 0;

	for (uint64_t i = cluster / q->l2_entries; rc == 0 && i < q->l1_used; i++, first = 0) {
		uint64_t l2 = 0;

		rc = stop_check(e);
		if (rc == 0)
			rc = qcow2_l2_offset(q, i, &l2, e);
		if (rc < 0 || !l2)
			continue;
		rc = first ? free_part(q, l2, first, e) : free_table(q, (uint32_t)i, l2, e);
	}
	return rc < 0 ? rc : qcow2_flush(&q->common, e);
}

/* Gives back the clusters at the end of the file that nothing uses any more. */
static int cut_file(struct qcow2 *q, struct err *e)
{
	uint64_t end = div_up(q->file_end, q->cluster_size);
	uint64_t count = 0;
	int rc = 0;

	while (end > 1 && rc == 0) {
		rc = qcow2_refcount_get(q, end - 1, &count, e);
		if (rc < 0 || count)
			break;
		end--;
	}
	if (rc < 0 || end << q->cluster_bits >= q->file_end)
		return rc;
	if (ftruncate(q->common.fd, (off_t)(end << q->cluster_bits)) < 0)
		return errno == EINVAL ? 0 : err_errno(e, errno, "cutting the file");
	q->file_end = end << q->cluster_bits;
	return 0;
}

static int shrink(struct qcow2 *q, uint64_t size, struct err *e)
{
	int rc = q->backing ? write_header(q, size, e) : 0;

	if (rc == 0)
		rc = free_behind(q, size, e);
	if (rc == 0 && !q->backing)
		rc = write_header(q, size, e);
	if (rc < 0)
		return rc;
	q->common.size = size;
	q->l1_used = (uint32_t)l1_needed(q, size);
	return cut_file(q, e);
}

/* What is freed, and where the file is cut, follows from the refcounts: they have to be right. */
static int check_first(struct qcow2 *q, struct err *e)
{
	AUTO(image_check_release) struct image_check c = {0};
	int rc = qcow2_check(&q->common, &c, NULL, e);

	if (rc < 0 || !c.n_errors)
		return rc;
	return err_set(e, EBADMSG, "the image has errors, the first: %s", c.findings[0].text);
}

int qcow2_resize(struct image *im, uint64_t size, struct err *e)
{
	struct qcow2 *q = to_qcow2(im);
	int rc;

	if (size % 512)
		return err_set(e, EINVAL, "a size of %llu bytes is no multiple of 512",
			       (unsigned long long)size);
	if (q->changes->failed)
		return err_set(e, EIO, "an earlier write of tables failed");
	rc = qcow2_start_changes(q, e);
	if (rc == 0)
		rc = qcow2_flush(im, e);
	if (rc == 0)
		rc = check_first(q, e);
	if (rc)
		return rc;
	return size > im->size ? grow(q, size, e) : shrink(q, size, e);
}
