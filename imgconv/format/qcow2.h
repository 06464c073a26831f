/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QCOW2, shared by the files format/qcow2*.c alone. All numbers on disk are big endian.
 *
 * After "QCOW2 image format", docs/interop/qcow2.txt of QEMU 7.2.
 *
 * Header:
 *	  0  4  "QFI\xfb"                    56  4  refcount table's clusters
 *	  4  4  version, 2 or 3              60  4  snapshots
 *	  8  8  backing file name's offset   64  8  snapshot table's offset
 *	 16  4  backing file name's length   72  8  incompatible features (version 3 from here on)
 *	 20  4  cluster_bits                 80  8  compatible features
 *	 24  8  size of the disk             88  8  autoclear features
 *	 32  4  encryption                   96  4  refcount_order
 *	 36  4  L1 entries                  100  4  header's length
 *	 40  8  L1 table's offset           104  1  compression type
 *	 48  8  refcount table's offset
 * behind it extensions {u32 type, u32 length, data, padded to 8}.
 *
 * L1 entry: bits 9-55 offset of an L2 table, 63 copied (refcount is 1).
 * L2 entry: bit 0 reads as zeros, bits 9-55 offset of a cluster, 62 compressed, 63 copied.
 * Compressed: x = 62 - (cluster_bits - 8); bits 0 .. x-1 byte offset, bits x .. 61 number of
 * 512-byte sectors behind the first one that may hold data.
 * Extended L2: a second u64 a cluster: bits 0-31 subcluster allocated, 32-63 reads as zeros.
 *
 * Not supported: encryption, external data files, changing images with snapshots, bitmaps or
 * extended L2 entries.
 */
#ifndef IMGCONV_FORMAT_QCOW2_H
#define IMGCONV_FORMAT_QCOW2_H

#include <pthread.h>

#include "imgconv/format.h"

#define QCOW2_MAGIC 0x514649fbu /* "QFI\xfb" */
#define HDR_VERSION 4
#define HDR_BACKING_OFFSET 8
#define HDR_BACKING_LEN 16
#define HDR_CLUSTER_BITS 20
#define HDR_SIZE 24
#define HDR_CRYPT 32
#define HDR_L1_ENTRIES 36
#define HDR_L1_OFFSET 40
#define HDR_REFTABLE_OFFSET 48
#define HDR_REFTABLE_CLUSTERS 56
#define HDR_SNAPSHOTS 60
#define HDR_SNAPSHOTS_OFFSET 64
#define HDR_V2_LENGTH 72
#define HDR_INCOMPATIBLE 72
#define HDR_COMPATIBLE 80
#define HDR_AUTOCLEAR 88
#define HDR_REFCOUNT_ORDER 96
#define HDR_LENGTH 100
#define HDR_V3_LENGTH 104
#define HDR_COMPRESSION 104

#define INCOMPAT_DIRTY (1ull << 0)
#define INCOMPAT_CORRUPT (1ull << 1)
#define INCOMPAT_DATA_FILE (1ull << 2)
#define INCOMPAT_COMPRESSION (1ull << 3)
#define INCOMPAT_EXTENDED_L2 (1ull << 4)
#define INCOMPAT_KNOWN 0x1full
#define COMPAT_LAZY_REFCOUNTS (1ull << 0)
#define AUTOCLEAR_BITMAPS (1ull << 0)
#define AUTOCLEAR_RAW_DATA (1ull << 1)

#define EXT_END 0u
#define EXT_BACKING_FORMAT 0xe2792acau
#define EXT_FEATURE_NAMES 0x6803f857u
#define EXT_BITMAPS 0x23852875u
#define EXT_LUKS 0x0537be77u
#define EXT_DATA_FILE 0x44415441u
#define EXT_CHECKPOINT 0x41434c4du /* ours: "ACLM", see imgconv/checkpoint.c */

/* The same limits as QEMU's. */
#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21
#define QCOW2_EXTENDED_MIN_BITS 14
#define QCOW2_L1_MAX (32 * MIB)
#define QCOW2_REFTABLE_MAX (8 * MIB)
#define QCOW2_SNAPSHOTS_MAX 65536u
#define QCOW2_BACKING_NAME_MAX 1023u

#define SNAPSHOT_ENTRY 40 /* bytes of a snapshot table's entry, the fixed part */

