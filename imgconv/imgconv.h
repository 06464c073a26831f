/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The face of the image hub: open any image for reading, create any image for writing front to
 * back, convert between them, look into and change the file system inside, make a bare partition
 * bootable. Everything is reader -> model -> writer; the model is "a size and its extents".
 *
 * Offsets, lengths and sizes are in bytes of the guest's disk unless a name says otherwise.
 * A handle belongs to one thread at a time, but for image_pread, which several threads may call
 * at once on an image that was opened without IMAGE_RDWR.
 */
#ifndef IMGCONV_IMGCONV_H
#define IMGCONV_IMGCONV_H

#include "lib/buf.h"
#include "lib/digest.h"
#include "lib/err.h"
#include "lib/progress.h"

/* ---- reading and changing in place ------------------------------------------------------- */

struct image; /* an open image */

enum {
	IMAGE_RDWR = 1u << 0, /* image_pwrite is allowed */
	/* QCOW2 backing files, below the image's own folder only. Such an image is opened by path;
	 * the format of the backing file must be named in the image. */
	IMAGE_ALLOW_BACKING = 1u << 1,
	/* Only to be looked at: an image whose data would be refused (it refers to other files, is
	 * encrypted, of unknown features) opens, but reading its data fails with that error. */
	IMAGE_INSPECT = 1u << 2,
	/* VMDK extents in files of their own, below the folder of the descriptor only. Such an image
	 * is opened by path. */
	IMAGE_ALLOW_EXTENTS = 1u << 3,
};

struct image_open_opts {
	/* "raw", "qcow2", ...; NULL: recognised by content. "raw" is never looked into: give it for
	 * whatever a guest may have written to. */
	const char *format;
	unsigned flags;
	/* QCOW2: the internal snapshot of this name or id, read-only; NULL: the disk as it is. */
	const char *snapshot;
	/* VHD: path of the parent of a differencing image, which is opened as VHD; NULL: refused. */
	const char *parent;
};

/*
 * Opens the image at path (or an open descriptor, which becomes the image's on success; name is
 * for messages). o may be NULL. No other file is opened, whatever the image names.
 * Errors: EBADMSG malformed; ENOTSUP a feature we do not read (named); EACCES the image refers to
 * another file and that was not allowed; EFBIG a table over its limit; errno of open.
 */
int image_open(const char *path, const struct image_open_opts *o, struct image **ret,
	       struct err *e);
int image_open_fd(int fd, const char *name, const struct image_open_opts *o, struct image **ret,
		  struct err *e);
/* The same of an image that is `len` bytes of a file, from off on: in an archive; read-only. */
int image_open_part(int fd, uint64_t off, uint64_t len, const char *name,
		    const struct image_open_opts *o, struct image **ret, struct err *e);
void image_close(struct image *im);
DEFINE_AUTO(struct image *, image_close);

uint64_t image_size(const struct image *im);
const char *image_format_name(const struct image *im);
const char *image_name(const struct image *im); /* as given to open */

/* Reads exactly len bytes at off; the range lies within the size (EINVAL). */
int image_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e);
/*
 * Changes bytes in place (IMAGE_RDWR). Other clusters stay where they are; new ones go to the end
 * of the file. Tables are kept in memory until image_flush (or until they grow over a bound), so
 * that the file is a whole image at any moment: as of the last flush, or newer.
 */
int image_pwrite(struct image *im, const void *buf, size_t len, uint64_t off, struct err *e);
/* Whether images of its format are changed in place: IMAGE_RDWR can be had. */
bool image_changes(const struct image *im);
/* Everything written is on disk, tables after what they point to. Closing an image does the same
 * but cannot report an error: flush first. */
int image_flush(struct image *im, struct err *e);

