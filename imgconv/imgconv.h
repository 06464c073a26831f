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
#include "lib/err.h"
#include "lib/progress.h"

/* ---- reading and changing in place ------------------------------------------------------- */

struct image; /* an open image */

enum {
	IMAGE_RDWR = 1u << 0,          /* image_pwrite is allowed */
	IMAGE_ALLOW_BACKING = 1u << 1, /* QCOW2 backing files, below the image's own folder only */
};

struct image_open_opts {
	const char *format; /* "raw", "qcow2"; NULL: recognised by content */
	unsigned flags;
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
void image_close(struct image *im);
DEFINE_AUTO(struct image *, image_close);

uint64_t image_size(const struct image *im);
const char *image_format_name(const struct image *im);
const char *image_name(const struct image *im); /* as given to open */

/* Reads exactly len bytes at off; the range lies within the size (EINVAL). */
int image_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e);
/* Changes bytes in place (IMAGE_RDWR). Other clusters stay where they are. */
int image_pwrite(struct image *im, const void *buf, size_t len, uint64_t off, struct err *e);
/* Everything written is on disk, tables before what they point to being reused. */
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

/* ---- creating ------------------------------------------------------------------------------ */

struct image_writer; /* a new image, written front to back */

enum image_compression {
	IMAGE_COMPRESS_NONE,
	IMAGE_COMPRESS_ZLIB,
	IMAGE_COMPRESS_ZSTD,
};
struct image_create_opts {
	uint64_t cluster_size; /* 0: the format's default */
	enum image_compression compression;
	unsigned threads; /* for compression; 0: one a processor */
};

/*
 * Starts a new image of `size` bytes in the empty, seekable file fd (which stays the caller's;
 * name is for messages). o may be NULL.
 * Errors: ENOTSUP unknown format or option, EINVAL bad size.
 */
int image_create(int fd, const char *name, const char *format, uint64_t size,
		 const struct image_create_opts *o, struct image_writer **ret, struct err *e);
/*
 * Writes len bytes at off. Offsets ascend: off is never below the end of the write before it. What
 * is skipped reads as zeros; runs of zeros in the data take no space either. Any alignment.
 */
int image_writer_write(struct image_writer *w, const void *data, size_t len, uint64_t off,
		       struct err *e);
/* Writes what is missing (tables, header). Required for a valid image; w is then only to be freed.
 * The file is not synced. */
int image_writer_finish(struct image_writer *w, struct err *e);
void image_writer_free(struct image_writer *w);
DEFINE_AUTO(struct image_writer *, image_writer_free);

/* Copies all of src into w, on o->threads threads. p may be NULL. Does not finish w. */
int image_copy(struct image *src, struct image_writer *w, struct progress *p, struct err *e);

/*
 * A copy-on-write clone: an empty QCOW2 over `backing` (its absolute path and format are written
 * into the clone). size 0: as the backing image; else at least that. Appears atomically at path.
 */
int image_create_clone(const char *path, const char *backing, const char *backing_format,
		       uint64_t size, struct err *e);

/* ---- what is inside ------------------------------------------------------------------------ */

struct image_partition {
	unsigned number; /* from 1; 0: the whole disk is one file system */
	uint64_t start;
	uint64_t length;
	char type[40];    /* "83", or a GPT type GUID, lower case; "" without a table */
	bool bootable;    /* MBR: active; GPT: legacy BIOS bootable */
	char fs_type[16]; /* "ext4", "xfs", "vfat", "swap" ...; "" unknown */
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
DEFINE_AUTO_STRUCT(struct image_layout, image_layout_release);

/* ---- making a bare partition bootable (imgconv/disk/) --------------------------------------- */

#define BOOT_PARTITION_START MIB /* where the partition begins on the disk that we make */

/* Bytes of the MBR disk that holds a partition of `partition_size` bytes (a multiple of 512). */
uint64_t boot_disk_size(uint64_t partition_size);

struct boot_opts {
	const char *kernel; /* path inside the image; NULL: found */
	const char *initrd; /* likewise */
	const char *append; /* added to the kernel's command line; NULL: nothing */
};
struct boot_report {
	char *kernel; /* path in the guest */
	char *initrd; /* NULL: none */
	char *cmdline;
	char *source; /* where they were found: "menu.lst", "/vmlinuz", ... */
};
/*
 * Writes partition table and boot loader (GRUB 2 for BIOS, by the host's grub-mkimage) into the
 * first MiB of `disk`, an image opened IMAGE_RDWR whose file system lies at BOOT_PARTITION_START.
 * Nothing inside the file system is changed and nothing of the guest is run.
 * Errors: ENOENT no kernel in the image; ENOTSUP the kernel cannot boot on KVM (Xen-only), the
 * file system is none that GRUB reads; EIO grub-mkimage failed.
 */
int boot_make(struct image *disk, const struct boot_opts *o, struct boot_report *ret,
	      struct err *e);
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

struct inject_opts {
	unsigned partition; /* number from image_layout; 0: the root file system is found */
	bool dry_run;       /* everything but the writing */
	int64_t now;        /* time stamps, seconds since 1970; makes the result reproducible */
};
struct inject_report {
	unsigned partition;
	char *distro;       /* PRETTY_NAME or what was found */
	char *init;         /* "systemd", "upstart", "openrc", "sysv" */
	struct buf changes; /* a line each: "+ /path", "~ /path" (replaced), "- /path" */
};
/*
 * Applies the overlay to the root file system in im (IMAGE_RDWR). All that can fail is tried on a
 * copy-on-write layer first; im is written only when everything fits.
 * Errors: ENOTSUP a file system other than ext2/3/4; EUCLEAN errors, an orphan list or a journal
 * to be replayed; ENOSPC; ELOOP, ENOTDIR, EISDIR on paths; EPERM an immutable target.
 */
int inject_apply(struct image *im, const struct overlay *o, const struct inject_opts *opts,
		 struct inject_report *ret, struct err *e);
void inject_report_release(struct inject_report *r);
DEFINE_AUTO_STRUCT(struct inject_report, inject_report_release);

#endif