#define ENTRY_OFFSET_MASK 0x00fffffffffffe00ull
#define ENTRY_COPIED (1ull << 63)
#define ENTRY_COMPRESSED (1ull << 62)
#define ENTRY_ZERO (1ull << 0)
#define L1_RESERVED 0x7f000000000001ffull
#define L2_RESERVED 0x3f000000000001feull
#define REFTABLE_RESERVED 0x1ffull

enum qcow2_compression {
	QCOW2_ZLIB = 0,
	QCOW2_ZSTD = 1,
};

/* ---- codecs (qcow2_codec.c) ----------------------------------------------------------------- */

struct qcow2_decoder; /* of one thread at a time */
struct qcow2_encoder;

void qcow2_decoder_free(struct qcow2_decoder *d);
int qcow2_decoder_new(enum qcow2_compression c, struct qcow2_decoder **ret, struct err *e);
/*
 * Decodes what begins at in to exactly out_len bytes; what follows it in the in_len bytes is
 * ignored. Errors: EBADMSG damaged, or more or less than out_len bytes.
 */
int qcow2_decode(struct qcow2_decoder *d, const void *in, size_t in_len, void *out, size_t out_len,
		 struct err *e);
/* level 0: what is best for clusters of this size. */
int qcow2_encoder_new(enum qcow2_compression c, unsigned level, size_t cluster_size,
		      struct qcow2_encoder **ret, struct err *e);
void qcow2_encoder_free(void *encoder);
/* Bytes used of out, 0 if it does not fit in fewer than in_len bytes. */
size_t qcow2_encode(struct qcow2_encoder *enc, const void *in, size_t in_len, void *out);

/* ---- tables in memory (qcow2_cache.c) -------------------------------------------------------- */

#define QCOW2_CACHE_SLOTS 64

/* A bounded number of tables of one cluster each; changed ones stay until they are written. */
struct qcow2_cache {
	size_t table_size;
	unsigned n_slots;
	unsigned n_dirty;
	uint64_t clock;
	struct qcow2_slot {
		uint64_t offset; /* in the file; 0: empty */
		uint64_t used;   /* by the clock */
		bool dirty;
		uint8_t *data; /* table_size bytes */
	} slots[QCOW2_CACHE_SLOTS];
};
void qcow2_cache_init(struct qcow2_cache *c, size_t table_size);
void qcow2_cache_release(struct qcow2_cache *c);
/*
 * The table at offset, read if it is not there, or all zero if fresh. Valid until the next call.
 * Errors: EBUSY all slots are dirty.
 */
int qcow2_cache_get(struct qcow2_cache *c, const struct image *im, uint64_t offset, bool fresh,
		    struct qcow2_slot **ret, struct err *e);
void qcow2_cache_dirty(struct qcow2_cache *c, struct qcow2_slot *s);
int qcow2_cache_write(struct qcow2_cache *c, int fd, struct err *e);
/* Forgets the table at offset, changed or not. */
void qcow2_cache_drop(struct qcow2_cache *c, uint64_t offset);
/* Reads a table; what lies behind the end of the file is zero. */
int qcow2_table_load(const struct image *im, uint8_t *data, size_t len, uint64_t offset,
		     struct err *e);

/* ---- an open image --------------------------------------------------------------------------- */

struct qcow2_reader; /* decoder and buffers of one reading thread */
struct qcow2_claims;
struct qcow2_changes;

struct qcow2 {
	struct image common;
	unsigned version;
	unsigned cluster_bits;
	uint64_t cluster_size;
	uint64_t incompatible, compatible, autoclear;
	unsigned refcount_order;
	uint32_t header_length;
	uint32_t crypt;
	enum qcow2_compression compression;
	bool extended_l2;
	unsigned entry_size; /* bytes of an L2 entry */
	uint64_t l2_entries; /* in a table */
	uint64_t unit_size;  /* bytes that have a state of their own: cluster or subcluster */
	uint64_t disk_size;  /* as the header has it; common.size is a snapshot's if one is read */
	uint32_t n_l1;       /* entries that the header says */
	uint64_t l1_offset;
	uint64_t map_offset; /* the L1 table that is read: the header's or a snapshot's */
	uint32_t map_entries;
	uint64_t *l1;     /* l1_used entries of it, host order */
	uint32_t l1_used; /* entries that the disk needs */
	uint64_t reftable_offset;
	uint32_t reftable_clusters;
	uint32_t n_snapshots;
	uint64_t snapshots_offset;
	bool has_bitmaps;
	uint32_t n_bitmaps;
	uint32_t bitmaps_reserved;
	uint64_t bitmaps_offset, bitmaps_len; /* of the directory */
	uint64_t luks_offset, luks_len;       /* of the header; 0: none */
	char *backing_name;                   /* NULL: none */
	size_t backing_name_len;
	char *backing_format;
	char *data_file; /* the name in the extension */
	struct image *backing;
	struct err refusal;  /* code 0, or why the guest's data is not read */
	uint64_t file_end;   /* bytes of the file; grows when it is written to */
	bool file_has_holes; /* worth looking for; not while it is written to */

