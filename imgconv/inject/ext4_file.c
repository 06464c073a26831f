/* SPDX-License-Identifier: Apache-2.0 */
/* A file of ext2/3/4 read in pieces, so that a large one needs no memory of its size. */
#include "imgconv/inject/ext4_priv.h"

#define PIECE_ALIGN (64 * KIB) /* the largest block */

struct ext4_file {
	struct guest_file common;
	struct ext4_fs *g;
	ext2_ino_t ino;
	struct ext2_inode inode;
	char *path;        /* for messages */
	struct buf inside; /* all of it, if it lies inside its inode */
	bool is_inside;
};

static void ext4_file_free(struct ext4_file *f)
{
	if (!f)
		return;
	buf_release(&f->inside);
	free(f->path);
	free(f);
}
DEFINE_AUTO(struct ext4_file *, ext4_file_free);

int ext4_op_file_open(struct guest_fs *common, const char *path, struct guest_file **ret,
		      struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	AUTO(ext4_file_free) struct ext4_file *f = calloc(1, sizeof(*f));
	int rc;

	if (!f)
		return err_nomem(e);
	f->g = g;
	f->path = strdup(path);
	if (!f->path)
		return err_nomem(e);
	ext4_begin(g, 0);
	rc = ext4_file_find(g, path, &f->ino, &f->inode, e);
	if (rc < 0)
		return rc;
	if (f->inode.i_flags & EXT4_ENCRYPT_FL)
		return err_set(e, ENOTSUP, "'%s': inode %u is encrypted", path, f->ino);
	if (f->inode.i_flags & EXT4_INLINE_DATA_FL) {
		f->is_inside = true;
		rc = ext4_data_get(g, f->ino, &f->inode, PIECE_ALIGN, &f->inside, e);
		if (rc < 0)
			return err_wrap(e, "'%s'", path);
	}
	f->common.size = EXT2_I_SIZE(&f->inode);
	*ret = &STEAL(f)->common;
	return 0;
}

void ext4_op_file_close(struct guest_file *f)
{
	ext4_file_free((struct ext4_file *)f);
}

int ext4_op_file_read(struct guest_file *common, void *buf, size_t len, uint64_t off, size_t *ret,
		      struct err *e)
{
	struct ext4_file *f = (struct ext4_file *)common;
	uint64_t size = f->common.size;
	int rc;

	if (off % PIECE_ALIGN)
		return err_set(e, EINVAL, "'%s': a piece begins at 0x%llx", f->path,
			       (unsigned long long)off);
	len = off < size ? (size_t)MIN((uint64_t)len, size - off) : 0;
	*ret = len;
	if (!len)
		return 0;
	if (f->is_inside) {
		memcpy(buf, f->inside.data + off, len);
		return 0;
	}
	memset(buf, 0, len);
	ext4_begin(f->g, len);
	rc = ext4_blocks_get(f->g, f->ino, &f->inode, off / f->g->fs->blocksize, len, buf, e);
	return rc < 0 ? err_wrap(e, "'%s'", f->path) : 0;
}
