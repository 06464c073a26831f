/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a stream-optimized VMDK: strictly front to back, so that it can go to a pipe.
 *
 *	header, whose grain directory is "at the end"; descriptor; zeros up to sector 128
 *	compressed grains, each padded to a sector
 *	behind the last grain of each 32 MiB that have one: marker, grain table
 *	marker, grain directory; marker, footer (the header with the directory's place); end marker
 *
 * What it takes is one grain table and four bytes for each 32 MiB of the disk.
 */
#include "imgconv/format/vmdk_write.h"
#include "lib/fs.h"

static int flush_out(struct vmdk_writer *w, struct err *e)
{
	int rc = w->common.pipe ? fs_write(w->common.fd, w->out, w->out_len, e)
				: fs_pwrite(w->common.fd, w->out, w->out_len, w->out_offset, e);

	w->out_offset += w->out_len;
	w->out_len = 0;
	return rc;
}

/* Room for whole sectors behind what is there; *ret has len bytes, to be filled now. */
static int take_room(struct vmdk_writer *w, size_t len, uint8_t **ret, struct err *e)
{
	int rc = 0;

	if (w->next + len / SECTOR >= VMDK_FILE_SECTORS_MAX)
		return err_set(e, EFBIG,
			       "the file would be larger than 2 TiB, which grain tables "
			       "cannot point to");
	if (w->out_len + len > VMDK_OUT_MAX)
		rc = flush_out(w, e);
	*ret = w->out + w->out_len;
	w->out_len += len;
	w->next += len / SECTOR;
	return rc;
}

static int put_marker(struct vmdk_writer *w, uint32_t type, uint64_t sectors, struct err *e)
{
	uint8_t *marker = NULL;
	int rc = take_room(w, SECTOR, &marker, e);

	if (rc)
		return rc;
	memset(marker, 0, SECTOR);
	le64_put(marker, sectors);
	le32_put(marker + MARKER_TYPE_AT, type);
	return 0;
}

static int flush_table(struct vmdk_writer *w, struct err *e)
{
	uint8_t *room = NULL;
	int rc;

	if (!w->table_used)
		return 0;
	rc = put_marker(w, MARKER_GT, GT_SECTORS, e);
	if (rc)
		return rc;
	w->gd[w->table_index] = (uint32_t)w->next;
	rc = take_room(w, GT_SIZE, &room, e);
	if (rc)
		return rc;
	memcpy(room, w->table, GT_SIZE);
	memset(w->table, 0, GT_SIZE);
	w->table_used = false;
	return 0;
}

int vmdk_write_encoded(struct image_writer *iw, const void *data, size_t len, uint64_t off,
		       struct err *e)
{
	struct vmdk_writer *w = to_vmdk_writer(iw);
	uint32_t index = (uint32_t)(off / VMDK_GT_COVERS);
	uint8_t *room = NULL;
	uint64_t sector;
	int rc = 0;

	if (index != w->table_index)
		rc = flush_table(w, e);
	sector = w->next;
	if (rc == 0)
		rc = take_room(w, len, &room, e);
	if (rc)
		return rc;
	memcpy(room, data, len);
	le64_put(room, off / SECTOR);
	w->table_index = index;
	w->table_used = true;
	le32_put(w->table + off % VMDK_GT_COVERS / VMDK_GRAIN_SIZE * 4, (uint32_t)sector);
	return 0;
}

/* In pieces: it can be larger than the room for output. */
static int put_directory(struct vmdk_writer *w, struct err *e)
{
	for (uint32_t i = 0; i < w->n_gd; i += SECTOR / 4) {
		uint32_t n = MIN(w->n_gd - i, SECTOR / 4);
		uint8_t *room = NULL;
		int rc = take_room(w, SECTOR, &room, e);

		if (rc)
			return rc;
		memset(room, 0, SECTOR);
		for (uint32_t j = 0; j < n; j++)
			le32_put(room + (size_t)j * 4, w->gd[i + j]);
	}
	return 0;
}

static int put_header(struct vmdk_writer *w, uint64_t gd, struct err *e)
{
	struct vmdk_layout l = {.gd = gd, .overhead = VMDK_GRAIN_SECTORS};
	uint8_t *room = NULL;
	int rc = take_room(w, SECTOR, &room, e);

	if (rc == 0)
		vmdk_put_header(w, w->common.size / SECTOR, &l, room);
	return rc;
}

int vmdk_stream_begin(struct vmdk_writer *w, struct err *e)
{
	size_t len = (VMDK_GRAIN_SECTORS - 1) * SECTOR;
	AUTO_BUF text = BUF_INIT;
	uint8_t *room = NULL;
	int rc;

	w->n_gd = (uint32_t)div_up(w->common.size, VMDK_GT_COVERS);
	w->gd = calloc(w->n_gd, sizeof(*w->gd));
	w->out = malloc(VMDK_OUT_MAX);
	if (!w->gd || !w->out)
		return err_nomem(e);
	rc = vmdk_write_descriptor(w, &text, e);
	if (rc == 0)
		rc = put_header(w, GD_AT_END, e);
	if (rc == 0)
		rc = take_room(w, len, &room, e);
	if (rc)
		return rc;
	memset(room, 0, len);
	memcpy(room, text.data, MIN(text.len, len));
	return 0;
}

int vmdk_stream_finish(struct vmdk_writer *w, struct err *e)
{
	uint64_t gd = 0;
	int rc = flush_table(w, e);

	if (rc == 0)
		rc = put_marker(w, MARKER_GD, div_up((uint64_t)w->n_gd * 4, SECTOR), e);
	gd = w->next;
	if (rc == 0)
		rc = put_directory(w, e);
	if (rc == 0)
		rc = put_marker(w, MARKER_FOOTER, 1, e);
	if (rc == 0)
		rc = put_header(w, gd, e);
	if (rc == 0)
		rc = put_marker(w, MARKER_END, 0, e);
	return rc < 0 ? rc : flush_out(w, e);
}
