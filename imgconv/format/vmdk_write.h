/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the VMDK writer share: vmdk_create.c begins, vmdk_write.c goes on with sparse and
 * flat extents, vmdk_write_stream.c with streams.
 */
#ifndef IMGCONV_FORMAT_VMDK_WRITE_H
#define IMGCONV_FORMAT_VMDK_WRITE_H

#include "imgconv/format/vmdk.h"

#define VMDK_SIZE_MAX (64ull << 40) /* what a grain directory is for at most */
#define VMDK_GRAIN_SECTORS 128u
#define VMDK_GRAIN_SIZE (VMDK_GRAIN_SECTORS * SECTOR)
#define VMDK_GT_COVERS ((uint64_t)VMDK_GRAIN_SIZE * GT_ENTRIES)
#define VMDK_DESCRIPTOR_SECTORS 20u        /* of an embedded one, as all do */
#define VMDK_FILE_SECTORS_MAX (1ull << 32) /* what entries of grain tables can point to */
#define VMDK_OUT_MAX (2 * MIB)             /* of a stream, collected for a write */

/* Where the tables of a sparse extent are, in sectors. */
struct vmdk_layout {
	uint32_t n_gd;
	uint64_t gd_sectors;
	uint64_t rgd, rgt; /* directory and its tables: the second copy comes first */
	uint64_t gd, gt;
	uint64_t overhead;
};

struct vmdk_writer {
	struct image_writer common;
	enum vmdk_type type;
	unsigned level;
	const char *adapter;
	unsigned hwversion;
	uint32_t cid;
	char long_cid[33];
	char *stem;           /* of the files' names; NULL: one file */
	uint64_t extent_size; /* bytes of the disk in one extent */
	int *fds;             /* n_extents, the caller's */
	size_t n_extents;

	uint8_t table[GT_SIZE]; /* the current grain table */
	uint32_t table_index;
	bool table_used;
	uint64_t next; /* the next free sector of the file */

	size_t extent; /* SPARSE: the current one */
	struct vmdk_layout layout;

	uint32_t *gd; /* STREAM: host order */
	uint32_t n_gd;
	uint8_t *out; /* not written yet */
	size_t out_len;
	uint64_t out_offset; /* where it goes */
};

static inline struct vmdk_writer *to_vmdk_writer(struct image_writer *w)
{
	return (struct vmdk_writer *)w;
}

/* vmdk_create.c */
extern const struct image_option vmdk_options[];
int vmdk_create(int fd, const char *name, uint64_t size, const struct image_create_opts *o,
		struct image_writer **ret, struct err *e);
const char *vmdk_why_no_pipe(const struct image_create_opts *o);
uint64_t vmdk_full_size(const struct image_writer *w);
void vmdk_writer_free(struct image_writer *w);
int vmdk_writer_encoder_new(const struct image_writer *w, void **ret, struct err *e);
size_t vmdk_writer_encode(const struct image_writer *w, void *encoder, const void *grain,
			  size_t len, void *out);
/* Bytes of the disk in extent i. */
uint64_t vmdk_extent_length(const struct vmdk_writer *w, size_t i);
/* Where things are in a sparse extent of that many bytes of the disk. */
struct vmdk_layout vmdk_lay_out(uint64_t length, bool embedded);
/* The text of the descriptor, appended. */
int vmdk_write_descriptor(const struct vmdk_writer *w, struct buf *out, struct err *e);
/* A header; gd and rgd may be GD_AT_END and 0. */
void vmdk_put_header(const struct vmdk_writer *w, uint64_t capacity, const struct vmdk_layout *l,
		     uint8_t h[SECTOR]);

/* vmdk_write.c */
int vmdk_place(struct image_writer *w, uint64_t off, size_t len, struct image_place *ret,
	       struct err *e);
int vmdk_finish(struct image_writer *w, struct err *e);

/* vmdk_write_stream.c */
int vmdk_stream_begin(struct vmdk_writer *w, struct err *e);
int vmdk_write_encoded(struct image_writer *w, const void *data, size_t len, uint64_t off,
		       struct err *e);
int vmdk_stream_finish(struct vmdk_writer *w, struct err *e);

#endif
