/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMDK, shared by the files format/vmdk*.c alone. All numbers on disk are little endian, places
 * and sizes are in sectors of 512 bytes.
 *
 * After "Virtual Disk Format 5.0" (VMware, 20 December 2011), "Hosted Sparse Extents" and
 * "Stream-Optimized Compressed Sparse Extents"; see docs/formats/vmdk.md.
 *
 * Header of a sparse extent, one sector (fields from 12 on are not aligned):
 *	  0  4  "KDMV"                        48  8  redundant grain directory
 *	  4  4  version, 1 to 3               56  8  grain directory; all ones: in the footer
 *	  8  4  flags                         64  8  overhead: where grains begin
 *	 12  8  capacity                      72  1  unclean shutdown
 *	 20  8  grain size                    73  4  "\n \r\n"
 *	 28  8  descriptor's sector           77  2  compression: 0 none, 1 deflate (zlib, RFC 1950)
 *	 36  8  descriptor's size             79     zeros
 *	 44  4  entries of a grain table
 *
 * Grain directory: u32 a grain table, its sector, 0 for none. Grain table: 512 u32, the sector of a
 * grain, 0 for none, 1 for zeros (with a flag). Both exist twice where a flag says so.
 *
 * Compressed grain: {u64 its first sector on the disk, u32 length of the data, data}, padded to a
 * sector. Marker, one sector, where a grain could be: {u64 sectors that follow, u32 0, u32 type}.
 *
 * The descriptor is text: in sparse extents embedded behind the header, else a file of its own that
 * names the files of the extents.
 *
 * Not supported: delta disks (a parent), raw devices, COWD and seSparse extents, compression without
 * markers, changes in place.
 */
#ifndef IMGCONV_FORMAT_VMDK_H
#define IMGCONV_FORMAT_VMDK_H

#include <pthread.h>

#include "imgconv/format.h"

#define SECTOR 512u

#define VMDK_MAGIC 0x564d444bu /* "KDMV" */
#define HDR_VERSION 4
#define HDR_FLAGS 8
#define HDR_CAPACITY 12
#define HDR_GRAIN 20
#define HDR_DESCRIPTOR 28
#define HDR_DESCRIPTOR_SIZE 36
#define HDR_GT_ENTRIES 44
#define HDR_RGD 48
#define HDR_GD 56
#define HDR_OVERHEAD 64
#define HDR_UNCLEAN 72
#define HDR_NEWLINES 73
#define HDR_COMPRESSION 77
#define VMDK_NEWLINES 0x0a0d200au /* "\n \r\n" */

#define FLAG_NEWLINES (1u << 0)
#define FLAG_RGD (1u << 1)
#define FLAG_ZERO_GRAINS (1u << 2)
#define FLAG_COMPRESSED (1u << 16)
#define FLAG_MARKERS (1u << 17)
#define FLAGS_INCOMPATIBLE 0xffff0000u

#define COMPRESSION_DEFLATE 1
#define GD_AT_END UINT64_MAX
#define GTE_ZERO 1u

#define GT_ENTRIES 512u
#define GT_SIZE (GT_ENTRIES * 4)
#define GT_SECTORS (GT_SIZE / SECTOR)

#define MARKER_END 0u
#define MARKER_GT 1u
#define MARKER_GD 2u
#define MARKER_FOOTER 3u
#define MARKER_SIZE_AT 8 /* grain: length of the data; marker: 0 */
#define MARKER_TYPE_AT 12
#define GRAIN_HEADER 12 /* bytes before a compressed grain's data */
/* Footer marker, footer, end of stream. */
#define TRAILER_SIZE (3 * SECTOR)

/* Limits. */
#define VMDK_GRAIN_MAX 4096u                 /* sectors: 2 MiB */
#define VMDK_GD_MAX (2u << 20)               /* entries of all extents: 64 TiB of 64 KiB grains */
#define VMDK_DESCRIPTOR_MAX ((1u << 20) - 1) /* bytes, as QEMU */
#define VMDK_EXTENTS_MAX 4096u
#define VMDK_SECTORS_MAX (1ull << 54) /* of a disk, so that bytes fit 63 bits */

