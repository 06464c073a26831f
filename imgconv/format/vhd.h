/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VHD ("vpc" to QEMU), after "Virtual Hard Disk Image Format Specification", Microsoft, version
 * 1.0 (October 2006). Big-endian.
 *
 *	fixed      the disk's bytes, footer
 *	dynamic    copy of the footer, dynamic disk header, block allocation table (BAT), blocks,
 *	           footer; a block is a bitmap (a bit a sector, the first one the highest bit of
 *	           a byte; padded to a sector) and data
 *	differencing  the same; a sector whose bit is 0, and a block that is not there, are the
 *	           parent's
 *
 *	footer, 512 bytes           dynamic disk header, 1024 bytes
 *	 0  8 "conectix"             0   8 "cxsparse"
 *	 8  4 features               8   8 next structure: all ones
 *	12  4 version 0x00010000    16   8 offset of the BAT
 *	16  8 offset of the header  24   4 version 0x00010000
 *	24  4 time stamp            28   4 entries of the BAT
 *	28  4 creator               32   4 bytes of a block's data
 *	32  4 creator's version     36   4 checksum
 *	36  4 creator's system      40  16 parent's UUID
 *	40  8 original size         56   4 parent's time stamp
 *	48  8 current size          64 512 parent's name, UTF-16
 *	56  4 geometry: 2 cylinders, 1 heads, 1 sectors a track
 *	60  4 type                 576 8*24 parent locators: 4 code, 4 space, 4 length, 4 reserved,
 *	64  4 checksum                      8 offset
 *	68 16 UUID
 *	84  1 saved state
 *
 *	BAT entry, 4 bytes: the sector of the file that a block begins at; all ones: not there.
 *
 * Not supported: changing in place, parents that the user did not name, chains of more than one
 * parent. A parent locator is never followed.
 */
#ifndef IMGCONV_FORMAT_VHD_H
#define IMGCONV_FORMAT_VHD_H

#include "imgconv/format.h"

#define VHD_SECTOR 512u
#define VHD_FOOTER_SIZE 512u
#define VHD_OLD_FOOTER_SIZE 511u /* of early versions of Virtual PC */
#define VHD_HEADER_SIZE 1024u
#define VHD_COOKIE "conectix"
#define VHD_HEADER_COOKIE "cxsparse"
#define VHD_VERSION 0x00010000u

#define FOOTER_FEATURES 8
#define FOOTER_VERSION 12
#define FOOTER_DATA_OFFSET 16
#define FOOTER_TIMESTAMP 24
#define FOOTER_CREATOR 28
#define FOOTER_CREATOR_VERSION 32
#define FOOTER_CREATOR_OS 36
#define FOOTER_ORIGINAL_SIZE 40
#define FOOTER_CURRENT_SIZE 48
#define FOOTER_CYLINDERS 56
#define FOOTER_HEADS 58
#define FOOTER_SECTORS 59
#define FOOTER_TYPE 60
#define FOOTER_CHECKSUM 64
#define FOOTER_UUID 68
#define FOOTER_SAVED_STATE 84
#define FOOTER_RESERVED 85

#define HEADER_DATA_OFFSET 8
#define HEADER_TABLE_OFFSET 16
#define HEADER_VERSION 24
#define HEADER_ENTRIES 28
#define HEADER_BLOCK_SIZE 32
#define HEADER_CHECKSUM 36
#define HEADER_PARENT_UUID 40
#define HEADER_PARENT_NAME 64
#define HEADER_PARENT_NAME_LEN 512
#define HEADER_LOCATORS 576
#define HEADER_N_LOCATORS 8
#define HEADER_LOCATOR_SIZE 24

#define VHD_ABSENT UINT32_MAX
#define VHD_FEATURE_RESERVED 2u /* always set */

enum {
	VHD_FIXED = 2,
	VHD_DYNAMIC = 3,
	VHD_DIFFERENCING = 4,
};

/* The geometry with which programs go by the footer's size, whoever made the image. */
#define VHD_MAX_CYLINDERS 65535u
#define VHD_MAX_HEADS 16u
#define VHD_MAX_SECTORS 255u
#define VHD_MAX_GEOMETRY ((uint64_t)VHD_MAX_CYLINDERS * VHD_MAX_HEADS * VHD_MAX_SECTORS)

