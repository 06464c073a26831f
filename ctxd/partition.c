/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partition tables: see ctxd/partition.h. UEFI specification 2.10, chapter 5.
 *
 *	MBR, sector 0: four entries of 16 bytes at 446, 0x55 0xaa at 510
 *	  +4 type (0: none; 0xee: the disk has a GPT)   +8 first sector   +12 sectors
 *	GPT header, sector 1 and the last one
 *	  +0 "EFI PART"  +12 header size  +16 CRC-32 of the header, with itself 0
 *	  +24 this sector  +32 the other one  +40 first, +48 last sector for partitions
 *	  +72 first sector of the entries  +80 how many  +84 bytes of each  +88 CRC-32 of all
 *	entry: +0 type (16 bytes, 0: none)  +32 first sector  +40 last sector
 */
#include "ctxd/partition.h"

#include "lib/fs.h"

#define GROW_LEAST MIB
#define MBR_SECTOR 512
#define MBR_ENTRIES 446
#define MBR_ENTRY_LEN 16
#define GPT_HEADER_LEN 92
#define ENTRIES_MAX 1024
#define ENTRY_LEN_MAX 512

struct table {
	int fd;
	uint64_t sectors; /* of the disk */
	uint32_t sector;
	bool dry_run;
	unsigned number;
};

static uint32_t crc32(const unsigned char *p, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
	}
	return ~crc;
}

static void set_result(const struct table *t, uint64_t first, uint64_t old, uint64_t now,
		       struct partition_grown *ret)
{
	*ret = (struct partition_grown){first * t->sector, old * t->sector, now * t->sector};
}

/* ---- MBR --------------------------------------------------------------------------------- */