enum extent_kind {
	EXTENT_DATA, /* must be read; may still be zero */
	EXTENT_ZERO, /* reads as zeros, and the image says so */
	EXTENT_HOLE, /* not allocated; reads as zeros */
};
struct extent {
	uint64_t start;
	uint64_t length; /* > 0 */
	enum extent_kind kind;
};
/* The extent that begins at off (off < size); as long as cheaply known. */
int image_next_extent(struct image *im, uint64_t off, struct extent *ret, struct err *e);

/* Returns 0 to go on; an error ends the walk. */
typedef int image_map_fn(void *ctx, const struct extent *x, struct err *e);
/*
 * Tells the whole disk, front to back, as extents of which no two neighbours are of one kind. With
 * a unit, a power of two from 512 to 1 MiB, data are read as well, on several threads, and the
 * units of the disk that are zero are told as EXTENT_ZERO; with 0 nothing is read but tables.
 * p may be NULL. Stops with ECANCELED when lib/stop.h says so.
 */
int image_map(struct image *im, uint32_t unit, image_map_fn *tell, void *ctx, struct progress *p,
	      struct err *e);

/* ---- creating ------------------------------------------------------------------------------ */

struct image_writer; /* a new image, written front to back */

/* Makes the other files of an image that consists of several (VMDK with extents of their own). */
struct image_companions {
	/*
	 * The empty file `name` in the image's folder, open for reading and writing; the
	 * descriptor stays ctx's. name is a plain file name.
	 */
	int (*create)(void *ctx, const char *name, int *ret_fd, struct err *e);
	void *ctx;
	const char *stem; /* the image's own file name without ".vmdk": names begin with it */
};

enum image_compression {
	IMAGE_COMPRESS_NONE,
	IMAGE_COMPRESS_ZLIB,
	IMAGE_COMPRESS_ZSTD,
	IMAGE_COMPRESS_GZIP, /* RAW: the whole disk as gzip */
};
struct image_create_opts {
	uint64_t cluster_size; /* QCOW2: 512 to 2 MiB, a power of two; 0: the format's default */
	enum image_compression compression;
	unsigned level;   /* zlib and gzip 1 to 12, zstd 1 to 19; 0: the default */
	unsigned threads; /* for copying and compression; 0: one a processor */
	/* For image_create_clone: an image over another one, which then takes no writes. */
	const char *backing_file;
	const char *backing_format;
	/* "key=value", ended by NULL: what is particular to the format (image_format_options).
	 * NULL: none. */
	const char *const *options;
	const struct image_companions *companions; /* NULL: a single file */
	/* fd is a pipe or the like: it is written front to back. */
	bool pipe;
	/* Bytes of data other than zeros that may be written; more is EFBIG. 0: any number. */
	uint64_t max_data;
};

/* An option of image_create_opts.options. */
struct image_option {
	const char *key;
	const char *values; /* "fixed|dynamic", "SIZE" */
	const char *help;   /* a line: what it does, its default */
};
/* The options of a format, ended by key NULL; NULL for an unknown format. */
const struct image_option *image_format_options(const char *format);
/* Whether the format knows what is wished of a new image. Errors: ENOTSUP it does not. */
int image_create_check(const char *format, const struct image_create_opts *o, struct err *e);
/*
 * Why an image of this format and these options cannot be written to a pipe, a sentence without
 * a full stop; NULL if it can be.
 */
const char *image_why_no_pipe(const char *format, const struct image_create_opts *o);

/*
 * The least size, `size` or above, that an image of this format and these options can have: most
 * count in sectors of 512 bytes, a VHD for Azure in MiB. For image_create; o may be NULL.
 */
uint64_t image_padded_size(const char *format, uint64_t size, const struct image_create_opts *o);

/*
 * Starts a new image of `size` bytes in the empty, seekable file fd (which stays the caller's;
 * name is for messages). o may be NULL. A block device as fd is overwritten from its beginning;
 * what the image says is zero is then written as zeros.
 * Errors: ENOTSUP unknown format or option, EINVAL bad size (0 too) or a bad option's value.
 */
int image_create(int fd, const char *name, const char *format, uint64_t size,
		 const struct image_create_opts *o, struct image_writer **ret, struct err *e);
