/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imgconv/guestfs.h for ext2, ext3 and ext4: changes. Everything happens on the layer of
 * ext4_io.c; a change that fails half way leaves the layer unusable, never the image.
 *
 * A new file, folder or link takes its SELinux label from what it replaces, else from the folder
 * it is put into, as the guest's own kernel would without a rule of the policy.
 */
#include <inttypes.h>
#include <stdio.h>

#include "imgconv/inject/ext4_priv.h"

#define LINKS_MAX 65000 /* EXT4_LINK_MAX: past it a folder's count is 1, for "many" */
#define REMOVE_DEPTH_MAX 512
#define SELINUX_KEY "security.selinux"

/* ---- common to all changes ------------------------------------------------------------------- */

static int begin_change(struct ext4_fs *g, uint64_t bytes, struct err *e)
{
	if (!g->writable)
		return err_set(e, EROFS, "the file system was opened for reading");
	if (g->broken)
		return err_set(e, EIO, "an earlier change failed");
	ext4_begin(g, bytes);
	return 0;
}

/* What is reserved for the guest's root user stays reserved. */
static int check_space(struct ext4_fs *g, uint64_t more_blocks, struct err *e)
{
	uint64_t free_now = ext2fs_free_blocks_count(g->fs->super);
	uint64_t reserved = ext2fs_r_blocks_count(g->fs->super);

	if (free_now >= g->free_at_open && !more_blocks)
		return 0;
	if (more_blocks > free_now || free_now - more_blocks < reserved)
		return err_set(e, ENOSPC,
			       "the file system is full: %" PRIu64 " of %" PRIu64
			       " free blocks are reserved, %" PRIu64 " more are needed",
			       MIN(reserved, free_now), free_now,
			       more_blocks ? more_blocks : reserved - free_now);
	return 0;
}

/* Ends a change: whatever went wrong in the middle makes the layer unusable. */
static int end_change(struct ext4_fs *g, int rc, const char *path, struct err *e)
{
	if (rc >= 0)
		rc = check_space(g, 0, e);
	if (rc < 0) {
		g->broken = true;
		return err_wrap(e, "'%s'", path);
	}
	g->changed = true;
	return 0;
}

static int check_flags(const struct ext2_inode *inode, const char *path, struct err *e)
{
	if (inode->i_flags & EXT2_IMMUTABLE_FL)
		return err_set(e, EPERM, "'%s' is immutable (chattr +i)", path);
	if (inode->i_flags & EXT2_APPEND_FL)
		return err_set(e, EPERM, "'%s' is append-only (chattr +a)", path);
	if (inode->i_flags & EXT4_ENCRYPT_FL)
		return err_set(e, ENOTSUP, "'%s' is encrypted", path);
	if (inode->i_flags & EXT4_VERITY_FL)
		return err_set(e, ENOTSUP, "'%s' is protected by fs-verity", path);
	return 0;
}

/* A folder that may be changed; one that lies inside its inode is given a block first. */
static int open_parent(struct ext4_fs *g, ext2_ino_t dir, const char *path, struct err *e)
{
	struct ext2_inode inode;
	errcode_t err;
	int rc = ext4_inode_get(g, dir, &inode, e);

	if (rc >= 0)
		rc = check_flags(&inode, path, e);
	if (rc < 0)
		return rc;
	if (inode.i_flags & EXT4_CASEFOLD_FL)
		return err_set(e, ENOTSUP, "'%s' lies in a case-folded folder", path);
	rc = ext4_dir_check(g, dir, e);
	if (rc < 0 || !(inode.i_flags & EXT4_INLINE_DATA_FL))
		return rc;
	err = ext2fs_expand_dir(g->fs, dir);
	if (err) {
		g->broken = true;
		return ext4_error(g, err, e, "folder of '%s'", path);
	}
	return 0;
}

static int touch(struct ext4_fs *g, ext2_ino_t ino, struct err *e)
{
	struct ext2_inode inode;
	errcode_t rc = ext2fs_read_inode(g->fs, ino, &inode);

	if (!rc) {
		inode.i_mtime = inode.i_ctime = (uint32_t)g->fs->now;
		rc = ext2fs_write_inode(g->fs, ino, &inode);
	}
	return rc ? ext4_error(g, rc, e, "inode %u", ino) : 0;
}

/* ---- entries --------------------------------------------------------------------------------- */