static bool is_extended(unsigned type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

static int grow_mbr(const struct table *t, unsigned char *mbr, struct partition_grown *ret,
		    struct err *e)
{
	uint64_t first, count, end = MIN(t->sectors, UINT32_MAX);
	unsigned char *entry;

	if (t->number > 4)
		return err_set(e, ENOTSUP, "partition %u is a logical one", t->number);
	entry = mbr + MBR_ENTRIES + (t->number - 1) * MBR_ENTRY_LEN;
	first = le32_get(entry + 8);
	count = le32_get(entry + 12);
	if (!entry[4] || !count)
		return err_set(e, ENOENT, "there is no partition %u", t->number);
	if (is_extended(entry[4]))
		return err_set(e, ENOTSUP, "partition %u is an extended one", t->number);
	if (!range_within(first, count, t->sectors))
		return err_set(e, EBADMSG, "partition %u ends behind the disk", t->number);
	for (unsigned i = 0; i < 4; i++) {
		const unsigned char *other = mbr + MBR_ENTRIES + i * MBR_ENTRY_LEN;

		if (other != entry && other[4] && le32_get(other + 8) > first)
			end = MIN(end, le32_get(other + 8));
	}
	if (end < first + count || (end - first - count) * t->sector < GROW_LEAST) {
		set_result(t, first, count, count, ret);
		return 0;
	}
	set_result(t, first, count, end - first, ret);
	le32_put(entry + 12, (uint32_t)(end - first));
	if (t->dry_run)
		return 1;
	return fs_pwrite(t->fd, mbr, MBR_SECTOR, 0, e) < 0 ? -e->code : 1;
}

/* ---- GPT --------------------------------------------------------------------------------- */

struct gpt {
	unsigned char header[4096]; /* one sector */
	unsigned char *entries;
	uint32_t count, entry_len;
};

static void gpt_release(struct gpt *g)
{
	free(g->entries);
}
DEFINE_AUTO_STRUCT(struct gpt, gpt_release);

static size_t entries_len(const struct gpt *g)
{
	return (size_t)g->count * g->entry_len;
}

static uint64_t entries_sectors(const struct table *t, const struct gpt *g)
{
	return div_up(entries_len(g), t->sector);
}

static int check_header(const struct table *t, struct gpt *g, struct err *e)
{
	uint32_t len = le32_get(g->header + 12), crc = le32_get(g->header + 16);

	if (memcmp(g->header, "EFI PART", 8) != 0 || len < GPT_HEADER_LEN || len > t->sector)
		return err_set(e, EBADMSG, "there is no GPT header in sector 1");
	le32_put(g->header + 16, 0);
	if (crc32(g->header, len) != crc)
		return err_set(e, EBADMSG, "the GPT header's checksum is wrong");
	g->count = le32_get(g->header + 80);
	g->entry_len = le32_get(g->header + 84);
	if (!g->count || g->count > ENTRIES_MAX || g->entry_len < 128 ||
	    g->entry_len > ENTRY_LEN_MAX || g->entry_len % 8)
		return err_set(e, EBADMSG, "the GPT has %u entries of %u bytes", g->count,
			       g->entry_len);
	if (!range_within(le64_get(g->header + 72), entries_sectors(t, g), t->sectors) ||
	    le64_get(g->header + 24) != 1)
		return err_set(e, EBADMSG, "the GPT's entries lie outside of the disk");
	return 0;
}

static int read_gpt(const struct table *t, struct gpt *g, struct err *e)
{
	int rc = fs_pread(t->fd, g->header, t->sector, t->sector, e);

	if (rc == 0)
		rc = check_header(t, g, e);
	if (rc < 0)
		return rc;
	g->entries = calloc(entries_sectors(t, g), t->sector);
	if (!g->entries)
		return err_nomem(e);
	rc = fs_pread(t->fd, g->entries, entries_len(g), le64_get(g->header + 72) * t->sector, e);
	if (rc == 0 && crc32(g->entries, entries_len(g)) != le32_get(g->header + 88))
		return err_set(e, EBADMSG, "the checksum of the GPT's entries is wrong");
	return rc;
}

/* Entries, then the header that speaks of them. */
static int write_copy(const struct table *t, struct gpt *g, uint64_t header_at, uint64_t other_at,
		      uint64_t entries_at, struct err *e)
{
	int rc;

	le64_put(g->header + 24, header_at);
	le64_put(g->header + 32, other_at);
	le64_put(g->header + 72, entries_at);
	le32_put(g->header + 16, 0);
	le32_put(g->header + 16, crc32(g->header, le32_get(g->header + 12)));
	rc = fs_pwrite(t->fd, g->entries, entries_len(g), entries_at * t->sector, e);
	if (rc == 0)
		rc = fs_pwrite(t->fd, g->header, t->sector, header_at * t->sector, e);
	if (rc == 0 && fsync(t->fd) < 0)
		rc = err_errno(e, errno, "writing the partition table");
	return rc;
}

static int write_gpt(const struct table *t, struct gpt *g, uint64_t last_usable, struct err *e)
{
	uint64_t entries_at = le64_get(g->header + 72), last = t->sectors - 1;
	int rc;

	le64_put(g->header + 48, last_usable);
	le32_put(g->header + 88, crc32(g->entries, entries_len(g)));
	rc = write_copy(t, g, last, 1, last - entries_sectors(t, g), e);
	return rc < 0 ? rc : write_copy(t, g, 1, last, entries_at, e);
}

/* The protective MBR speaks of the whole disk, too. */
static int write_protective(const struct table *t, unsigned char *mbr, struct err *e)
{
	for (unsigned i = 0; i < 4; i++) {
		unsigned char *entry = mbr + MBR_ENTRIES + i * MBR_ENTRY_LEN;

		if (entry[4] == 0xee && le32_get(entry + 8) == 1)
			le32_put(entry + 12, (uint32_t)MIN(t->sectors - 1, UINT32_MAX));
	}
	return fs_pwrite(t->fd, mbr, MBR_SECTOR, 0, e);
}

static int grow_gpt(const struct table *t, unsigned char *mbr, struct partition_grown *ret,
		    struct err *e)
{
	AUTO(gpt_release) struct gpt g = {0};
	uint64_t first, last, end;
	unsigned char *entry;
	int rc = read_gpt(t, &g, e);

	if (rc < 0)
		return rc;
	entry = t->number <= g.count ? g.entries + (size_t)(t->number - 1) * g.entry_len : NULL;
	if (!entry || mem_is_zero(entry, 16))
		return err_set(e, ENOENT, "there is no partition %u", t->number);
	first = le64_get(entry + 32);
	last = le64_get(entry + 40);
	if (last < first || last >= t->sectors || t->sectors < 2 * entries_sectors(t, &g) + 3)
		return err_set(e, EBADMSG, "partition %u ends behind the disk", t->number);
	end = t->sectors - 2 - entries_sectors(t, &g); /* the last one that may be used */
	for (unsigned i = 0; i < g.count; i++) {
		const unsigned char *other = g.entries + (size_t)i * g.entry_len;

		if (other != entry && !mem_is_zero(other, 16) && le64_get(other + 32) > last)
			end = MIN(end, le64_get(other + 32) - 1);
	}
	/* Whole MiBs, as all partitioning programs have it. */
	end -= (end + 1) % (MIB / t->sector);
	if (end < last || (end - last) * t->sector < GROW_LEAST) {
		set_result(t, first, last - first + 1, last - first + 1, ret);
		return 0;
	}
	set_result(t, first, last - first + 1, end - first + 1, ret);
	if (t->dry_run)
		return 1;
	le64_put(entry + 40, end);
	rc = write_gpt(t, &g, t->sectors - 2 - entries_sectors(t, &g), e);
	return rc < 0 || write_protective(t, mbr, e) < 0 ? -e->code : 1;
}

int partition_grow(int fd, uint64_t size, uint32_t sector, unsigned number, bool dry_run,
		   struct partition_grown *ret, struct err *e)
{
	struct table t = {fd, sector ? size / sector : 0, sector, dry_run, number};
	unsigned char mbr[MBR_SECTOR];
	int rc;

	if ((sector != 512 && sector != 4096) || !number || t.sectors < 64)
		return err_set(e, ENOTSUP, "no disk with a partition table");
	rc = fs_pread(fd, mbr, sizeof(mbr), 0, e);
	if (rc < 0)
		return rc;
	if (mbr[510] != 0x55 || mbr[511] != 0xaa)
		return err_set(e, ENOTSUP, "there is no partition table");
	for (unsigned i = 0; i < 4; i++) {
		if (mbr[MBR_ENTRIES + i * MBR_ENTRY_LEN + 4] == 0xee)
			return grow_gpt(&t, mbr, ret, e);
	}
	rc = grow_mbr(&t, mbr, ret, e);
	if (rc > 0 && !dry_run && fsync(fd) < 0)
		return err_errno(e, errno, "writing the partition table");
	return rc;
}
