/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imgconv/guestfs.h by requests to libguestfs: files. All paths are resolved in the machine, below the
 * guest's root. What replaces a file is made under another name beside it, and renamed.
 */
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "imgconv/inject/appliance_priv.h"
#include "lib/str.h"

#define SELINUX_KEY "security.selinux"
#define READ_PIECE (2 * MIB)
#define STATS_AT_ONCE 256u /* names */
#define NAME_LIMIT 255u
#define TARGET_LIMIT 4095u
#define STAT_NUMBERS 6

/* ---- paths ----------------------------------------------------------------------------------- */

/* The path as the guest spells it; the caller's. */
static int spelt(struct appliance *a, const char *path, char **ret, struct err *e)
{
	struct wire_reader r;

	if (path[0] != '/')
		return err_set(e, EINVAL, "'%s' is not an absolute path", path);
	*ret = NULL;
	if (a->folds_case) {
		appliance_ask(a, WIRE_TRUE_CASE, path);
		/* What is not there yet is spelt as given. */
		if (appliance_call(a, &r, NULL) >= 0 && !wire_take_text(&r, ret))
			return appliance_nonsense(e);
	}
	if (!*ret)
		*ret = strdup(path);
	return *ret ? 0 : err_nomem(e);
}

/* The folder above, and another path in it; both the caller's. */
static int beside(const char *path, char **ret_dir, char **ret_other, struct err *e)
{
	const char *slash = strrchr(path, '/');
	uint64_t number = 0;

	if (getrandom(&number, sizeof(number), 0) < 0)
		return err_errno(e, errno, "getrandom");
	*ret_dir = strndup(path, slash > path ? (size_t)(slash - path) : 1);
	*ret_other = str_format("%.*s/.imgconv-%016llx", (int)(slash - path), path,
				(unsigned long long)number);
	return *ret_dir && *ret_other ? 0 : err_nomem(e);
}

/* ---- looking --------------------------------------------------------------------------------- */

static bool take_stat(struct wire_reader *r, struct guest_stat *ret)
{
	uint64_t n[STAT_NUMBERS];

	for (size_t i = 0; i < STAT_NUMBERS; i++) {
		if (!wire_take_number(r, &n[i]))
			return false;
	}
	*ret = (struct guest_stat){
		.ino = n[0],
		.mode = (unsigned)n[1],
		.uid = (uint32_t)n[2],
		.gid = (uint32_t)n[3],
		.size = n[4],
		.links = (unsigned)n[5],
	};
	return true;
}

/* path is spelt right. */
static int stat_path(struct appliance *a, const char *path, bool follow, struct guest_stat *ret,
		     struct err *e)
{
	struct wire_reader r;
	int rc;

	appliance_ask(a, WIRE_STAT, path);
	wire_number(&a->m, follow);
	rc = appliance_call(a, &r, e);
	if (rc < 0)
		return rc;
	return take_stat(&r, ret) ? 0 : appliance_nonsense(e);
}

static int op_stat(struct guest_fs *fs, const char *path, bool follow, struct guest_stat *ret,
		   struct err *e)
{
	struct appliance *a = appliance_of(fs);
	AUTO_FREE char *real = NULL;
	int rc = spelt(a, path, &real, e);

	return rc < 0 ? rc : stat_path(a, real, follow, ret, e);
}

static int find_file(struct appliance *a, const char *path, char **ret, struct guest_stat *st,
		     struct err *e)
{
	int rc = spelt(a, path, ret, e);

	if (rc >= 0)
		rc = stat_path(a, *ret, true, st, e);
	if (rc < 0)
		return rc;
	if (S_ISDIR(st->mode))
		return err_set(e, EISDIR, "'%s' is a folder", path);
	if (!S_ISREG(st->mode))
		return err_set(e, EINVAL, "'%s' is not a regular file", path);
	return 0;
}

/* One piece, appended to out; less than asked for only at the end. */
static int read_piece(struct appliance *a, const char *path, uint64_t off, size_t len,
		      struct buf *out, struct err *e)
{
	struct wire_reader r;
	const char *data;
	size_t n;
	int rc;

