/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GUID partition table (UEFI specification 2.10, chapter 5); integers little-endian.
 *
 * Sector 0 is a protective MBR: one entry of type 0xee over all of the disk. Sector 1 is the
 * header, the entries begin in sector 2; the disk's last sector is a second header, its entries
 * before it.
 *
 * Header: "EFI PART" | 8 u32 revision 1.0 | 12 u32 its size | 16 u32 its CRC-32 | 24 u64 its own
 * sector | 32 u64 the other one's | 40 u64 first, 48 u64 last usable sector | 56 GUID of the disk |
 * 72 u64 the entries' sector | 80 u32 number of entries | 84 u32 size of one | 88 u32 their CRC-32.
 * Entry: 0 type GUID | 16 GUID | 32 u64 first sector | 40 u64 last sector | 48 u64 attributes |
 * 56 name, 36 UTF-16 letters.
 *
 * Not supported: sectors other than 512 bytes.
 */
#include "imgconv/disk/gpt.h"

#include <inttypes.h>
#include <stdio.h>
#include <zlib.h>

#include "lib/digest.h"
#include "lib/str.h"

#define SECTOR 512u
#define SIGNATURE UINT64_C(0x5452415020494645) /* "EFI PART" */
#define REVISION 0x00010000u
#define HEADER_SIZE 92u
#define ENTRY_SIZE 128u
#define ENTRIES_SECTORS (GPT_ENTRIES * ENTRY_SIZE / SECTOR)

#define OFF_REVISION 8
#define OFF_SIZE 12
#define OFF_CRC 16
#define OFF_SELF 24
#define OFF_OTHER 32
#define OFF_FIRST 40
#define OFF_LAST 48
#define OFF_GUID 56
#define OFF_ENTRIES 72
#define OFF_N_ENTRIES 80
#define OFF_ENTRY_SIZE 84
#define OFF_ENTRIES_CRC 88

#define ENTRY_GUID 16
#define NAME_UNITS 36u
#define ENTRY_FIRST 32
#define ENTRY_LAST 40
#define ENTRY_ATTRIBUTES 48
#define ENTRY_NAME 56

/* The protective MBR's entry. */
#define MBR_ENTRY 446
#define MBR_MAGIC 510
#define TYPE_PROTECTIVE 0xee

/* Of tables that are read. */
#define ENTRIES_MAX 1024u
#define ENTRY_SIZE_MAX 4096u

/* ---- GUIDs ----------------------------------------------------------------------------------- */

/* The order of a GUID's bytes on disk, as they are written in text. */
static const uint8_t text_order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

void gpt_guid_text(const uint8_t guid[16], char out[37])
{
	uint8_t u[16];
	char hex[33];

	for (unsigned i = 0; i < 16; i++)
		u[i] = guid[text_order[i]];
	hex_encode(u, 16, hex);
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static int guid_parse(const char *text, uint8_t out[16], struct err *e)
{
	char hex[33];
	size_t n = 0;
	uint8_t u[16];
	int rc;

	for (const char *s = text; *s && n < 32; s++) {
		if (*s != '-')
			hex[n++] = *s;
	}
	rc = hex_decode(hex, n, u, sizeof(u), e);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < 16; i++)
		out[text_order[i]] = u[i];
	return 0;
}

