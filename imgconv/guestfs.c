/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv/guestfs.h: each call goes to the implementation that opened the file system. */
#include "imgconv/guestfs_ops.h"

void guest_fs_close(struct guest_fs *fs)
{
	if (fs)
		fs->ops->close(fs);
}

const char *guest_fs_uuid(const struct guest_fs *fs)
{
	return fs->uuid;
}

const char *guest_fs_volume(const struct guest_fs *fs)
{
	return fs->volume ? fs->volume : "";
}

bool guest_fs_keeps_owners(const struct guest_fs *fs)
{
	return fs->keeps_owners;
}

int guest_fs_stat(struct guest_fs *fs, const char *path, bool follow, struct guest_stat *ret,
		  struct err *e)
{
	return fs->ops->stat(fs, path, follow, ret, e);
}

int guest_fs_read_file(struct guest_fs *fs, const char *path, size_t limit, struct buf *out,
		       struct err *e)
{
	return fs->ops->read_file(fs, path, limit, out, e);
}

int guest_fs_read_head(struct guest_fs *fs, const char *path, size_t len, struct buf *out,
		       struct err *e)
{
	return fs->ops->read_head(fs, path, len, out, e);
}

int guest_file_open(struct guest_fs *fs, const char *path, struct guest_file **ret, struct err *e)
{
	int rc = fs->ops->file_open(fs, path, ret, e);

	if (rc >= 0)
		(*ret)->fs = fs;
	return rc;
}

void guest_file_close(struct guest_file *f)
{
	if (f)
		f->fs->ops->file_close(f);
}

uint64_t guest_file_size(const struct guest_file *f)
{
	return f->size;
}

int guest_file_read(struct guest_file *f, void *buf, size_t len, uint64_t off, size_t *ret,
		    struct err *e)
{
	return f->fs->ops->file_read(f, buf, len, off, ret, e);
}

int guest_fs_readlink(struct guest_fs *fs, const char *path, struct buf *out, struct err *e)
{
	return fs->ops->readlink(fs, path, out, e);
}

int guest_fs_realpath(struct guest_fs *fs, const char *path, char **ret, struct err *e)
{
	return fs->ops->realpath(fs, path, ret, e);
}

int guest_fs_list(struct guest_fs *fs, const char *path,
		  int (*fn)(void *ctx, const char *name, const struct guest_stat *st), void *ctx,
		  struct err *e)
{
	return fs->ops->list(fs, path, fn, ctx, e);
}

void guest_fs_set_time(struct guest_fs *fs, int64_t now)
{
	fs->ops->set_time(fs, now);
}

int guest_fs_write_file(struct guest_fs *fs, const char *path, const void *data, size_t len,
			const struct overlay_attr *a, struct err *e)
{
	return fs->ops->write_file(fs, path, data, len, a, e);
}

int guest_fs_mkdir(struct guest_fs *fs, const char *path, const struct overlay_attr *a,
		   struct err *e)
{
	return fs->ops->mkdir(fs, path, a, e);
}

int guest_fs_set_xattr(struct guest_fs *fs, const char *path, const char *key, const void *value,
		       size_t len, struct err *e)
{
	return fs->ops->set_xattr(fs, path, key, value, len, e);
}

int guest_fs_get_xattr(struct guest_fs *fs, const char *path, const char *key, struct buf *out,
		       struct err *e)
{
	return fs->ops->get_xattr(fs, path, key, out, e);
}

int guest_fs_symlink(struct guest_fs *fs, const char *path, const char *target, struct err *e)
{
	return fs->ops->symlink(fs, path, target, e);
}

int guest_fs_remove(struct guest_fs *fs, const char *path, struct err *e)
{
	return fs->ops->remove(fs, path, e);
}

int guest_fs_commit(struct guest_fs *fs, struct err *e)
{
	return fs->ops->commit(fs, e);
}
