/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VHD: from the disk's offsets to places in the file. The block table is not kept in memory: a
 * read looks up the few entries that it needs, so any number of threads read without a lock.
 */
#include "imgconv/format/vhd.h"
#include "lib/fs.h"

/* BAT entries that a read looks up at once. */
#define ENTRIES_AT_ONCE 128u
/* Data that are read with one piece of the bitmap. */
#define PIECE (512 * KIB)

const char *vhd_entry_fault(const struct vhd *v, uint32_t entry)
{
	uint64_t off = (uint64_t)entry * VHD_SECTOR;
	uint64_t len = vhd_block_bytes(v);

	if (!range_within(off, len, v->data_end))
		return "reaches past the end of the file";
	if (off < VHD_FOOTER_SIZE)
		return "overlaps the copy of the footer";
	if (off < v->header_offset + VHD_HEADER_SIZE && v->header_offset < off + len)
		return "overlaps the header";
	if (off < v->bat_offset + (uint64_t)v->n_entries * 4 && v->bat_offset < off + len)
		return "overlaps the block table";
	return NULL;
}

static int check_entry(const struct vhd *v, uint32_t block, uint32_t entry, struct err *e)
{
	const char *why = entry == VHD_ABSENT ? NULL : vhd_entry_fault(v, entry);

	if (!why)
		return 0;
	return err_set(e, EBADMSG, "block %u at 0x%llx %s", block,
		       (unsigned long long)entry * VHD_SECTOR, why);
}

static int read_entries(const struct vhd *v, uint64_t first, uint32_t n, uint32_t *ret,
			struct err *e)
{
	int rc = image_file_read(&v->common, ret, (size_t)n * 4, v->bat_offset + first * 4, e);

	if (rc < 0)
		return err_wrap(e, "block table");
	for (uint32_t i = 0; i < n; i++)
		ret[i] = be32_get(&ret[i]);
	return 0;
}

int vhd_entries(struct vhd *v, uint32_t block, uint32_t *ret_n, const uint32_t **ret, struct err *e)
{
	if (block - v->window_first >= v->window_n) {
		uint32_t first = block - block % VHD_WINDOW;
		uint32_t n = MIN(VHD_WINDOW, v->n_entries - first);
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

/* What the parent has in a range where this image has nothing. */
static int parent_extent(struct vhd *v, uint64_t off, struct extent *ret, struct err *e)
{
	uint64_t length = ret->length;
	int rc;

	if (!v->parent || off >= image_size(v->parent))
		return 0;
	rc = image_next_extent(v->parent, off, ret, e);
	ret->length = MIN(ret->length, length);
	return rc;
}

/* It ends where the window does, so that vhd_claim finds the same entries there. */
int vhd_next_extent(struct image *im, uint64_t off, struct extent *ret, struct err *e)
{
	struct vhd *v = to_vhd(im);
	const uint32_t *entries = NULL;
	uint32_t block, n = 0, i = 0;
	bool absent;
	int rc;

	if (v->refusal.code)
		return err_set(e, v->refusal.code, "%s", v->refusal.msg);
	if (v->type == VHD_FIXED)
		return image_file_extent(im, off, im->size, ret, e);
	block = (uint32_t)(off / v->block_size);
	rc = vhd_entries(v, block, &n, &entries, e);
	if (rc < 0)
		return rc;
	n = MIN(n, v->n_blocks - block);
	absent = entries[0] == VHD_ABSENT;
	while (i < n && absent == (entries[i] == VHD_ABSENT)) {
		rc = check_entry(v, block + i, entries[i], e);
		if (rc < 0)
			return rc;
		i++;
	}
	*ret = (struct extent){.start = off,
			       .length = ((uint64_t)block + i) * v->block_size - off,
			       .kind = absent ? EXTENT_HOLE : EXTENT_DATA};
	return absent ? parent_extent(v, off, ret, e) : 0;
}

/* ---- reading ------------------------------------------------------------------------------- */

static int read_parent(struct vhd *v, uint8_t *buf, size_t len, uint64_t off, struct err *e)
{
	uint64_t end = v->parent ? image_size(v->parent) : 0;
	size_t there = (size_t)MIN((uint64_t)len, end - MIN(off, end));

	memset(buf + there, 0, len - there);
	return there ? image_pread(v->parent, buf, there, off, e) : 0;
}

static bool sector_is_here(const uint8_t *bitmap, uint64_t sector)
{
	return bitmap[sector / 8] >> (7 - sector % 8) & 1;
}

/*
 * Takes back what the bitmap says is not in the block. buf holds len bytes from `skip` on in the
 * block, which are those of the disk from `off` on; bitmap begins with the bit of sector `base`.
 */
static int apply_bitmap(struct vhd *v, const uint8_t *bitmap, uint64_t base, uint64_t skip,
			uint8_t *buf, size_t len, uint64_t off, struct err *e)
{
	size_t at = 0;

	while (at < len) {
		uint64_t sector = (skip + at) / VHD_SECTOR;
		bool here = sector_is_here(bitmap, sector - base);
		size_t end = at;
		int rc = 0;

		while (end < len && sector_is_here(bitmap, sector - base) == here) {
			end = MIN(len, (size_t)((sector + 1) * VHD_SECTOR - skip));
			sector++;
		}
		if (!here)
			rc = read_parent(v, buf + at, end - at, off + at, e);
		if (rc)
			return rc;
		at = end;
	}
	return 0;
}

static bool all_ones(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] != 0xff)
			return false;
	}
	return true;
}

