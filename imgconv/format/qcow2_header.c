/* SPDX-License-Identifier: Apache-2.0 */
/* QCOW2's header and extensions: reading and checking. */
#include <stdio.h>

#include "imgconv/format/qcow2.h"
#include "lib/fs.h"

#define EXTENSIONS_MAX 64 /* more are hostile */
#define FEATURE_NAME_ROW 48
#define BACKING_FORMAT_MAX 31
#define BITMAPS_LEN 24 /* bytes of the extension */
#define LUKS_LEN 16

bool qcow2_probe(const struct image_head *head)
{
	/* Version 1 is another format. A version that there is not is not to pass as raw. */
	return head->len >= 8 && be32_get(head->data) == QCOW2_MAGIC &&
	       be32_get(head->data + HDR_VERSION) != 1;
}

/* The first reason is kept; all that can be said of the header is read nevertheless. */
static void refuse(struct qcow2 *q, const struct err *why)
{
	if (!q->refusal.code)
		q->refusal = *why;
}

static int read_fields(struct qcow2 *q, const uint8_t *h, size_t len, struct err *e)
{
	q->version = be32_get(h + HDR_VERSION);
	if (be32_get(h) != QCOW2_MAGIC)
		return err_set(e, EBADMSG, "not a QCOW2 image: no magic number");
	if (q->version != 2 && q->version != 3)
		return err_set(e, ENOTSUP, "QCOW2 version %u is not supported", q->version);
	q->cluster_bits = be32_get(h + HDR_CLUSTER_BITS);
	if (q->cluster_bits < QCOW2_MIN_CLUSTER_BITS || q->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
		return err_set(e, EBADMSG, "cluster_bits is %u, not 9 to 21", q->cluster_bits);
	q->cluster_size = 1ull << q->cluster_bits;
	q->common.size = q->disk_size = be64_get(h + HDR_SIZE);
	if (q->disk_size > INT64_MAX)
		return err_set(e, EFBIG, "the disk's size is over the limit");
	q->crypt = be32_get(h + HDR_CRYPT);
	q->n_l1 = be32_get(h + HDR_L1_ENTRIES);
	q->l1_offset = be64_get(h + HDR_L1_OFFSET);
	q->reftable_offset = be64_get(h + HDR_REFTABLE_OFFSET);
	q->reftable_clusters = be32_get(h + HDR_REFTABLE_CLUSTERS);
	q->n_snapshots = be32_get(h + HDR_SNAPSHOTS);
	q->snapshots_offset = be64_get(h + HDR_SNAPSHOTS_OFFSET);
	q->header_length = HDR_V2_LENGTH;
	q->refcount_order = 4;
	if (q->version < 3)
		return 0;
	if (len < HDR_V3_LENGTH)
		return err_set(e, EBADMSG, "the file ends inside of the header");
	q->incompatible = be64_get(h + HDR_INCOMPATIBLE);
	q->compatible = be64_get(h + HDR_COMPATIBLE);
	q->autoclear = be64_get(h + HDR_AUTOCLEAR);
	q->refcount_order = be32_get(h + HDR_REFCOUNT_ORDER);
	q->header_length = be32_get(h + HDR_LENGTH);
	if (q->refcount_order > 6)
		return err_set(e, EBADMSG, "refcount_order is %u, over 6", q->refcount_order);
	if (q->header_length < HDR_V3_LENGTH || q->header_length % 8 ||
	    q->header_length > q->cluster_size || q->header_length > len)
		return err_set(e, EBADMSG, "the header's length of %u bytes is impossible",
			       q->header_length);
	if (q->header_length > HDR_COMPRESSION)
		q->compression = h[HDR_COMPRESSION];
	return 0;
}

/* The name that the image itself gives to a feature bit; hostile text. */
static void feature_name(const uint8_t *names, size_t len, unsigned bit, char out[47])
{
	snprintf(out, 47, "unnamed");
	for (size_t at = 0; names && at + FEATURE_NAME_ROW <= len; at += FEATURE_NAME_ROW) {
		if (names[at] == 0 && names[at + 1] == bit) {
			memcpy(out, names + at + 2, 46);
			out[46] = '\0';
		}
	}
}

static void check_features(struct qcow2 *q, const uint8_t *names, size_t names_len)
{
	uint64_t unknown = q->incompatible & ~INCOMPAT_KNOWN;
	struct err why;

	if (q->incompatible & INCOMPAT_DATA_FILE || q->data_file) {
		err_set(&why, EACCES, "the image's data lie in another file, '%s'",
			q->data_file ? q->data_file : "");
		refuse(q, &why);
	}
	if (q->crypt) {
		err_set(&why, ENOTSUP, "encrypted QCOW2 (%s) is not supported",
			q->crypt == 1   ? "AES"
			: q->crypt == 2 ? "LUKS"
					: "unknown method");
		refuse(q, &why);
	}
	if (unknown) {
		unsigned bit = (unsigned)__builtin_ctzll(unknown);
		char name[47];

		feature_name(names, names_len, bit, name);
		err_set(&why, ENOTSUP, "incompatible feature bit %u ('%s') is not supported", bit,
			name);
		refuse(q, &why);
	}
	if (q->incompatible & INCOMPAT_CORRUPT) {
		err_set(&why, EBADMSG, "the image is marked as corrupt");
		refuse(q, &why);
	}
	if (q->compression != QCOW2_ZLIB && q->compression != QCOW2_ZSTD) {
		err_set(&why, ENOTSUP, "compression type %u is not supported",
			(unsigned)q->compression);
		refuse(q, &why);
	}
	if ((q->compression != QCOW2_ZLIB) != !!(q->incompatible & INCOMPAT_COMPRESSION)) {
		err_set(&why, EBADMSG, "compression type and its feature bit disagree");
		refuse(q, &why);
	}
	if (q->autoclear & AUTOCLEAR_RAW_DATA && !(q->incompatible & INCOMPAT_DATA_FILE)) {
		err_set(&why, EBADMSG, "a raw data file is promised, but there is none");
		refuse(q, &why);
	}
	q->extended_l2 = q->incompatible & INCOMPAT_EXTENDED_L2;
	if (q->extended_l2 && q->cluster_bits < QCOW2_EXTENDED_MIN_BITS) {
		err_set(&why, EBADMSG, "extended L2 entries need clusters of 16 KiB or more");
		refuse(q, &why);
	}
}

static int copy_text(char **to, const uint8_t *data, size_t len, struct err *e)
{
	free(*to);
	*to = strndup((const char *)data, len);
	return *to ? 0 : err_nomem(e);
}

/* Runs over the extensions between the header and `end`. */
static int read_extensions(struct qcow2 *q, const uint8_t *h, size_t end, const uint8_t **ret_names,
			   size_t *ret_names_len, struct err *e)
{
	size_t at = q->header_length;

	for (unsigned n = 0; at + 8 <= end; n++) {
		uint32_t type = be32_get(h + at);
		uint32_t len = be32_get(h + at + 4);
		const uint8_t *data = h + at + 8;
		int rc = 0;

		/* Where version 3 has its feature bits, version 2 has this: it is none of them. */
		if (type == EXT_END && len)
			return err_set(e, EBADMSG,
				       "the end of the header extensions has a length of %u", len);
		if (type == EXT_END)
			return 0;
		if (n == EXTENSIONS_MAX)
			return err_set(e, EFBIG, "more than %d header extensions", EXTENSIONS_MAX);
		if (!range_within(at + 8, len, end))
			return err_set(e, EBADMSG,
				       "the header extension at 0x%zx reaches out of the header",
				       at);
		if (type == EXT_BACKING_FORMAT) {
			if (len > BACKING_FORMAT_MAX)
				return err_set(e, EBADMSG, "the backing format's name is too long");
			rc = copy_text(&q->backing_format, data, len, e);
		} else if (type == EXT_DATA_FILE) {
			rc = copy_text(&q->data_file, data, len, e);
		} else if (type == EXT_BITMAPS) {
			q->has_bitmaps = true;
			if (len >= BITMAPS_LEN) {
				q->n_bitmaps = be32_get(data);
				q->bitmaps_reserved = be32_get(data + 4);
				q->bitmaps_len = be64_get(data + 8);
				q->bitmaps_offset = be64_get(data + 16);
			}
		} else if (type == EXT_LUKS && len >= LUKS_LEN) {
			q->luks_offset = be64_get(data);
			q->luks_len = be64_get(data + 8);
		} else if (type == EXT_FEATURE_NAMES) {
			*ret_names = data;
			*ret_names_len = len;
		}
		if (rc)
			return rc;
		at += 8 + (size_t)round_up(len, 8);
	}
	return 0;
}

static int read_backing_name(struct qcow2 *q, const uint8_t *h, size_t len, struct err *e)
{
	uint64_t off = be64_get(h + HDR_BACKING_OFFSET);
	uint32_t n = be32_get(h + HDR_BACKING_LEN);
	struct err why;

	if (!off)
		return 0;
	if (n > QCOW2_BACKING_NAME_MAX || off < q->header_length || !range_within(off, n, len))
		return err_set(e, EBADMSG,
			       "the backing file's name (%u bytes at 0x%llx) does not "
			       "lie in the first cluster",
			       n, (unsigned long long)off);
	q->backing_name = strndup((const char *)h + off, n);
	if (!q->backing_name)
		return err_nomem(e);
	q->backing_name_len = n;
	if (q->common.flags & IMAGE_ALLOW_BACKING)
		return 0;
	err_set(&why, EACCES, "the image refers to the backing file '%s', which is not allowed",
		q->backing_name);
	refuse(q, &why);
	return 0;
}

/* ---- places of the tables ------------------------------------------------------------------ */

int qcow2_check_table(const struct qcow2 *q, const char *what, uint64_t off, uint64_t len,
		      uint64_t limit, struct err *e)
{
	if (len > limit)
		return err_set(e, EFBIG, "the %s of %llu bytes is over the limit of %llu", what,
			       (unsigned long long)len, (unsigned long long)limit);
	if (off % q->cluster_size)
		return err_set(e, EBADMSG, "the %s at 0x%llx is not aligned", what,
			       (unsigned long long)off);
	if (off < q->cluster_size)
		return err_set(e, EBADMSG, "the %s at 0x%llx overlaps the header", what,
			       (unsigned long long)off);
	if (!range_within(off, len, q->common.file_size))
		return err_set(e, EBADMSG,
			       "the %s (%llu bytes at 0x%llx) reaches past the end of the file",
			       what, (unsigned long long)len, (unsigned long long)off);
	return 0;
}

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a_len && b_len && a < b + b_len && b < a + a_len;
}

