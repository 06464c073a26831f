/* SPDX-License-Identifier: Apache-2.0 */
/* What `imgconv info` tells of a QCOW2 image. */
#include <stdio.h>
#include <time.h>

#include "imgconv/format/qcow2.h"

#define SNAPSHOTS_SHOWN 100u

static int add_u64(struct image_info *info, const char *key, uint64_t v, struct err *e)
{
	return image_info_add(info, key, IMAGE_FACT_U64, v, NULL, 0, e);
}

static int add_bool(struct image_info *info, const char *key, bool v, struct err *e)
{
	return image_info_add(info, key, IMAGE_FACT_BOOL, v, NULL, 0, e);
}

static int add_text(struct image_info *info, const char *key, const char *text, struct err *e)
{
	return image_info_add(info, key, IMAGE_FACT_TEXT, 0, text, strlen(text), e);
}

static int add_snapshot(const struct qcow2_snapshot *s, struct image_info *info, struct err *e)
{
	time_t seconds = (time_t)s->seconds;
	char date[32] = "";
	struct tm tm;
	int rc = image_info_open_group(info, "snapshots", e);

	if (gmtime_r(&seconds, &tm))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (rc == 0)
		rc = image_info_add(info, "id", IMAGE_FACT_TEXT, 0, s->id, s->id_len, e);
	if (rc == 0)
		rc = image_info_add(info, "name", IMAGE_FACT_TEXT, 0, s->name, s->name_len, e);
	if (rc == 0)
		rc = add_text(info, "date", date, e);
	if (rc == 0)
		rc = add_u64(info, "vm-state-size", s->vm_size, e);
	if (rc == 0)
		rc = add_u64(info, "disk-size", s->disk_size, e);
	image_info_close_group(info);
	return rc;
}

/* What is wrong with them says nothing of the disk: a warning. */
static int add_snapshots(struct qcow2 *q, struct image_info *info, struct err *e)
{
	AUTO(qcow2_snapshot_release) struct qcow2_snapshot s = {0};
	struct err why;
	int rc;

	while ((rc = qcow2_snapshot_next(q, &s, &why)) > 0) {
		rc = add_snapshot(&s, info, e);
		if (rc < 0 || s.number == SNAPSHOTS_SHOWN)
			return rc;
	}
	if (rc == -EBADMSG || rc == -EFBIG)
		return image_info_warn(info, e, "%s", why.msg);
	return rc < 0 ? err_set(e, -rc, "%s", why.msg) : 0;
}

static int add_warnings(const struct qcow2 *q, struct image_info *info, struct err *e)
{
	int rc = 0;

	if (q->refusal.code)
		rc = image_info_warn(info, e, "%s", q->refusal.msg);
	if (rc == 0 && q->incompatible & INCOMPAT_DIRTY)
		rc = image_info_warn(info, e,
				     "the image was not closed: its refcounts may be out of date");
	if (rc == 0 && q->n_snapshots)
		rc = image_info_warn(info, e,
				     "%u internal snapshots are not carried over by a conversion",
				     q->n_snapshots);
	if (rc == 0 && q->n_snapshots > SNAPSHOTS_SHOWN)
		rc = image_info_warn(info, e, "only the first %u snapshots are shown",
				     SNAPSHOTS_SHOWN);
	if (rc == 0 && q->has_bitmaps)
		rc = image_info_warn(info, e, "dirty bitmaps are not carried over by a conversion");
	return rc;
}

int qcow2_info(struct image *im, struct image_info *info, struct err *e)
{
	struct qcow2 *q = to_qcow2(im);
	const char *compression = q->compression == QCOW2_ZLIB   ? "zlib"
				  : q->compression == QCOW2_ZSTD ? "zstd"
								 : "unknown";
	int rc = add_u64(info, "version", q->version, e);

	if (rc == 0)
		rc = add_u64(info, "cluster-size", q->cluster_size, e);
	if (rc == 0)
		rc = add_text(info, "compression-type", compression, e);
	if (rc == 0)
		rc = add_u64(info, "refcount-bits", 1u << q->refcount_order, e);
	if (rc == 0)
		rc = add_bool(info, "extended-l2", q->extended_l2, e);
	if (rc == 0)
		rc = add_bool(info, "lazy-refcounts", q->compatible & COMPAT_LAZY_REFCOUNTS, e);
	if (rc == 0)
		rc = add_bool(info, "dirty", q->incompatible & INCOMPAT_DIRTY, e);
	if (rc == 0)
		rc = add_bool(info, "corrupt", q->incompatible & INCOMPAT_CORRUPT, e);
	if (rc == 0)
		rc = add_bool(info, "encrypted", q->crypt != 0, e);
	if (rc == 0 && q->backing_name)
		rc = add_text(info, "backing-file", q->backing_name, e);
	if (rc == 0 && q->backing_format)
		rc = add_text(info, "backing-format", q->backing_format, e);
	if (rc == 0 && q->data_file)
		rc = add_text(info, "data-file", q->data_file, e);
	if (rc == 0)
		rc = add_snapshots(q, info, e);
	return rc < 0 ? rc : add_warnings(q, info, e);
}
