/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: decoding of tar header blocks, PAX records and sparse maps. */
#ifndef BUNDLE_TAR_HEADER_H
#define BUNDLE_TAR_HEADER_H

#include "lib/buf.h"

#define TAR_BLOCK 512

/* Where stored bytes belong in the file; what lies between reads as zeros. */
struct tar_extent {
	uint64_t start;
	uint64_t length;
};
struct tar_map {
	struct tar_extent *extents;
	size_t n, cap;
};

/* Entries of a map that we hold: 32 MiB of memory, a hole every 4 KiB in a 16 GiB image. */
#define TAR_MAP_LIMIT (UINT32_C(1) << 21)

/* Errors: EFBIG over TAR_MAP_LIMIT, ENOMEM. */
int tar_map_add(struct tar_map *m, uint64_t start, uint64_t length, struct err *e);
void tar_map_release(struct tar_map *m);
DEFINE_AUTO_STRUCT(struct tar_map, tar_map_release);
/*
 * Extents ascend, do not overlap, lie within `size` and add up to `stored` bytes; each but the last
 * is whole blocks. Errors: EBADMSG.
 */
int tar_map_check(const struct tar_map *m, uint64_t size, uint64_t stored, struct err *e);

struct tar_header {
	char type;     /* '0' for a regular file, whichever way it was written */
	bool gnu;      /* GNU magic: old-GNU fields are meaningful */
	uint64_t size; /* stored bytes that follow */
};
/* Decodes a block of TAR_BLOCK bytes. Errors: EBADMSG magic, checksum, numbers. */
int tar_header_parse(const uint8_t *block, struct tar_header *ret, struct err *e);

/* The old-GNU sparse fields of a header: first map entries, real size, whether blocks follow. */
int tar_sparse_header(const uint8_t *block, struct tar_map *m, uint64_t *ret_size,
		      bool *ret_extended, struct err *e);
/* One further block of an old-GNU sparse map. */
int tar_sparse_extension(const uint8_t *block, struct tar_map *m, bool *ret_extended,
			 struct err *e);

/* What PAX headers said of the member; start from all zero. */
struct pax_attrs {
	bool has_size, has_real_size, has_map, has_version;
	uint64_t size;      /* stored bytes */
	uint64_t real_size; /* of a sparse file */
	uint64_t major, minor;
	bool has_offset;
	uint64_t offset; /* GNU.sparse.offset that waits for its GNU.sparse.numbytes */
	struct tar_map map;
};
/* Takes in the records of one header; later values win. Errors: EBADMSG, EFBIG. */
int pax_parse(const char *records, size_t len, struct pax_attrs *a, struct err *e);
void pax_attrs_release(struct pax_attrs *a);

/* Decimal digits alone, less than 2^63; for PAX values and the GNU.sparse 1.0 map. */
int tar_decimal(const char *s, size_t len, uint64_t *ret, struct err *e);

#endif
