/* SPDX-License-Identifier: Apache-2.0 */
/* FAT: the file system of EFI system partitions. A small one is made; any is looked into. */
#ifndef IMGCONV_DISK_FAT_H
#define IMGCONV_DISK_FAT_H

#include "imgconv/imgconv.h"

/* Bounds of what fat_make makes: FAT32 with clusters of a sector. */
#define FAT_MAKE_MIN (34 * MIB)
#define FAT_MAKE_MAX (8 * GIB)

struct fat_file {
	const char *name; /* 8.3, upper case: "BOOTX64.EFI" */
	const void *data;
	size_t len;
};
struct fat_volume {
	uint64_t size;  /* bytes, a multiple of 512, FAT_MAKE_MIN to FAT_MAKE_MAX */
	uint64_t start; /* where it will lie on its disk, bytes */
	uint32_t serial;
	const char *label;            /* up to 11 letters, upper case */
	const char *folder;           /* "EFI/BOOT" */
	const struct fat_file *files; /* n_files, all in the folder */
	size_t n_files;
};
/*
 * Appends the volume's beginning to out: all behind it, up to its size, is zeros. Time stamps are
 * 1980-01-01: the same volume gives the same bytes.
 * Errors: EINVAL a size or name that cannot be; ENOSPC the files do not fit.
 */
int fat_make(const struct fat_volume *v, struct buf *out, struct err *e);

/* ---- looking into one ------------------------------------------------------------------------ */

struct fat; /* FAT12, FAT16 or FAT32 inside an image */

/* The volume at [start, start + length) of im. Errors: EBADMSG damaged, or none. */
int fat_open(struct image *im, uint64_t start, uint64_t length, struct fat **ret, struct err *e);
void fat_close(struct fat *f);
DEFINE_AUTO(struct fat *, fat_close);
/* 12, 16 or 32. */
unsigned fat_bits(const struct fat *f);

struct fat_entry {
	char name[256 * 3 + 1]; /* the long name, if it has one, as UTF-8; hostile */
	bool is_folder;
	uint32_t size;
};
/*
 * Calls fn for each entry of the folder ("" or "EFI/BOOT"; letters of either case) but "." and "..";
 * fn returns 0 to go on, else that value is returned.
 * Errors: ENOENT, ENOTDIR; EBADMSG a chain of clusters that is damaged; EFBIG a folder of more
 * than 1 MiB.
 */
int fat_list(struct fat *f, const char *folder, int (*fn)(void *ctx, const struct fat_entry *x),
	     void *ctx, struct err *e);

#endif
