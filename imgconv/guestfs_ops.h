/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an implementation of imgconv/guestfs.h fills. Each function does what that header says of
 * the one of its name.
 */
#ifndef IMGCONV_GUESTFS_OPS_H
#define IMGCONV_GUESTFS_OPS_H

#include "imgconv/guestfs.h"

struct guest_fs_ops {
	void (*close)(struct guest_fs *fs);
	int (*stat)(struct guest_fs *fs, const char *path, bool follow, struct guest_stat *ret,
		    struct err *e);
	int (*read_file)(struct guest_fs *fs, const char *path, size_t limit, struct buf *out,
			 struct err *e);
	int (*read_head)(struct guest_fs *fs, const char *path, size_t len, struct buf *out,
			 struct err *e);
	/* Fills the common part but for fs. */
	int (*file_open)(struct guest_fs *fs, const char *path, struct guest_file **ret,
			 struct err *e);
	void (*file_close)(struct guest_file *f);
	int (*file_read)(struct guest_file *f, void *buf, size_t len, uint64_t off, size_t *ret,
			 struct err *e);
	int (*readlink)(struct guest_fs *fs, const char *path, struct buf *out, struct err *e);
	int (*realpath)(struct guest_fs *fs, const char *path, char **ret, struct err *e);
	int (*list)(struct guest_fs *fs, const char *path,
		    int (*fn)(void *ctx, const char *name, const struct guest_stat *st), void *ctx,
		    struct err *e);
	void (*set_time)(struct guest_fs *fs, int64_t now);
	int (*write_file)(struct guest_fs *fs, const char *path, const void *data, size_t len,
			  const struct overlay_attr *a, struct err *e);
	int (*mkdir)(struct guest_fs *fs, const char *path, const struct overlay_attr *a,
		     struct err *e);
	int (*set_xattr)(struct guest_fs *fs, const char *path, const char *key, const void *value,
			 size_t len, struct err *e);
	int (*get_xattr)(struct guest_fs *fs, const char *path, const char *key, struct buf *out,
			 struct err *e);
	int (*symlink)(struct guest_fs *fs, const char *path, const char *target, struct err *e);
	int (*remove)(struct guest_fs *fs, const char *path, struct err *e);
	int (*commit)(struct guest_fs *fs, struct err *e);
};

/* First member of an implementation's own. */
struct guest_fs {
	const struct guest_fs_ops *ops;
	char uuid[40];
	char *volume; /* NULL: none */
	bool keeps_owners;
};

struct guest_file {
	struct guest_fs *fs;
	uint64_t size;
};

#endif