/*
 * Writes len bytes at off. Offsets ascend: off is never below the end of the write before it. What
 * is skipped reads as zeros; runs of zeros in the data take no space either. Any alignment.
 */
int image_writer_write(struct image_writer *w, const void *data, size_t len, uint64_t off,
		       struct err *e);
/* Bytes of the disk, and where they lie in the file. An error ends the walk. */
typedef int image_place_fn(void *ctx, uint64_t off, uint64_t file_off, uint64_t len, struct err *e);
/*
 * Gives len bytes at off their place in the file, in whole clusters, and tells fn of it piece by piece; what
 * is to be there the caller writes into the file, before or after finish. Until then it reads as zeros. Of
 * an image that was not written to otherwise, ascending as writes; max_data does not count it.
 * align: a power of two, at least a cluster: in a QCOW2 the offset in the file has the same remainder by it as the
 * offset on the disk, for which clusters of the file stay unused; 0: any.
 * Errors: ENOTSUP a format or options that place nothing (compression); EINVAL a bad range.
 */
int image_writer_reserve(struct image_writer *w, uint64_t off, uint64_t len, uint64_t align,
			 image_place_fn *fn, void *ctx, struct err *e);
/*
 * The disk ends at `size`, which is not before the end of the last write: for what tells its size at its
 * end only, and was created as large as it may become. Call it before finish. QCOW2 without preallocation
 * alone. Errors: ENOTSUP; EINVAL bad size.
 */
int image_writer_shorten(struct image_writer *w, uint64_t size, struct err *e);
/* Writes what is missing (tables, header). Required for a valid image; w is then only to be freed.
 * The file is not synced. */
int image_writer_finish(struct image_writer *w, struct err *e);
/* True if a write failed because of image_create_opts.max_data, and of nothing else. */
bool image_writer_over_limit(const struct image_writer *w);
void image_writer_free(struct image_writer *w);
DEFINE_AUTO(struct image_writer *, image_writer_free);

/*
 * Makes the file a valid image of all that was written so far, on disk (synced), and goes on. The
 * file then carries a record of how far it is: in QCOW2 a header extension (type 0x41434c4d, which
 * other readers skip), in RAW 48 bytes behind the end of the disk; finish takes the record away.
 * The record has a checksum and is written after all that it vouches for was synced.
 * "So far" is up to the last whole grain (QCOW2: cluster, RAW: 4096 bytes) before the end of the
 * last write: resume says where.
 * QCOW2 with compression begins a new cluster of the file at each checkpoint, so use it seldom.
 */
int image_writer_checkpoint(struct image_writer *w, struct err *e);
/*
 * Goes on with a file that was left behind after a checkpoint, whatever was written to it since:
 * everything behind the checkpoint is forgotten. *ret_position is where the next write has to
 * begin (or above): the data before it is in the file. The options must be as they were for
 * image_create; that the source is still the same is for the caller to prove.
 * Errors: EBADMSG no record or a damaged one (start anew), EINVAL other options.
 */
int image_writer_resume(int fd, const char *name, const char *format,
			const struct image_create_opts *o, uint64_t *ret_position,
			struct image_writer **ret, struct err *e);

/* How large an image becomes that was not written yet. */
struct image_measure {
	uint64_t size;            /* of its disk */
	uint64_t required;        /* bytes of its file, or of all its files together */
	uint64_t allocated;       /* of these, what is no hole in them */
	uint64_t fully_allocated; /* the most that can ever be required; UINT64_MAX: not known */
	/* False: both can come out smaller, for it is not known yet how well data compress, or
	 * that they are zeros. Never larger. */
	bool exact;
};
/*
 * Measures what a copy of src in that format would need; of an empty disk of `size` bytes if src is
 * NULL. Only src's tables are read; with scan its data, too, as zeros take no space in a copy.
 * Where an image names other files of its own, it is taken to be called "image.*". o and p may be
 * NULL. Errors: as image_create and image_map.
 */