/* ---- the descriptor (vmdk_descriptor.c) ------------------------------------------------------ */

enum vmdk_type {
	VMDK_MONOLITHIC_SPARSE,
	VMDK_STREAM_OPTIMIZED,
	VMDK_MONOLITHIC_FLAT,
	VMDK_SPLIT_SPARSE, /* twoGbMaxExtentSparse */
	VMDK_SPLIT_FLAT,
	VMDK_VMFS,
	VMDK_OTHER, /* not read */
};
extern const char *const vmdk_types[]; /* the createType of those above, ended by NULL */

enum vmdk_kind {
	VMDK_FLAT,
	VMDK_SPARSE,
	VMDK_ZERO,
};

struct vmdk_descriptor {
	enum vmdk_type type;
	char *create_type; /* as it stands there; hostile, as are all texts here */
	char *adapter;     /* NULL: not said; also the others */
	char *hwversion;
	char *encoding;
	uint32_t cid;
	uint64_t sectors; /* of all extents */
	struct vmdk_line {
		enum vmdk_kind kind;
		uint64_t sectors;
		uint64_t offset; /* FLAT: sector in the file */
		char *file;      /* NULL: ZERO */
	} * lines;
	size_t n_lines;
	struct err refusal; /* code 0, or why an image of this descriptor is not read */
};

/*
 * Takes the text apart; it ends at a NUL or after len bytes. embedded: as strict as can be, since
 * nothing but the one extent can be meant. Errors: EBADMSG, EFBIG. What is valid but not read is in
 * ret->refusal.
 */
int vmdk_descriptor_parse(const char *text, size_t len, bool embedded, struct vmdk_descriptor *ret,
			  struct err *e);
void vmdk_descriptor_release(struct vmdk_descriptor *d);
DEFINE_AUTO_STRUCT(struct vmdk_descriptor, vmdk_descriptor_release);
/* True if a file that begins so is a descriptor. */
bool vmdk_is_descriptor(const uint8_t *data, size_t len);
/* The first reason is kept. */
void vmdk_refuse(struct err *refusal, const struct err *why);

/* ---- headers of sparse extents (vmdk_header.c) ------------------------------------------------ */

struct vmdk_header {
	uint32_t version;
	uint32_t flags;
	uint64_t capacity;
	uint64_t grain; /* sectors, as all here */
	uint64_t descriptor, descriptor_size;
	uint64_t rgd, gd; /* rgd 0: none; gd may be GD_AT_END */
	uint64_t overhead;
	bool compressed;
	bool unclean;
	uint32_t n_gd;       /* entries that the capacity needs */
	uint64_t gd_sectors; /* what they take */
};

/* Checks all that a header says but for what depends on the file. Errors: EBADMSG, ENOTSUP, EFBIG. */
int vmdk_header_parse(const uint8_t h[SECTOR], struct vmdk_header *ret, struct err *e);
/* -ENOTSUP: an extent without a descriptor of its own. */
int vmdk_no_descriptor(struct err *e);
/* That an embedded descriptor is where it has to be. */
int vmdk_header_check_embedded(const struct vmdk_header *h, struct err *e);
/* That a footer repeats the header in all but the grain directory, which goes to *ret_gd. */
int vmdk_footer_check(const uint8_t header[SECTOR], const uint8_t footer[SECTOR], uint64_t *ret_gd,
		      struct err *e);
/* A marker of this type and size, and nothing else in its sector. */
int vmdk_marker_check(const uint8_t marker[SECTOR], uint32_t type, uint64_t sectors, struct err *e);
/* That the descriptor of an embedded one and the header mean the same disk. */
int vmdk_header_match(const struct vmdk_header *h, const struct vmdk_descriptor *d, struct err *e);

/* ---- an open image --------------------------------------------------------------------------- */

