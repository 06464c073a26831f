/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a QCOW2 image front to back, in one pass and in bounded memory.
 *
 *	cluster 0     header
 *	L1 table      as large as the disk needs
 *	refcount table  as large as the file can become
 *	refcount blocks for all this
 *	then, in the order in which they come: data, packed compressed data, the L2 table of a
 *	range before its first cluster, and a refcount block as the first cluster of the clusters
 *	that it counts.
 *
 * One L2 table and one refcount block are in memory; they are written when they are passed. L1,
 * refcount table and header are written at the end or at a checkpoint, so the file is no image
 * before. A checkpoint's record is a header extension, at a fixed place behind the header.
 */
#include <fcntl.h>

#include "imgconv/format/qcow2_write.h"
#include "lib/fs.h"

#define REFCOUNT_MAX 65535u

void qcow2_writer_free(struct image_writer *iw)
{
	struct qcow2_writer *w = to_writer(iw);

	free(w->l1);
	free(w->reftable);
	free(w->l2);
	free(w->block);
	free(w->out);
	free(w->backing_file);
	free(w->backing_format);
}

int qcow2_writer_encoder_new(const struct image_writer *iw, void **ret, struct err *e)
{
	const struct qcow2_writer *w = (const struct qcow2_writer *)iw;
	struct qcow2_encoder *encoder = NULL;
	int rc = qcow2_encoder_new(w->compression == IMAGE_COMPRESS_ZSTD ? QCOW2_ZSTD : QCOW2_ZLIB,
				   w->level, (size_t)w->cluster_size, &encoder, e);

	if (rc == 0)
		*ret = encoder;
	return rc;
}

size_t qcow2_writer_encode(const struct image_writer *iw, void *encoder, const void *grain,
			   size_t len, void *out)
{
	(void)len; /* a cluster is always whole */
	return qcow2_encode(encoder, grain, iw->grain, out);
}

/* ---- space --------------------------------------------------------------------------------- */

int qcow2_writer_flush_block(struct qcow2_writer *w, struct err *e)
{
	return fs_pwrite(w->common.fd, w->block, (size_t)w->cluster_size,
			 w->reftable[w->block_index], e);
}

void qcow2_writer_count(struct qcow2_writer *w, uint64_t cluster)
{
	uint8_t *p = w->block + cluster % w->block_entries * 2;

	be16_put(p, (uint16_t)(be16_get(p) + 1));
}

/* If the next cluster is the first one of a new refcount block, it becomes this block. */
static int enter_block(struct qcow2_writer *w, struct err *e)
{
	uint64_t i = w->next_cluster / w->block_entries;
	int rc;

	if (i == w->block_index)
		return 0;
	if (i >= w->n_reftable)
		return err_set(e, EFBIG, "the image's file would be too large for its clusters");
	rc = qcow2_writer_flush_block(w, e);
	if (rc)
		return rc;
	memset(w->block, 0, (size_t)w->cluster_size);
	w->block_index = i;
	w->reftable[i] = w->next_cluster << w->cluster_bits;
	qcow2_writer_count(w, w->next_cluster++);
	return 0;
}

/*
 * Takes up to `want` neighbouring clusters; *ret_n says how many. Counts them once each if
 * counted, else not at all.
 */
static int take_clusters(struct qcow2_writer *w, uint64_t want, bool counted, uint64_t *ret_first,
			 uint64_t *ret_n, struct err *e)
{
	int rc = enter_block(w, e);

	if (rc)
		return rc;
	*ret_n = MIN(want, w->block_entries - w->next_cluster % w->block_entries);
	*ret_first = w->next_cluster;
	for (uint64_t i = 0; counted && i < *ret_n; i++)
		qcow2_writer_count(w, *ret_first + i);
	w->next_cluster += *ret_n;
	return 0;
}

static int flush_l2(struct qcow2_writer *w, struct err *e)
{
	int rc;

	if (!w->l2_offset)
		return 0;
	rc = fs_pwrite(w->common.fd, w->l2, (size_t)w->cluster_size, w->l2_offset, e);
	if (rc == 0)
		w->l1[w->l2_index] = w->l2_offset | ENTRY_COPIED;
	return rc;
}

/* Makes the table for the guest's offset the current one. */
static int enter_l2(struct qcow2_writer *w, uint64_t off, struct err *e)
{
	uint64_t i = (off >> w->cluster_bits) / w->l2_entries;
	uint64_t first, n;
	int rc;

	if (w->l2_offset && i == w->l2_index)
		return 0;
	rc = flush_l2(w, e);
	if (rc == 0)
		rc = take_clusters(w, 1, true, &first, &n, e);
	if (rc)
		return rc;
	memset(w->l2, 0, (size_t)w->cluster_size);
	w->l2_index = i;
	w->l2_offset = first << w->cluster_bits;
	return 0;
}