	pthread_mutex_t lock; /* l2 and readers */
	struct qcow2_cache l2;
	struct qcow2_reader *readers; /* idle ones */
	struct qcow2_claims *claims;
	struct qcow2_changes *changes; /* IMAGE_RDWR */
};

static inline struct qcow2 *to_qcow2(struct image *im)
{
	return (struct qcow2 *)im;
}

/* qcow2_header.c */
bool qcow2_probe(const struct image_head *head);
int qcow2_read_header(struct qcow2 *q, struct err *e);
/* EBADMSG, EFBIG: a table of this length cannot lie at off, by itself. */
int qcow2_check_table(const struct qcow2 *q, const char *what, uint64_t off, uint64_t len,
		      uint64_t limit, struct err *e);
/* EBADMSG if [off, off + len) of the file touches header, L1 or refcount table. */
int qcow2_check_host_range(const struct qcow2 *q, const char *what, uint64_t off, uint64_t len,
			   struct err *e);

/* qcow2_info.c */
int qcow2_info(struct image *im, struct image_info *ret, struct err *e);

/* qcow2_snapshot.c */
struct qcow2_snapshot {
	uint32_t number; /* from 1; 0: before the first one */
	uint64_t l1_offset;
	uint32_t n_l1;
	uint32_t seconds; /* since 1970 */
	uint32_t n_extra; /* bytes of extra data */
	uint64_t vm_size;
	uint64_t disk_size;
	char *id, *name; /* hostile; with a NUL behind them */
	size_t id_len, name_len;
	uint64_t end; /* where the next entry begins */
};
/* The snapshot behind *s. Returns 1, 0 at the end. Errors: EBADMSG. */
int qcow2_snapshot_next(struct qcow2 *q, struct qcow2_snapshot *s, struct err *e);
void qcow2_snapshot_release(struct qcow2_snapshot *s);
DEFINE_AUTO_STRUCT(struct qcow2_snapshot, qcow2_snapshot_release);
/* That its L1 table lies in the file; that it maps its disk. Errors: EBADMSG, EFBIG. */
int qcow2_snapshot_check_place(const struct qcow2 *q, const struct qcow2_snapshot *s,
			       struct err *e);
int qcow2_snapshot_check_size(const struct qcow2 *q, const struct qcow2_snapshot *s, struct err *e);
/* Makes q read a snapshot. Errors: ENOENT none of this id or name, EINVAL several. */
int qcow2_snapshot_select(struct qcow2 *q, const char *wanted, struct err *e);

/* qcow2_read.c */
enum qcow2_kind {
	QCOW2_UNALLOCATED,
	QCOW2_ZEROS,
	QCOW2_DATA,
	QCOW2_COMPRESSED,
};
struct qcow2_run {
	enum qcow2_kind kind;
	uint64_t length; /* bytes of the guest's disk */
	uint64_t host;   /* DATA, and ZEROS that keep a cluster; COMPRESSED: byte offset; else 0 */
	uint64_t host_len; /* COMPRESSED: bytes to read at most, within the file */
};
/* What lies at off. In extents, data of both kinds is one, whatever its place in the file. */
int qcow2_map(struct qcow2 *q, uint64_t off, bool extents, struct qcow2_run *ret, struct err *e);
/* The offset of the L2 table for L1 entry i, checked; 0 for none. */
int qcow2_l2_offset(const struct qcow2 *q, uint64_t i, uint64_t *ret, struct err *e);
/* Takes an L2 entry apart; `sub` is the number of the unit in its cluster. */
int qcow2_classify(const struct qcow2 *q, const uint8_t *entry, unsigned sub, struct qcow2_run *ret,
		   struct err *e);
