/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imgconv/guestfs.h for ext2, ext3 and ext4 by libext2fs: opening, reading, commit.
 *
 * The superblock is judged here before libext2fs sees it (Linux, ext4 disk layout, "Super Block"):
 *
 *	offset  size  field
 *	0       4     inodes          4    4  blocks, low        20   4  first data block
 *	24      4     log block size  32   4  blocks a group     40   4  inodes a group
 *	56      2     magic 0xef53    58   2  state              76   4  revision
 *	84      4     first inode     96   4  incompat           100  4  ro_compat
 *	104     16    UUID            232  4  last orphan        336  4  blocks, high
 *	88      2     inode size     350  2  extra bytes of a new inode   360  8  MMP block
 *
 * Read but not written: file systems with quota, shared blocks, attributes in inodes (ea_inode),
 * snapshots; encrypted and case-folded folders. Not read: compression, external journals.
 */
#include <et/com_err.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "imgconv/inject/ext4_priv.h"
#include "lib/str.h"

#define SB_AT 1024
#define SB_LEN 1024
#define SB_INODES 0
#define SB_BLOCKS_LO 4
#define SB_LOG_BLOCK_SIZE 24
#define SB_BLOCKS_PER_GROUP 32
#define SB_INODES_PER_GROUP 40
#define SB_MAGIC 56
#define SB_STATE 58
#define SB_FIRST_INODE 84
#define SB_INODE_SIZE 88
#define SB_INCOMPAT 96
#define SB_RO_COMPAT 100
#define SB_UUID 104
#define SB_REV 76
#define SB_LAST_ORPHAN 232
#define SB_BLOCKS_HI 336
#define SB_WANT_EXTRA_ISIZE 350
#define SB_MMP_BLOCK 360
#define SB_CHECKSUM 1020

#define MAGIC 0xef53
#define MMP_SEQ_AT 4
#define MMP_SEQ_CLEAN 0xff4d4d50u

/* The library can do MMP, but its header says so only to itself. */
#define INCOMPAT_KNOWN (EXT2_LIB_FEATURE_INCOMPAT_SUPP | EXT4_FEATURE_INCOMPAT_MMP)

#define GROUPS_MAX (UINT32_C(1) << 21)       /* descriptors are kept in memory */
#define WRITE_BLOCKS_MAX (UINT64_C(1) << 30) /* bitmaps are kept in memory: 128 MiB */
#define BUDGET_BASE (UINT64_C(1) << 20)

/* ---- errors ---------------------------------------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* libext2fs talks about damaged file systems on stderr too; what we return says enough. */
static void say_nothing(const char *who, errcode_t code, const char *fmt, va_list ap)
{
	(void)who;
	(void)code;
	(void)fmt;
	(void)ap;
}

static void init_messages(void)
{
	add_error_table(&et_ext2_error_table);
	set_com_err_hook(say_nothing);
}

void ext4_begin(struct ext4_fs *g, uint64_t bytes)
{
	uint64_t bs = g->fs ? g->fs->blocksize : KIB;

	ext4_io_budget(g->io, BUDGET_BASE + 16 * (bytes / bs));
}

static int errno_of(errcode_t rc)
{
	if (rc > 0 && rc < 256)
		return (int)rc;
	switch (rc) {
	case EXT2_ET_NO_MEMORY:
		return ENOMEM;
	case EXT2_ET_BLOCK_ALLOC_FAIL:
	case EXT2_ET_INODE_ALLOC_FAIL:
	case EXT2_ET_DIR_NO_SPACE:
	case EXT2_ET_EA_NO_SPACE:
		return ENOSPC;
	case EXT2_ET_FILE_TOO_BIG:
		return EFBIG;
	case EXT2_ET_UNSUPP_FEATURE:
	case EXT2_ET_RO_UNSUPP_FEATURE:
	case EXT2_ET_UNKNOWN_CSUM:
	case EXT2_ET_REV_TOO_HIGH:
		return ENOTSUP;
	default:
		return EBADMSG;
	}
}