	appliance_ask(a, WIRE_READ, path);
	wire_number(&a->m, off);
	wire_number(&a->m, len);
	rc = appliance_call(a, &r, e);
	if (rc < 0)
		return rc;
	if (!wire_take(&r, &data, &n) || n > len)
		return appliance_nonsense(e);
	return buf_add(out, data, n) < 0 ? err_nomem(e) : 0;
}

/* At most `most` bytes of it. */
static int read_bytes(struct appliance *a, const char *path, size_t most, struct buf *out,
		      struct err *e)
{
	size_t had = 0;

	while (had < most) {
		size_t want = MIN(most - had, (size_t)READ_PIECE), before = out->len;
		int rc = read_piece(a, path, had, want, out, e);

		if (rc < 0)
			return rc;
		had += out->len - before;
		if (out->len - before < want)
			break;
	}
	return 0;
}

static int op_read_file(struct guest_fs *fs, const char *path, size_t limit, struct buf *out,
			struct err *e)
{
	struct appliance *a = appliance_of(fs);
	AUTO_FREE char *real = NULL;
	struct guest_stat st;
	int rc = find_file(a, path, &real, &st, e);

	if (rc < 0)
		return rc;
	if (st.size > limit)
		return err_set(e, EFBIG, "'%s': %llu bytes, more than %zu", path,
			       (unsigned long long)st.size, limit);
	return read_bytes(a, real, (size_t)st.size, out, e);
}

static int op_read_head(struct guest_fs *fs, const char *path, size_t len, struct buf *out,
			struct err *e)
{
	struct appliance *a = appliance_of(fs);
	AUTO_FREE char *real = NULL;
	struct guest_stat st;
	int rc = find_file(a, path, &real, &st, e);

	return rc < 0 ? rc : read_bytes(a, real, (size_t)MIN((uint64_t)len, st.size), out, e);
}

struct appliance_file {
	struct guest_file common;
	char *path;
};

static int op_file_open(struct guest_fs *fs, const char *path, struct guest_file **ret,
			struct err *e)
{
	struct appliance_file *f = calloc(1, sizeof(*f));
	struct guest_stat st;
	int rc = f ? find_file(appliance_of(fs), path, &f->path, &st, e) : err_nomem(e);

	if (rc < 0) {
		if (f)
			free(f->path);
		free(f);
		return rc;
	}
	f->common.size = st.size;
	*ret = &f->common;
	return 0;
}

static void op_file_close(struct guest_file *common)
{
	struct appliance_file *f = (struct appliance_file *)common;

	free(f->path);
	free(f);
}

static int op_file_read(struct guest_file *common, void *buf, size_t len, uint64_t off, size_t *ret,
			struct err *e)
{
	struct appliance_file *f = (struct appliance_file *)common;
	struct appliance *a = appliance_of(common->fs);
	AUTO_BUF piece = BUF_INIT;
	size_t had = 0;

	len = off < common->size ? (size_t)MIN((uint64_t)len, common->size - off) : 0;
	while (had < len) {
		size_t want = MIN(len - had, (size_t)READ_PIECE);
		int rc;

		buf_clear(&piece);
		rc = read_piece(a, f->path, off + had, want, &piece, e);
		if (rc < 0)
			return rc;
		if (piece.len < want)
			return err_set(e, EIO, "'%s' ends early", f->path);
		memcpy((char *)buf + had, piece.data, want);
		had += want;
	}
	*ret = len;
	return 0;
}

/* A request whose answer is a text. */
static int ask_text(struct guest_fs *fs, enum wire_request what, const char *path, char **ret,
		    struct err *e)
{
	struct appliance *a = appliance_of(fs);
	AUTO_FREE char *real = NULL;
	struct wire_reader r;
	int rc = spelt(a, path, &real, e);

	if (rc < 0)
		return rc;
	appliance_ask(a, what, real);
	rc = appliance_call(a, &r, e);
	if (rc < 0)
		return rc;
	return wire_take_text(&r, ret) ? 0 : appliance_nonsense(e);
}

static int op_readlink(struct guest_fs *fs, const char *path, struct buf *out, struct err *e)
{
	AUTO_FREE char *target = NULL;
	int rc = ask_text(fs, WIRE_READLINK, path, &target, e);

	if (rc < 0)
		return rc;
	return buf_adds(out, target) < 0 ? err_nomem(e) : 0;
}