int image_measure(struct image *src, uint64_t size, const char *format,
		  const struct image_create_opts *o, bool scan, struct image_measure *ret,
		  struct progress *p, struct err *e);

/* ---- reading front to back ------------------------------------------------------------------ */

struct image_stream; /* an image that comes through a pipe */

/*
 * Begins to read an image from fd, which cannot seek (and stays the caller's; name is for
 * messages). format: "raw", then size is the disk's, in bytes; or one whose images can be read
 * front to back (size is then ignored).
 * Errors: ENOTSUP the format needs to be read back and forth; as image_open.
 */
int image_stream_open(int fd, const char *name, const char *format, uint64_t size,
		      struct image_stream **ret, struct err *e);
/* Whether images of the format can be read from a pipe. */
bool image_format_streams(const char *format);
void image_stream_free(struct image_stream *s);
DEFINE_AUTO(struct image_stream *, image_stream_free);
uint64_t image_stream_size(const struct image_stream *s);
/*
 * As image_copy_digest; w NULL: the stream is read to its end and checked, nothing else. Errors:
 * also EBADMSG, the stream is shorter or longer than it should be.
 */
int image_stream_copy(struct image_stream *s, struct image_writer *w, struct digest *digest,
		      struct progress *p, struct err *e);

/* ---- copying, comparing ---------------------------------------------------------------------- */

/*
 * Copies all of src into w, which is new and at least as large, on o->threads threads. p may be
 * NULL. Does not finish w. Stops with ECANCELED when lib/stop.h says so.
 * Errors: EBADMSG also for an image that refers to the same cluster or table twice.
 */
int image_copy(struct image *src, struct image_writer *w, struct progress *p, struct err *e);
/* The same; every byte of the guest's disk, zeros too, is added to digest (may be NULL). */
int image_copy_digest(struct image *src, struct image_writer *w, struct digest *digest,
		      struct progress *p, struct err *e);

/*
 * Compares what guests see. Returns 0 if equal, 1 with *ret_offset the first byte that differs.
 * Where the sizes differ, what is missing of the shorter one counts as zeros.
 */
int image_compare(struct image *a, struct image *b, uint64_t *ret_offset, struct progress *p,
		  struct err *e);

/*
 * A copy-on-write clone: an empty QCOW2 over `backing` (its absolute path and format are written
 * into the clone). size 0: as the backing image; else at least that. Appears atomically at path,
 * mode 0644 less the umask. Errors: EEXIST, and as image_open for the backing image.
 */
int image_create_clone(const char *path, const char *backing, const char *backing_format,
		       uint64_t size, struct err *e);

/*
 * Changes the size of the disk in place (IMAGE_RDWR); a smaller one must lose nothing but zeros.
 * Errors: ENOTSUP the format can only be copied to another size; ENOSPC what would be lost is not
 * all zeros.
 */
int image_resize(struct image *im, uint64_t size, struct err *e);
/* False: ENOTSUP is all that image_resize can say. */
bool image_resizes(const struct image *im);
/*
 * Makes an image that was opened for reading appear smaller, so that less of it is copied. What is
 * left out must be zeros (ENOSPC).
 */
int image_clip(struct image *im, uint64_t size, struct err *e);

/* ---- whether it is sound ----------------------------------------------------------------------- */

enum image_finding_kind {
	IMAGE_FINDING_ERROR, /* data are lost, or mean two things */
	IMAGE_FINDING_LEAK,  /* space that nothing uses: harmless */
};
struct image_finding {
	enum image_finding_kind kind;
	uint64_t offset; /* where in the file; UINT64_MAX: nowhere in particular */
	char *text;      /* a sentence without a full stop; escape it */
};
#define IMAGE_FINDINGS_MAX 1000 /* kept; all are counted */
struct image_check {
	struct image_finding *findings; /* n_findings, in the order in which they were found */
	size_t n_findings;
	uint64_t n_errors, n_leaks; /* all that there are */
	uint64_t leaked;            /* bytes of the file */
};
/*
 * Looks at the whole structure of an image, opened IMAGE_INSPECT, and tells all that is wrong;
 * data are not looked at. Formats without structure have nothing wrong. p may be NULL; its total
 * is the disk's size.
 * Errors: those of reading; not what is found.
 */