int ext4_error(struct ext4_fs *g, errcode_t rc, struct err *e, const char *fmt, ...)
{
	char what[256];
	struct err io;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (ext4_io_take_error(g->io, &io) < 0) {
		if (e)
			*e = io;
		return err_wrap(e, "%s", what);
	}
	if (rc > 0 && rc < 256)
		return err_errno(e, (int)rc, "%s", what);
	return err_set(e, errno_of(rc), "%s: %s", what, error_message(rc));
}

/* ---- what the superblock says ---------------------------------------------------------------- */

struct feature {
	uint32_t bit;
	const char *name;
};

static const struct feature incompat_names[] = {
	{0x1, "compression"},
	{0x8, "journal_dev"},
	{0x1000, "dirdata"},
	{0, NULL},
};

static const struct feature ro_compat_names[] = {
	{0x80, "snapshot"},
	{0x800, "replica"},
	{0, NULL},
};

/* What may be read but not changed here, and why. */
static const struct feature ro_refused[] = {
	{EXT4_FEATURE_RO_COMPAT_QUOTA, "keeps quotas, which would be wrong afterwards"},
	{EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS, "shares blocks between files"},
	{EXT4_FEATURE_RO_COMPAT_READONLY, "is marked read-only"},
	{0, NULL},
};

static int refuse_features(uint32_t bits, const struct feature *names, const char *kind,
			   struct err *e)
{
	AUTO_BUF list = BUF_INIT;

	for (unsigned i = 0; i < 32; i++) {
		uint32_t bit = UINT32_C(1) << i;
		const char *name = NULL;
		int rc;

		if (!(bits & bit))
			continue;
		for (const struct feature *f = names; f->name; f++) {
			if (f->bit == bit)
				name = f->name;
		}
		if (list.len && buf_adds(&list, ", ") < 0)
			return err_nomem(e);
		rc = name ? buf_adds(&list, name) : buf_addf(&list, "0x%" PRIx32, bit);
		if (rc < 0)
			return err_nomem(e);
	}
	return err_set(e, ENOTSUP, "file system with %s: %s", kind, buf_str(&list));
}

static uint64_t sb_blocks(const uint8_t *sb)
{
	uint64_t n = le32_get(sb + SB_BLOCKS_LO);

	if (le32_get(sb + SB_INCOMPAT) & EXT4_FEATURE_INCOMPAT_64BIT)
		n |= (uint64_t)le32_get(sb + SB_BLOCKS_HI) << 32;
	return n;
}

/* Sizes that decide how much memory libext2fs takes. */
static int check_sizes(const uint8_t *sb, uint64_t length, struct err *e)
{
	uint32_t log_bs = le32_get(sb + SB_LOG_BLOCK_SIZE);
	uint32_t per_group = le32_get(sb + SB_BLOCKS_PER_GROUP);
	uint64_t blocks = sb_blocks(sb), bytes, bs;

	if (log_bs > 6)
		return err_set(e, EBADMSG, "superblock: block size 2^%" PRIu32 " KiB", log_bs);
	bs = KIB << log_bs;
	if (!u64_mul(blocks, bs, &bytes) || bytes > length)
		return err_set(e, EBADMSG,
			       "superblock: %" PRIu64 " blocks of %" PRIu64
			       " bytes do not fit the partition of %" PRIu64 " bytes",
			       blocks, bs, length);
	if (!per_group || blocks / per_group > GROUPS_MAX)
		return err_set(e, EBADMSG, "superblock: %" PRIu32 " blocks a group", per_group);
	if (!le32_get(sb + SB_INODES_PER_GROUP) || le32_get(sb + SB_INODES_PER_GROUP) > 8 * bs)
		return err_set(e, EBADMSG, "superblock: %" PRIu32 " inodes a group",
			       le32_get(sb + SB_INODES_PER_GROUP));
	return 0;
}

static int check_super(const uint8_t *sb, uint64_t length, struct err *e)
{
	uint32_t unknown;

	if (le16_get(sb + SB_MAGIC) != MAGIC)
		return err_set(e, ENOTSUP, "no ext2, ext3 or ext4 file system");
	unknown = le32_get(sb + SB_INCOMPAT) & ~(uint32_t)INCOMPAT_KNOWN;
	unknown |= le32_get(sb + SB_INCOMPAT) & EXT3_FEATURE_INCOMPAT_JOURNAL_DEV;
	if (unknown)
		return refuse_features(unknown, incompat_names, "unknown incompatible features", e);
	return check_sizes(sb, length, e);
}

