/* SPDX-License-Identifier: Apache-2.0 */
/* QCOW2: opening and closing; the table of what qcow2_*.c do. The format is told in qcow2.h. */
#include <sys/stat.h>

#include "imgconv/format/qcow2.h"
#include "lib/fs.h"

/* The part of the L1 table that the disk needs, in host order. */
static int read_l1(struct qcow2 *q, struct err *e)
{
	size_t n = q->l1_used;
	int rc;

	q->l1 = calloc(n ? n : 1, sizeof(*q->l1));
	if (!q->l1)
		return err_nomem(e);
	rc = image_file_read(&q->common, q->l1, n * sizeof(*q->l1), q->map_offset, e);
	for (size_t i = 0; i < n; i++)
		q->l1[i] = be64_get(&q->l1[i]);
	return rc;
}

static int open_backing(struct qcow2 *q, struct err *e)
{
	if (!q->backing_name || !(q->common.flags & IMAGE_ALLOW_BACKING) || q->refusal.code)
		return 0;
	return image_open_backing(&q->common, q->backing_name, q->backing_name_len,
				  q->backing_format, &q->backing, e);
}

/* An image that was made with places for all of its clusters, or had some of them discarded. */
static bool file_has_holes(const struct qcow2 *q)
{
	struct stat st;

	return !q->common.is_part && !(q->common.flags & IMAGE_RDWR) &&
	       fstat(q->common.fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_blocks * 512 < q->file_end - q->file_end / 16;
}

static int qcow2_open(const struct image_source *src, struct image **ret, struct err *e)
{
	AUTO(image_discard) struct image *im = NULL;
	struct qcow2 *q = calloc(1, sizeof(*q));
	int rc;

	if (!q)
		return err_nomem(e);
	im = &q->common;
	pthread_mutex_init(&q->lock, NULL);
	rc = image_init(im, &image_format_qcow2, src, e);
	if (rc == 0)
		rc = qcow2_read_header(q, e);
	if (rc)
		return rc;
	if (q->refusal.code && !(im->flags & IMAGE_INSPECT))
		return err_set(e, q->refusal.code, "%s", q->refusal.msg);
	if (src->snapshot && im->flags & IMAGE_RDWR)
		return err_set(e, EINVAL, "a snapshot is not written to");
	if (src->snapshot)
		rc = qcow2_snapshot_select(q, src->snapshot, e);
	if (rc)
		return rc;
	q->file_end = im->file_size;
	q->file_has_holes = file_has_holes(q);
	qcow2_cache_init(&q->l2, (size_t)q->cluster_size);
	rc = read_l1(q, e);
	if (rc == 0)
		rc = open_backing(q, e);
	if (rc == 0 && im->flags & IMAGE_RDWR)
		rc = qcow2_open_rdwr(q, e);
	if (rc)
		return rc;
	*ret = STEAL(im);
	return 0;
}

static void qcow2_close(struct image *im)
{
	struct qcow2 *q = to_qcow2(im);

	qcow2_changes_free(q);
	qcow2_claims_free(q->claims);
	qcow2_readers_free(q);
	qcow2_cache_release(&q->l2);
	if (q->backing)
		image_close(q->backing);
	free(q->l1);
	free(q->backing_name);
	free(q->backing_format);
	free(q->data_file);
	pthread_mutex_destroy(&q->lock);
}

const struct image_format image_format_qcow2 = {
	.name = "qcow2",
	.summary = "QEMU's copy-on-write format, versions 2 and 3",
	.max_size = 1ull << 61,
	.takes = FORMAT_TAKES_CLUSTER_SIZE | FORMAT_TAKES_ZLIB | FORMAT_TAKES_ZSTD |
		 FORMAT_TAKES_BACKING,
	.options = qcow2_options,
	.has_snapshots = true,
	.probe = qcow2_probe,
	.open = qcow2_open,
	.pread = qcow2_pread,
	.pwrite = qcow2_pwrite,
	.next_extent = qcow2_next_extent,
	.flush = qcow2_flush,
	.claim = qcow2_claim,
	.info = qcow2_info,
	.check = qcow2_check,
	.resize = qcow2_resize,
	.close = qcow2_close,
	.create = qcow2_create,
	.place = qcow2_place,
	.encoder_new = qcow2_writer_encoder_new,
	.encode = qcow2_writer_encode,
	.encoder_free = qcow2_encoder_free,
	.write_encoded = qcow2_write_encoded,
	.finish = qcow2_finish,
	.full_size = qcow2_full_size,
	.checkpoint = qcow2_checkpoint,
	.resume = qcow2_resume,
	.free = qcow2_writer_free,
};