static int op_realpath(struct guest_fs *fs, const char *path, char **ret, struct err *e)
{
	AUTO_FREE char *real = NULL;
	int rc = ask_text(fs, WIRE_REALPATH, path, &real, e);

	if (rc < 0)
		return rc;
	if (real[0] != '/')
		return appliance_nonsense(e);
	*ret = STEAL(real);
	return 0;
}

/* ---- listing --------------------------------------------------------------------------------- */

typedef int entry_fn(void *ctx, const char *name, const struct guest_stat *st);

static int get_names(struct appliance *a, const char *dir, struct buf *names, struct err *e)
{
	struct wire_reader r;
	const char *data;
	size_t len;
	int rc;

	appliance_ask(a, WIRE_LIST, dir);
	rc = appliance_call(a, &r, e);
	if (rc < 0)
		return rc;
	if (!wire_take(&r, &data, &len) || (len && data[len - 1]))
		return appliance_nonsense(e);
	return buf_add(names, data, len) < 0 ? err_nomem(e) : 0;
}

static int list_some(struct appliance *a, const char *dir, const char *names, size_t len,
		     entry_fn *fn, void *ctx, struct err *e)
{
	struct guest_stat stats[STATS_AT_ONCE];
	struct wire_reader r;
	size_t n = 0;
	int rc;

	appliance_ask(a, WIRE_STATS, dir);
	wire_bytes(&a->m, names, len);
	rc = appliance_call(a, &r, e);
	if (rc < 0)
		return rc;
	/* What fn does may need a->m. */
	while (!wire_end(&r) && n < STATS_AT_ONCE) {
		if (!take_stat(&r, &stats[n++]))
			return appliance_nonsense(e);
	}
	for (size_t i = 0, at = 0; at < len && rc == 0; i++) {
		const char *name = names + at;

		at += strlen(name) + 1;
		if (i >= n)
			return appliance_nonsense(e);
		if (stats[i].ino)
			rc = fn(ctx, name, &stats[i]);
	}
	return rc;
}

static int check_name(const char *name, struct err *e)
{
	size_t len = strlen(name);

	if (!len || len > NAME_LIMIT || strchr(name, '/'))
		return err_set(e, EBADMSG, "a folder has an entry that is no name");
	return 0;
}

static int op_list(struct guest_fs *fs, const char *path, entry_fn *fn, void *ctx, struct err *e)
{
	struct appliance *a = appliance_of(fs);
	AUTO_BUF names = BUF_INIT;
	AUTO_FREE char *dir = NULL;
	int rc = spelt(a, path, &dir, e);

	if (rc >= 0)
		rc = get_names(a, dir, &names, e);
	for (size_t at = 0; rc == 0 && at < names.len;) {
		size_t end = at;

		for (unsigned n = 0; n < STATS_AT_ONCE && end < names.len && rc == 0; n++) {
			rc = check_name(names.data + end, e);
			end += strlen(names.data + end) + 1;
		}
		if (rc == 0)
			rc = list_some(a, dir, names.data + at, end - at, fn, ctx, e);
		at = end;
	}
	return rc;
}

/* ---- attributes ------------------------------------------------------------------------------ */

static int get_xattr(struct appliance *a, const char *path, const char *key, struct buf *out,
		     struct err *e)
{
	struct wire_reader r;
	const char *value;
	size_t len;
	int rc;

	if (!a->common.keeps_owners)
		return 0;
	appliance_ask(a, WIRE_GET_XATTR, path);
	wire_text(&a->m, key);
	rc = appliance_call(a, &r, e);
	if (rc < 0 || wire_end(&r))
		return rc;
	if (!wire_take(&r, &value, &len))
		return appliance_nonsense(e);
	return buf_add(out, value, len) < 0 ? err_nomem(e) : 1;
}

static int op_get_xattr(struct guest_fs *fs, const char *path, const char *key, struct buf *out,
			struct err *e)
{
	struct appliance *a = appliance_of(fs);
	AUTO_FREE char *real = NULL;
	int rc = spelt(a, path, &real, e);

	return rc < 0 ? rc : get_xattr(a, real, key, out, e);
}

static int set_xattr(struct appliance *a, const char *path, const char *key, const void *value,
		     size_t len, struct err *e)
{
	appliance_ask(a, WIRE_SET_XATTR, path);
	wire_text(&a->m, key);
	wire_bytes(&a->m, value, len);
	return appliance_call(a, NULL, e);
}

