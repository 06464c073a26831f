/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is suspicious about the partition tables of a disk: what one reader takes for something else
 * than another one does, or what points to where nothing is. The layouts are those of layout.c and
 * disk/gpt.c. Everything that the inspector of OpenStack's oslo.utils calls unsafe (class
 * GPTInspector: active flags, the protective entry, a table without partitions) is told here, but
 * for a boot sector of FAT, exFAT or NTFS that begins the disk: its bytes are the file system's own.
 */
#include <inttypes.h>

#include "imgconv/disk/gpt.h"
#include "imgconv/layout.h"

#define SECTOR 512u
#define TABLE 446u
#define ENTRIES 4u
#define TYPE_PROTECTIVE 0xee
#define GPT_WARNINGS_MAX 8

struct checker {
	struct image *im;
	struct image_info *info;
	uint64_t sectors;
	struct err *e;
};

struct entry {
	uint8_t flag, type;
	uint8_t chs[3]; /* of the first sector */
	uint32_t first, count;
};

static struct entry entry_at(const uint8_t *sector, unsigned i)
{
	const uint8_t *p = sector + TABLE + (size_t)i * 16;

	return (struct entry){
		.flag = p[0],
		.type = p[4],
		.chs = {p[1], p[2], p[3]},
		.first = le32_get(p + 8),
		.count = le32_get(p + 12),
	};
}

/* ---- MBR ------------------------------------------------------------------------------------- */

static int check_entry(struct checker *c, const struct entry *x, unsigned number)
{
	int rc = 0;

	if (x->flag != 0 && x->flag != 0x80)
		rc = image_info_warn(c->info, c->e,
				     "MBR: partition %u has the flag 0x%02x, not "
				     "0x00 or 0x80",
				     number, x->flag);
	if (rc < 0 || !x->type || x->type == TYPE_PROTECTIVE)
		return rc;
	if (!x->first || !x->count)
		return image_info_warn(c->info, c->e,
				       "MBR: partition %u has %" PRIu32
				       " sectors from sector %" PRIu32,
				       number, x->count, x->first);
	if (!range_within(x->first, x->count, c->sectors))
		return image_info_warn(c->info, c->e,
				       "MBR: partition %u (%" PRIu32 " sectors from %" PRIu32
				       ") reaches past the disk's end",
				       number, x->count, x->first);
	return 0;
}

static int check_overlaps(struct checker *c, const uint8_t *sector)
{
	int rc = 0;

	for (unsigned i = 0; i < ENTRIES; i++) {
		for (unsigned j = i + 1; j < ENTRIES && rc >= 0; j++) {
			struct entry a = entry_at(sector, i), b = entry_at(sector, j);

			if (a.type && b.type && a.first < (uint64_t)b.first + b.count &&
			    b.first < (uint64_t)a.first + a.count)
				rc = image_info_warn(c->info, c->e,
						     "MBR: partitions %u and %u overlap", i + 1,
						     j + 1);
		}
	}
	return rc;
}

/* The entry that keeps programs that know no GPT away from the disk. */
static int check_protective(struct checker *c, const struct entry *x, unsigned number)
{
	int rc = 0;

	if (x->chs[0] != 0 || x->chs[1] != 2 || x->chs[2] != 0)
		rc = image_info_warn(c->info, c->e,
				     "MBR: the protective partition %u begins at the CHS address "
				     "%02x %02x %02x, not 00 02 00",
				     number, x->chs[0], x->chs[1], x->chs[2]);
	if (rc >= 0 && x->first != 1)
		rc = image_info_warn(c->info, c->e,
				     "MBR: the protective partition %u begins in sector %" PRIu32
				     ", not 1",
				     number, x->first);
	return rc;
}

static int check_mbr(struct checker *c, const uint8_t *sector, bool *ret_protective)
{
	unsigned used = 0, active = 0;
	int rc = 0;

	*ret_protective = false;
	for (unsigned i = 0; i < ENTRIES && rc >= 0; i++) {
		struct entry x = entry_at(sector, i);

		used |= (x.type != 0) << i;
		active += x.flag == 0x80;
		rc = check_entry(c, &x, i + 1);
		if (rc >= 0 && x.type == TYPE_PROTECTIVE) {
			*ret_protective = true;
			rc = check_protective(c, &x, i + 1);
		}
	}
	if (rc >= 0 && !used)
		rc = image_info_warn(c->info, c->e, "MBR: there is no partition in the table");
	if (rc >= 0 && *ret_protective && used != 1)
		rc = image_info_warn(c->info, c->e,
				     "MBR: a protective partition is not the only one, or not the "
				     "first: programs disagree about where the partitions are");
	if (rc >= 0 && active > 1)
		rc = image_info_warn(c->info, c->e, "MBR: %u partitions are active", active);
	return rc < 0 ? rc : check_overlaps(c, sector);
}

/* ---- GPT ------------------------------------------------------------------------------------- */

