/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VDI: from the disk's offsets to places in the file. The block map is not kept in memory: a read
 * looks up the few entries that it needs, so any number of threads read without a lock.
 */
#include "imgconv/format/vdi.h"
#include "lib/fs.h"

/* Map entries that a read looks up at once. */
#define ENTRIES_AT_ONCE 128u

bool vdi_entry_fits(const struct vdi *v, uint32_t entry)
{
	return range_within(vdi_host(v, entry), v->block_size, v->common.file_size);
}

static int check_entry(const struct vdi *v, uint32_t block, uint32_t entry, struct err *e)
{
	if (!vdi_has_data(entry) || vdi_entry_fits(v, entry))
		return 0;
	return err_set(e, EBADMSG, "block %u at 0x%llx reaches past the end of the file", block,
		       (unsigned long long)vdi_host(v, entry));
}

static int read_entries(const struct vdi *v, uint64_t first, uint32_t n, uint32_t *ret,
			struct err *e)
{
	int rc = image_file_read(&v->common, ret, (size_t)n * 4, v->map_offset + first * 4, e);

	if (rc < 0)
		return err_wrap(e, "block map");
	for (uint32_t i = 0; i < n; i++)
		ret[i] = le32_get(&ret[i]);
	return 0;
}

int vdi_entries(struct vdi *v, uint32_t block, uint32_t *ret_n, const uint32_t **ret, struct err *e)
{
	if (block - v->window_first >= v->window_n) {
		uint32_t first = block - block % VDI_WINDOW;
		uint32_t n = MIN(VDI_WINDOW, v->n_entries - first);
		int rc;

		v->window_n = 0;
		rc = read_entries(v, first, n, v->window, e);
		if (rc < 0)
			return rc;
		v->window_first = first;
		v->window_n = n;
	}
	*ret = v->window + (block - v->window_first);
	*ret_n = (uint32_t)(v->window_first + v->window_n - block);
	return 0;
}

/* ---- extents ------------------------------------------------------------------------------- */

/* True if `entry` goes on with what `before` is. */
static bool continues(const struct vdi *v, uint32_t before, uint32_t entry)
{
	if (!vdi_has_data(before) || !vdi_has_data(entry))
		return before == entry;
	/* In a static image the file is asked for holes: it must be one piece of the file. */
	return v->type != VDI_STATIC || entry == before + 1;
}

/* The disk's blocks from off on are at host in the file: a hole there is a hole here. */
static int static_extent(const struct vdi *v, uint64_t host, struct extent *ret, struct err *e)
{
	uint64_t off = ret->start;
	int rc = image_file_extent(&v->common, host, host + ret->length, ret, e);

	ret->start = off;
	return rc;
}

/* It ends where the window does, so that vdi_claim finds the same entries there. */
int vdi_next_extent(struct image *im, uint64_t off, struct extent *ret, struct err *e)
{
	struct vdi *v = to_vdi(im);
	uint32_t block = (uint32_t)(off / v->block_size);
	const uint32_t *entries = NULL;
	uint32_t first, n = 0, i = 0;
	int rc;

	if (v->refusal.code)
		return err_set(e, v->refusal.code, "%s", v->refusal.msg);
	rc = vdi_entries(v, block, &n, &entries, e);
	if (rc < 0)
		return rc;
	n = MIN(n, v->n_blocks - block);
	first = entries[0];
	do {
		rc = check_entry(v, block + i, entries[i], e);
		if (rc < 0)
			return rc;
		i++;
	} while (i < n && continues(v, entries[i - 1], entries[i]));
	*ret = (struct extent){.start = off,
			       .length = ((uint64_t)block + i) * v->block_size - off,
			       .kind = EXTENT_DATA};
	if (first == VDI_FREE)
		ret->kind = EXTENT_HOLE;
	else if (first == VDI_ZERO)
		ret->kind = EXTENT_ZERO;
	else if (v->type == VDI_STATIC)
		return static_extent(v, vdi_host(v, first) + off % v->block_size, ret, e);
	return 0;
}

/* ---- reading ------------------------------------------------------------------------------- */

/* Reads inside of one block. */
static int read_block(const struct vdi *v, uint32_t entry, void *buf, size_t len, uint64_t skip,
		      struct err *e)
{
	if (vdi_has_data(entry))
		return image_file_read(&v->common, buf, len, vdi_host(v, entry) + skip, e);
	memset(buf, 0, len);
	return 0;
}

/* Zeros behind the end of a disk of odd size, whatever the block has there. */
static void zero_tail(const struct vdi *v, uint8_t *buf, size_t len, uint64_t off)
{
	uint64_t end = off + len;

	if (end > v->disk_size) {
		size_t n = (size_t)MIN(end - v->disk_size, (uint64_t)len);

		memset(buf + len - n, 0, n);
	}
}

int vdi_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct vdi *v = to_vdi(im);
	uint32_t entries[ENTRIES_AT_ONCE];
	uint64_t first = 0;
	uint32_t n = 0;
	uint8_t *at = buf;
	int rc = 0;

	if (v->refusal.code)
		return err_set(e, v->refusal.code, "%s", v->refusal.msg);
	while (rc == 0 && len) {
		uint64_t block = off / v->block_size;
		uint64_t skip = off % v->block_size;
		size_t part = (size_t)MIN((uint64_t)len, v->block_size - skip);

		if (block - first >= n) {
			uint64_t last = (off + len - 1) / v->block_size;

			first = block;
			n = (uint32_t)MIN(last - first + 1, ENTRIES_AT_ONCE);
			rc = read_entries(v, first, n, entries, e);
		}
		if (rc == 0)
			rc = check_entry(v, (uint32_t)block, entries[block - first], e);
		if (rc == 0)
			rc = read_block(v, entries[block - first], at, part, skip, e);
		if (rc == 0)
			zero_tail(v, at, part, off);
		at += part;
		off += part;
		len -= part;
	}
	return rc;
}
