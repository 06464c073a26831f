/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes of ext2/3/4 and the data they map. libext2fs is asked for one logical block at a time, so
 * that a hostile extent or indirect tree can cost no more than the file's size says.
 */
#include <inttypes.h>

#include "imgconv/inject/ext4_priv.h"

/* struct ext4_extent_header, in the first bytes of i_block (Linux, ext4 disk layout, "Extent Tree")
 */
#define EH_MAGIC 0xf30a
#define EH_OFF_MAGIC 0
#define EH_OFF_ENTRIES 2
#define EH_OFF_MAX 4
#define EH_OFF_DEPTH 6
#define EH_ROOT_ENTRIES 4

static int check_extent_root(ext2_ino_t ino, const struct ext2_inode *inode, struct err *e)
{
	const uint8_t *eh = (const uint8_t *)inode->i_block;

	if (le16_get(eh + EH_OFF_MAGIC) != EH_MAGIC ||
	    le16_get(eh + EH_OFF_DEPTH) > EXT4_EXTENT_DEPTH_MAX ||
	    le16_get(eh + EH_OFF_ENTRIES) > EH_ROOT_ENTRIES ||
	    le16_get(eh + EH_OFF_MAX) > EH_ROOT_ENTRIES)
		return err_set(e, EBADMSG, "inode %u has a damaged extent tree", ino);
	return 0;
}

int ext4_inode_get(struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode *ret, struct err *e)
{
	const struct ext2_super_block *sb = g->fs->super;
	errcode_t rc;

	if (!ino || ino > sb->s_inodes_count ||
	    (ino < EXT2_FIRST_INO(g->fs->super) && ino != EXT2_ROOT_INO))
		return err_set(e, EBADMSG, "inode number %u is not a file's", ino);
	if (g->writable && !ext2fs_test_inode_bitmap2(g->fs->inode_map, ino))
		return err_set(e, EBADMSG, "inode %u is used in a folder but marked free", ino);
	rc = ext2fs_read_inode(g->fs, ino, ret);
	if (rc)
		return ext4_error(g, rc, e, "inode %u", ino);
	if (!ret->i_links_count)
		return err_set(e, EBADMSG, "inode %u is used in a folder but was deleted", ino);
	if ((ret->i_flags & EXT4_EXTENTS_FL) && !(ret->i_flags & EXT4_INLINE_DATA_FL))
		return check_extent_root(ino, ret, e);
	return 0;
}

void ext4_inode_stat(ext2_ino_t ino, const struct ext2_inode *inode, struct guest_stat *ret)
{
	*ret = (struct guest_stat){
		.ino = ino,
		.mode = inode->i_mode,
		.uid = inode->i_uid | (uint32_t)inode->osd2.linux2.l_i_uid_high << 16,
		.gid = inode->i_gid | (uint32_t)inode->osd2.linux2.l_i_gid_high << 16,
		.size = EXT2_I_SIZE(inode),
		.links = inode->i_links_count,
	};
}

int ext4_map(struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode *inode, uint64_t lblk,
	     blk64_t *ret, struct err *e)
{
	int flags = 0;
	errcode_t rc;

	*ret = 0;
	rc = ext2fs_bmap2(g->fs, ino, inode, NULL, 0, lblk, &flags, ret);
	if (rc)
		return ext4_error(g, rc, e, "block %" PRIu64 " of inode %u", lblk, ino);
	if (flags & BMAP_RET_UNINIT)
		*ret = 0;
	if (*ret &&
	    (*ret < g->fs->super->s_first_data_block || *ret >= ext2fs_blocks_count(g->fs->super)))
		return err_set(e, EBADMSG,
			       "block %" PRIu64 " of inode %u lies outside the file system", lblk,
			       ino);
	return 0;
}

int ext4_inline_get(struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode *inode, struct buf *out,
		    struct err *e)
{
	size_t size = 0, got = 0;
	errcode_t rc = ext2fs_inline_data_size(g->fs, ino, &size);

	if (rc)
		return ext4_error(g, rc, e, "data inside inode %u", ino);
	/* More than an inode's size cannot be inside it, however an attribute says so. */
	if (size > EXT2_INODE_SIZE(g->fs->super))
		return err_set(e, EBADMSG, "inode %u claims %zu bytes of data inside it", ino,
			       size);
	if (buf_reserve(out, size) < 0)
		return err_nomem(e);
	rc = ext2fs_inline_data_get(g->fs, ino, inode, out->data + out->len, &got);
	if (rc)
		return ext4_error(g, rc, e, "data inside inode %u", ino);
	out->len += got;
	out->data[out->len] = '\0';
	return 0;
}