/* An extended entry of plain data has all of its subclusters. */
static void set_entry(struct qcow2_writer *w, uint64_t off, uint64_t entry)
{
	uint8_t *at = w->l2 + (off >> w->cluster_bits) % w->l2_entries * w->entry_size;

	be64_put(at, entry);
	if (w->entry_size == 16)
		be64_put(at + 8, entry & ENTRY_COMPRESSED ? 0 : UINT32_MAX);
}

/* ---- data ---------------------------------------------------------------------------------- */

/* Clusters from off on that one L2 table has. */
static uint64_t clusters_in_table(const struct qcow2_writer *w, uint64_t off)
{
	return w->l2_entries - (off >> w->cluster_bits) % w->l2_entries;
}

/* Leaves clusters free until the next one lies in the file as off does on the disk: image_writer.align. */
static int skip_to(struct qcow2_writer *w, uint64_t off, struct err *e)
{
	uint64_t n = w->common.align >> w->cluster_bits, skip = n;
	int rc = 0;

	while (rc == 0 && skip) {
		/* Which may take the next one. */
		rc = enter_block(w, e);
		skip = ((off >> w->cluster_bits) - w->next_cluster) % n;
		w->next_cluster += skip;
	}
	return rc;
}

/* Gives up to `want` clusters of the disk, from off on, neighbouring ones of the file. */
static int map_clusters(struct qcow2_writer *w, uint64_t off, uint64_t want, uint64_t *ret_first,
			uint64_t *ret_n, struct err *e)
{
	int rc = enter_l2(w, off, e);

	if (rc == 0)
		rc = skip_to(w, off, e);
	if (rc == 0)
		rc = take_clusters(w, MIN(want, clusters_in_table(w, off)), true, ret_first, ret_n,
				   e);
	for (uint64_t i = 0; rc == 0 && i < *ret_n; i++)
		set_entry(w, off + (i << w->cluster_bits),
			  (*ret_first + i) << w->cluster_bits | ENTRY_COPIED);
	return rc;
}

static int write_zeros(const struct qcow2_writer *w, uint64_t off, uint64_t len, struct err *e)
{
	static const uint8_t zeros[256 * KIB];
	int rc = 0;

	while (rc == 0 && len) {
		size_t n = (size_t)MIN(len, (uint64_t)sizeof(zeros));

		rc = fs_pwrite(w->common.fd, zeros, n, off, e);
		off += n;
		len -= n;
	}
	return rc;
}

/* Clusters that are zero have their place too, up to `end` of the disk, if that is wished. */
static int preallocate(struct qcow2_writer *w, uint64_t end, struct err *e)
{
	int rc = 0;

	if (w->preallocation == QCOW2_PREALLOC_OFF)
		return 0;
	while (rc == 0 && w->preallocated < end) {
		uint64_t want = div_up(end - w->preallocated, w->cluster_size);
		uint64_t first = 0, n = 0;

		rc = map_clusters(w, w->preallocated, want, &first, &n, e);
		if (rc == 0 && w->preallocation == QCOW2_PREALLOC_FULL)
			rc = write_zeros(w, first << w->cluster_bits, n << w->cluster_bits, e);
		w->preallocated += n << w->cluster_bits;
	}
	return rc;
}

int qcow2_writer_keep_room(const struct qcow2_writer *w, uint64_t len, struct err *e)
{
	int code;

	if (w->preallocation < QCOW2_PREALLOC_FALLOC)
		return 0;
	code = posix_fallocate(w->common.fd, 0, (off_t)len);
	return code ? err_errno(e, code, "making room for %llu bytes", (unsigned long long)len) : 0;
}

int qcow2_place(struct image_writer *iw, uint64_t off, size_t len, struct image_place *ret,
		struct err *e)
{
	struct qcow2_writer *w = to_writer(iw);
	uint64_t first = 0, n = 0;
	int rc = preallocate(w, off, e);

	if (rc == 0)
		rc = map_clusters(w, off, div_up(len, w->cluster_size), &first, &n, e);
	if (rc)
		return rc;
	*ret = (struct image_place){.fd = iw->fd,
				    .off = first << w->cluster_bits,
				    .len = (size_t)MIN((uint64_t)len, n << w->cluster_bits)};
	w->preallocated = off + (n << w->cluster_bits);
	return 0;
}

static int flush_out(struct qcow2_writer *w, struct err *e)
{
	int rc = fs_pwrite(w->common.fd, w->out, w->out_len, w->out_offset, e);

	w->out_offset += w->out_len;
	w->out_len = 0;
	return rc;
}