struct vmdk_extent {
	enum vmdk_kind kind;
	int fd; /* -1: none of its own, or not opened */
	bool own_fd;
	const struct image *within; /* the image in whose file it lies; NULL: own_fd */
	const char *file;           /* the descriptor's */
	uint64_t start;             /* bytes of the disk, as the next */
	uint64_t length;
	uint64_t offset;    /* FLAT: in the file */
	uint64_t file_size; /* bytes */
	uint64_t dev, ino;
	/* SPARSE: */
	struct vmdk_header h;
	uint64_t grain_size; /* bytes */
	uint64_t gt_covers;  /* bytes of the disk that a grain table is for */
	uint32_t *gd;        /* h.n_gd entries, host order */
	bool has_footer;
};

/* Reads the extent's file. Errors: as fs_pread. */
int vmdk_extent_read(const struct vmdk_extent *x, void *buf, size_t len, uint64_t off,
		     struct err *e);

#define VMDK_CACHE_SLOTS 16
#define VMDK_CACHE_PIECE (64 * KIB)

/* Pieces of files that begin with a grain table; those behind it are there, too, if they follow. */
struct vmdk_cache {
	uint64_t clock;
	struct vmdk_slot {
		int fd;          /* of the extent, for which the piece is */
		uint64_t offset; /* in the file */
		size_t len;      /* 0: empty */
		uint64_t used;   /* by the clock */
		uint8_t *data;   /* VMDK_CACHE_PIECE bytes */
	} slots[VMDK_CACHE_SLOTS];
};
void vmdk_cache_release(struct vmdk_cache *c);
/* The grain table at the offset, which lies within the file. Valid until the next call. */
int vmdk_cache_get(struct vmdk_cache *c, const struct vmdk_extent *x, uint64_t offset,
		   const uint8_t **ret, struct err *e);

struct vmdk_reader; /* decoder and buffers of one reading thread */
struct vmdk_claims;

struct vmdk {
	struct image common;
	struct vmdk_descriptor d;
	struct vmdk_extent *extents; /* n_extents, ascending, without gaps */
	size_t n_extents;
	struct err refusal; /* code 0, or why the guest's data are not read */

	pthread_mutex_t lock; /* tables and readers */
	struct vmdk_cache tables;
	struct vmdk_reader *readers; /* idle ones */
	struct vmdk_claims *claims;
};

static inline struct vmdk *to_vmdk(struct image *im)
{
	return (struct vmdk *)im;
}

/* vmdk_extent.c: opening and the places of tables. x->fd, file_size and length are set. */
int vmdk_extent_open_sparse(struct vmdk *v, struct vmdk_extent *x, const uint8_t h[SECTOR],
			    struct err *e);
int vmdk_open_files(struct vmdk *v, struct err *e);
void vmdk_extents_free(struct vmdk *v);
/* The extent that has the offset, which lies within the disk. */
struct vmdk_extent *vmdk_extent_at(const struct vmdk *v, uint64_t off);
/* The grain table's offset in the file for entry i of the directory, checked; 0 for none. */
int vmdk_gt_offset(const struct vmdk_extent *x, uint32_t i, uint64_t *ret, struct err *e);
/* EBADMSG if [off, off + len) of the file touches header, descriptor or a grain directory. */
int vmdk_check_host_range(const struct vmdk_extent *x, const char *what, uint64_t off, uint64_t len,
			  struct err *e);
/* A problem of an extent with the name of its file in front, where it has one of its own. */
int vmdk_extent_wrap(const struct vmdk_extent *x, struct err *e);

/* vmdk_read.c */
enum vmdk_state {
	VMDK_UNALLOCATED,
	VMDK_ZEROS,
	VMDK_DATA,
	VMDK_DEFLATED,
};
struct vmdk_run {
	enum vmdk_state state;
	uint64_t length; /* bytes of the disk */
	uint64_t host;   /* DATA: where in the file; DEFLATED: the grain's header */
};
/* What a grain table's entry means, checked. */
int vmdk_classify(const struct vmdk_extent *x, uint32_t entry, struct vmdk_run *ret, struct err *e);
/*
 * What lies at `at` bytes into a sparse extent: a run of one state, of data in one piece of the
 * file, of `max` grains at most and within one grain table. list (may be NULL, else max, but no more
 * than GT_ENTRIES) gets the table's entries of the run.
 */