int ext4_blocks_get(struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode *inode, uint64_t first,
		    size_t len, char *to, struct err *e)
{
	const uint64_t bs = g->fs->blocksize;
	const uint64_t n_blocks = div_up(len, bs);
	uint64_t run_first = 0, run_len = 0; /* block from `first` on, bytes */
	blk64_t run_at = 0, run_next = 0;

	for (uint64_t l = 0; l <= n_blocks; l++) {
		blk64_t at = 0;
		int rc = 0;

		if (l < n_blocks)
			rc = ext4_map(g, ino, inode, first + l, &at, e);
		if (rc < 0)
			return rc;
		if (run_len && (at != run_next || l == n_blocks)) {
			rc = ext4_io_read(g->io, to + run_first * bs, run_len, run_at * bs, e);
			if (rc < 0)
				return rc;
			run_len = 0;
		}
		if (!at)
			continue;
		if (!run_len) {
			run_first = l;
			run_at = at;
		}
		run_len += MIN(bs, len - l * bs);
		run_next = at + 1;
	}
	return 0;
}

int ext4_data_get(struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode *inode, uint64_t limit,
		  struct buf *out, struct err *e)
{
	const uint64_t size = EXT2_I_SIZE(inode);
	int rc;

	if (inode->i_flags & EXT4_ENCRYPT_FL)
		return err_set(e, ENOTSUP, "inode %u is encrypted", ino);
	if (size > limit || size > SIZE_MAX / 2)
		return err_set(e, EFBIG, "%" PRIu64 " bytes are over the limit of %" PRIu64, size,
			       limit);
	if (inode->i_flags & EXT4_INLINE_DATA_FL) {
		size_t before = out->len;

		rc = ext4_inline_get(g, ino, inode, out, e);
		if (rc < 0)
			return rc;
		if (out->len - before < size)
			return err_set(e, EBADMSG, "inode %u holds less data than its size", ino);
		out->len = before + size;
		out->data[out->len] = '\0';
		return 0;
	}
	if (buf_reserve(out, size) < 0)
		return err_nomem(e);
	memset(out->data + out->len, 0, size + 1);
	rc = ext4_blocks_get(g, ino, inode, 0, size, out->data + out->len, e);
	if (rc < 0)
		return rc;
	out->len += size;
	return 0;
}

int ext4_link_target(struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode *inode, struct buf *out,
		     struct err *e)
{
	const uint64_t size = EXT2_I_SIZE(inode);
	size_t before = out->len;
	int rc;

	if (!size || size > MAX(g->fs->blocksize, 4096u))
		return err_set(e, EBADMSG, "symbolic link %u has a target of %" PRIu64 " bytes",
			       ino, size);
	/* A short target lies in place of the block numbers. */
	if (!(inode->i_flags & (EXT4_INLINE_DATA_FL | EXT4_ENCRYPT_FL)) &&
	    size < sizeof(inode->i_block) && ext2fs_inode_data_blocks2(g->fs, inode) == 0)
		rc = buf_add(out, inode->i_block, size) < 0 ? err_nomem(e) : 0;
	else
		rc = ext4_data_get(g, ino, inode, size, out, e);
	if (rc < 0)
		return rc;
	if (memchr(out->data + before, '\0', size))
		return err_set(e, EBADMSG, "symbolic link %u has a NUL in its target", ino);
	return 0;
}

/* ---- before a change ----------------------------------------------------------------------- */

struct blocks_check {
	struct ext4_fs *g;
	ext2_ino_t ino;
	uint64_t max_lblk;
	uint64_t seen, limit;
	struct err *e;
	int rc;
};

static int check_block(ext2_filsys fs, blk64_t *nr, e2_blkcnt_t lblk, blk64_t ref, int ref_off,
		       void *ctx)
{
	struct blocks_check *c = ctx;

	(void)ref;
	(void)ref_off;
	if (*nr < fs->super->s_first_data_block || *nr >= ext2fs_blocks_count(fs->super))
		c->rc = err_set(c->e, EBADMSG, "inode %u maps a block outside the file system",
				c->ino);
	else if (!ext2fs_test_block_bitmap2(fs->block_map, *nr))
		c->rc = err_set(c->e, EBADMSG, "inode %u uses block %llu, which is marked free",
				c->ino, (unsigned long long)*nr);
	else if (++c->seen > c->limit)
		c->rc = err_set(c->e, EBADMSG, "inode %u maps blocks more than once", c->ino);
	else if (c->max_lblk && lblk >= 0 && (uint64_t)lblk >= c->max_lblk)
		c->rc = err_set(c->e, EBADMSG, "inode %u maps blocks past its end", c->ino);
	return c->rc < 0 ? BLOCK_ABORT : 0;
}

int ext4_blocks_check(struct ext4_fs *g, ext2_ino_t ino, uint64_t max_lblk, struct err *e)
{
	struct blocks_check c = {
		.g = g,
		.ino = ino,
		.max_lblk = max_lblk,
		.limit = ext2fs_blocks_count(g->fs->super),
		.e = e,
	};
	errcode_t rc;

	/* Folders are walked again and again: an index block for every data block is plenty. */
	if (max_lblk)
		c.limit = 2 * max_lblk + 16;
	rc = ext2fs_block_iterate3(g->fs, ino, BLOCK_FLAG_READ_ONLY, NULL, check_block, &c);
	if (c.rc < 0)
		return c.rc;
	if (rc)
		return ext4_error(g, rc, e, "blocks of inode %u", ino);
	return 0;
}