/* Bytes between `at` and the end of its cluster that one more compressed cluster can have: none
 * where another refcount block than the current one counts. */
static uint64_t room_at(const struct qcow2_writer *w, uint64_t at)
{
	uint64_t cluster = at >> w->cluster_bits;

	if (!at || cluster / w->block_entries != w->block_index ||
	    be16_get(w->block + cluster % w->block_entries * 2) == REFCOUNT_MAX)
		return 0;
	return round_up(at, w->cluster_size) - at;
}

/* The gap that is filled best; NULL: len bytes fit into none. */
static uint64_t *find_gap(struct qcow2_writer *w, size_t len)
{
	uint64_t *best = NULL;

	for (unsigned i = 0; i < QCOW2_GAPS; i++) {
		uint64_t *gap = &w->gaps[i];
		uint64_t room = room_at(w, *gap);

		if (room >= len && (!best || room < room_at(w, *best)))
			best = gap;
	}
	return best;
}

/* The end of a cluster that compressed data did not reach: kept instead of the smallest one. */
static void keep_gap(struct qcow2_writer *w, uint64_t at)
{
	uint64_t *least = &w->gaps[0];

	for (unsigned i = 1; i < QCOW2_GAPS; i++) {
		if (room_at(w, w->gaps[i]) < room_at(w, *least))
			least = &w->gaps[i];
	}
	if (room_at(w, at) > room_at(w, *least))
		*least = at;
}

/* Room for len bytes in a gap, behind the last compressed cluster, or in a new cluster. */
static int take_packed(struct qcow2_writer *w, size_t len, uint64_t *ret_offset, struct err *e)
{
	uint64_t *gap = find_gap(w, len);
	uint64_t room = room_at(w, w->packed);
	uint64_t first, n;
	int rc;

	if (gap) {
		*ret_offset = *gap;
		*gap += len;
		return 0;
	}
	/* On into the clusters behind, if they are free and counted by the same block. */
	if (room && len > room) {
		uint64_t more = div_up(len - room, w->cluster_size);
		uint64_t next = w->next_cluster;

		if (w->packed + room == next << w->cluster_bits &&
		    next / w->block_entries == w->block_index &&
		    (next + more - 1) / w->block_entries == w->block_index)
			w->next_cluster += more;
		else
			room = 0;
	}
	if (!room) {
		if (w->packed)
			keep_gap(w, w->packed);
		rc = take_clusters(w, 1, false, &first, &n, e);
		if (rc)
			return rc;
		w->packed = first << w->cluster_bits;
	}
	*ret_offset = w->packed;
	w->packed += len;
	return 0;
}

int qcow2_write_encoded(struct image_writer *iw, const void *data, size_t len, uint64_t off,
			struct err *e)
{
	struct qcow2_writer *w = to_writer(iw);
	unsigned x = 62 - (w->cluster_bits - 8);
	uint64_t host = 0, last;
	int rc = enter_l2(w, off, e);

	if (rc == 0)
		rc = take_packed(w, len, &host, e);
	if (rc == 0 && (host != w->out_offset + w->out_len || w->out_len + len > QCOW2_OUT_MAX)) {
		rc = flush_out(w, e);
		w->out_offset = host;
	}
	if (rc)
		return rc;
	memcpy(w->out + w->out_len, data, len);
	w->out_len += len;
	last = host + len - 1;
	for (uint64_t i = host >> w->cluster_bits; i <= last >> w->cluster_bits; i++)
		qcow2_writer_count(w, i);
	set_entry(w, off, ENTRY_COMPRESSED | (last / 512 - host / 512) << x | host);
	return 0;
}

/* ---- tables and header --------------------------------------------------------------------- */