static int check_gpt_entries(struct checker *c, const struct gpt_table *t)
{
	size_t before = c->info->n_warnings;
	int rc = 0;

	for (uint32_t i = 0; i < t->n_entries && rc >= 0; i++) {
		struct gpt_slot a = gpt_table_slot(t, i);

		if (!a.used)
			continue;
		if (c->info->n_warnings - before >= GPT_WARNINGS_MAX)
			return image_info_warn(c->info, c->e, "GPT: and more of that kind");
		if (a.first < t->first || a.last > t->last || a.first > a.last)
			rc = image_info_warn(c->info, c->e,
					     "GPT: partition %u (sectors %" PRIu64 " to %" PRIu64
					     ") is not in the usable part of the disk",
					     i + 1, a.first, a.last);
		for (uint32_t j = i + 1; j < t->n_entries && rc >= 0; j++) {
			struct gpt_slot b = gpt_table_slot(t, j);

			if (b.used && a.first <= b.last && b.first <= a.last) {
				rc = image_info_warn(c->info, c->e,
						     "GPT: partitions %u and %u overlap", i + 1,
						     j + 1);
				break; /* one for each is enough */
			}
		}
	}
	return rc;
}

/* Whether two tables say the same. */
static bool same_tables(const struct gpt_table *a, const struct gpt_table *b)
{
	return a->n_entries == b->n_entries && a->entry_size == b->entry_size &&
	       a->entries_crc == b->entries_crc && a->first == b->first && a->last == b->last &&
	       memcmp(a->guid, b->guid, sizeof(a->guid)) == 0;
}

static int check_copy(struct checker *c, const struct gpt_table *main)
{
	AUTO(gpt_table_release) struct gpt_table copy = {0};
	struct err why = {0};
	int rc = 0;

	if (main->other_lba != c->sectors - 1)
		rc = image_info_warn(c->info, c->e,
				     "GPT: its copy is said to be in sector %" PRIu64
				     ", and not at the disk's end: the disk was made larger or cut",
				     main->other_lba);
	if (rc < 0)
		return rc;
	if (gpt_read(c->im, main->other_lba, &copy, &why) < 0)
		return image_info_warn(c->info, c->e, "GPT: its copy is damaged or missing: %s",
				       why.msg);
	if (!same_tables(main, &copy))
		return image_info_warn(c->info, c->e,
				       "GPT: its copy says something else: programs disagree about "
				       "where the partitions are");
	return 0;
}

static int check_gpt(struct checker *c)
{
	AUTO(gpt_table_release) struct gpt_table t = {0};
	struct err why = {0};
	int rc;

	if (gpt_read(c->im, 1, &t, &why) >= 0) {
		rc = check_gpt_entries(c, &t);
		return rc < 0 ? rc : check_copy(c, &t);
	}
	rc = image_info_warn(c->info, c->e, "GPT: %s", why.msg);
	if (rc < 0)
		return rc;
	if (gpt_read(c->im, c->sectors - 1, &t, &why) < 0)
		return image_info_warn(c->info, c->e, "GPT: its copy is damaged or missing: %s",
				       why.msg);
	return check_gpt_entries(c, &t);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The boot sector of a file system that has its own data where a table would be. */
static bool is_boot_sector(const uint8_t *p)
{
	return memcmp(p + 3, "NTFS    ", 8) == 0 || memcmp(p + 3, "EXFAT   ", 8) == 0 ||
	       layout_is_fat(p);
}

/* Whether, boot sector or not, readers take it for a partition table. */
static bool is_table(const struct checker *c, const uint8_t *sector)
{
	bool used = false, sane = true;

	for (unsigned i = 0; i < ENTRIES; i++) {
		struct entry x = entry_at(sector, i);

		if (x.type == TYPE_PROTECTIVE)
			return true;
		used |= x.type != 0;
		sane &= (x.flag & 0x7f) == 0 &&
			(!x.type ||
			 (x.first && x.count && range_within(x.first, x.count, c->sectors)));
	}
	return used && sane;
}

int image_layout_check(struct image *im, struct image_info *info, struct err *e)
{
	struct checker c = {.im = im, .info = info, .sectors = image_size(im) / SECTOR, .e = e};
	uint8_t sectors[2 * SECTOR] = {0};
	bool protective = false, has_gpt;
	int rc;

	/* What cannot be read is told where the layout is read. */
	if (c.sectors < 1 ||
	    image_pread(im, sectors, (size_t)MIN(c.sectors, UINT64_C(2)) * SECTOR, 0, NULL) < 0)
		return 0;
	if (sectors[510] != 0x55 || sectors[511] != 0xaa)
		return 0;
	if (is_boot_sector(sectors) && !is_table(&c, sectors))
		return 0;
	has_gpt = memcmp(sectors + SECTOR, "EFI PART", 8) == 0;
	rc = check_mbr(&c, sectors, &protective);
	if (rc >= 0 && protective && c.sectors >= 3)
		rc = check_gpt(&c);
	else if (rc >= 0 && has_gpt)
		rc = image_info_warn(info, e,
				     "there is a GPT behind an MBR that does not protect it: "
				     "programs disagree about where the partitions are");
	return rc;
}
