/* SPDX-License-Identifier: Apache-2.0 */
/* The GUID partition table: written with both headers, read from either. */
#ifndef IMGCONV_DISK_GPT_H
#define IMGCONV_DISK_GPT_H

#include "imgconv/imgconv.h"

#define GPT_ENTRIES 128
#define GPT_HEAD_SIZE (34 * 512) /* from the disk's beginning: protective MBR, header, entries */
#define GPT_TAIL_SIZE (33 * 512) /* at its end: entries, header */
#define GPT_NAME_MAX 36

/* Types of partitions. */
#define GPT_TYPE_ESP "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
#define GPT_TYPE_BIOS_BOOT "21686148-6449-6e6f-744e-656564454649"
#define GPT_TYPE_LINUX "0fc63daf-8483-4772-8e79-3d69d8477de4"

/* GUIDs are 16 bytes as they lie on disk: the first three fields little-endian. */
struct gpt_entry {
	unsigned number;  /* 1 to GPT_ENTRIES */
	const char *type; /* GPT_TYPE_* */
	uint8_t guid[16];
	uint64_t start;   /* bytes, a multiple of 512 */
	uint64_t length;  /* bytes, a multiple of 512 */
	const char *name; /* ASCII, up to GPT_NAME_MAX */
};
struct gpt {
	uint8_t guid[16];
	const struct gpt_entry *entries; /* n_entries, in any order */
	size_t n_entries;
};

/*
 * Makes the two ends of a disk of disk_size bytes. The code area of the MBR, head's first 440
 * bytes, is left alone.
 * Errors: EINVAL a partition that is not aligned, overlaps another or the tables, or whose number
 * or name is out of range; a disk that is no whole number of sectors.
 */
int gpt_write(const struct gpt *g, uint64_t disk_size, uint8_t head[GPT_HEAD_SIZE],
	      uint8_t tail[GPT_TAIL_SIZE], struct err *e);

/* A GUID that follows from two short texts alone: the same for the same. */
void gpt_guid_derive(const char *seed, const char *what, uint8_t out[16]);
/* "01234567-89ab-...", lower case. */
void gpt_guid_text(const uint8_t guid[16], char out[37]);

/* A table that was read: what its checksums vouch for. */
struct gpt_table {
	uint64_t lba;         /* of this header */
	uint64_t other_lba;   /* of the other one, as this one says */
	uint64_t first, last; /* usable sectors */
	uint64_t entries_lba;
	uint32_t n_entries, entry_size;
	uint32_t entries_crc;
	uint8_t guid[16];
	uint8_t *entries; /* n_entries of entry_size bytes */
};
/*
 * Reads the header in sector lba and its entries.
 * Errors: EBADMSG no header, a wrong checksum, or what does not fit the disk; EFBIG too many
 * entries.
 */
int gpt_read(struct image *im, uint64_t lba, struct gpt_table *ret, struct err *e);
void gpt_table_release(struct gpt_table *t);
DEFINE_AUTO_STRUCT(struct gpt_table, gpt_table_release);

/* Entry i (from 0) of a table. */
struct gpt_slot {
	bool used;
	const uint8_t *type, *guid; /* 16 bytes */
	uint64_t first, last;       /* sectors */
	uint64_t attributes;
	const uint8_t *name; /* 36 letters of UTF-16, little-endian */
};
#define GPT_NAME_ROOM 112
/* The name as UTF-8, up to a NUL; what is no letter becomes U+FFFD. */
void gpt_slot_name(const struct gpt_slot *x, char out[GPT_NAME_ROOM]);
struct gpt_slot gpt_table_slot(const struct gpt_table *t, uint32_t i);

#endif
