/* SPDX-License-Identifier: Apache-2.0 */
/* The master boot record's partition table: four primary entries. */
#ifndef IMGCONV_DISK_MBR_H
#define IMGCONV_DISK_MBR_H

#include "lib/err.h"

#define MBR_SIZE 512
#define MBR_ENTRIES 4

struct mbr_entry {
	uint8_t type; /* 0: unused */
	bool active;
	uint64_t start;  /* bytes, a multiple of 512 */
	uint64_t length; /* bytes, a multiple of 512 */
};
struct mbr {
	uint32_t disk_signature;
	struct mbr_entry part[MBR_ENTRIES];
};

/*
 * Puts signature, table and 0x55aa into a sector; its code area is left alone. All four entries
 * are written, the unused ones as zeros.
 * Errors: EINVAL not aligned, or overlapping; EFBIG past what 32-bit sector numbers reach (2 TiB).
 */
int mbr_write(const struct mbr *m, uint8_t sector[MBR_SIZE], struct err *e);

/*
 * Reads the four entries of a disk of `disk_size` bytes.
 * Errors: ENOENT no 0x55aa; EBADMSG a flag other than 0 or 0x80, an entry that begins at sector 0,
 * reaches past the disk or overlaps another.
 */
int mbr_parse(const uint8_t sector[MBR_SIZE], uint64_t disk_size, struct mbr *ret, struct err *e);

#endif
