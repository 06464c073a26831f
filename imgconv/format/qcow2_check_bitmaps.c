/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of QCOW2's check that counts what dirty bitmaps use.
 *
 * Header extension: 0 4 number of bitmaps, 4 4 reserved, 8 8 directory's bytes, 16 8 its offset.
 * Directory, entries one behind the other, each at a multiple of 8:
 *	  0  8  bitmap table's offset      17  1  granularity_bits
 *	  8  4  entries of that table      18  2  name's length
 *	 12  4  flags: 0 in use                    20  4  length of extra data
 *	 16  1  type, 1: dirty tracking    24     extra data, name
 * Bitmap table entry: bits 9-55 offset of a cluster; bit 0, without a cluster: all bits are set.
 */
#include "imgconv/format/qcow2_check.h"
#include "lib/fs.h"
#include "lib/stop.h"

#define BITMAPS_MAX 65535u
#define DIRECTORY_ENTRY 24u
#define DIRECTORY_MAX (1024u * BITMAPS_MAX)
#define FLAG_IN_USE 1u
#define FLAGS_RESERVED 0xfffffffcu
#define TYPE_DIRTY_TRACKING 1
#define GRANULARITY_MIN 9u
#define GRANULARITY_MAX 31u
#define NAME_MAX_LEN 1023u
#define TABLE_ENTRIES_MAX 0x8000000u
#define BITMAP_RESERVED 0xff000000000001feull
#define PIECE 8192u /* entries that are read at once */

static int check_entry(struct qcow2_check *c, uint64_t entry, uint64_t at, struct err *e)
{
	const struct qcow2 *q = c->q;
	uint64_t off = entry & ENTRY_OFFSET_MASK;
	const char *wrong = NULL;
	int rc;

	if (entry & BITMAP_RESERVED || (off && entry & 1))
		wrong = "reserved bits are set";
	else if (off % q->cluster_size)
		wrong = "the cluster is not aligned";
	else if (off >= q->file_end)
		wrong = "the cluster lies past the end of the file";
	if (!wrong && !off)
		return 0;
	if (!wrong)
		return qcow2_check_use(c, QCOW2_USE_TABLE, true, "bitmap's cluster", off,
				       q->cluster_size, 1, e);
	rc = qcow2_check_error(c, at, e, "bitmap table entry 0x%016llx: %s",
			       (unsigned long long)entry, wrong);
	return rc;
}

static int check_table(struct qcow2_check *c, uint32_t number, uint64_t off, uint32_t n,
		       struct err *e)
{
	struct qcow2 *q = c->q;
	AUTO_FREE uint8_t *piece = NULL;
	struct err why;
	int rc = 0;

	if (!n)
		return 0;
	if (n > TABLE_ENTRIES_MAX ||
	    qcow2_check_table(q, "table", off, (uint64_t)n * 8, TABLE_ENTRIES_MAX * 8ull, &why) < 0)
		return qcow2_check_error(c, off, e, "bitmap %u: its table cannot lie at 0x%llx",
					 number, (unsigned long long)off);
	rc = qcow2_check_use(c, QCOW2_USE_TABLE, true, "bitmap table", off, (uint64_t)n * 8, 1, e);
	/* One that is something else too is not walked: it would be walked for ever. */
	if (rc <= 0)
		return rc;
	piece = malloc(PIECE * 8);
	if (!piece)
		return err_nomem(e);
	for (uint32_t i = 0; rc >= 0 && i < n; i++) {
		uint64_t at = off + (uint64_t)i * 8;

		if (i % PIECE == 0) {
			rc = stop_check(e);
			if (rc == 0)
				rc = image_file_read(&q->common, piece,
						     (size_t)MIN(n - i, PIECE) * 8, at, e);
		}
		if (rc >= 0)
			rc = check_entry(c, be64_get(piece + (size_t)(i % PIECE) * 8), at, e);
	}
	return rc;
}

/* What the directory says of a bitmap; NULL: nothing wrong. */
static const char *wrong_entry(const struct qcow2 *q, const uint8_t *entry)
{
	uint32_t n = be32_get(entry + 8), flags = be32_get(entry + 12);
	unsigned granularity = entry[17];
	uint64_t bytes;

	if (flags & FLAGS_RESERVED)
		return "reserved flags are set";
	if (entry[16] != TYPE_DIRTY_TRACKING)
		return "it is of no known type";
	if (granularity < GRANULARITY_MIN || granularity > GRANULARITY_MAX)
		return "its granularity is none";
	if (!be16_get(entry + 18) || be16_get(entry + 18) > NAME_MAX_LEN)
		return "its name is empty or too long";
	bytes = div_up(div_up(q->disk_size, 1ull << granularity), 8);
	/* One that is in use was not stored, and is of no account. */
	if (!(flags & FLAG_IN_USE) && n != div_up(bytes, q->cluster_size))
		return "its table is not of the disk's size";
	return NULL;
}

static int check_bitmap(struct qcow2_check *c, uint32_t number, const uint8_t *entry, uint64_t at,
			struct err *e)
{
	const char *wrong = wrong_entry(c->q, entry);
	int rc = 0;

	if (wrong)
		rc = qcow2_check_error(c, at, e, "bitmap %u: %s", number, wrong);
	return rc < 0 ? rc : check_table(c, number, be64_get(entry), be32_get(entry + 8), e);
}

int qcow2_check_bitmaps(struct qcow2_check *c, struct err *e)
{
	struct qcow2 *q = c->q;
	uint64_t off = q->bitmaps_offset, end;
	struct err why;
	int rc;

	if (!q->n_bitmaps || q->n_bitmaps > BITMAPS_MAX || !q->bitmaps_len ||
	    qcow2_check_table(q, "directory", off, q->bitmaps_len, DIRECTORY_MAX, &why) < 0)
		return qcow2_check_error(c, off, e,
					 "%u bitmaps with a directory of %llu bytes cannot be",
					 q->n_bitmaps, (unsigned long long)q->bitmaps_len);
	end = off + q->bitmaps_len;
	rc = q->bitmaps_reserved
		     ? qcow2_check_error(c, 0, e,
					 "reserved bytes of the bitmaps' header extension are set")
		     : 0;
	if (rc < 0)
		return rc;
	rc = qcow2_check_use(c, QCOW2_USE_TABLE, true, "bitmap directory", off, q->bitmaps_len, 1,
			     e);
	for (uint32_t i = 0; rc >= 0 && i < q->n_bitmaps; i++) {
		uint8_t entry[DIRECTORY_ENTRY];
		uint64_t len;

		if (!range_within(off, sizeof(entry), end))
			return qcow2_check_error(c, off, e, "bitmap %u is not in the directory",
						 i + 1);
		rc = image_file_read(&q->common, entry, sizeof(entry), off, e);
		if (rc < 0)
			return rc;
		len = round_up(
			sizeof(entry) + (uint64_t)be16_get(entry + 18) + be32_get(entry + 20), 8);
		if (!range_within(off, len, end))
			return qcow2_check_error(c, off, e,
						 "bitmap %u reaches out of the directory", i + 1);
		rc = check_bitmap(c, i + 1, entry, off, e);
		off += len;
	}
	if (rc >= 0 && off != end)
		rc = qcow2_check_error(c, off, e, "the bitmap directory has more than %u bitmaps",
				       q->n_bitmaps);
	return rc;
}