/* ---- changing -------------------------------------------------------------------------------- */

static int begin_change(struct appliance *a, const char *path, char **ret, struct err *e)
{
	if (!a->writable)
		return err_set(e, EROFS, "the file system was opened for reading");
	if (a->broken)
		return err_set(e, EIO, "an earlier change failed");
	return spelt(a, path, ret, e);
}

/* Whatever went wrong in the middle: nothing may be committed any more. */
static int end_change(struct appliance *a, int rc, const char *path, struct err *e)
{
	a->changed = true;
	if (rc >= 0)
		return 0;
	a->broken = true;
	if (rc == -EPERM)
		return err_wrap(e, "'%s' (it, or its folder, may be immutable)", path);
	return err_wrap(e, "'%s'", path);
}

static int op_set_xattr(struct guest_fs *fs, const char *path, const char *key, const void *value,
			size_t len, struct err *e)
{
	struct appliance *a = appliance_of(fs);
	AUTO_FREE char *real = NULL;
	int rc = begin_change(a, path, &real, e);

	if (rc < 0)
		return rc;
	if (!fs->keeps_owners)
		return err_set(e, ENOTSUP, "the file system has no extended attributes");
	return end_change(a, set_xattr(a, real, key, value, len, e), path, e);
}

/* The label of the old file, else that of its folder; out stays empty if there is none. */
static int label_for(struct appliance *a, const char *path, const char *dir, bool there,
		     struct buf *out, struct err *e)
{
	int rc = there ? get_xattr(a, path, SELINUX_KEY, out, e) : 0;

	return rc >= 0 && !out->len ? get_xattr(a, dir, SELINUX_KEY, out, e) : rc;
}

/* What stands at path may be replaced by a file or link. Returns whether there is something. */
static int check_replaced(struct appliance *a, const char *path, struct err *e)
{
	struct guest_stat st;
	int rc = stat_path(a, path, false, &st, e);

	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return rc;
	if (S_ISDIR(st.mode))
		return err_set(e, EISDIR, "'%s' is a folder", path);
	if (!S_ISREG(st.mode) && !S_ISLNK(st.mode))
		return err_set(e, EEXIST, "'%s' is neither a file nor a link", path);
	return 1;
}

static int set_owner(struct appliance *a, const char *path, const struct overlay_attr *attr,
		     struct err *e)
{
	int rc;

	if (!a->common.keeps_owners)
		return 0;
	appliance_ask(a, WIRE_CHOWN, path);
	wire_number(&a->m, attr->uid);
	wire_number(&a->m, attr->gid);
	rc = appliance_call(a, NULL, e);
	if (rc < 0)
		return rc;
	/* Afterwards: another owner takes bits away. */
	appliance_ask(a, WIRE_CHMOD, path);
	wire_number(&a->m, attr->mode & 07777);
	return appliance_call(a, NULL, e);
}

static int set_label_and_time(struct appliance *a, const char *path, const struct buf *label,
			      struct err *e)
{
	int rc = label->len ? set_xattr(a, path, SELINUX_KEY, label->data, label->len, e) : 0;

	if (rc < 0 || a->now <= 0)
		return rc;
	appliance_ask(a, WIRE_TOUCH, path);
	wire_number(&a->m, (uint64_t)a->now);
	return appliance_call(a, NULL, e);
}

static int rename_to(struct appliance *a, const char *from, const char *to, struct err *e)
{
	appliance_ask(a, WIRE_RENAME, from);
	wire_text(&a->m, to);
	return appliance_call(a, NULL, e);
}

struct replacement {
	char *path, *dir, *fresh; /* fresh: what is made, then renamed to path */
	struct buf label;
};

static void replacement_release(struct replacement *x)
{
	free(x->path);
	free(x->dir);
	free(x->fresh);
	buf_release(&x->label);
}
DEFINE_AUTO_STRUCT(struct replacement, replacement_release);

static int begin_replacement(struct appliance *a, const char *path, struct replacement *x,
			     struct err *e)
{
	int there, rc = begin_change(a, path, &x->path, e);

	if (rc < 0)
		return rc;
	there = check_replaced(a, x->path, e);
	rc = there < 0 ? there : beside(x->path, &x->dir, &x->fresh, e);
	return rc < 0 ? rc : label_for(a, x->path, x->dir, there, &x->label, e);
}

