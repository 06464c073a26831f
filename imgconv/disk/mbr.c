/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master boot record, as IBM PC DOS 2.0 laid it out and all BIOSes read it (UEFI 2.10, 5.2.1
 * "Legacy MBR"); sectors of 512 bytes, integers little-endian.
 *
 *	offset  size  field
 *	0       440   boot code
 *	440     4     disk signature (PARTUUID=SIGNATURE-NN)
 *	446     16x4  entries: flag 0x80 active, CHS of the first sector (3 bytes), type,
 *	              CHS of the last (3), first sector (4), number of sectors (4)
 *	510     2     0x55 0xaa
 *
 * Not supported: logical partitions in extended ones.
 */
#include "imgconv/disk/mbr.h"

#include <inttypes.h>

#define SECTOR 512
#define OFF_SIGNATURE 440
#define OFF_TABLE 446
#define ENTRY_SIZE 16
#define OFF_MAGIC 510
#define FLAG_ACTIVE 0x80

/* In an entry. */
#define OFF_FLAG 0
#define OFF_CHS_FIRST 1
#define OFF_TYPE 4
#define OFF_CHS_LAST 5
#define OFF_LBA 8
#define OFF_COUNT 12

/* Geometry that BIOSes assume for large disks. */
#define HEADS 255
#define SECTORS_PER_TRACK 63
#define CYLINDERS 1024

static void put_chs(uint8_t *to, uint64_t lba)
{
	uint64_t cylinder = lba / SECTORS_PER_TRACK / HEADS;
	unsigned head = lba / SECTORS_PER_TRACK % HEADS;
	unsigned sector = lba % SECTORS_PER_TRACK + 1;

	if (cylinder >= CYLINDERS) {
		/* Out of reach: the conventional last address. */
		to[0] = 0xfe;
		to[1] = 0xff;
		to[2] = 0xff;
		return;
	}
	to[0] = (uint8_t)head;
	to[1] = (uint8_t)(sector | (cylinder >> 8 << 6));
	to[2] = (uint8_t)cylinder;
}

static int check_overlap(const struct mbr *m, int code, struct err *e)
{
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		for (unsigned j = i + 1; j < MBR_ENTRIES; j++) {
			const struct mbr_entry *a = &m->part[i], *b = &m->part[j];

			if (a->type && b->type && a->start < b->start + b->length &&
			    b->start < a->start + a->length)
				return err_set(e, code, "partitions %u and %u overlap", i + 1,
					       j + 1);
		}
	}
	return 0;
}

static int put_entry(const struct mbr_entry *p, uint8_t *to, unsigned number, struct err *e)
{
	uint64_t first = p->start / SECTOR, count = p->length / SECTOR;

	if (!p->type)
		return 0;
	if (p->start % SECTOR || p->length % SECTOR || !first || !count)
		return err_set(e, EINVAL,
			       "partition %u: 0x%" PRIx64 " and %" PRIu64
			       " bytes are no whole sectors",
			       number, p->start, p->length);
	if (first > UINT32_MAX || count > UINT32_MAX || first + count - 1 > UINT32_MAX)
		return err_set(e, EFBIG, "partition %u reaches past 2 TiB, too far for an MBR",
			       number);
	to[OFF_FLAG] = p->active ? FLAG_ACTIVE : 0;
	put_chs(to + OFF_CHS_FIRST, first);
	to[OFF_TYPE] = p->type;
	put_chs(to + OFF_CHS_LAST, first + count - 1);
	le32_put(to + OFF_LBA, (uint32_t)first);
	le32_put(to + OFF_COUNT, (uint32_t)count);
	return 0;
}

int mbr_write(const struct mbr *m, uint8_t sector[MBR_SIZE], struct err *e)
{
	uint8_t table[MBR_ENTRIES * ENTRY_SIZE] = {0};
	int rc = 0;

	for (unsigned i = 0; i < MBR_ENTRIES && rc >= 0; i++)
		rc = put_entry(&m->part[i], table + (size_t)i * ENTRY_SIZE, i + 1, e);
	if (rc >= 0)
		rc = check_overlap(m, EINVAL, e);
	if (rc < 0)
		return rc;
	le32_put(sector + OFF_SIGNATURE, m->disk_signature);
	memset(sector + OFF_SIGNATURE + 4, 0, 2);
	memcpy(sector + OFF_TABLE, table, sizeof(table));
	sector[OFF_MAGIC] = 0x55;
	sector[OFF_MAGIC + 1] = 0xaa;
	return 0;
}

int mbr_parse(const uint8_t sector[MBR_SIZE], uint64_t disk_size, struct mbr *ret, struct err *e)
{
	*ret = (struct mbr){0};
	if (sector[OFF_MAGIC] != 0x55 || sector[OFF_MAGIC + 1] != 0xaa)
		return err_set(e, ENOENT, "no partition table");
	ret->disk_signature = le32_get(sector + OFF_SIGNATURE);
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		const uint8_t *from = sector + OFF_TABLE + (size_t)i * ENTRY_SIZE;
		struct mbr_entry *p = &ret->part[i];

		if (from[OFF_FLAG] != 0 && from[OFF_FLAG] != FLAG_ACTIVE)
			return err_set(e, EBADMSG, "partition %u has flag 0x%02x", i + 1,
				       from[OFF_FLAG]);
		if (!from[OFF_TYPE])
			continue;
		p->type = from[OFF_TYPE];
		p->active = from[OFF_FLAG] == FLAG_ACTIVE;
		p->start = (uint64_t)le32_get(from + OFF_LBA) * SECTOR;
		p->length = (uint64_t)le32_get(from + OFF_COUNT) * SECTOR;
		if (!p->start || !p->length || !range_within(p->start, p->length, disk_size))
			return err_set(e, EBADMSG,
				       "partition %u, 0x%" PRIx64 " and %" PRIu64
				       " bytes, does not fit the disk of %" PRIu64,
				       i + 1, p->start, p->length, disk_size);
	}
	return check_overlap(ret, EBADMSG, e);
}