static int add_entry(struct ext4_fs *g, ext2_ino_t dir, const char *name, ext2_ino_t ino, int type,
		     struct err *e)
{
	errcode_t rc = ext2fs_link(g->fs, dir, name, ino, type);

	if (rc == EXT2_ET_DIR_NO_SPACE) {
		rc = ext2fs_expand_dir(g->fs, dir);
		if (!rc)
			rc = ext2fs_link(g->fs, dir, name, ino, type);
	}
	return rc ? ext4_error(g, rc, e, "entering '%s'", name) : 0;
}

struct entry_edit {
	struct ext4_fs *g;
	ext2_ino_t dir;
	const char *name;
	ext2_ino_t new_ino; /* 0: the entry is taken out */
	int new_type;
};

static int edit_slot(void *ctx, const struct ext4_slot *s, struct err *e)
{
	struct entry_edit *x = ctx;
	struct ext2_dir_entry *de, *prev;
	unsigned len = 0, prev_len = 0;
	ext2_filsys fs = x->g->fs;
	errcode_t rc;

	if (s->name_len != strlen(x->name) || memcmp(s->name, x->name, s->name_len) != 0)
		return 0;
	if (!s->block)
		return err_set(e, EBADMSG, "folder %u lies inside its inode", x->dir);
	de = (struct ext2_dir_entry *)(s->block + s->offset);
	if (x->new_ino) {
		de->inode = x->new_ino;
		if (ext2fs_has_feature_filetype(fs->super))
			ext2fs_dirent_set_file_type(de, x->new_type);
	} else if (s->before >= 0) {
		prev = (struct ext2_dir_entry *)(s->block + s->before);
		ext2fs_get_rec_len(fs, de, &len);
		ext2fs_get_rec_len(fs, prev, &prev_len);
		ext2fs_set_rec_len(fs, prev_len + len, prev);
	} else {
		de->inode = 0;
	}
	rc = ext2fs_write_dir_block4(fs, s->block_nr, s->block, 0, x->dir);
	return rc ? ext4_error(x->g, rc, e, "folder %u", x->dir) : 1;
}

/* Lets the entry point to another inode, or takes it out (new_ino 0). Needs no space. */
static int edit_entry(struct ext4_fs *g, ext2_ino_t dir, const char *name, ext2_ino_t new_ino,
		      int type, struct err *e)
{
	struct entry_edit x = {
		.g = g, .dir = dir, .name = name, .new_ino = new_ino, .new_type = type};
	int rc = ext4_dir_walk(g, dir, edit_slot, &x, e);

	if (rc < 0)
		return rc;
	return rc ? 0 : err_set(e, EBADMSG, "folder %u lost its entry '%s'", dir, name);
}

/* ---- labels ---------------------------------------------------------------------------------- */

static int get_xattr(struct ext4_fs *g, ext2_ino_t ino, const char *key, struct buf *out,
		     struct err *e)
{
	struct ext2_xattr_handle *h = NULL;
	void *value = NULL;
	size_t len = 0;
	errcode_t rc;

	if (!ext2fs_has_feature_xattr(g->fs->super))
		return 0;
	rc = ext2fs_xattrs_open(g->fs, ino, &h);
	if (!rc)
		rc = ext2fs_xattrs_read(h);
	if (!rc)
		rc = ext2fs_xattr_get(h, key, &value, &len);
	if (h)
		ext2fs_xattrs_close(&h);
	if (rc == EXT2_ET_EA_KEY_NOT_FOUND)
		return 0;
	if (rc)
		return ext4_error(g, rc, e, "attributes of inode %u", ino);
	if (buf_add(out, value, len) < 0)
		rc = ENOMEM;
	ext2fs_free_mem(&value);
	return rc ? err_nomem(e) : 1;
}

static int get_label(struct ext4_fs *g, ext2_ino_t ino, struct buf *out, struct err *e)
{
	return get_xattr(g, ino, SELINUX_KEY, out, e);
}

int ext4_op_get_xattr(struct guest_fs *common, const char *path, const char *key, struct buf *out,
		      struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	AUTO(ext4_path_release) struct ext4_path p = {0};
	struct ext2_inode inode;
	int rc;

	ext4_begin(g, 0);
	rc = ext4_path_resolve(g, path, 0, &p, e);
	if (rc >= 0)
		rc = ext4_inode_get(g, p.ino, &inode, e);
	return rc < 0 ? rc : get_xattr(g, p.ino, key, out, e);
}