int qcow2_check_host_range(const struct qcow2 *q, const char *what, uint64_t off, uint64_t len,
			   struct err *e)
{
	const char *with = NULL;

	if (overlap(off, len, 0, q->cluster_size))
		with = "header";
	else if (overlap(off, len, q->l1_offset, (uint64_t)q->n_l1 * 8))
		with = "L1 table";
	else if (q->map_offset != q->l1_offset &&
		 overlap(off, len, q->map_offset, (uint64_t)q->map_entries * 8))
		with = "snapshot's L1 table";
	else if (overlap(off, len, q->reftable_offset, q->reftable_clusters * q->cluster_size))
		with = "refcount table";
	else if (overlap(off, len, q->snapshots_offset, (uint64_t)q->n_snapshots * SNAPSHOT_ENTRY))
		with = "snapshot table";
	if (!with)
		return 0;
	return err_set(e, EBADMSG, "the %s at 0x%llx overlaps the %s", what,
		       (unsigned long long)off, with);
}

static int check_tables(struct qcow2 *q, struct err *e)
{
	uint64_t l1_covers = q->cluster_size * q->l2_entries;
	uint64_t reftable_len = q->reftable_clusters * q->cluster_size;
	uint64_t needed = div_up(q->common.size, l1_covers);
	int rc = 0;

	if (needed > q->n_l1)
		return err_set(e, EBADMSG, "the L1 table has %u entries, the disk needs %llu",
			       q->n_l1, (unsigned long long)needed);
	q->l1_used = (uint32_t)needed;
	q->map_offset = q->l1_offset;
	q->map_entries = q->n_l1;
	if (q->n_l1)
		rc = qcow2_check_table(q, "L1 table", q->l1_offset, (uint64_t)q->n_l1 * 8,
				       QCOW2_L1_MAX, e);
	if (rc == 0 && !q->reftable_clusters)
		rc = err_set(e, EBADMSG, "there is no refcount table");
	if (rc == 0)
		rc = qcow2_check_table(q, "refcount table", q->reftable_offset, reftable_len,
				       MAX(QCOW2_REFTABLE_MAX, q->cluster_size), e);
	if (rc == 0 && q->n_snapshots > QCOW2_SNAPSHOTS_MAX)
		rc = err_set(e, EFBIG, "%u snapshots are over the limit of %u", q->n_snapshots,
			     QCOW2_SNAPSHOTS_MAX);
	if (rc == 0 && q->n_snapshots)
		rc = qcow2_check_table(q, "snapshot table", q->snapshots_offset,
				       (uint64_t)q->n_snapshots * SNAPSHOT_ENTRY, UINT64_MAX, e);
	if (rc == 0 &&
	    overlap(q->l1_offset, (uint64_t)q->n_l1 * 8, q->reftable_offset, reftable_len))
		rc = err_set(e, EBADMSG, "L1 table and refcount table overlap");
	if (rc == 0 && q->n_snapshots) {
		uint64_t len = (uint64_t)q->n_snapshots * SNAPSHOT_ENTRY;

		if (overlap(q->snapshots_offset, len, q->l1_offset, (uint64_t)q->n_l1 * 8) ||
		    overlap(q->snapshots_offset, len, q->reftable_offset, reftable_len))
			rc = err_set(e, EBADMSG, "the snapshot table overlaps another table");
	}
	return rc;
}