int qcow2_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e);
int qcow2_next_extent(struct image *im, uint64_t off, struct extent *ret, struct err *e);
void qcow2_readers_free(struct qcow2 *q);

/* qcow2_claim.c */
int qcow2_claim(struct image *im, uint64_t off, uint64_t len, struct err *e);
void qcow2_claims_free(struct qcow2_claims *c);

/* qcow2_update.c */
int qcow2_open_rdwr(struct qcow2 *q, struct err *e);
int qcow2_pwrite(struct image *im, const void *buf, size_t len, uint64_t off, struct err *e);
int qcow2_flush(struct image *im, struct err *e);
void qcow2_changes_free(struct qcow2 *q);
/* Before the first change: features that a writer has to know to keep are struck out. */
int qcow2_start_changes(struct qcow2 *q, struct err *e);
/* EBADMSG if the refcount of the cluster at host is not 1. */
int qcow2_check_used_once(struct qcow2 *q, const char *what, uint64_t host, struct err *e);
/* Takes one reference from every cluster that the range touches, once the tables on disk, as they
 * are in memory now, do not lead to it any more. May commit. */
int qcow2_free_later(struct qcow2 *q, uint64_t off, uint64_t len, struct err *e);
/* Changes an L1 entry in memory. */
void qcow2_set_l1(struct qcow2 *q, uint32_t i, uint64_t entry);

/* qcow2_resize.c */
int qcow2_resize(struct image *im, uint64_t size, struct err *e);

/* qcow2_check.c */
int qcow2_check(struct image *im, struct image_check *ret, struct progress *p, struct err *e);

/* qcow2_refcount.c */
static inline uint64_t qcow2_block_entries(const struct qcow2 *q)
{
	return q->cluster_size * 8 >> q->refcount_order;
}
/* Entry i of a refcount block. */
uint64_t qcow2_count_get(const struct qcow2 *q, const uint8_t *block, uint64_t i);
int qcow2_refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *ret, struct err *e);
/* n new neighbouring clusters at the end of the file, with refcount 1 in memory. */
int qcow2_allocate(struct qcow2 *q, uint64_t n, uint64_t *ret_offset, struct err *e);
int qcow2_sync(struct qcow2 *q, struct err *e);
/* Takes one reference from every cluster that the range touches. */
int qcow2_release(struct qcow2 *q, uint64_t off, uint64_t len, struct err *e);
/* Writes and syncs all changed counts and the tables that lead to them. */
int qcow2_refcounts_write(struct qcow2 *q, struct err *e);

/* What is changed and not on disk yet. */
struct qcow2_changes {
	struct qcow2_cache refblocks;
	uint64_t *reftable; /* host order */
	uint32_t n_reftable;
	bool reftable_dirty;
	bool reftable_moved;   /* must be written as a whole, and the header pointed at it */
	uint64_t old_reftable; /* to be freed after a move */
	uint32_t old_reftable_clusters;
	uint32_t l1_dirty_first, l1_dirty_end; /* entries, none if equal */
	struct qcow2_freed {
		uint64_t off, len;
	} * freed; /* compressed data that the tables on disk still point to */
	size_t n_freed, cap_freed;
	bool started;     /* the header was made ready for changes */
	bool failed;      /* a commit broke off: no more changes */
	uint8_t *cluster; /* cluster_size bytes to put a cluster together in */
};

/* qcow2_create.c, qcow2_write.c */
extern const struct image_option qcow2_options[];
uint64_t qcow2_full_size(const struct image_writer *w);
int qcow2_create(int fd, const char *name, uint64_t size, const struct image_create_opts *o,
		 struct image_writer **ret, struct err *e);
int qcow2_resume(int fd, const char *name, const struct image_create_opts *o,
		 struct image_writer **ret, struct err *e);
int qcow2_place(struct image_writer *w, uint64_t off, size_t len, struct image_place *ret,
		struct err *e);
int qcow2_write_encoded(struct image_writer *w, const void *data, size_t len, uint64_t off,
			struct err *e);
int qcow2_finish(struct image_writer *w, struct err *e);
int qcow2_checkpoint(struct image_writer *w, uint64_t position, struct err *e);
void qcow2_writer_free(struct image_writer *w);
int qcow2_writer_encoder_new(const struct image_writer *w, void **ret, struct err *e);
size_t qcow2_writer_encode(const struct image_writer *w, void *encoder, const void *grain,
			   size_t len, void *out);

#endif