void qcow2_writer_header(const struct qcow2_writer *w, const struct image_checkpoint *c,
			 uint8_t h[QCOW2_HEADER_BYTES])
{
	uint8_t *ext = h + w->header_length;
	uint64_t incompatible = w->entry_size == 16 ? INCOMPAT_EXTENDED_L2 : 0;
	size_t format_len;

	memset(h, 0, QCOW2_HEADER_BYTES);
	be32_put(h, QCOW2_MAGIC);
	be32_put(h + HDR_VERSION, w->version);
	be32_put(h + HDR_CLUSTER_BITS, w->cluster_bits);
	be64_put(h + HDR_SIZE, w->common.size);
	be32_put(h + HDR_L1_ENTRIES, (uint32_t)w->n_l1);
	be64_put(h + HDR_L1_OFFSET, w->l1_offset);
	be64_put(h + HDR_REFTABLE_OFFSET, w->reftable_offset);
	be32_put(h + HDR_REFTABLE_CLUSTERS, (uint32_t)w->reftable_clusters);
	if (w->version >= 3) {
		if (w->compression == IMAGE_COMPRESS_ZSTD) {
			incompatible |= INCOMPAT_COMPRESSION;
			h[HDR_COMPRESSION] = QCOW2_ZSTD;
		}
		be64_put(h + HDR_INCOMPATIBLE, incompatible);
		be32_put(h + HDR_REFCOUNT_ORDER, QCOW2_REFCOUNT_ORDER);
		be32_put(h + HDR_LENGTH, w->header_length);
	}
	if (c) {
		be32_put(ext, EXT_CHECKPOINT);
		be32_put(ext + 4, IMAGE_CHECKPOINT_SIZE);
		image_checkpoint_encode(c, ext + 8);
		ext += 8 + IMAGE_CHECKPOINT_SIZE;
	}
	if (!w->backing_file || !w->backing_format)
		return;
	format_len = strlen(w->backing_format);
	be64_put(h + HDR_BACKING_OFFSET, QCOW2_HEADER_BYTES);
	be32_put(h + HDR_BACKING_LEN, (uint32_t)strlen(w->backing_file));
	be32_put(ext, EXT_BACKING_FORMAT);
	be32_put(ext + 4, (uint32_t)format_len);
	memcpy(ext + 8, w->backing_format, format_len);
}

static int write_u64s(struct qcow2_writer *w, const uint64_t *v, uint64_t n, uint64_t off,
		      struct err *e)
{
	AUTO_FREE uint8_t *bytes = malloc(n ? (size_t)n * 8 : 1);

	if (!bytes)
		return err_nomem(e);
	for (uint64_t i = 0; i < n; i++)
		be64_put(bytes + i * 8, v[i]);
	return fs_pwrite(w->common.fd, bytes, (size_t)n * 8, off, e);
}

/* Where the file ends: it needs not fill the last cluster if that has compressed data. */
static uint64_t file_end(const struct qcow2_writer *w, bool finished)
{
	uint64_t end = w->next_cluster << w->cluster_bits;

	if (finished && w->packed && end - w->packed < w->cluster_size)
		return round_up(w->packed, 512);
	return end;
}

/* All data and tables; the header is what is left to write. */
static int write_tables(struct qcow2_writer *w, bool synced, struct err *e)
{
	int rc = flush_out(w, e);

	if (rc == 0)
		rc = flush_l2(w, e);
	if (rc == 0)
		rc = qcow2_writer_flush_block(w, e);
	if (rc == 0 && ftruncate(w->common.fd, (off_t)file_end(w, !synced)) < 0)
		rc = err_errno(e, errno, "setting the file's size");
	if (rc == 0 && synced && fdatasync(w->common.fd) < 0)
		rc = err_errno(e, errno, "fdatasync");
	if (rc == 0)
		rc = write_u64s(w, w->l1, w->n_l1, w->l1_offset, e);
	if (rc == 0)
		rc = write_u64s(w, w->reftable, w->n_reftable, w->reftable_offset, e);
	if (rc == 0 && synced && fdatasync(w->common.fd) < 0)
		rc = err_errno(e, errno, "fdatasync");
	return rc;
}

int qcow2_finish(struct image_writer *iw, struct err *e)
{
	struct qcow2_writer *w = to_writer(iw);
	uint8_t h[QCOW2_HEADER_BYTES];
	int rc = preallocate(w, iw->size, e);

	if (rc == 0)
		rc = write_tables(w, false, e);
	if (rc == 0)
		rc = qcow2_writer_keep_room(w, w->next_cluster << w->cluster_bits, e);
	qcow2_writer_header(w, NULL, h);
	return rc < 0 ? rc : fs_pwrite(iw->fd, h, sizeof(h), 0, e);
}

int qcow2_checkpoint(struct image_writer *iw, uint64_t position, struct err *e)
{
	struct qcow2_writer *w = to_writer(iw);
	uint8_t h[QCOW2_HEADER_BYTES];
	struct image_checkpoint c;
	int rc;

	/* What comes from now on shares no cluster with what the checkpoint vouches for. */
	w->packed = 0;
	memset(w->gaps, 0, sizeof(w->gaps));
	rc = preallocate(w, position, e);
	if (rc == 0)
		rc = write_tables(w, true, e);
	if (rc)
		return rc;
	c = (struct image_checkpoint){.size = iw->size,
				      .position = position,
				      .file_end = w->next_cluster << w->cluster_bits,
				      .grain = iw->grain,
				      .compression = w->compression};
	qcow2_writer_header(w, &c, h);
	rc = fs_pwrite(iw->fd, h, sizeof(h), 0, e);
	if (rc == 0 && fdatasync(iw->fd) < 0)
		rc = err_errno(e, errno, "fdatasync");
	return rc;
}