int qcow2_read_header(struct qcow2 *q, struct err *e)
{
	/* All of the first cluster that there is: the header, its extensions, the backing name. */
	size_t len = (size_t)MIN(q->common.file_size, (uint64_t)1 << QCOW2_MAX_CLUSTER_BITS);
	AUTO_FREE uint8_t *h = calloc(1, len + 1);
	const uint8_t *names = NULL;
	size_t names_len = 0, extensions_end;
	int rc;

	if (!h)
		return err_nomem(e);
	if (len < HDR_V2_LENGTH)
		return err_set(e, EBADMSG, "the file ends inside of the header");
	rc = image_file_read(&q->common, h, len, 0, e);
	if (rc == 0)
		rc = read_fields(q, h, len, e);
	if (rc)
		return rc;
	len = (size_t)MIN((uint64_t)len, q->cluster_size);
	rc = read_backing_name(q, h, len, e);
	if (rc)
		return rc;
	extensions_end = len;
	if (be64_get(h + HDR_BACKING_OFFSET))
		extensions_end = (size_t)be64_get(h + HDR_BACKING_OFFSET);
	rc = read_extensions(q, h, extensions_end, &names, &names_len, e);
	if (rc)
		return rc;
	check_features(q, names, names_len);
	q->entry_size = q->extended_l2 ? 16 : 8;
	q->l2_entries = q->cluster_size / q->entry_size;
	q->unit_size = q->extended_l2 ? q->cluster_size / 32 : q->cluster_size;
	return check_tables(q, e);
}