static int op_write_file(struct guest_fs *fs, const char *path, const void *data, size_t len,
			 const struct overlay_attr *attr, struct err *e)
{
	struct appliance *a = appliance_of(fs);
	AUTO(replacement_release) struct replacement x = {0};
	int rc = begin_replacement(a, path, &x, e);

	if (rc < 0)
		return rc;
	appliance_ask(a, WIRE_WRITE, x.fresh);
	wire_bytes(&a->m, data, len);
	rc = appliance_call(a, NULL, e);
	if (rc >= 0)
		rc = set_owner(a, x.fresh, attr, e);
	if (rc >= 0)
		rc = set_label_and_time(a, x.fresh, &x.label, e);
	if (rc >= 0)
		rc = rename_to(a, x.fresh, x.path, e);
	return end_change(a, rc, path, e);
}

static int op_symlink(struct guest_fs *fs, const char *path, const char *target, struct err *e)
{
	struct appliance *a = appliance_of(fs);
	AUTO(replacement_release) struct replacement x = {0};
	int rc;

	if (!target[0] || strlen(target) > TARGET_LIMIT)
		return err_set(e, ENAMETOOLONG, "'%s': a target of %zu bytes", path,
			       strlen(target));
	rc = begin_replacement(a, path, &x, e);
	if (rc < 0)
		return rc;
	appliance_ask(a, WIRE_SYMLINK, target);
	wire_text(&a->m, x.fresh);
	rc = appliance_call(a, NULL, e);
	if (rc >= 0)
		rc = set_label_and_time(a, x.fresh, &x.label, e);
	if (rc >= 0)
		rc = rename_to(a, x.fresh, x.path, e);
	return end_change(a, rc, path, e);
}

static int op_mkdir(struct guest_fs *fs, const char *path, const struct overlay_attr *attr,
		    struct err *e)
{
	struct appliance *a = appliance_of(fs);
	AUTO(replacement_release) struct replacement x = {0};
	struct guest_stat st;
	int rc = begin_change(a, path, &x.path, e);

	if (rc < 0)
		return rc;
	rc = stat_path(a, x.path, false, &st, e);
	if (rc >= 0)
		return err_set(e, EEXIST, "'%s' exists", path);
	if (rc != -ENOENT)
		return rc;
	rc = beside(x.path, &x.dir, &x.fresh, e);
	if (rc >= 0)
		rc = label_for(a, x.path, x.dir, false, &x.label, e);
	if (rc < 0)
		return rc;
	appliance_ask(a, WIRE_MKDIR, x.path);
	rc = appliance_call(a, NULL, e);
	if (rc >= 0)
		rc = set_owner(a, x.path, attr, e);
	if (rc >= 0)
		rc = set_label_and_time(a, x.path, &x.label, e);
	return end_change(a, rc, path, e);
}

static int op_remove(struct guest_fs *fs, const char *path, struct err *e)
{
	struct appliance *a = appliance_of(fs);
	AUTO_FREE char *real = NULL;
	struct guest_stat st;
	int rc = begin_change(a, path, &real, e);

	if (rc >= 0)
		rc = stat_path(a, real, false, &st, e);
	if (rc < 0)
		return rc;
	if (!real[strspn(real, "/")])
		return err_set(e, EPERM, "'%s' is the root folder", path);
	appliance_ask(a, WIRE_REMOVE, real);
	return end_change(a, appliance_call(a, NULL, e), path, e);
}

static void op_set_time(struct guest_fs *fs, int64_t now)
{
	appliance_of(fs)->now = now;
}

const struct guest_fs_ops appliance_ops = {
	.close = appliance_op_close,
	.stat = op_stat,
	.read_file = op_read_file,
	.read_head = op_read_head,
	.file_open = op_file_open,
	.file_close = op_file_close,
	.file_read = op_file_read,
	.readlink = op_readlink,
	.realpath = op_realpath,
	.list = op_list,
	.set_time = op_set_time,
	.write_file = op_write_file,
	.mkdir = op_mkdir,
	.set_xattr = op_set_xattr,
	.get_xattr = op_get_xattr,
	.symlink = op_symlink,
	.remove = op_remove,
	.commit = appliance_op_commit,
};
