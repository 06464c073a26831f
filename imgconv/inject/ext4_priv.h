/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the ext2/3/4 implementation of imgconv/guestfs.h share. */
#ifndef IMGCONV_INJECT_EXT4_PRIV_H
#define IMGCONV_INJECT_EXT4_PRIV_H

#include <ext2fs/ext2fs.h>

#include "imgconv/guestfs_ops.h"
#include "imgconv/inject/ext4_io.h"

#define EXT4_NAME_LIMIT 255
#define EXT4_SYMLINKS_MAX 40
#define EXT4_EXTENT_DEPTH_MAX 5
#define EXT4_DIR_SIZE_MAX (512 * MIB)

struct ext4_fs {
	struct guest_fs common;
	ext2_filsys fs;
	struct ext4_io *io;
	bool writable;
	bool changed;
	bool broken;           /* a change failed half way: nothing may be committed any more */
	uint64_t free_at_open; /* blocks */
};

static inline struct ext4_fs *ext4_of(struct guest_fs *common)
{
	return (struct ext4_fs *)common;
}

/* ---- members of the table in ext4.c (imgconv/guestfs_ops.h) ----------------------------------- */

int ext4_op_file_open(struct guest_fs *common, const char *path, struct guest_file **ret,
		      struct err *e);
void ext4_op_file_close(struct guest_file *f);
int ext4_op_file_read(struct guest_file *common, void *buf, size_t len, uint64_t off, size_t *ret,
		      struct err *e);
int ext4_op_write_file(struct guest_fs *common, const char *path, const void *data, size_t len,
		       const struct overlay_attr *a, struct err *e);
int ext4_op_mkdir(struct guest_fs *common, const char *path, const struct overlay_attr *a,
		  struct err *e);
int ext4_op_set_xattr(struct guest_fs *common, const char *path, const char *key, const void *value,
		      size_t len, struct err *e);
int ext4_op_get_xattr(struct guest_fs *common, const char *path, const char *key, struct buf *out,
		      struct err *e);
int ext4_op_symlink(struct guest_fs *common, const char *path, const char *target, struct err *e);
int ext4_op_remove(struct guest_fs *common, const char *path, struct err *e);

/* ---- what all of them use -------------------------------------------------------------------- */

/* Gives a public call its share of reads and writes: `bytes` is what it means to move. */
void ext4_begin(struct ext4_fs *g, uint64_t bytes);

/* Turns a libext2fs error into ours, the I/O layer's own message first if there is one. */
int ext4_error(struct ext4_fs *g, errcode_t rc, struct err *e, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/*
 * Replays the journal onto the layer and marks it empty; g->fs was opened for reading and is to be
 * opened again afterwards. That the file system needs it is for the caller to know, and to mark it
 * as clean. Errors: ENOTSUP features (named), EUCLEAN errors noted, EBADMSG damaged.
 */
int ext4_journal_replay(struct ext4_fs *g, struct err *e);

/* ---- ext4_inode.c, ext4.c: inodes and their data, nothing of which is trusted ------------------------ */

/* Reads an inode that may be used: number in range, sane extent root, in use if writable. */
int ext4_inode_get(struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode *ret, struct err *e);
void ext4_inode_stat(ext2_ino_t ino, const struct ext2_inode *inode, struct guest_stat *ret);

/* The regular file at path, links followed. Errors: EISDIR, EINVAL another kind. */
int ext4_file_find(struct ext4_fs *g, const char *path, ext2_ino_t *ret, struct ext2_inode *inode,
		   struct err *e);

/* The block that holds logical block lblk; 0: a hole or not yet written. */
int ext4_map(struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode *inode, uint64_t lblk,
	     blk64_t *ret, struct err *e);

/* Data kept inside the inode (EXT4_INLINE_DATA_FL). */
int ext4_inline_get(struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode *inode, struct buf *out,
		    struct err *e);
/*
 * The len bytes from logical block `first` on, into memory that is zero: holes are left alone.
 * Block by block; adjacent blocks in one read.
 */
int ext4_blocks_get(struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode *inode, uint64_t first,
		    size_t len, char *to, struct err *e);
/* All bytes of a file or link, at most limit (EFBIG). */
int ext4_data_get(struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode *inode, uint64_t limit,
		  struct buf *out, struct err *e);
int ext4_link_target(struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode *inode, struct buf *out,
		     struct err *e);

/*
 * Walks every block that the inode maps and refuses (EBADMSG) what libext2fs would trip over when
 * it changes or frees them: blocks outside the file system or marked free, more than there can be
 * (a tree that shares branches), logical blocks at or past max_lblk (0: no bound).
 */
int ext4_blocks_check(struct ext4_fs *g, ext2_ino_t ino, uint64_t max_lblk, struct err *e);

/* ---- ext4_dir.c: folders and paths ----------------------------------------------------------- */

/* An entry of a folder, valid during the callback. */
struct ext4_slot {
	const char *name; /* name_len bytes, no NUL behind them */
	unsigned name_len;
	ext2_ino_t ino;
	/* Where it lies; block is NULL for a folder inside its inode. */
	char *block;
	blk64_t block_nr;
	unsigned offset;
	int before; /* offset of the entry before it in the block; -1: none */
};
/* Returns 0 to go on, a positive value to stop (then returned), a negative errno. */
typedef int ext4_slot_fn(void *ctx, const struct ext4_slot *s, struct err *e);

/* Calls fn for each entry in use, "." and ".." included. Errors: ENOTDIR, EBADMSG, ENOTSUP. */
int ext4_dir_walk(struct ext4_fs *g, ext2_ino_t dir, ext4_slot_fn *fn, void *ctx, struct err *e);
/* ret 0: no such entry. */
int ext4_dir_lookup(struct ext4_fs *g, ext2_ino_t dir, const char *name, size_t name_len,
		    ext2_ino_t *ret, struct err *e);
/* A folder that is about to change is sound in every way that libext2fs relies on. */
int ext4_dir_check(struct ext4_fs *g, ext2_ino_t dir, struct err *e);

enum {
	EXT4_FOLLOW = 1u << 0,   /* a symbolic link as the last component is followed */
	EXT4_MAY_LACK = 1u << 1, /* the last component need not exist */
};
struct ext4_path {
	ext2_ino_t ino;                 /* 0: the last component does not exist */
	ext2_ino_t parent;              /* of the last component; the root's parent is the root */
	char name[EXT4_NAME_LIMIT + 1]; /* last component; "" for the root */
	char *real;                     /* path without symbolic links */
};
/* Errors: EINVAL not absolute, ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG. */
int ext4_path_resolve(struct ext4_fs *g, const char *path, unsigned flags, struct ext4_path *ret,
		      struct err *e);
void ext4_path_release(struct ext4_path *p);
DEFINE_AUTO_STRUCT(struct ext4_path, ext4_path_release);

#endif