int vmdk_map(struct vmdk *v, const struct vmdk_extent *x, uint64_t at, uint64_t max,
	     struct vmdk_run *ret, uint32_t *list, struct err *e);
/*
 * The header of the compressed grain at `host`, of the disk's sector `lba`: *ret_len is the length
 * of the data behind it. in has GRAIN_HEADER bytes. Errors: EBADMSG.
 */
int vmdk_grain_header(const struct vmdk_extent *x, const uint8_t *in, uint64_t host, uint64_t lba,
		      uint32_t *ret_len, struct err *e);
int vmdk_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e);
int vmdk_next_extent(struct image *im, uint64_t off, struct extent *ret, struct err *e);
void vmdk_readers_free(struct vmdk *v);

/* vmdk_space.c: which sectors of a file are in use, exactly, in bounded memory. */
struct vmdk_space;
int vmdk_space_new(uint64_t file_size, struct vmdk_space **ret, struct err *e);
void vmdk_space_free(struct vmdk_space *s);
DEFINE_AUTO(struct vmdk_space *, vmdk_space_free);
/* Takes [sector, sector + n); what lies past the file's end is of no account. Errors: EBADMSG one of
 * them is taken already, then the others may be or not; EFBIG too many odd pieces. */
int vmdk_space_take(struct vmdk_space *s, const char *what, uint64_t sector, uint64_t n,
		    struct err *e);
/* Header, descriptor, grain directories and footer of an extent. */
int vmdk_space_take_fixed(struct vmdk_space *s, const struct vmdk_extent *x, struct err *e);
/* The next run of sectors at or behind *sector that is not taken; false: none. */
bool vmdk_space_next_free(const struct vmdk_space *s, uint64_t *sector, uint64_t *ret_n);

/* vmdk_claim.c */
int vmdk_claim(struct image *im, uint64_t off, uint64_t len, struct err *e);
void vmdk_claims_free(struct vmdk_claims *c);

/* vmdk_check.c, vmdk_info.c */
int vmdk_check(struct image *im, struct image_check *c, struct progress *p, struct err *e);
int vmdk_info(struct image *im, struct image_info *ret, struct err *e);

/* ---- codec (vmdk_codec.c) --------------------------------------------------------------------- */

struct vmdk_decoder; /* of one thread at a time */
struct vmdk_encoder;

int vmdk_decoder_new(struct vmdk_decoder **ret, struct err *e);
void vmdk_decoder_free(struct vmdk_decoder *d);
/*
 * Inflates one grain into out, out_len bytes; at least `least` must come. What is missing of out is
 * zeroed. Errors: EBADMSG damaged, more than out_len or fewer than least bytes.
 */
int vmdk_decode(struct vmdk_decoder *d, const void *in, size_t in_len, void *out, size_t out_len,
		size_t least, struct err *e);
/* The most that encoding makes of a grain of len bytes. */
size_t vmdk_encoded_max(size_t len);
/* level 0: what is best for each grain. */
int vmdk_encoder_new(unsigned level, struct vmdk_encoder **ret, struct err *e);
void vmdk_encoder_free(void *encoder);
/* The zlib stream of in; out has room for vmdk_encoded_max. */
size_t vmdk_encode(struct vmdk_encoder *enc, const void *in, size_t in_len, void *out);

/* vmdk_stream.c */
int vmdk_stream_open(int fd, const char *name, uint64_t size, struct image_stream **ret,
		     struct err *e);
int vmdk_stream_next(struct image_stream *s, uint64_t *ret_off, const uint8_t **ret_data,
		     size_t *ret_len, struct err *e);
void vmdk_stream_close(struct image_stream *s);

#endif
