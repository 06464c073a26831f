/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a VMDK image is sound: every entry of every table, what is used twice, what is used by
 * nothing, whether both copies of the tables are the same, the headers of compressed grains.
 */
#include "imgconv/format/vmdk.h"
#include "lib/fs.h"
#include "lib/stop.h"

struct check {
	const struct vmdk_extent *x;
	struct vmdk_space *space;
	struct image_check *found;
	const uint8_t *gt; /* the table looked at */
	bool twice;        /* what was taken last was in use before */
	uint8_t rgt[GT_SIZE];
};

/* A problem that was met on the way becomes a finding; another error stays one. */
static int note(struct check *k, int rc, uint64_t offset, const struct err *why, struct err *e)
{
	const char *file = k->x->own_fd ? k->x->file : NULL;

	if (rc == 0)
		return 0;
	if (rc != -EBADMSG)
		return err_set(e, why->code, "%s", why->msg);
	return image_check_add(k->found, IMAGE_FINDING_ERROR, offset, 0, e, "%s%s%s%s",
			       file ? "extent '" : "", file ? file : "", file ? "': " : "",
			       why->msg);
}

static int take(struct check *k, const char *what, uint64_t sector, uint64_t n, struct err *e)
{
	struct err why = {0};
	int rc = vmdk_space_take(k->space, what, sector, n, &why);

	k->twice = rc != 0;
	return note(k, rc, sector * SECTOR, &why, e);
}

/* The marker before a table of the end of a stream belongs to it. */
static int take_marker(struct check *k, uint32_t type, uint64_t sector, uint64_t n, struct err *e)
{
	uint8_t marker[SECTOR];
	int rc;

	if (!k->x->h.compressed || sector < 2)
		return 0;
	rc = vmdk_extent_read(k->x, marker, sizeof(marker), (sector - 1) * SECTOR, e);
	if (rc == 0 && vmdk_marker_check(marker, type, n, NULL) == 0)
		rc = take(k, "marker", sector - 1, 1, e);
	return rc;
}

/* ---- grains -------------------------------------------------------------------------------- */

static int check_deflated(struct check *k, uint32_t sector, uint64_t lba, struct err *e)
{
	uint64_t host = (uint64_t)sector * SECTOR;
	uint8_t header[GRAIN_HEADER];
	struct err why = {0};
	uint32_t len = 0;
	int rc;

	if (!range_within(host, sizeof(header), k->x->file_size))
		return image_check_add(k->found, IMAGE_FINDING_ERROR, host, 0, e,
				       "the compressed grain at sector %u reaches past the end of "
				       "the file",
				       sector);
	rc = vmdk_extent_read(k->x, header, sizeof(header), host, e);
	if (rc)
		return rc;
	rc = vmdk_grain_header(k->x, header, host, lba, &len, &why);
	if (rc < 0) {
		rc = err_wrap(&why, "at sector %u", sector);
		return note(k, rc, host, &why, e);
	}
	return take(k, "compressed grain", sector, div_up(GRAIN_HEADER + (uint64_t)len, SECTOR), e);
}

static int check_table(struct check *k, uint32_t i, struct err *e)
{
	const struct vmdk_extent *x = k->x;
	uint64_t first = (uint64_t)i * GT_ENTRIES * x->h.grain; /* of the disk */
	int rc = 0;

	for (uint32_t n = 0; rc == 0 && n < GT_ENTRIES; n++) {
		uint32_t entry = le32_get(k->gt + n * 4);
		uint64_t lba = first + n * x->h.grain;
		struct err why = {0};
		struct vmdk_run run;

		if (!entry)
			continue;
		if (lba >= x->h.capacity) {
			err_set(&why, EBADMSG, "grain table %u: entry %u lies past the disk's end",
				i, n);
			rc = note(k, -EBADMSG, x->gd[i] * (uint64_t)SECTOR + n * 4, &why, e);
			continue;
		}
		rc = vmdk_classify(x, entry, &run, &why);
		if (rc < 0) {
			err_wrap(&why, "grain table %u, entry %u", i, n);
			rc = note(k, rc, x->gd[i] * (uint64_t)SECTOR + n * 4, &why, e);
		} else if (run.state == VMDK_DATA) {
			rc = take(k, "grain", entry, x->h.grain, e);
		} else if (run.state == VMDK_DEFLATED) {
			rc = check_deflated(k, entry, lba, e);
		}
	}
	return rc;
}

/* ---- tables -------------------------------------------------------------------------------- */

