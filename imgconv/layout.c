/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partition tables: MBR with extended partitions, GPT (disk/gpt.c), none.
 *
 * MBR, sector 0: four entries of 16 bytes at 446 {0 active (0x80), 4 type, 8 u32 start, 12 u32
 * sectors}, 0x55 0xaa at 510. A logical partition is entry 0 of a sector of the same form inside
 * of the extended partition, relative to that sector; entry 1 leads to the next one, relative to
 * the extended partition.
 *
 * Not supported: sectors other than 512 bytes.
 */
#include <stdio.h>

#include "imgconv/disk/gpt.h"
#include "imgconv/layout.h"

#define SECTOR 512u
#define MBR_DISK 440 /* u32: the disk's signature */
#define MBR_TABLE 446
#define LOGICAL_MAX 128
#define GPT_ATTR_LEGACY_BOOT (1u << 2)

void image_layout_release(struct image_layout *l)
{
	free(l->partitions);
	*l = (struct image_layout){0};
}

static int add_partition(struct image_layout *l, const struct image_partition *p, struct err *e)
{
	struct image_partition *grown =
		reallocarray(l->partitions, l->n_partitions + 1, sizeof(*grown));

	if (!grown)
		return err_nomem(e);
	l->partitions = grown;
	l->partitions[l->n_partitions++] = *p;
	return 0;
}

/* ---- MBR ----------------------------------------------------------------------------------- */

struct mbr_entry {
	uint8_t active, type;
	uint64_t start, length; /* bytes; start is relative to whatever */
};

static struct mbr_entry mbr_entry(const uint8_t *sector, unsigned i)
{
	const uint8_t *p = sector + MBR_TABLE + (size_t)i * 16;

	return (struct mbr_entry){
		.active = p[0],
		.type = p[4],
		.start = (uint64_t)le32_get(p + 8) * SECTOR,
		.length = (uint64_t)le32_get(p + 12) * SECTOR,
	};
}

static bool has_signature(const uint8_t *sector)
{
	return sector[510] == 0x55 && sector[511] == 0xaa;
}

static bool is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* The table's entries make sense, and one of them at least is used. */
static bool mbr_is_sane(const uint8_t *sector, uint64_t disk_size)
{
	bool used = false;

	if (!has_signature(sector))
		return false;
	for (unsigned i = 0; i < 4; i++) {
		struct mbr_entry x = mbr_entry(sector, i);

		if (x.active != 0 && x.active != 0x80)
			return false;
		if (!x.type)
			continue;
		if (!x.start || !x.length || !range_within(x.start, x.length, disk_size))
			return false;
		used = true;
	}
	return used;
}

static int add_mbr(struct image *im, struct image_layout *l, const struct mbr_entry *x,
		   unsigned number, uint64_t start, struct err *e)
{
	struct image_partition p = {.number = number,
				    .start = start,
				    .length = x->length,
				    .bootable = x->active == 0x80};

	snprintf(p.type, sizeof(p.type), "%x", x->type);
	if (!x->length || !range_within(start, x->length, image_size(im)))
		return err_set(e, EBADMSG,
			       "partition %u (%llu bytes at 0x%llx) reaches past the disk's end",
			       number, (unsigned long long)x->length, (unsigned long long)start);
	return add_partition(l, &p, e);
}

static int read_logical(struct image *im, struct image_layout *l, const struct mbr_entry *ext,
			struct err *e)
{
	uint64_t at = ext->start;

	for (unsigned n = 0; n < LOGICAL_MAX; n++) {
		struct mbr_entry x, next;
		uint8_t sector[SECTOR];
		uint64_t ahead;
		int rc = image_pread(im, sector, SECTOR, at, e);

		if (rc)
			return rc;
		if (!has_signature(sector))
			return err_set(e, EBADMSG, "no extended partition table at 0x%llx",
				       (unsigned long long)at);
		x = mbr_entry(sector, 0);
		next = mbr_entry(sector, 1);
		ahead = at - ext->start;
		if (x.type && (!x.start || !range_within(x.start + ahead, x.length, ext->length)))
			return err_set(e, EBADMSG,
				       "the logical partition at 0x%llx does not lie in the "
				       "extended one",
				       (unsigned long long)(at + x.start));
		if (x.type)
			rc = add_mbr(im, l, &x, 5 + n, at + x.start, e);
		if (rc < 0 || !next.type)
			return rc;
		/* Ascending, so that the chain has an end. */
		if (next.start <= ahead || !range_within(next.start, SECTOR, ext->length))
			return err_set(e, EBADMSG,
				       "the chain of extended partitions does not ascend at 0x%llx",
				       (unsigned long long)at);
		at = ext->start + next.start;
	}
	return err_set(e, EFBIG, "more than %d logical partitions", LOGICAL_MAX);
}

