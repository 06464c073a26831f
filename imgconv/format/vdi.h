/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VDI, VirtualBox's disk image, version 1.1. There is no document of it: the layout is that of
 * VirtualBox's VDICore.h and of what VirtualBox and QEMU write. Little-endian.
 *
 *	header | block map | data: blocks of one size, in any order
 *
 *	  0 64 text                        368  8 size of the disk in bytes
 *	 64  4 0xbeda107f                  376  4 bytes of a block
 *	 68  4 version: minor, major       380  4 extra bytes before each block
 *	 72  4 bytes of header from here   384  4 blocks of the disk: entries of the map
 *	 76  4 type                        388  4 blocks in the file
 *	 80  4 flags                       392 16 UUID of the image
 *	 84 256 comment                    408 16 UUID of its last change
 *	340  4 offset of the map           424 16 UUID of the parent
 *	344  4 offset of the data          440 16 UUID of the parent's last change
 *	348 16 geometry, sector size       456 16 another geometry, sector size
 *	364  4 unused
 *
 *	Map entry, 4 bytes: the number of the block in the data; 0xffffffff: not there (what it
 *	reads as is left open: zeros here), 0xfffffffe: zeros. UUIDs have their first three fields
 *	in little-endian order.
 *
 * Not supported: changing in place, versions 0.x, images with a parent, undo images, extra bytes
 * before blocks.
 */
#ifndef IMGCONV_FORMAT_VDI_H
#define IMGCONV_FORMAT_VDI_H

#include "imgconv/format.h"

#define VDI_SIGNATURE 0xbeda107fu
#define VDI_VERSION 0x00010001u

#define VDI_TEXT 0
#define VDI_TEXT_LEN 64
#define VDI_MAGIC 64
#define VDI_VERSION_AT 68
#define VDI_HEADER_SIZE 72 /* where it is said, and from where it counts */
#define VDI_TYPE 76
#define VDI_COMMENT 84
#define VDI_COMMENT_LEN 256
#define VDI_MAP_OFFSET 340
#define VDI_DATA_OFFSET 344
#define VDI_SECTOR_SIZE 360
#define VDI_DISK_SIZE 368
#define VDI_BLOCK_SIZE 376
#define VDI_BLOCK_EXTRA 380
#define VDI_BLOCKS 384
#define VDI_ALLOCATED 388
#define VDI_UUID 392
#define VDI_UUID_CHANGE 408
#define VDI_UUID_PARENT 424
#define VDI_UUID_PARENT_CHANGE 440
#define VDI_GEOMETRY 456
#define VDI_BYTES 512 /* that hold all this */

#define VDI_FREE 0xffffffffu
#define VDI_ZERO 0xfffffffeu

enum {
	VDI_DYNAMIC = 1,
	VDI_STATIC = 2,
	VDI_UNDO = 3,
	VDI_DIFFERENCING = 4,
};

#define VDI_SECTOR 512u
#define VDI_MIN_BLOCK 512u
#define VDI_MAX_BLOCK (256u << 20)
/* As many as QEMU reads: 512 TiB with blocks of 1 MiB. */
#define VDI_MAX_BLOCKS 0x1fffff80u

/* Map entries that are read at once by the thread that the image belongs to. */
#define VDI_WINDOW 16384u

struct vdi_claims;

struct vdi {
	struct image common;
	uint8_t header[VDI_BYTES];
	unsigned type;
	uint64_t map_offset;
	uint64_t data_offset;
	uint64_t disk_size; /* as the header says it: may be odd */
	uint32_t block_size;
	uint32_t n_entries;
	uint32_t n_blocks;  /* that the disk has: n_entries or fewer */
	struct err refusal; /* code 0: its data can be read */

	/* Of the thread that the image belongs to: a piece of the map, in host order. */
	uint32_t *window;
	uint64_t window_first;
	uint32_t window_n;
	struct vdi_claims *claims;
};

static inline struct vdi *to_vdi(struct image *im)
{
	return (struct vdi *)im;
}

/* Where a block of the file begins, which is not VDI_FREE or VDI_ZERO. */
static inline uint64_t vdi_host(const struct vdi *v, uint32_t entry)
{
	return v->data_offset + (uint64_t)entry * v->block_size;
}

/* vdi_header.c */
bool vdi_probe(const struct image_head *head);
int vdi_read_header(struct vdi *v, struct err *e);
int vdi_info(struct image *im, struct image_info *ret, struct err *e);
/* From one order of a UUID's bytes to the other. */
void vdi_swap_uuid(const uint8_t in[IMAGE_UUID_SIZE], uint8_t out[IMAGE_UUID_SIZE]);

/* vdi_read.c */
static inline bool vdi_has_data(uint32_t entry)
{
	return entry < VDI_ZERO;
}
/* A block that has data lies in the file. */
bool vdi_entry_fits(const struct vdi *v, uint32_t entry);
/* Entries of the map from a block's on, at least that one: up to the end of the window. */
int vdi_entries(struct vdi *v, uint32_t block, uint32_t *ret_n, const uint32_t **ret,
		struct err *e);
int vdi_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e);
int vdi_next_extent(struct image *im, uint64_t off, struct extent *ret, struct err *e);

/* vdi_check.c */
int vdi_claim(struct image *im, uint64_t off, uint64_t len, struct err *e);
int vdi_check(struct image *im, struct image_check *c, struct progress *p, struct err *e);
void vdi_claims_free(struct vdi_claims *c);

/* vdi_write.c */
extern const struct image_option vdi_options[];
int vdi_create(int fd, const char *name, uint64_t size, const struct image_create_opts *o,
	       struct image_writer **ret, struct err *e);
int vdi_place(struct image_writer *w, uint64_t off, size_t len, struct image_place *ret,
	      struct err *e);
int vdi_finish(struct image_writer *w, struct err *e);
uint64_t vdi_full_size(const struct image_writer *w);
void vdi_writer_free(struct image_writer *w);

#endif