/* Reads at most PIECE bytes from `skip` on in the block at `host`. */
static int read_piece(struct vhd *v, uint64_t host, uint64_t skip, uint8_t *buf, size_t len,
		      uint64_t off, struct err *e)
{
	uint8_t bitmap[PIECE / VHD_SECTOR / 8 + 2];
	uint64_t first = skip / VHD_SECTOR / 8;
	size_t n = (size_t)((skip + len - 1) / VHD_SECTOR / 8 - first + 1);
	int rc = image_file_read(&v->common, bitmap, n, host + first, e);

	if (rc == 0)
		rc = image_file_read(&v->common, buf, len, host + v->bitmap_size + skip, e);
	if (rc < 0 || all_ones(bitmap, n))
		return rc;
	return apply_bitmap(v, bitmap, first * 8, skip, buf, len, off, e);
}

/* Reads inside of one block. */
static int read_block(struct vhd *v, uint32_t entry, uint8_t *buf, size_t len, uint64_t off,
		      struct err *e)
{
	uint64_t skip = off % v->block_size;
	int rc = 0;

	if (entry == VHD_ABSENT)
		return read_parent(v, buf, len, off, e);
	while (rc == 0 && len) {
		size_t n = MIN(len, (size_t)PIECE);

		rc = read_piece(v, (uint64_t)entry * VHD_SECTOR, skip, buf, n, off, e);
		buf += n;
		skip += n;
		off += n;
		len -= n;
	}
	return rc;
}

int vhd_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct vhd *v = to_vhd(im);
	uint32_t entries[ENTRIES_AT_ONCE];
	uint64_t first = 0;
	uint32_t n = 0;
	uint8_t *at = buf;
	int rc = 0;

	if (v->refusal.code)
		return err_set(e, v->refusal.code, "%s", v->refusal.msg);
	if (v->type == VHD_FIXED)
		return image_file_read(im, buf, len, off, e);
	while (rc == 0 && len) {
		uint64_t block = off / v->block_size;
		size_t part = (size_t)MIN((uint64_t)len, v->block_size - off % v->block_size);

		if (block - first >= n) {
			uint64_t last = (off + len - 1) / v->block_size;

			first = block;
			n = (uint32_t)MIN(last - first + 1, ENTRIES_AT_ONCE);
			rc = read_entries(v, first, n, entries, e);
		}
		if (rc == 0)
			rc = check_entry(v, (uint32_t)block, entries[block - first], e);
		if (rc == 0)
			rc = read_block(v, entries[block - first], at, part, off, e);
		at += part;
		off += part;
		len -= part;
	}
	return rc;
}