int image_check_read(struct image *im, struct image_check *ret, struct progress *p, struct err *e);
void image_check_release(struct image_check *c);
DEFINE_AUTO_STRUCT(struct image_check, image_check_release);
/* For formats. Adds one finding; bytes is the space of a leak, else 0. */
int image_check_add(struct image_check *c, enum image_finding_kind kind, uint64_t offset,
		    uint64_t bytes, struct err *e, const char *fmt, ...) PRINTF_LIKE(6, 7);

/* ---- what it is ---------------------------------------------------------------------------- */

enum image_fact_kind {
	IMAGE_FACT_U64,
	IMAGE_FACT_BOOL,
	IMAGE_FACT_TEXT,
	IMAGE_FACT_ITEM,  /* one of a list: the facts of that key, which follow each other */
	IMAGE_FACT_GROUP, /* likewise, but of several facts: those behind it that are `inside` */
};
struct image_fact {
	const char *key; /* "cluster-size"; static */
	enum image_fact_kind kind;
	bool inside;     /* of the group before it */
	uint64_t number; /* U64, BOOL */
	char *text;      /* TEXT, ITEM; hostile: escape it */
};
struct image_info {
	uint64_t virtual_size;
	uint64_t file_size;
	uint64_t allocated;       /* bytes that the file takes on its disk */
	struct image_fact *facts; /* n_facts, what is particular to the format */
	size_t n_facts;
	bool in_group;   /* while it is filled */
	char **warnings; /* n_warnings sentences without a full stop */
	size_t n_warnings;
};
/* In milliseconds, whatever the size; no other file is opened. */
int image_info_read(struct image *im, struct image_info *ret, struct err *e);
void image_info_release(struct image_info *info);
DEFINE_AUTO_STRUCT(struct image_info, image_info_release);
/* For formats. text is copied. */
int image_info_add(struct image_info *info, const char *key, enum image_fact_kind kind,
		   uint64_t number, const char *text, size_t text_len, struct err *e);