/* The second copy of table i is as the first, k->gt (NULL: there is none). */
static int check_copy(struct check *k, uint32_t i, struct err *e)
{
	const struct vmdk_extent *x = k->x;
	uint64_t at = x->h.rgd * SECTOR + (uint64_t)i * 4;
	uint8_t entry[4];
	uint64_t sector;
	int rc = vmdk_extent_read(x, entry, sizeof(entry), at, e);

	if (rc)
		return rc;
	sector = le32_get(entry);
	if (!sector && !k->gt)
		return 0;
	if (!sector || !range_within(sector * SECTOR, GT_SIZE, x->file_size))
		return image_check_add(k->found, IMAGE_FINDING_ERROR, at, 0, e,
				       "the redundant grain table %u is missing or past the end of "
				       "the file",
				       i);
	if (sector == x->gd[i])
		return image_check_add(k->found, IMAGE_FINDING_ERROR, at, 0, e,
				       "the redundant grain table %u is the first copy itself", i);
	rc = take(k, "redundant grain table", sector, GT_SECTORS, e);
	if (rc == 0)
		rc = vmdk_extent_read(x, k->rgt, GT_SIZE, sector * SECTOR, e);
	if (rc)
		return rc;
	if (k->gt ? memcmp(k->gt, k->rgt, GT_SIZE) == 0 : mem_is_zero(k->rgt, GT_SIZE))
		return 0;
	return image_check_add(k->found, IMAGE_FINDING_ERROR, sector * SECTOR, 0, e,
			       "the redundant grain table %u differs from the first copy", i);
}

static int check_entry(struct vmdk *v, struct check *k, uint32_t i, struct err *e)
{
	const struct vmdk_extent *x = k->x;
	struct err why = {0};
	bool twice = false;
	uint64_t gt = 0;
	int rc = vmdk_gt_offset(x, i, &gt, &why);

	k->gt = NULL;
	if (rc < 0)
		return note(k, rc, x->h.gd * SECTOR + (uint64_t)i * 4, &why, e);
	if (gt) {
		rc = take(k, "grain table", gt / SECTOR, GT_SECTORS, e);
		twice = k->twice;
		if (rc == 0 && !twice)
			rc = take_marker(k, MARKER_GT, gt / SECTOR, GT_SECTORS, e);
		if (rc == 0)
			rc = vmdk_cache_get(&v->tables, x, gt, &k->gt, e);
		/* All that could be said of a table that was there before was said. */
		if (rc == 0 && !twice && !mem_is_zero(k->gt, GT_SIZE))
			rc = check_table(k, i, e);
	}
	if (rc == 0 && x->h.rgd)
		rc = check_copy(k, i, e);
	return rc;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* Runs of sectors that are in use by nothing. */
static int check_leaks(struct check *k, struct err *e)
{
	uint64_t sector = MAX(k->x->h.overhead, 1), n = 0;
	int rc = 0;

	while (rc == 0 && vmdk_space_next_free(k->space, &sector, &n)) {
		rc = image_check_add(k->found, IMAGE_FINDING_LEAK, sector * SECTOR, n * SECTOR, e,
				     "%llu sectors from %llu on are in use by nothing",
				     (unsigned long long)n, (unsigned long long)sector);
		sector += n;
	}
	return rc;
}

static int check_sparse(struct vmdk *v, const struct vmdk_extent *x, struct image_check *c,
			struct progress *p, struct err *e)
{
	AUTO(vmdk_space_free) struct vmdk_space *space = NULL;
	struct check k = {.x = x, .found = c};
	uint64_t last = x->file_size / SECTOR;
	int rc = vmdk_space_new(x->file_size, &space, e);

	if (rc)
		return rc;
	k.space = space;
	rc = vmdk_space_take_fixed(space, x, e);
	if (rc == 0)
		rc = take_marker(&k, MARKER_GD, x->h.gd, x->h.gd_sectors, e);
	/* A stream without a footer ends with a marker alone. */
	if (rc == 0 && !x->has_footer)
		rc = take_marker(&k, MARKER_END, last, 0, e);
	for (uint32_t i = 0; rc == 0 && i < x->h.n_gd; i++) {
		rc = check_entry(v, &k, i, e);
		if (rc == 0 && i % 64 == 0) {
			progress_set(p, x->start + i * x->gt_covers);
			rc = stop_check(e);
		}
	}
	return rc < 0 ? rc : check_leaks(&k, e);
}

int vmdk_check(struct image *im, struct image_check *c, struct progress *p, struct err *e)
{
	struct vmdk *v = to_vmdk(im);
	int rc = 0;

	/* Without its files or its footer there is nothing more to be told. */
	if (v->refusal.code)
		return err_set(e, v->refusal.code, "%s", v->refusal.msg);
	for (size_t i = 0; rc == 0 && i < v->n_extents; i++) {
		if (v->extents[i].kind == VMDK_SPARSE)
			rc = check_sparse(v, &v->extents[i], c, p, e);
	}
	progress_set(p, im->size);
	return rc;
}
