/* SPDX-License-Identifier: Apache-2.0 */
/* Making a partition larger, up to what comes behind it: MBR and GPT, on a disk or in a file. */
#ifndef CTXD_PARTITION_H
#define CTXD_PARTITION_H

#include "lib/err.h"

struct partition_grown {
	uint64_t start, old_size, size; /* bytes */
};

/*
 * Grows partition number `number` (from 1) of the disk open for reading and writing as fd, of size
 * bytes in all, with sectors of `sector` bytes (512 or 4096). A GPT's backup moves to the disk's
 * end. Returns 1 if the table was changed, 0 if there is less than 1 MiB to be had; *ret is set in
 * both cases. With dry_run nothing is written.
 *
 * Both tables of a GPT must be sound, by their checksums; the backup is written before the primary,
 * so that at each moment one of them is whole.
 * Errors: EBADMSG the table; ENOENT no such partition; ENOTSUP a logical or extended partition of
 * an MBR, or no table at all.
 */
int partition_grow(int fd, uint64_t size, uint32_t sector, unsigned number, bool dry_run,
		   struct partition_grown *ret, struct err *e);

#endif