static int set_xattr(struct ext4_fs *g, ext2_ino_t ino, const char *key, const void *value,
		     size_t len, struct err *e)
{
	struct ext2_xattr_handle *h = NULL;
	errcode_t rc = ext2fs_xattrs_open(g->fs, ino, &h);

	if (!rc)
		rc = ext2fs_xattrs_read(h);
	if (!rc)
		rc = ext2fs_xattr_set(h, key, value, len);
	if (h)
		ext2fs_xattrs_close(&h);
	return rc ? ext4_error(g, rc, e, "attribute %s", key) : 0;
}

static int set_label(struct ext4_fs *g, ext2_ino_t ino, const struct buf *label, struct err *e)
{
	return label->len ? set_xattr(g, ino, SELINUX_KEY, label->data, label->len, e) : 0;
}

int ext4_op_set_xattr(struct guest_fs *common, const char *path, const char *key, const void *value,
		      size_t len, struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	AUTO(ext4_path_release) struct ext4_path p = {0};
	struct ext2_inode inode;
	int rc = begin_change(g, len, e);

	if (rc < 0)
		return rc;
	if (!ext2fs_has_feature_xattr(g->fs->super))
		return err_set(e, ENOTSUP, "the file system has no extended attributes");
	rc = ext4_path_resolve(g, path, 0, &p, e);
	if (rc >= 0)
		rc = ext4_inode_get(g, p.ino, &inode, e);
	if (rc >= 0)
		rc = check_flags(&inode, path, e);
	if (rc < 0)
		return rc;
	return end_change(g, set_xattr(g, p.ino, key, value, len, e), path, e);
}

static int label_for(struct ext4_fs *g, const struct ext4_path *p, struct buf *out, struct err *e)
{
	int rc = 0;

	if (p->ino)
		rc = get_label(g, p->ino, out, e);
	if (rc >= 0 && !out->len)
		rc = get_label(g, p->parent, out, e);
	return rc;
}

/* ---- giving back what an inode holds --------------------------------------------------------- */

static int free_inode(struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode_large *inode,
		      bool is_dir, struct err *e)
{
	struct ext2_inode *small = (struct ext2_inode *)inode;
	errcode_t err = ext2fs_free_ext_attr(g->fs, ino, inode);
	int rc;

	if (!err && ext2fs_inode_has_valid_blocks2(g->fs, small)) {
		rc = ext4_blocks_check(g, ino, 0, e);
		if (rc < 0)
			return rc;
		err = ext2fs_punch(g->fs, ino, small, NULL, 0, ~UINT64_C(0));
	}
	if (!err) {
		inode->i_links_count = 0;
		inode->i_dtime = (uint32_t)g->fs->now;
		err = ext2fs_write_inode_full(g->fs, ino, small, (int)sizeof(*inode));
	}
	if (err)
		return ext4_error(g, err, e, "freeing inode %u", ino);
	ext2fs_inode_alloc_stats2(g->fs, ino, -1, is_dir);
	return 0;
}

/* One name of the inode is gone: counts down, frees it with the last one. */
static int drop_inode(struct ext4_fs *g, ext2_ino_t ino, struct err *e)
{
	struct ext2_inode check;
	struct ext2_inode_large inode = {0};
	errcode_t err;
	bool is_dir;
	int rc = ext4_inode_get(g, ino, &check, e);

	if (rc < 0)
		return rc;
	err = ext2fs_read_inode_full(g->fs, ino, (struct ext2_inode *)&inode, sizeof(inode));
	if (err)
		return ext4_error(g, err, e, "inode %u", ino);
	is_dir = LINUX_S_ISDIR(inode.i_mode);
	if (is_dir || inode.i_links_count <= 1)
		return free_inode(g, ino, &inode, is_dir, e);
	inode.i_links_count--;
	inode.i_ctime = (uint32_t)g->fs->now;
	err = ext2fs_write_inode_full(g->fs, ino, (struct ext2_inode *)&inode, sizeof(inode));
	return err ? ext4_error(g, err, e, "inode %u", ino) : 0;
}

/* ---- writing a file -------------------------------------------------------------------------- */

static void set_owner(struct ext2_inode *inode, const struct overlay_attr *a)
{
	inode->i_uid = (uint16_t)a->uid;
	inode->osd2.linux2.l_i_uid_high = (uint16_t)(a->uid >> 16);
	inode->i_gid = (uint16_t)a->gid;
	inode->osd2.linux2.l_i_gid_high = (uint16_t)(a->gid >> 16);
}

