/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QCOW2's internal snapshots: each has an L1 table of its own, which leads to clusters that it
 * shares with the disk and other snapshots. Read-only.
 *
 * Snapshot table, entries one behind the other, each at a multiple of 8:
 *	  0  8  L1 table's offset      24  8  nanoseconds that the guest had run
 *	  8  4  L1 entries             32  4  bytes of the guest's memory and devices (VM state)
 *	 12  2  id's length            36  4  length of extra data
 *	 14  2  name's length          40     extra data: 0 8 VM state's bytes, 8 8 size of the
 *	 16  4  seconds since 1970            disk, 16 8 instructions that were executed
 *	 20  4  nanoseconds                   then id and name
 * VM state lies in the clusters behind the end of the disk; it is no part of the disk.
 */
#include "imgconv/format/qcow2.h"
#include "lib/fs.h"

#define SNAPSHOT_EXTRA_MAX 1024u
#define SNAPSHOT_TABLE_MAX (64 * MIB) /* as QEMU's */
#define EXTRA_VM_SIZE_END 8u
#define EXTRA_DISK_SIZE_END 16u

void qcow2_snapshot_release(struct qcow2_snapshot *s)
{
	free(s->id);
	free(s->name);
	s->id = s->name = NULL;
}

static int read_text(struct qcow2 *q, uint64_t off, size_t len, char **ret, struct err *e)
{
	char *text = calloc(1, len + 1);
	int rc;

	if (!text)
		return err_nomem(e);
	free(*ret);
	*ret = text;
	rc = range_within(off, len, q->common.file_size)
		     ? image_file_read(&q->common, text, len, off, e)
		     : err_set(e, EBADMSG, "its name reaches past the end of the file");
	return rc;
}

static int read_entry(struct qcow2 *q, struct qcow2_snapshot *s, struct err *e)
{
	uint8_t entry[SNAPSHOT_ENTRY], extra[EXTRA_DISK_SIZE_END];
	uint64_t at = s->end;
	uint32_t n_extra;
	int rc;

	if (!range_within(at, sizeof(entry), q->common.file_size))
		return err_set(e, EBADMSG, "it reaches past the end of the file");
	rc = image_file_read(&q->common, entry, sizeof(entry), at, e);
	if (rc)
		return rc;
	s->l1_offset = be64_get(entry);
	s->n_l1 = be32_get(entry + 8);
	s->id_len = be16_get(entry + 12);
	s->name_len = be16_get(entry + 14);
	s->seconds = be32_get(entry + 16);
	s->vm_size = be32_get(entry + 32);
	s->disk_size = q->disk_size;
	n_extra = s->n_extra = be32_get(entry + 36);
	if (n_extra > SNAPSHOT_EXTRA_MAX)
		return err_set(e, EBADMSG, "%u bytes of extra data are over the limit of %u",
			       n_extra, SNAPSHOT_EXTRA_MAX);
	at += sizeof(entry);
	rc = image_file_read(&q->common, extra, MIN((size_t)n_extra, sizeof(extra)), at, e);
	if (rc)
		return rc;
	if (n_extra >= EXTRA_VM_SIZE_END)
		s->vm_size = be64_get(extra);
	if (n_extra >= EXTRA_DISK_SIZE_END)
		s->disk_size = be64_get(extra + EXTRA_VM_SIZE_END);
	at += n_extra;
	rc = read_text(q, at, s->id_len, &s->id, e);
	at += s->id_len;
	if (rc == 0)
		rc = read_text(q, at, s->name_len, &s->name, e);
	s->end = round_up(at + s->name_len, 8);
	return rc;
}

int qcow2_snapshot_next(struct qcow2 *q, struct qcow2_snapshot *s, struct err *e)
{
	int rc;

	if (s->number == q->n_snapshots)
		return 0;
	if (!s->number)
		s->end = q->snapshots_offset;
	s->number++;
	if (s->end - q->snapshots_offset > SNAPSHOT_TABLE_MAX)
		return err_set(e, EFBIG, "the snapshot table is over the limit of %llu bytes",
			       (unsigned long long)SNAPSHOT_TABLE_MAX);
	rc = read_entry(q, s, e);
	return rc < 0 ? err_wrap(e, "snapshot %u of %u", s->number, q->n_snapshots) : 1;
}

int qcow2_snapshot_check_place(const struct qcow2 *q, const struct qcow2_snapshot *s, struct err *e)
{
	uint64_t len = (uint64_t)s->n_l1 * 8;
	int rc;

	if (!s->n_l1)
		return 0;
	rc = qcow2_check_table(q, "L1 table", s->l1_offset, len, QCOW2_L1_MAX, e);
	return rc < 0 ? rc : qcow2_check_host_range(q, "L1 table", s->l1_offset, len, e);
}

int qcow2_snapshot_check_size(const struct qcow2 *q, const struct qcow2_snapshot *s, struct err *e)
{
	uint64_t needed = div_up(s->disk_size, q->cluster_size * q->l2_entries);

	if (s->disk_size > INT64_MAX)
		return err_set(e, EFBIG, "the disk's size is over the limit");
	if (needed > s->n_l1)
		return err_set(e, EBADMSG, "its L1 table has %u entries, the disk needs %llu",
			       s->n_l1, (unsigned long long)needed);
	return 0;
}

/* By its id, else by its name, which another one may have too. */
static int find(struct qcow2 *q, const char *wanted, struct qcow2_snapshot *ret, struct err *e)
{
	AUTO(qcow2_snapshot_release) struct qcow2_snapshot s = {0};
	size_t len = strlen(wanted);
	unsigned named = 0;
	int rc;

	while ((rc = qcow2_snapshot_next(q, &s, e)) > 0) {
		bool is_id;

		ANALYZER_KNOWS(s.id && s.name);
		is_id = s.id_len == len && memcmp(s.id, wanted, len) == 0;
		if (!is_id && (s.name_len != len || memcmp(s.name, wanted, len) != 0))
			continue;
		*ret = s;
		ret->id = ret->name = NULL;
		if (is_id)
			return 0;
		named++;
	}
	if (rc < 0)
		return rc;
	if (!named)
		return err_set(e, ENOENT, "there is no snapshot '%s'%s", wanted,
			       q->n_snapshots ? "" : ", nor any other");
	if (named > 1)
		return err_set(e, EINVAL, "%u snapshots have the name '%s': give the id", named,
			       wanted);
	return 0;
}

int qcow2_snapshot_select(struct qcow2 *q, const char *wanted, struct err *e)
{
	struct qcow2_snapshot s = {0};
	int rc = find(q, wanted, &s, e);

	if (rc < 0)
		return rc;
	rc = qcow2_snapshot_check_place(q, &s, e);
	if (rc == 0)
		rc = qcow2_snapshot_check_size(q, &s, e);
	if (rc < 0)
		return err_wrap(e, "snapshot '%s'", wanted);
	q->map_offset = s.l1_offset;
	q->map_entries = s.n_l1;
	q->common.size = s.disk_size;
	q->l1_used = (uint32_t)div_up(s.disk_size, q->cluster_size * q->l2_entries);
	return 0;
}
