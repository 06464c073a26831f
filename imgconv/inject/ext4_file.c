/* SPDX-License-Identifier: Apache-2.0 */
/* A file of ext2/3/4 read in pieces, so that a large one needs no memory of its size. */
#include "imgconv/inject/ext4_priv.h"

#define PIECE_ALIGN (64 * KIB) /* the largest block */

struct guest_file {
	struct guest_fs *g;
	ext2_ino_t ino;
	struct ext2_inode inode;
	char *path;        /* for messages */
	struct buf inside; /* all of it, if it lies inside its inode */
	bool is_inside;
};

int guest_file_open(struct guest_fs *g, const char *path, struct guest_file **ret, struct err *e)
{
	AUTO(guest_file_close) struct guest_file *f = calloc(1, sizeof(*f));
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
	*ret = STEAL(f);
	return 0;
}

void guest_file_close(struct guest_file *f)
{
	buf_release(&f->inside);
	free(f->path);
	free(f);
}

uint64_t guest_file_size(const struct guest_file *f)
{
	return EXT2_I_SIZE(&f->inode);
}

int guest_file_read(struct guest_file *f, void *buf, size_t len, uint64_t off, size_t *ret,
		    struct err *e)
{
	uint64_t size = guest_file_size(f);
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