/* What is added between the two is one group; they are not nested. */
int image_info_open_group(struct image_info *info, const char *key, struct err *e);
void image_info_close_group(struct image_info *info);
int image_info_warn(struct image_info *info, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- what is inside ------------------------------------------------------------------------ */

struct image_partition {
	unsigned number; /* from 1; 0: the whole disk is one file system */
	uint64_t start;
	uint64_t length;
	char type[40];    /* "83", or a GPT type GUID, lower case; "" without a table */
	char uuid[40];    /* what Linux calls PARTUUID, lower case; "" none */
	char name[112];   /* GPT: PARTLABEL, UTF-8; "" none */
	bool bootable;    /* MBR: active; GPT: legacy BIOS bootable */
	char fs_type[24]; /* "ext4", "xfs", "vfat", "swap" ...; "" unknown */
	char fs_label[64];
	char fs_uuid[40];
};
struct image_layout {
	char table[8];                      /* "none", "mbr", "gpt" */
	struct image_partition *partitions; /* n_partitions of them */
	size_t n_partitions;
};
/* Reads partition table and file systems' superblocks. A damaged table is an error (EBADMSG). */
int image_layout_read(struct image *im, struct image_layout *ret, struct err *e);
void image_layout_release(struct image_layout *l);
/*
 * Adds a warning to info for each thing about the partition tables that programs can disagree
 * about, or that points to where nothing is. Errors: ENOMEM alone.
 */
int image_layout_check(struct image *im, struct image_info *info, struct err *e);
DEFINE_AUTO_STRUCT(struct image_layout, image_layout_release);

/* ---- whether it boots (imgconv/disk/) -------------------------------------------------------- */

enum boot_kernel_kind {
	BOOT_KERNEL_UNKNOWN,
	BOOT_KERNEL_BZIMAGE, /* x86, boots by itself */
	BOOT_KERNEL_ARM64,
	BOOT_KERNEL_ZBOOT, /* unpacks itself, under UEFI alone */
	BOOT_KERNEL_PV,    /* an ELF file: for Xen's paravirtualization alone */
};
/* What a guest needs to reach its disk, and to be reached. */
enum boot_driver {
	BOOT_VIRTIO_PCI,
	BOOT_VIRTIO_BLK,
	BOOT_VIRTIO_SCSI,
	BOOT_VIRTIO_NET,
	BOOT_SD_MOD,
	BOOT_AHCI,
	BOOT_NVME,
	BOOT_ATA_PIIX,
	BOOT_IDE_PIIX, /* before ATA disks were SCSI disks */
	BOOT_IDE_DISK,
	BOOT_XEN_BLKFRONT,
	BOOT_DRIVERS, /* their number */
};
enum boot_driver_state {
	BOOT_DRIVER_UNKNOWN,
	BOOT_DRIVER_ABSENT,
	BOOT_DRIVER_MODULE, /* there, but not before the root file system is */
	BOOT_DRIVER_INITRD,
	BOOT_DRIVER_BUILTIN,
};
/* What the disk has to be attached to, in the order in which they are preferred. */
enum boot_bus {
	BOOT_BUS_UNKNOWN,
	BOOT_BUS_NONE,
	BOOT_BUS_VIRTIO,
	BOOT_BUS_VIRTIO_SCSI,
	BOOT_BUS_SATA,
	BOOT_BUS_NVME,
	BOOT_BUS_IDE,
};
/* The names that are shown: "bzImage", "virtio_blk", "initrd", "virtio-scsi"; static. */
const char *boot_kernel_kind_name(enum boot_kernel_kind kind);
const char *boot_driver_name(enum boot_driver driver);
const char *boot_driver_state_name(enum boot_driver_state state);
const char *boot_bus_name(enum boot_bus bus);

/* What was found out about one kernel and its initrd, by looking alone. */
struct boot_verdict {
	enum boot_kernel_kind kind;
	char *version; /* NULL: not known */
	bool efi_stub;
	char compression[8]; /* of the initrd, "none"; "" without one */
	enum boot_driver_state drivers[BOOT_DRIVERS];
	enum boot_bus bus;
	char *why; /* of the bus: a sentence without a full stop */
};
void boot_verdict_release(struct boot_verdict *v);

enum {
	/* The initrd is unpacked to its end, which can take a second. Else what is not found in its
	 * first MiBs is unknown. */
	BOOT_DEEP = 1u << 0,
};
/* Something that could not be found out, and why. */
struct boot_unknown {
	const char *what; /* "kernel" */
	char *why;        /* hostile: escape it */
};
struct boot_efi_file {
	unsigned partition;
	char *path; /* "EFI/BOOT/BOOTX64.EFI"; hostile */
};
struct image_boot {
	char *bios;                /* the boot loader that a BIOS finds; NULL: none */
	struct boot_efi_file *efi; /* n_efi programs that UEFI finds by itself */
	size_t n_efi;
	bool has_root;
	unsigned root; /* number of the partition */
	char *os;      /* PRETTY_NAME of the root; NULL: not known; hostile */
	char *kernel;  /* path in the guest; NULL: none was found; hostile */
	char *initrd;
	struct boot_verdict verdict; /* if there is a kernel */
	struct boot_unknown *unknown;
	size_t n_unknown;
};
/*
 * Looks at what would boot: boot loaders, kernel, drivers. l is the image's layout. In milliseconds
 * (but for BOOT_DEEP); what is damaged or not supported is told in ret->unknown.
 * Errors: ENOMEM, ECANCELED alone.
 */
int image_boot_read(struct image *im, const struct image_layout *l, unsigned flags,
		    struct image_boot *ret, struct err *e);
void image_boot_release(struct image_boot *b);
DEFINE_AUTO_STRUCT(struct image_boot, image_boot_release);

/* ---- making a bare partition bootable (imgconv/disk/) --------------------------------------- */

#define BOOT_PARTITION_START MIB /* where the partition begins on a disk for BIOS */

/* Bytes of the MBR disk that holds a partition of `partition_size` bytes (a multiple of 512). */
uint64_t boot_disk_size(uint64_t partition_size);

enum boot_firmware {
	BOOT_BIOS, /* MBR, partition at BOOT_PARTITION_START */
	BOOT_UEFI, /* GPT with an EFI system partition */
	BOOT_BOTH, /* GPT with that and a BIOS boot partition */
};
/* The least bytes of a disk that holds a partition of `partition_size` bytes. */
uint64_t boot_assembled_size(uint64_t partition_size, enum boot_firmware firmware);
struct boot_opts {
	const char *kernel; /* path inside the image; NULL: found */
	const char *initrd; /* likewise */
	const char *append; /* added to the kernel's command line; NULL: nothing */
	enum boot_firmware firmware;
	/* For boot_plan: as boot_extract would do it. */
	bool direct;
	/* For boot_assemble: the disk's size, a multiple of 512, not under boot_assembled_size; 0:
	 * that. */
	uint64_t disk_size;
};
struct boot_report {
	char *kernel; /* path in the guest */
	char *initrd; /* NULL: none */
	char *cmdline;
	char *source; /* where they were found: "menu.lst", "/vmlinuz", ... */
	struct boot_verdict verdict;
	char **warnings; /* n_warnings sentences without a full stop */
	size_t n_warnings;
};
/*
 * Writes partition table and boot loader (GRUB 2 for BIOS, by the host's grub-mkimage) into the
 * first MiB of `disk`, an image opened IMAGE_RDWR whose file system lies at BOOT_PARTITION_START.
 * Nothing inside the file system is changed and nothing of the guest is run.
 * Errors: ENOENT no kernel in the image; ENOTSUP the kernel cannot boot on KVM (Xen-only, no driver
 * for any disk), the file system is none that GRUB reads, or o->firmware is not BOOT_BIOS; EIO
 * grub-mkimage failed.
 */
int boot_make(struct image *disk, const struct boot_opts *o, struct boot_report *ret,
	      struct err *e);
/*
 * What boot_make would do with the file system at [start, start + length) of im, read only: to be
 * told before a long copy. Errors as boot_make, but for GRUB's.
 */
int boot_plan(struct image *im, uint64_t start, uint64_t length, const struct boot_opts *o,
	      struct boot_report *ret, struct err *e);
/*
 * The disk that boots, as an image to be read: partition table and boot loader in front of
 * `partition`, an image of nothing but a file system, which it reads from and which must outlive
 * it. For any firmware. Errors as boot_make.
 */
int boot_assemble(struct image *partition, const struct boot_opts *o, struct image **ret,
		  struct boot_report *report, struct err *e);
/*
 * Kernel, initrd and boot.json (paths, command line, verdict) of `partition`, to boot it as an
 * unpartitioned disk by giving them to QEMU, into files that files->create makes by these names (the
 * initrd's only if there is one). The first is made when all that can be looked at was.
 * Errors: as boot_plan; those of files.
 */
#define BOOT_KERNEL_FILE "vmlinuz"
#define BOOT_INITRD_FILE "initrd.img"
#define BOOT_JSON_FILE "boot.json"
int boot_extract(struct image *partition, const struct boot_opts *o,
		 const struct image_companions *files, struct boot_report *ret, struct err *e);
void boot_report_release(struct boot_report *r);
DEFINE_AUTO_STRUCT(struct boot_report, boot_report_release);

/* ---- offline changes to the file system inside (imgconv/inject/) ---------------------------- */

/*
 * What to put in: files, folders, symbolic links, removals; applied in order. An overlay owns
 * copies of all that is added to it. Paths are absolute in the guest.
 */
struct overlay;
struct overlay_attr {
	unsigned mode; /* permission bits */
	uint32_t uid, gid;
};
int overlay_new(struct overlay **ret, struct err *e);
void overlay_free(struct overlay *o);
DEFINE_AUTO(struct overlay *, overlay_free);
int overlay_add_file(struct overlay *o, const char *path, const void *data, size_t len,
		     const struct overlay_attr *a, struct err *e);
int overlay_add_host_file(struct overlay *o, const char *path, const char *host_path,
			  const struct overlay_attr *a, struct err *e);
int overlay_add_dir(struct overlay *o, const char *path, const struct overlay_attr *a,
		    struct err *e);
int overlay_add_symlink(struct overlay *o, const char *path, const char *target, struct err *e);
int overlay_add_delete(struct overlay *o, const char *path, struct err *e);
/* A folder of the host, or a tar archive (numeric owners), laid over the guest's root. */
int overlay_add_tree(struct overlay *o, const char *host_dir, struct err *e);
int overlay_add_tar(struct overlay *o, const char *tar_path, struct err *e);
/* ctxd and the init scripts that fit the guest: known when it is applied. */
int overlay_add_ctxd(struct overlay *o, struct err *e);
/*
 * Takes out what overlay_add_ctxd has put in, known when it is applied; what somebody has changed since
 * stays; if it has run, what it wrote is taken back. Errors then: ENOENT it was not put in that way; EINVAL
 * what it noted is no path; EBADMSG it noted too much.
 */
int overlay_add_remove_ctxd(struct overlay *o, struct err *e);
/*
 * A script that the guest runs once, at the end of its first boot, as root; several are run in the
 * order in which they were added. name is a file name; data begins with "#!" (else EINVAL).
 */
int overlay_add_first_boot(struct overlay *o, const char *name, const void *data, size_t len,
			   struct err *e);
/* The guest's name, wherever it keeps it. Errors: EINVAL it cannot be one. */
int overlay_add_hostname(struct overlay *o, const char *name, struct err *e);
/*
 * Public keys, lines of authorized_keys(5), for an account of the guest; such as it has stay.
 * Errors: EINVAL they are none; when it is applied, ENOENT there is no such account.
 */
int overlay_add_ssh_key(struct overlay *o, const char *user, const void *keys, size_t len,
			struct err *e);

struct inject_opts {
	unsigned partition;  /* number from image_layout; 0: the root file system is found */
	const char *volume;  /* "vg/root" of LVM, "@" of Btrfs; NULL: likewise */
	bool dry_run;        /* everything but the writing */
	bool replay_journal; /* that of a file system which was not cleanly unmounted */
	int64_t now;         /* time stamps, seconds since 1970; makes the result reproducible */
};
struct inject_report {
	unsigned partition; /* 0: none */
	char *volume;       /* "/dev/vg/root" of LVM, "@" of Btrfs; "" if it is neither; hostile */
	char *distro;       /* PRETTY_NAME or what was found */
	char *init;         /* "systemd", "upstart", "openrc", "sysv" */
	struct buf
		changes; /* a line each: "+ /path", "~ /path" (replaced), "- /path", "! /path" (kept) */
};
/*
 * Applies the overlay to the root file system in im (IMAGE_RDWR). All that can fail is tried on a
 * copy-on-write layer first; im is written only when everything fits.
 * Errors: ENOTSUP a file system that cannot be changed, or that takes libguestfs where there is none;
 * EUCLEAN errors, an orphan list or a journal to be replayed; ENOSPC; ELOOP, ENOTDIR, EISDIR on paths;
 * EPERM an immutable target.
 */
int inject_apply(struct image *im, const struct overlay *o, const struct inject_opts *opts,
		 struct inject_report *ret, struct err *e);
void inject_report_release(struct inject_report *r);
DEFINE_AUTO_STRUCT(struct inject_report, inject_report_release);

#endif