static int new_file_inode(struct ext4_fs *g, ext2_ino_t dir, const struct overlay_attr *a,
			  ext2_ino_t *ret, struct err *e)
{
	struct ext2_inode inode = {
		.i_mode = (uint16_t)(LINUX_S_IFREG | (a->mode & 07777)),
		.i_links_count = 1,
	};
	ext2_extent_handle_t h = NULL;
	errcode_t rc;

	set_owner(&inode, a);
	rc = ext2fs_new_inode(g->fs, dir, inode.i_mode, NULL, ret);
	if (rc)
		return ext4_error(g, rc, e, "new inode");
	ext2fs_inode_alloc_stats2(g->fs, *ret, +1, 0);
	if (ext2fs_has_feature_extents(g->fs->super)) {
		inode.i_flags |= EXT4_EXTENTS_FL;
		rc = ext2fs_extent_open2(g->fs, *ret, &inode, &h);
		if (rc)
			return ext4_error(g, rc, e, "new extent tree");
		ext2fs_extent_free(h);
	}
	rc = ext2fs_write_new_inode(g->fs, *ret, &inode);
	return rc ? ext4_error(g, rc, e, "new inode") : 0;
}

static int fill_file(struct ext4_fs *g, ext2_ino_t ino, const char *data, size_t len, struct err *e)
{
	ext2_file_t f;
	errcode_t close_rc, rc = ext2fs_file_open(g->fs, ino, EXT2_FILE_WRITE, &f);

	if (rc)
		return ext4_error(g, rc, e, "inode %u", ino);
	while (len && !rc) {
		unsigned n = (unsigned)MIN(len, MIB), wrote = 0;

		rc = ext2fs_file_write(f, data, n, &wrote);
		if (!rc && !wrote)
			rc = EIO;
		data += wrote;
		len -= wrote;
	}
	close_rc = ext2fs_file_close(f);
	if (!rc)
		rc = close_rc;
	return rc ? ext4_error(g, rc, e, "writing its data") : 0;
}

static int check_replaced(struct ext4_fs *g, const struct ext4_path *p, const char *path,
			  struct err *e)
{
	struct ext2_inode old;
	int rc;

	if (!p->ino)
		return 0;
	rc = ext4_inode_get(g, p->ino, &old, e);
	if (rc < 0)
		return rc;
	if (LINUX_S_ISDIR(old.i_mode))
		return err_set(e, EISDIR, "'%s' is a folder", path);
	if (!LINUX_S_ISREG(old.i_mode) && !LINUX_S_ISLNK(old.i_mode))
		return err_set(e, EEXIST, "'%s' is neither a file nor a link", path);
	return check_flags(&old, path, e);
}

/* Puts ino where p points to, and lets go of what was there. */
static int install(struct ext4_fs *g, const struct ext4_path *p, ext2_ino_t ino, int type,
		   struct err *e)
{
	int rc;

	if (p->ino) {
		rc = edit_entry(g, p->parent, p->name, ino, type, e);
		if (rc >= 0)
			rc = drop_inode(g, p->ino, e);
	} else {
		rc = add_entry(g, p->parent, p->name, ino, type, e);
	}
	return rc < 0 ? rc : touch(g, p->parent, e);
}