static int read_mbr(struct image *im, struct image_layout *l, const uint8_t *sector, struct err *e)
{
	uint32_t signature = le32_get(sector + MBR_DISK);
	int rc = 0;

	snprintf(l->table, sizeof(l->table), "mbr");
	for (unsigned i = 0; rc == 0 && i < 4; i++) {
		struct mbr_entry x = mbr_entry(sector, i);

		if (x.type)
			rc = add_mbr(im, l, &x, i + 1, x.start, e);
	}
	for (unsigned i = 0; rc == 0 && i < 4; i++) {
		struct mbr_entry x = mbr_entry(sector, i);

		if (is_extended(x.type))
			rc = read_logical(im, l, &x, e);
	}
	for (size_t i = 0; rc == 0 && signature && i < l->n_partitions; i++)
		snprintf(l->partitions[i].uuid, sizeof(l->partitions[i].uuid), "%08x-%02x",
			 signature, l->partitions[i].number);
	return rc;
}

/* ---- GPT ----------------------------------------------------------------------------------- */

static bool is_protective(const uint8_t *sector)
{
	if (!has_signature(sector))
		return false;
	for (unsigned i = 0; i < 4; i++) {
		if (mbr_entry(sector, i).type == 0xee)
			return true;
	}
	return false;
}

static int add_gpt(struct image_layout *l, const struct gpt_table *t, uint32_t i, struct err *e)
{
	struct gpt_slot x = gpt_table_slot(t, i);
	struct image_partition p = {.number = i + 1};

	if (!x.used)
		return 0;
	if (x.first < t->first || x.last > t->last || x.first > x.last)
		return err_set(e, EBADMSG,
			       "partition %u (sectors %llu to %llu) is not in the "
			       "usable part of the disk",
			       i + 1, (unsigned long long)x.first, (unsigned long long)x.last);
	p.start = x.first * SECTOR;
	p.length = (x.last - x.first + 1) * SECTOR;
	p.bootable = x.attributes & GPT_ATTR_LEGACY_BOOT;
	gpt_guid_text(x.type, p.type);
	gpt_guid_text(x.guid, p.uuid);
	gpt_slot_name(&x, p.name);
	return add_partition(l, &p, e);
}

static int read_gpt(struct image *im, struct image_layout *l, struct err *e)
{
	AUTO(gpt_table_release) struct gpt_table t = {0};
	struct err backup;
	int rc = gpt_read(im, 1, &t, e);

	/* The copy at the end is as good as the one at the beginning. */
	if (rc == -EBADMSG && gpt_read(im, image_size(im) / SECTOR - 1, &t, &backup) == 0)
		rc = 0;
	if (rc)
		return rc;
	snprintf(l->table, sizeof(l->table), "gpt");
	for (uint32_t i = 0; rc == 0 && i < t.n_entries; i++)
		rc = add_gpt(l, &t, i, e);
	return rc;
}

/* ---- all of it ----------------------------------------------------------------------------- */

static int read_table(struct image *im, struct image_layout *l, struct err *e)
{
	struct image_partition whole = {.length = image_size(im)};
	uint8_t sector[SECTOR] = {0};
	int rc = image_pread(im, sector, (size_t)MIN(image_size(im), (uint64_t)SECTOR), 0, e);

	if (rc)
		return rc;
	if (is_protective(sector) && image_size(im) >= 3ull * SECTOR)
		return read_gpt(im, l, e);
	if (mbr_is_sane(sector, image_size(im)))
		return read_mbr(im, l, sector, e);
	/* A boot sector may be a file system's own. */
	rc = layout_probe_fs(im, &whole, e);
	if (rc)
		return rc;
	if (whole.fs_type[0]) {
		snprintf(l->table, sizeof(l->table), "none");
		return add_partition(l, &whole, e);
	}
	if (!has_signature(sector)) {
		snprintf(l->table, sizeof(l->table), "none");
		return 0;
	}
	for (unsigned i = 0; i < 4; i++) {
		if (mbr_entry(sector, i).active & 0x7f)
			return err_set(e, EBADMSG, "entry %u of the MBR is damaged", i + 1);
	}
	return read_mbr(im, l, sector, e);
}

int image_layout_read(struct image *im, struct image_layout *ret, struct err *e)
{
	AUTO(image_layout_release) struct image_layout l = {0};
	int rc = read_table(im, &l, e);

	for (size_t i = 0; rc == 0 && i < l.n_partitions; i++) {
		struct image_partition *p = &l.partitions[i];
		bool container = strcmp(l.table, "mbr") == 0 && p->number <= 4 &&
				 is_extended((uint8_t)strtoul(p->type, NULL, 16));

		if (!container && !p->fs_type[0])
			rc = layout_probe_fs(im, p, e);
	}
	if (rc < 0)
		return err_wrap(e, "'%s': partition table", image_name(im));
	*ret = l;
	l = (struct image_layout){0};
	return 0;
}