static int check_mmp(struct ext4_fs *g, const uint8_t *sb, struct err *e)
{
	uint64_t bs = KIB << le32_get(sb + SB_LOG_BLOCK_SIZE), at;
	uint8_t mmp[8];
	int rc;

	if (!u64_mul(le64_get(sb + SB_MMP_BLOCK), bs, &at))
		return err_set(e, EBADMSG, "superblock: MMP block out of range");
	rc = ext4_io_read(g->io, mmp, sizeof(mmp), at, e);
	if (rc < 0)
		return err_wrap(e, "multiple mount protection");
	if (le32_get(mmp + MMP_SEQ_AT) != MMP_SEQ_CLEAN)
		return err_set(e, EUCLEAN,
			       "the file system is marked as in use (multiple mount protection)");
	return 0;
}

/* New inodes: where they begin, and how much of one its fields take, which libext2fs believes. */
static int check_new_inodes(const uint8_t *sb, struct err *e)
{
	uint32_t first = le32_get(sb + SB_FIRST_INODE);
	unsigned size = le16_get(sb + SB_INODE_SIZE), extra = le16_get(sb + SB_WANT_EXTRA_ISIZE);

	if (le32_get(sb + SB_REV) == EXT2_GOOD_OLD_REV)
		return 0;
	if (first < EXT2_GOOD_OLD_FIRST_INO || first > le32_get(sb + SB_INODES))
		return err_set(e, EBADMSG, "superblock: first inode is %" PRIu32, first);
	if (size > EXT2_GOOD_OLD_INODE_SIZE &&
	    (extra % 4 || extra > size - EXT2_GOOD_OLD_INODE_SIZE))
		return err_set(e, EBADMSG, "superblock: %u extra bytes in an inode of %u", extra,
			       size);
	return 0;
}

static int check_writable(struct ext4_fs *g, const uint8_t *sb, struct err *e)
{
	uint32_t incompat = le32_get(sb + SB_INCOMPAT), ro = le32_get(sb + SB_RO_COMPAT);
	uint32_t unknown = ro & ~(uint32_t)EXT2_LIB_FEATURE_RO_COMPAT_SUPP;
	int rc;

	if (unknown)
		return refuse_features(unknown, ro_compat_names, "unknown read-only features", e);
	for (const struct feature *f = ro_refused; f->name; f++) {
		if (ro & f->bit)
			return err_set(e, ENOTSUP, "the file system %s: it is not changed offline",
				       f->name);
	}
	if (incompat & EXT4_FEATURE_INCOMPAT_EA_INODE)
		return err_set(e, ENOTSUP,
			       "the file system keeps attributes in inodes (ea_inode): "
			       "it is not changed offline");
	if (incompat & EXT3_FEATURE_INCOMPAT_RECOVER)
		return err_set(e, EUCLEAN,
			       "the journal must be replayed first (unclean shutdown): "
			       "--replay-journal does it, or run e2fsck -fp on the file system");
	if ((ro & EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT) || le32_get(sb + SB_LAST_ORPHAN))
		return err_set(e, EUCLEAN,
			       "deleted files are waiting to be freed (orphan list): "
			       "run e2fsck -fp on the file system");
	if ((le16_get(sb + SB_STATE) & EXT2_ERROR_FS) || !(le16_get(sb + SB_STATE) & EXT2_VALID_FS))
		return err_set(e, EUCLEAN, "the file system is marked as %s: run e2fsck -fp on it",
			       le16_get(sb + SB_STATE) & EXT2_ERROR_FS ? "having errors"
								       : "not cleanly unmounted");
	if (sb_blocks(sb) > WRITE_BLOCKS_MAX)
		return err_set(e, EFBIG, "file system of more than %" PRIu64 " blocks",
			       WRITE_BLOCKS_MAX);
	rc = check_new_inodes(sb, e);
	if (rc >= 0 && (incompat & EXT4_FEATURE_INCOMPAT_MMP))
		rc = check_mmp(g, sb, e);
	return rc;
}

