/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing VMDK into sparse and flat extents, front to back.
 *
 * A sparse extent:
 *
 *	header, descriptor (if it is the only extent)
 *	redundant grain directory, its grain tables
 *	grain directory, its grain tables
 *	grains from a multiple of their size on, in the order in which they come
 *
 * There is room for all tables from the start, as writers of such images expect; those of empty parts
 * of the disk are holes of the file. One grain table is in memory; both its copies are written when
 * it is passed, directories and header when the extent is.
 */
#include "imgconv/format/vmdk_write.h"
#include "lib/fs.h"

static int current_fd(const struct vmdk_writer *w)
{
	return w->fds[w->extent];
}

static int flush_table(struct vmdk_writer *w, struct err *e)
{
	uint64_t at = (uint64_t)w->table_index * GT_SECTORS;
	int rc;

	if (!w->table_used)
		return 0;
	rc = fs_pwrite(current_fd(w), w->table, GT_SIZE, (w->layout.gt + at) * SECTOR, e);
	if (rc == 0)
		rc = fs_pwrite(current_fd(w), w->table, GT_SIZE, (w->layout.rgt + at) * SECTOR, e);
	memset(w->table, 0, GT_SIZE);
	w->table_used = false;
	return rc;
}

static int write_directory(const struct vmdk_writer *w, uint64_t gd, uint64_t gt, struct err *e)
{
	size_t len = (size_t)w->layout.n_gd * 4;
	AUTO_FREE uint8_t *bytes = malloc(len);

	if (!bytes)
		return err_nomem(e);
	for (uint32_t i = 0; i < w->layout.n_gd; i++)
		le32_put(bytes + (size_t)i * 4, (uint32_t)(gt + (uint64_t)i * GT_SECTORS));
	return fs_pwrite(current_fd(w), bytes, len, gd * SECTOR, e);
}

/* All but the grains; the header last. */
static int close_extent(struct vmdk_writer *w, struct err *e)
{
	uint8_t h[SECTOR];
	int rc = flush_table(w, e);

	if (rc == 0 && ftruncate(current_fd(w), (off_t)(w->next * SECTOR)) < 0)
		rc = err_errno(e, errno, "setting the file's size");
	if (rc == 0)
		rc = write_directory(w, w->layout.rgd, w->layout.rgt, e);
	if (rc == 0)
		rc = write_directory(w, w->layout.gd, w->layout.gt, e);
	vmdk_put_header(w, vmdk_extent_length(w, w->extent) / SECTOR, &w->layout, h);
	return rc < 0 ? rc : fs_pwrite(current_fd(w), h, sizeof(h), 0, e);
}

/* Makes extent i the current one; those before it are complete. */
static int enter_extent(struct vmdk_writer *w, size_t i, struct err *e)
{
	int rc = 0;

	while (rc == 0 && w->extent < i) {
		rc = close_extent(w, e);
		w->extent++;
		w->layout = vmdk_lay_out(vmdk_extent_length(w, w->extent), false);
		w->next = w->layout.overhead;
	}
	return rc;
}

static int place_sparse(struct vmdk_writer *w, uint64_t at, size_t len, struct image_place *ret,
			struct err *e)
{
	uint32_t index = (uint32_t)(at / VMDK_GT_COVERS);
	uint32_t first = (uint32_t)(at % VMDK_GT_COVERS / VMDK_GRAIN_SIZE);
	uint32_t n = (uint32_t)MIN(div_up(len, VMDK_GRAIN_SIZE), (uint64_t)GT_ENTRIES - first);
	int rc = 0;

	if (index != w->table_index)
		rc = flush_table(w, e);
	if (rc == 0 && w->next + (uint64_t)n * VMDK_GRAIN_SECTORS > VMDK_FILE_SECTORS_MAX)
		rc = err_set(e, EFBIG,
			     "the file would be larger than 2 TiB, which grain tables "
			     "cannot point to");
	if (rc)
		return rc;
	w->table_index = index;
	w->table_used = true;
	*ret = (struct image_place){.fd = current_fd(w),
				    .off = w->next * SECTOR,
				    .len = MIN(len, (size_t)n * VMDK_GRAIN_SIZE)};
	for (uint32_t i = 0; i < n; i++) {
		le32_put(w->table + (size_t)(first + i) * 4, (uint32_t)w->next);
		w->next += VMDK_GRAIN_SECTORS;
	}
	return 0;
}

int vmdk_place(struct image_writer *iw, uint64_t off, size_t len, struct image_place *ret,
	       struct err *e)
{
	struct vmdk_writer *w = to_vmdk_writer(iw);
	size_t i = (size_t)(off / w->extent_size);
	uint64_t at = off % w->extent_size;
	int rc;

	len = (size_t)MIN((uint64_t)len, vmdk_extent_length(w, i) - at);
	if (w->type == VMDK_MONOLITHIC_FLAT || w->type == VMDK_SPLIT_FLAT) {
		*ret = (struct image_place){.fd = w->fds[i], .off = at, .len = len};
		return 0;
	}
	rc = enter_extent(w, i, e);
	return rc < 0 ? rc : place_sparse(w, at, len, ret, e);
}

int vmdk_finish(struct image_writer *iw, struct err *e)
{
	struct vmdk_writer *w = to_vmdk_writer(iw);
	AUTO_BUF text = BUF_INIT;
	bool embedded = w->type == VMDK_MONOLITHIC_SPARSE;
	int rc;

	if (w->type == VMDK_STREAM_OPTIMIZED)
		return vmdk_stream_finish(w, e);
	rc = vmdk_write_descriptor(w, &text, e);
	if (rc == 0)
		rc = fs_pwrite(iw->fd, text.data, text.len, embedded ? SECTOR : 0, e);
	if (rc == 0 && (embedded || w->type == VMDK_SPLIT_SPARSE)) {
		rc = enter_extent(w, w->n_extents - 1, e);
		if (rc == 0)
			rc = close_extent(w, e);
	}
	return rc;
}