/* The format's own limit: 0xff000000 sectors. Azure takes larger fixed disks. */
#define VHD_MAX_SIZE (2040 * GIB)
#define VHD_MAX_FIXED_SIZE (32 * 1024 * GIB)

#define VHD_MIN_BLOCK 512u
#define VHD_MAX_BLOCK (256u << 20)

/* BAT entries that are read at once by the thread that the image belongs to. */
#define VHD_WINDOW 16384u

struct vhd_claims;

struct vhd {
	struct image common;
	uint8_t footer[VHD_FOOTER_SIZE];
	uint64_t data_end; /* where the footer begins that ends the file */
	unsigned type;
	uint64_t current_size;  /* as the footer says it */
	uint64_t geometry_size; /* cylinders * heads * sectors, in bytes */

	/* All but fixed ones. */
	uint8_t header[VHD_HEADER_SIZE];
	uint64_t header_offset;
	uint64_t bat_offset;
	uint32_t n_entries;
	uint32_t n_blocks; /* that the disk has */
	uint32_t block_size;
	uint32_t bitmap_size; /* a multiple of a sector */
	struct image *parent; /* NULL: none */

	/* What is wrong, all of it; an image that is only to be inspected opens nevertheless. */
	struct image_check faults;
	struct err refusal;  /* code 0: its data can be read */
	bool tables_unknown; /* there is no BAT that could be looked at */

	/* Of the thread that the image belongs to: a piece of the BAT, in host order. */
	uint32_t *window;
	uint64_t window_first;
	uint32_t window_n;
	struct vhd_claims *claims;
};

static inline struct vhd *to_vhd(struct image *im)
{
	return (struct vhd *)im;
}

/* vhd_header.c */
bool vhd_probe(const struct image_head *head);
/* The sum of all bytes but the checksum's own, inverted. */
uint32_t vhd_checksum(const uint8_t *p, size_t len, size_t at);
/* Reads and checks footer, its copy and header; faults are kept. */
int vhd_read_header(struct vhd *v, struct err *e);
/* Keeps a fault: the first one is why the image is refused. */
int vhd_fault(struct vhd *v, int code, uint64_t offset, struct err *e, const char *fmt, ...)
	PRINTF_LIKE(5, 6);

/* vhd_info.c */
int vhd_info(struct image *im, struct image_info *ret, struct err *e);

/* vhd_read.c */
static inline uint64_t vhd_block_bytes(const struct vhd *v)
{
	return (uint64_t)v->bitmap_size + v->block_size;
}
/* What is wrong with a BAT entry that is not absent; NULL: nothing. */
const char *vhd_entry_fault(const struct vhd *v, uint32_t entry);
/* Entries of the BAT from a block's on, at least that one: up to the end of the window. */
int vhd_entries(struct vhd *v, uint32_t block, uint32_t *ret_n, const uint32_t **ret,
		struct err *e);
int vhd_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e);
int vhd_next_extent(struct image *im, uint64_t off, struct extent *ret, struct err *e);

/* vhd_check.c */
int vhd_claim(struct image *im, uint64_t off, uint64_t len, struct err *e);
int vhd_check(struct image *im, struct image_check *c, struct progress *p, struct err *e);
void vhd_claims_free(struct vhd_claims *c);

/* vhd_write.c */
extern const struct image_option vhd_options[];
uint64_t vhd_padded_size(uint64_t size, const struct image_create_opts *o);
int vhd_create(int fd, const char *name, uint64_t size, const struct image_create_opts *o,
	       struct image_writer **ret, struct err *e);
const char *vhd_why_no_pipe(const struct image_create_opts *o);
int vhd_place(struct image_writer *w, uint64_t off, size_t len, struct image_place *ret,
	      struct err *e);
int vhd_write(struct image_writer *w, const void *data, size_t len, uint64_t off, struct err *e);
int vhd_finish(struct image_writer *w, struct err *e);
uint64_t vhd_full_size(const struct image_writer *w);
void vhd_writer_free(struct image_writer *w);

#endif