int ext4_op_write_file(struct guest_fs *common, const char *path, const void *data, size_t len,
		       const struct overlay_attr *a, struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	AUTO(ext4_path_release) struct ext4_path p = {0};
	AUTO_BUF label = BUF_INIT;
	ext2_ino_t ino = 0;
	int rc = begin_change(g, len, e);

	if (rc < 0)
		return rc;
	if (len > EXT4_IO_LAYER_MAX)
		return err_set(e, EFBIG, "'%s': more than %" PRIu64 " MiB", path,
			       EXT4_IO_LAYER_MAX / MIB);
	rc = ext4_path_resolve(g, path, EXT4_MAY_LACK, &p, e);
	if (rc >= 0)
		rc = check_replaced(g, &p, path, e);
	if (rc < 0)
		return rc;
	rc = check_space(g, div_up(len, g->fs->blocksize), e);
	if (rc >= 0)
		rc = open_parent(g, p.parent, path, e);
	if (rc >= 0)
		rc = label_for(g, &p, &label, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", path);
	rc = new_file_inode(g, p.parent, a, &ino, e);
	if (rc >= 0)
		rc = fill_file(g, ino, data, len, e);
	if (rc >= 0)
		rc = set_label(g, ino, &label, e);
	if (rc >= 0)
		rc = install(g, &p, ino, EXT2_FT_REG_FILE, e);
	return end_change(g, rc, path, e);
}

/* ---- links and folders ----------------------------------------------------------------------- */

int ext4_op_symlink(struct guest_fs *common, const char *path, const char *target, struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	AUTO(ext4_path_release) struct ext4_path p = {0};
	AUTO_BUF label = BUF_INIT;
	ext2_ino_t ino = 0;
	errcode_t err;
	int rc = begin_change(g, 0, e);

	if (rc < 0)
		return rc;
	if (!target[0] || strlen(target) >= MIN(g->fs->blocksize, 4096u))
		return err_set(e, ENAMETOOLONG, "'%s': a target of %zu bytes", path,
			       strlen(target));
	rc = ext4_path_resolve(g, path, EXT4_MAY_LACK, &p, e);
	if (rc >= 0)
		rc = check_replaced(g, &p, path, e);
	if (rc >= 0)
		rc = open_parent(g, p.parent, path, e);
	if (rc >= 0)
		rc = label_for(g, &p, &label, e);
	if (rc < 0)
		return rc;
	/* Made without a name, so that replacing needs no second entry. */
	err = ext2fs_new_inode(g->fs, p.parent, LINUX_S_IFLNK | 0777, NULL, &ino);
	if (!err)
		err = ext2fs_symlink(g->fs, p.parent, ino, NULL, target);
	if (err)
		rc = ext4_error(g, err, e, "new symbolic link");
	if (rc >= 0)
		rc = set_label(g, ino, &label, e);
	if (rc >= 0)
		rc = install(g, &p, ino, EXT2_FT_SYMLINK, e);
	return end_change(g, rc, path, e);
}

/* A folder came (+1) or went (-1): its ".." is a link to the parent. */
static int count_subdir(struct ext4_fs *g, ext2_ino_t parent, int change, struct err *e)
{
	struct ext2_inode inode;
	errcode_t rc = ext2fs_read_inode(g->fs, parent, &inode);

	if (rc)
		return ext4_error(g, rc, e, "inode %u", parent);
	if (inode.i_links_count == 1)
		return 0;
	if (change > 0 && inode.i_links_count + 1 >= LINKS_MAX) {
		if (!ext2fs_has_feature_dir_nlink(g->fs->super))
			return err_set(e, EMLINK, "more than %d folders in one", LINKS_MAX - 2);
		inode.i_links_count = 1;
	} else if (change > 0 || inode.i_links_count > 2) {
		inode.i_links_count = (uint16_t)(inode.i_links_count + change);
	}
	rc = ext2fs_write_inode(g->fs, parent, &inode);
	return rc ? ext4_error(g, rc, e, "inode %u", parent) : 0;
}

static int new_dir(struct ext4_fs *g, ext2_ino_t parent, const struct overlay_attr *a,
		   ext2_ino_t *ret, struct err *e)
{
	struct ext2_inode inode, before;
	errcode_t rc = ext2fs_read_inode(g->fs, parent, &before);

	if (!rc)
		rc = ext2fs_new_inode(g->fs, parent, LINUX_S_IFDIR | 0755, NULL, ret);
	if (!rc)
		rc = ext2fs_mkdir(g->fs, parent, *ret, NULL);
	/* Without a name it has counted itself as linked all the same: count_subdir does that. */
	if (!rc)
		rc = ext2fs_write_inode(g->fs, parent, &before);
	if (!rc)
		rc = ext2fs_read_inode(g->fs, *ret, &inode);
	if (!rc) {
		inode.i_mode = (uint16_t)(LINUX_S_IFDIR | (a->mode & 07777));
		set_owner(&inode, a);
		rc = ext2fs_write_inode(g->fs, *ret, &inode);
	}
	return rc ? ext4_error(g, rc, e, "new folder") : 0;
}

int ext4_op_mkdir(struct guest_fs *common, const char *path, const struct overlay_attr *a,
		  struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	AUTO(ext4_path_release) struct ext4_path p = {0};
	AUTO_BUF label = BUF_INIT;
	ext2_ino_t ino = 0;
	int rc = begin_change(g, 0, e);

	if (rc < 0)
		return rc;
	rc = ext4_path_resolve(g, path, EXT4_MAY_LACK, &p, e);
	if (rc < 0)
		return rc;
	if (p.ino)
		return err_set(e, EEXIST, "'%s' exists", path);
	rc = open_parent(g, p.parent, path, e);
	if (rc >= 0)
		rc = label_for(g, &p, &label, e);
	if (rc < 0)
		return rc;
	rc = new_dir(g, p.parent, a, &ino, e);
	if (rc >= 0)
		rc = set_label(g, ino, &label, e);
	if (rc >= 0)
		rc = install(g, &p, ino, EXT2_FT_DIR, e);
	if (rc >= 0)
		rc = count_subdir(g, p.parent, +1, e);
	return end_change(g, rc, path, e);
}

/* ---- removing -------------------------------------------------------------------------------- */

struct children {
	ext2_ino_t *list;
	size_t n, cap;
};

static int collect_child(void *ctx, const struct ext4_slot *s, struct err *e)
{
	struct children *c = ctx;

	if ((s->name_len == 1 && s->name[0] == '.') ||
	    (s->name_len == 2 && s->name[0] == '.' && s->name[1] == '.'))
		return 0;
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		ext2_ino_t *list = realloc(c->list, cap * sizeof(*list));

		if (!list)
			return err_nomem(e);
		c->list = list;
		c->cap = cap;
	}
	c->list[c->n++] = s->ino;
	return 0;
}