/* ---- open, close, commit --------------------------------------------------------------------- */

static void op_set_time(struct guest_fs *common, int64_t now);

static int open_library(struct ext4_fs *g, struct err *e)
{
	int flags = EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP;
	errcode_t rc;

	if (g->writable)
		flags |= EXT2_FLAG_RW;
	rc = ext2fs_open2("guest", NULL, flags, 0, 0, ext4_io_bind(g->io), &g->fs);
	if (rc) {
		g->fs = NULL;
		return ext4_error(g, rc, e, "superblock");
	}
	op_set_time(&g->common, 0);
	if (!g->writable)
		return 0;
	rc = ext2fs_check_desc(g->fs);
	if (rc)
		return ext4_error(g, rc, e, "group descriptors");
	g->fs->default_bitmap_type = EXT2FS_BMAP64_BITARRAY;
	rc = ext2fs_read_bitmaps(g->fs);
	if (rc)
		return ext4_error(g, rc, e, "bitmaps");
	g->free_at_open = ext2fs_free_blocks_count(g->fs->super);
	return 0;
}

static void uuid_text(const uint8_t *uuid, char out[37])
{
	char hex[33];

	hex_encode(uuid, 16, hex);
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* The journal's inode is found by the library, which must not write yet. */
static int replay_journal(struct ext4_fs *g, uint8_t sb[SB_LEN], struct err *e)
{
	bool writable = g->writable;
	uint32_t incompat;
	int rc;

	g->writable = false;
	rc = open_library(g, e);
	g->writable = writable;
	if (rc >= 0)
		rc = ext4_journal_replay(g, e);
	if (g->fs)
		ext2fs_free(g->fs);
	g->fs = NULL;
	/* It may have been in the journal, too. */
	if (rc >= 0)
		rc = ext4_io_read(g->io, sb, SB_LEN, SB_AT, e);
	if (rc < 0)
		return rc;
	incompat = le32_get(sb + SB_INCOMPAT) & ~(uint32_t)EXT3_FEATURE_INCOMPAT_RECOVER;
	le32_put(sb + SB_INCOMPAT, incompat);
	if (le32_get(sb + SB_RO_COMPAT) & EXT4_FEATURE_RO_COMPAT_METADATA_CSUM)
		le32_put(sb + SB_CHECKSUM, ext2fs_crc32c_le(~0u, sb, SB_CHECKSUM));
	return ext4_io_write(g->io, sb, SB_LEN, SB_AT, e);
}

/* After a crash the sums in the superblock are older than those of the groups. */
static void count_free(struct ext4_fs *g)
{
	uint64_t blocks = 0, inodes = 0;

	for (dgrp_t i = 0; i < g->fs->group_desc_count; i++) {
		blocks += ext2fs_bg_free_blocks_count(g->fs, i);
		inodes += ext2fs_bg_free_inodes_count(g->fs, i);
	}
	ext2fs_free_blocks_count_set(g->fs->super, EXT2FS_C2B(g->fs, blocks));
	g->fs->super->s_free_inodes_count = (uint32_t)inodes;
	g->free_at_open = ext2fs_free_blocks_count(g->fs->super);
	ext2fs_mark_super_dirty(g->fs);
	g->changed = true;
}

static int fs_open(struct ext4_fs *g, struct image *im, uint64_t start, uint64_t length,
		   unsigned flags, struct err *e)
{
	uint8_t sb[SB_LEN];
	bool replay;
	int rc;

	rc = ext4_io_new(im, start, length, &g->io, e);
	if (rc < 0)
		return rc;
	if (length < SB_AT + SB_LEN)
		return err_set(e, ENOTSUP, "no ext2, ext3 or ext4 file system");
	rc = ext4_io_read(g->io, sb, sizeof(sb), SB_AT, e);
	if (rc >= 0)
		rc = check_super(sb, length, e);
	replay = rc >= 0 && g->writable && (flags & GUEST_FS_REPLAY) &&
		 (le32_get(sb + SB_INCOMPAT) & EXT3_FEATURE_INCOMPAT_RECOVER);
	if (replay)
		rc = replay_journal(g, sb, e);
	if (rc >= 0 && replay)
		rc = check_super(sb, length, e);
	if (rc >= 0 && g->writable)
		rc = check_writable(g, sb, e);
	if (rc < 0)
		return rc;
	uuid_text(sb + SB_UUID, g->common.uuid);
	/* Descriptors and bitmaps: a few blocks a group. */
	ext4_io_budget(g->io,
		       BUDGET_BASE + 4 * (sb_blocks(sb) / le32_get(sb + SB_BLOCKS_PER_GROUP)));
	rc = open_library(g, e);
	if (rc >= 0 && replay)
		count_free(g);
	return rc;
}

static void op_close(struct guest_fs *common)
{
	struct ext4_fs *g = ext4_of(common);

	if (g->fs)
		ext2fs_free(g->fs);
	ext4_io_free(g->io);
	free(g);
}

/* libext2fs takes 0 for "ask the clock", so 0 becomes the last time the file system knows. */
static void op_set_time(struct guest_fs *common, int64_t now)
{
	struct ext4_fs *g = ext4_of(common);
	const struct ext2_super_block *sb = g->fs->super;

	if (now <= 0)
		now = MAX(MAX(sb->s_wtime, sb->s_mtime), MAX(sb->s_mkfs_time, UINT32_C(1)));
	g->fs->now = (time_t)MIN(now, (int64_t)INT32_MAX);
}

static int op_commit(struct guest_fs *common, struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	errcode_t rc;
	int err;

	if (!g->writable)
		return err_set(e, EROFS, "the file system was opened for reading");
	if (g->broken)
		return err_set(e, EIO, "an earlier change failed: nothing is written");
	if (!g->changed)
		return 0;
	ext4_io_budget(g->io, UINT64_MAX);
	rc = ext2fs_flush2(g->fs, 0);
	if (rc) {
		g->broken = true;
		return ext4_error(g, rc, e, "writing back");
	}
	err = ext4_io_commit(g->io, e);
	if (err < 0) {
		g->broken = true;
		return err;
	}
	g->changed = false;
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int op_stat(struct guest_fs *common, const char *path, bool follow, struct guest_stat *ret,
		   struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	AUTO(ext4_path_release) struct ext4_path p;
	struct ext2_inode inode;
	int rc;

	ext4_begin(g, 0);
	rc = ext4_path_resolve(g, path, follow ? EXT4_FOLLOW : 0, &p, e);
	if (rc >= 0)
		rc = ext4_inode_get(g, p.ino, &inode, e);
	if (rc < 0)
		return rc;
	ext4_inode_stat(p.ino, &inode, ret);
	return 0;
}

int ext4_file_find(struct ext4_fs *g, const char *path, ext2_ino_t *ret, struct ext2_inode *inode,
		   struct err *e)
{
	AUTO(ext4_path_release) struct ext4_path p;
	int rc = ext4_path_resolve(g, path, EXT4_FOLLOW, &p, e);

	if (rc >= 0)
		rc = ext4_inode_get(g, p.ino, inode, e);
	if (rc < 0)
		return rc;
	*ret = p.ino;
	if (LINUX_S_ISDIR(inode->i_mode))
		return err_set(e, EISDIR, "'%s' is a folder", path);
	if (!LINUX_S_ISREG(inode->i_mode))
		return err_set(e, EINVAL, "'%s' is not a regular file", path);
	return 0;
}

static int op_read_file(struct guest_fs *common, const char *path, size_t limit, struct buf *out,
			struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	struct ext2_inode inode;
	ext2_ino_t ino;
	int rc;

	ext4_begin(g, limit);
	rc = ext4_file_find(g, path, &ino, &inode, e);
	if (rc < 0)
		return rc;
	rc = ext4_data_get(g, ino, &inode, limit, out, e);
	return rc < 0 ? err_wrap(e, "'%s'", path) : 0;
}

static int op_read_head(struct guest_fs *common, const char *path, size_t len, struct buf *out,
			struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	struct ext2_inode inode;
	ext2_ino_t ino;
	int rc;

	ext4_begin(g, len);
	rc = ext4_file_find(g, path, &ino, &inode, e);
	if (rc < 0)
		return rc;
	/* The copy of the inode is ours: a file cut short is read like one that is. */
	if (EXT2_I_SIZE(&inode) > len) {
		inode.i_size = (uint32_t)len;
		inode.i_size_high = (uint32_t)((uint64_t)len >> 32);
	}
	rc = ext4_data_get(g, ino, &inode, len, out, e);
	return rc < 0 ? err_wrap(e, "'%s'", path) : 0;
}

static int op_readlink(struct guest_fs *common, const char *path, struct buf *out, struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	AUTO(ext4_path_release) struct ext4_path p;
	struct ext2_inode inode;
	int rc;

	ext4_begin(g, 0);
	rc = ext4_path_resolve(g, path, 0, &p, e);
	if (rc >= 0)
		rc = ext4_inode_get(g, p.ino, &inode, e);
	if (rc < 0)
		return rc;
	if (!LINUX_S_ISLNK(inode.i_mode))
		return err_set(e, EINVAL, "'%s' is not a symbolic link", path);
	rc = ext4_link_target(g, p.ino, &inode, out, e);
	return rc < 0 ? err_wrap(e, "'%s'", path) : 0;
}

static int op_realpath(struct guest_fs *common, const char *path, char **ret, struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	AUTO(ext4_path_release) struct ext4_path p;
	int rc;

	ext4_begin(g, 0);
	rc = ext4_path_resolve(g, path, EXT4_FOLLOW, &p, e);
	if (rc < 0)
		return rc;
	*ret = STEAL(p.real);
	return 0;
}

struct listing {
	struct ext4_fs *g;
	int (*fn)(void *ctx, const char *name, const struct guest_stat *st);
	void *ctx;
};

static int list_slot(void *ctx, const struct ext4_slot *s, struct err *e)
{
	struct listing *l = ctx;
	char name[EXT4_NAME_LIMIT + 1];
	struct ext2_inode inode;
	struct guest_stat st;
	int rc;

	memcpy(name, s->name, s->name_len);
	name[s->name_len] = '\0';
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	rc = ext4_inode_get(l->g, s->ino, &inode, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", name);
	ext4_inode_stat(s->ino, &inode, &st);
	return l->fn(l->ctx, name, &st);
}

static int op_list(struct guest_fs *common, const char *path,
		   int (*fn)(void *ctx, const char *name, const struct guest_stat *st), void *ctx,
		   struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	AUTO(ext4_path_release) struct ext4_path p;
	struct listing l = {.g = g, .fn = fn, .ctx = ctx};
	int rc;

	ext4_begin(g, 0);
	rc = ext4_path_resolve(g, path, EXT4_FOLLOW, &p, e);
	return rc < 0 ? rc : ext4_dir_walk(g, p.ino, list_slot, &l, e);
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct guest_fs_ops ext4_ops = {
	.close = op_close,
	.stat = op_stat,
	.read_file = op_read_file,
	.read_head = op_read_head,
	.file_open = ext4_op_file_open,
	.file_close = ext4_op_file_close,
	.file_read = ext4_op_file_read,
	.readlink = op_readlink,
	.realpath = op_realpath,
	.list = op_list,
	.set_time = op_set_time,
	.write_file = ext4_op_write_file,
	.mkdir = ext4_op_mkdir,
	.set_xattr = ext4_op_set_xattr,
	.get_xattr = ext4_op_get_xattr,
	.symlink = ext4_op_symlink,
	.remove = ext4_op_remove,
	.commit = op_commit,
};

int guest_fs_open(struct image *im, uint64_t start, uint64_t length, unsigned flags,
		  struct guest_fs **ret, struct err *e)
{
	struct ext4_fs *g = calloc(1, sizeof(*g));
	AUTO(guest_fs_close) struct guest_fs *fs = NULL;
	int rc;

	if (!g)
		return err_nomem(e);
	fs = &g->common;
	fs->ops = &ext4_ops;
	fs->keeps_owners = true;
	pthread_once(&once, init_messages);
	g->writable = flags & GUEST_FS_WRITE;
	rc = fs_open(g, im, start, length, flags, e);
	if (rc < 0)
		return err_wrap(e, "'%s': file system at 0x%" PRIx64, image_name(im), start);
	*ret = STEAL(fs);
	return 0;
}