void gpt_guid_derive(const char *seed, const char *what, uint8_t out[16])
{
	uint8_t sum[DIGEST_MAX];
	char text[128];

	snprintf(text, sizeof(text), "%s/%s", seed, what);
	digest_of(DIGEST_SHA256, text, strlen(text), sum);
	memcpy(out, sum, 16);
	/* RFC 9562: variant 10, version 8, which is of one's own making. */
	out[7] = (out[7] & 0x0f) | 0x80;
	out[8] = (out[8] & 0x3f) | 0x80;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int check_entry(const struct gpt *g, size_t i, uint64_t first, uint64_t last, struct err *e)
{
	const struct gpt_entry *x = &g->entries[i];

	if (!x->number || x->number > GPT_ENTRIES || strlen(x->name) > GPT_NAME_MAX)
		return err_set(e, EINVAL, "partition %u: no such number, or too long a name",
			       x->number);
	if (x->start % SECTOR || x->length % SECTOR || !x->length || x->start / SECTOR < first ||
	    !range_within(x->start, x->length, (last + 1) * SECTOR))
		return err_set(e, EINVAL,
			       "partition %u: 0x%" PRIx64 " and %" PRIu64
			       " bytes are no sectors between the tables",
			       x->number, x->start, x->length);
	for (size_t j = 0; j < i; j++) {
		const struct gpt_entry *y = &g->entries[j];

		if (x->number == y->number ||
		    (x->start < y->start + y->length && y->start < x->start + x->length))
			return err_set(e, EINVAL, "partitions %u and %u overlap", y->number,
				       x->number);
	}
	return 0;
}

static int put_entries(const struct gpt *g, uint8_t *entries, struct err *e)
{
	for (size_t i = 0; i < g->n_entries; i++) {
		const struct gpt_entry *x = &g->entries[i];
		uint8_t *to = entries + (size_t)(x->number - 1) * ENTRY_SIZE;
		int rc = guid_parse(x->type, to, e);

		if (rc < 0)
			return rc;
		memcpy(to + ENTRY_GUID, x->guid, 16);
		le64_put(to + ENTRY_FIRST, x->start / SECTOR);
		le64_put(to + ENTRY_LAST, (x->start + x->length) / SECTOR - 1);
		for (size_t c = 0; x->name[c]; c++)
			le16_put(to + ENTRY_NAME + 2 * c, (uint8_t)x->name[c]);
	}
	return 0;
}

static void put_header(const struct gpt *g, uint8_t *to, uint64_t self, uint64_t other,
		       uint64_t entries_lba, uint64_t last, const uint8_t *entries)
{
	le64_put(to, SIGNATURE);
	le32_put(to + OFF_REVISION, REVISION);
	le32_put(to + OFF_SIZE, HEADER_SIZE);
	le64_put(to + OFF_SELF, self);
	le64_put(to + OFF_OTHER, other);
	le64_put(to + OFF_FIRST, 2 + ENTRIES_SECTORS);
	le64_put(to + OFF_LAST, last);
	memcpy(to + OFF_GUID, g->guid, 16);
	le64_put(to + OFF_ENTRIES, entries_lba);
	le32_put(to + OFF_N_ENTRIES, GPT_ENTRIES);
	le32_put(to + OFF_ENTRY_SIZE, ENTRY_SIZE);
	le32_put(to + OFF_ENTRIES_CRC,
		 (uint32_t)crc32(0, entries, (uInt)(GPT_ENTRIES * ENTRY_SIZE)));
	le32_put(to + OFF_CRC, (uint32_t)crc32(0, to, HEADER_SIZE));
}

/* From sector 1 to the disk's end, or as far as 32 bits count. */
static void put_protective_mbr(uint8_t *sector, uint64_t sectors)
{
	uint8_t *entry = sector + MBR_ENTRY;

	memset(sector + MBR_ENTRY - 6, 0, 6 + 64);
	entry[2] = 2; /* CHS 0/0/2, which is sector 1 */
	entry[4] = TYPE_PROTECTIVE;
	memset(entry + 5, 0xff, 3);
	le32_put(entry + 8, 1);
	le32_put(entry + 12, (uint32_t)MIN(sectors - 1, (uint64_t)UINT32_MAX));
	sector[MBR_MAGIC] = 0x55;
	sector[MBR_MAGIC + 1] = 0xaa;
}

int gpt_write(const struct gpt *g, uint64_t disk_size, uint8_t head[GPT_HEAD_SIZE],
	      uint8_t tail[GPT_TAIL_SIZE], struct err *e)
{
	uint64_t sectors = disk_size / SECTOR;
	uint8_t *entries = head + (size_t)2 * SECTOR;
	uint64_t last;
	int rc = 0;

	if (disk_size % SECTOR || disk_size < GPT_HEAD_SIZE + GPT_TAIL_SIZE + SECTOR)
		return err_set(e, EINVAL, "%" PRIu64 " bytes are no disk for a GPT", disk_size);
	last = sectors - 2 - ENTRIES_SECTORS;
	for (size_t i = 0; i < g->n_entries && rc >= 0; i++)
		rc = check_entry(g, i, 2 + ENTRIES_SECTORS, last, e);
	if (rc < 0)
		return rc;
	memset(head + SECTOR, 0, GPT_HEAD_SIZE - SECTOR);
	memset(tail, 0, GPT_TAIL_SIZE);
	rc = put_entries(g, entries, e);
	if (rc < 0)
		return rc;
	memcpy(tail, entries, (size_t)GPT_ENTRIES * ENTRY_SIZE);
	put_protective_mbr(head, sectors);
	put_header(g, head + SECTOR, 1, sectors - 1, 2, last, entries);
	put_header(g, tail + (size_t)ENTRIES_SECTORS * SECTOR, sectors - 1, 1,
		   sectors - 1 - ENTRIES_SECTORS, last, entries);
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The header's fields, once its checksum is right. */
static int check_header(const uint8_t *h, uint64_t lba, uint64_t disk_size, struct gpt_table *t,
			struct err *e)
{
	uint64_t sectors = disk_size / SECTOR, len;

	*t = (struct gpt_table){
		.lba = lba,
		.other_lba = le64_get(h + OFF_OTHER),
		.first = le64_get(h + OFF_FIRST),
		.last = le64_get(h + OFF_LAST),
		.entries_lba = le64_get(h + OFF_ENTRIES),
		.n_entries = le32_get(h + OFF_N_ENTRIES),
		.entry_size = le32_get(h + OFF_ENTRY_SIZE),
		.entries_crc = le32_get(h + OFF_ENTRIES_CRC),
	};
	memcpy(t->guid, h + OFF_GUID, 16);
	if (le64_get(h + OFF_SELF) != lba || t->first > t->last || t->last >= sectors)
		return err_set(e, EBADMSG,
			       "the GPT header in sector %" PRIu64 " does not fit the disk", lba);
	if (t->n_entries > ENTRIES_MAX || t->entry_size < ENTRY_SIZE || t->entry_size % 8 ||
	    t->entry_size > ENTRY_SIZE_MAX)
		return err_set(e, EFBIG, "%u GPT entries of %u bytes are over the limit",
			       t->n_entries, t->entry_size);
	len = (uint64_t)t->n_entries * t->entry_size;
	if (t->entries_lba >= sectors || !range_within(t->entries_lba * SECTOR, len, disk_size))
		return err_set(e, EBADMSG, "the GPT entries lie past the disk's end");
	return 0;
}

static int read_header(struct image *im, uint64_t lba, struct gpt_table *t, struct err *e)
{
	uint8_t h[SECTOR];
	uint32_t size, crc;
	int rc;

	if (lba >= image_size(im) / SECTOR)
		return err_set(e, EBADMSG, "sector %" PRIu64 " lies past the disk's end", lba);
	rc = image_pread(im, h, SECTOR, lba * SECTOR, e);
	if (rc < 0)
		return rc;
	if (le64_get(h) != SIGNATURE)
		return err_set(e, EBADMSG, "no GPT header in sector %" PRIu64, lba);
	size = le32_get(h + OFF_SIZE);
	crc = le32_get(h + OFF_CRC);
	if (size < HEADER_SIZE || size > SECTOR)
		return err_set(e, EBADMSG, "the GPT header's size is %u", size);
	le32_put(h + OFF_CRC, 0);
	if ((uint32_t)crc32(0, h, size) != crc)
		return err_set(e, EBADMSG,
			       "the GPT header in sector %" PRIu64 " has a wrong checksum", lba);
	return check_header(h, lba, image_size(im), t, e);
}

int gpt_read(struct image *im, uint64_t lba, struct gpt_table *ret, struct err *e)
{
	AUTO_FREE uint8_t *entries = NULL;
	struct gpt_table t;
	size_t len;
	int rc = read_header(im, lba, &t, e);

	if (rc < 0)
		return rc;
	len = (size_t)t.n_entries * t.entry_size;
	entries = malloc(len ? len : 1);
	if (!entries)
		return err_nomem(e);
	rc = image_pread(im, entries, len, t.entries_lba * SECTOR, e);
	if (rc < 0)
		return rc;
	if ((uint32_t)crc32(0, entries, (uInt)len) != t.entries_crc)
		return err_set(e, EBADMSG,
			       "the GPT entries of the header in sector %" PRIu64
			       " have a wrong checksum",
			       lba);
	t.entries = STEAL(entries);
	*ret = t;
	return 0;
}

void gpt_table_release(struct gpt_table *t)
{
	free(t->entries);
	*t = (struct gpt_table){0};
}

struct gpt_slot gpt_table_slot(const struct gpt_table *t, uint32_t i)
{
	const uint8_t *x = t->entries + (size_t)i * t->entry_size;

	return (struct gpt_slot){
		.used = !mem_is_zero(x, 16),
		.type = x,
		.guid = x + ENTRY_GUID,
		.first = le64_get(x + ENTRY_FIRST),
		.last = le64_get(x + ENTRY_LAST),
		.attributes = le64_get(x + ENTRY_ATTRIBUTES),
		.name = x + ENTRY_NAME,
	};
}

/* A letter, from the unit at i on; *ret_units: how many it has. */
static uint32_t utf16_letter(const uint8_t *name, unsigned i, unsigned *ret_units)
{
	uint32_t c = le16_get(name + (size_t)2 * i), next;

	*ret_units = 1;
	if (c < 0xd800 || c > 0xdfff)
		return c;
	next = i + 1 < NAME_UNITS ? le16_get(name + (size_t)2 * (i + 1)) : 0;
	if (c > 0xdbff || next < 0xdc00 || next > 0xdfff)
		return 0xfffd;
	*ret_units = 2;
	return 0x10000 + ((c - 0xd800) << 10) + (next - 0xdc00);
}

void gpt_slot_name(const struct gpt_slot *x, char out[GPT_NAME_ROOM])
{
	size_t n = 0;
	unsigned units;

	for (unsigned i = 0; i < NAME_UNITS; i += units) {
		uint32_t c = utf16_letter(x->name, i, &units);
		unsigned more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

		if (!c)
			break;
		out[n++] = (char)(more ? (0xff00u >> (more + 1) & 0xff) | c >> 6 * more : c);
		while (more--)
			out[n++] = (char)(0x80 | (c >> 6 * more & 0x3f));
	}
	out[n] = '\0';
}