/* The folders that we are in, so that a circle is noticed. */
struct remove_walk {
	struct ext4_fs *g;
	const char *path;
	ext2_ino_t above[REMOVE_DEPTH_MAX];
	unsigned depth;
};

static int remove_inode(struct remove_walk *w, ext2_ino_t ino, struct err *e);

static int remove_children(struct remove_walk *w, ext2_ino_t dir, struct err *e)
{
	struct children c = {0};
	int rc = ext4_dir_walk(w->g, dir, collect_child, &c, e);

	for (size_t i = 0; i < c.n && rc >= 0; i++)
		rc = remove_inode(w, c.list[i], e);
	free(c.list);
	return rc;
}

static int remove_inode(struct remove_walk *w, ext2_ino_t ino, struct err *e)
{
	struct ext2_inode inode;
	int rc = ext4_inode_get(w->g, ino, &inode, e);

	if (rc >= 0)
		rc = check_flags(&inode, w->path, e);
	if (rc < 0)
		return rc;
	/* Each inode has its own share, two reads or writes for each of its blocks. */
	ext4_begin(w->g, MIN(EXT2_I_SIZE(&inode), 64 * GIB) / 8);
	if (LINUX_S_ISDIR(inode.i_mode)) {
		for (unsigned i = 0; i < w->depth; i++) {
			if (w->above[i] == ino)
				return err_set(e, EBADMSG, "folder %u lies inside itself", ino);
		}
		if (w->depth == REMOVE_DEPTH_MAX)
			return err_set(e, EBADMSG, "folders nested more than %d deep",
				       REMOVE_DEPTH_MAX);
		w->above[w->depth++] = ino;
		rc = remove_children(w, ino, e);
		w->depth--;
		if (rc < 0)
			return rc;
		ext4_begin(w->g, MIN(EXT2_I_SIZE(&inode), 64 * GIB) / 8);
	}
	return drop_inode(w->g, ino, e);
}

int ext4_op_remove(struct guest_fs *common, const char *path, struct err *e)
{
	struct ext4_fs *g = ext4_of(common);
	AUTO(ext4_path_release) struct ext4_path p = {0};
	struct remove_walk w = {.g = g, .path = path};
	struct ext2_inode inode;
	bool is_dir;
	int rc = begin_change(g, 0, e);

	if (rc < 0)
		return rc;
	rc = ext4_path_resolve(g, path, 0, &p, e);
	if (rc >= 0)
		rc = ext4_inode_get(g, p.ino, &inode, e);
	if (rc < 0)
		return rc;
	if (p.ino == EXT2_ROOT_INO)
		return err_set(e, EPERM, "'%s' is the root folder", path);
	is_dir = LINUX_S_ISDIR(inode.i_mode);
	rc = check_flags(&inode, path, e);
	if (rc >= 0)
		rc = open_parent(g, p.parent, path, e);
	if (rc < 0)
		return rc;
	rc = edit_entry(g, p.parent, p.name, 0, 0, e);
	if (rc >= 0)
		rc = remove_inode(&w, p.ino, e);
	ext4_begin(g, 0);
	if (rc >= 0)
		rc = touch(g, p.parent, e);
	if (rc >= 0 && is_dir)
		rc = count_subdir(g, p.parent, -1, e);
	return end_change(g, rc, path, e);
}
