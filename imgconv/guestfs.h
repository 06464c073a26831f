/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system inside an image, without mounting it: read files and folders, and change them on
 * a copy-on-write layer that is written to the image by one commit. Paths are absolute in the
 * guest; symbolic links are followed inside the guest only. Two implementations
 * (guestfs_ops.h): ext2/3/4 by libext2fs (inject/ext4.c), and all else that Linux mounts by
 * libguestfs (inject/appliance.c).
 */
#ifndef IMGCONV_GUESTFS_H
#define IMGCONV_GUESTFS_H

#include "imgconv/imgconv.h"

struct guest_fs;

enum {
	GUEST_FS_WRITE = 1u << 0,
	/* With WRITE: a journal that must be replayed is, onto the layer. */
	GUEST_FS_REPLAY = 1u << 1,
};

struct guest_stat {
	uint64_t ino;
	unsigned mode; /* type and permission bits, as st_mode */
	uint32_t uid, gid;
	uint64_t size;
	unsigned links;
};

/*
 * The file system at [start, start + length) of im, by libext2fs.
 * Errors: ENOTSUP no ext2/3/4, or an unknown incompatible feature; EUCLEAN (with GUEST_FS_WRITE)
 * errors flagged, journal to be replayed, orphans; EBADMSG a damaged superblock.
 */
int guest_fs_open(struct image *im, uint64_t start, uint64_t length, unsigned flags,
		  struct guest_fs **ret, struct err *e);
void guest_fs_close(struct guest_fs *fs); /* changes not committed are gone */
DEFINE_AUTO(struct guest_fs *, guest_fs_close);

/* Text form of the UUID, lower case. */
const char *guest_fs_uuid(const struct guest_fs *fs);
/* "/dev/vg/root" of a logical volume, "@" of a subvolume; "" if it is neither. Hostile. */
const char *guest_fs_volume(const struct guest_fs *fs);
/* Whether it keeps owners, modes and attributes: FAT and NTFS do not, and ignore them. */
bool guest_fs_keeps_owners(const struct guest_fs *fs);

/* follow: whether a symbolic link as the last component is followed. Errors: ENOENT, ELOOP ... */
int guest_fs_stat(struct guest_fs *fs, const char *path, bool follow, struct guest_stat *ret,
		  struct err *e);
/* A regular file's bytes, at most limit (EFBIG). */
int guest_fs_read_file(struct guest_fs *fs, const char *path, size_t limit, struct buf *out,
		       struct err *e);
/* The first bytes of a regular file, as many as it has, at most len. */
int guest_fs_read_head(struct guest_fs *fs, const char *path, size_t len, struct buf *out,
		       struct err *e);
/*
 * A regular file to be read in pieces, front to back or not. It must be closed before its file
 * system is, and not be changed meanwhile.
 */
struct guest_file;
int guest_file_open(struct guest_fs *fs, const char *path, struct guest_file **ret, struct err *e);
void guest_file_close(struct guest_file *f);
DEFINE_AUTO(struct guest_file *, guest_file_close);
uint64_t guest_file_size(const struct guest_file *f);
/* Up to len bytes at off, a multiple of 64 KiB; *ret is how many, less than len only at the end. */
int guest_file_read(struct guest_file *f, void *buf, size_t len, uint64_t off, size_t *ret,
		    struct err *e);
int guest_fs_readlink(struct guest_fs *fs, const char *path, struct buf *out, struct err *e);
/* The path with every symbolic link resolved, the caller's to free. */
int guest_fs_realpath(struct guest_fs *fs, const char *path, char **ret, struct err *e);
/* Calls fn for each entry but "." and ".."; fn returns 0 to go on, else that value is returned. */
int guest_fs_list(struct guest_fs *fs, const char *path,
		  int (*fn)(void *ctx, const char *name, const struct guest_stat *st), void *ctx,
		  struct err *e);

/*
 * Changes: on the layer only, until commit. A change that fails after it has begun (no space, a
 * damaged structure) makes later changes and the commit fail too.
 * Errors of all: EROFS opened for reading; EPERM immutable or append-only; ENOTSUP encrypted,
 * case-folded, fs-verity; ENOSPC (what is reserved for root stays so); EBADMSG damaged; EFBIG more
 * than 256 MiB of changes.
 *
 * now: seconds since 1970, for time stamps; 0: the last time that the file system knows.
 */
void guest_fs_set_time(struct guest_fs *fs, int64_t now);
/*
 * Creates or replaces a file; missing folders above are an error (ENOENT). A symbolic link as the
 * last component is replaced, not followed; other names of the old file keep its old content. The
 * SELinux label is taken from the old file, else from the folder. EISDIR; EEXIST for a device.
 */
int guest_fs_write_file(struct guest_fs *fs, const char *path, const void *data, size_t len,
			const struct overlay_attr *a, struct err *e);
/* EEXIST if there is anything of that name. */
int guest_fs_mkdir(struct guest_fs *fs, const char *path, const struct overlay_attr *a,
		   struct err *e);
/* Sets an extended attribute ("user.x", "security.capability") of what path names; not followed. */
int guest_fs_set_xattr(struct guest_fs *fs, const char *path, const char *key, const void *value,
		       size_t len, struct err *e);
/* Its value, appended to out: 1; 0: it has none of that name, or the file system knows none. */
int guest_fs_get_xattr(struct guest_fs *fs, const char *path, const char *key, struct buf *out,
		       struct err *e);
/* Creates a symbolic link, or replaces a file or link by it. */
int guest_fs_symlink(struct guest_fs *fs, const char *path, const char *target, struct err *e);
/* Removes a file, a link, or a folder with all in it. ENOENT is an error. */
int guest_fs_remove(struct guest_fs *fs, const char *path, struct err *e);
/* Writes all changes to the image, metadata consistent (e2fsck -fn is clean), and flushes it. */
int guest_fs_commit(struct guest_fs *fs, struct err *e);

#endif
