/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applying an overlay to the guest's root: everything on the copy-on-write layer, then one commit.
 * What is there already just so is left alone, so that a second run changes nothing.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/inject/ctxd.h"
#include "imgconv/inject/distro.h"
#include "imgconv/inject/first_boot.h"
#include "imgconv/inject/overlay.h"
#include "imgconv/inject/receipt.h"
#include "imgconv/inject/root.h"
#include "imgconv/inject/selinux.h"
#include "imgconv/inject/setup.h"
#include "lib/fs.h"
#include "lib/stop.h"
#include "lib/str.h"

#define SELINUX_XATTR "security.selinux"

struct apply {
	struct guest_fs *fs;
	struct inject_report *report;
	struct selinux *policy; /* NULL: the guest has none */
	bool unlabeled;         /* something got no label although there is a policy */
	struct receipt *made;   /* gets the folders that are made; NULL: they are of no interest */
	struct err *e;
};

static const struct overlay_attr new_dir = {.mode = 0755};

static int note(struct apply *a, char sign, const char *path)
{
	struct buf *b = &a->report->changes;

	if (buf_addc(b, sign) < 0 || buf_addc(b, ' ') < 0 ||
	    str_escape(path, strlen(path), SIZE_MAX, b) < 0 || buf_addc(b, '\n') < 0)
		return err_nomem(a->e);
	return 0;
}

/* 1 if something has that name, 0 if nothing has; a link is not followed unless asked for. */
static int look(struct apply *a, const char *path, bool follow, struct guest_stat *st)
{
	int rc = guest_fs_stat(a->fs, path, follow, st, a->e);

	if (rc == -ENOENT)
		return 0;
	return rc < 0 ? rc : 1;
}

/* Where the folder above path really is, and the name in it; the caller's. */
static int real_path(struct apply *a, const char *path, char **ret)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *above = strndup(path, slash > path ? (size_t)(slash - path) : 1);
	AUTO_FREE char *real = NULL;
	int rc = above ? guest_fs_realpath(a->fs, above, &real, a->e) : err_nomem(a->e);

	if (rc < 0)
		return rc;
	*ret = path_join(real, slash + 1);
	return *ret ? 0 : err_nomem(a->e);
}

/*
 * What was made anew is labelled as the guest's policy says; what replaces a file has that file's
 * label by now, and else that of its folder.
 */
static int give_label(struct apply *a, const char *path, unsigned type, bool anew)
{
	AUTO_BUF label = BUF_INIT, old = BUF_INIT;
	AUTO_FREE char *real = NULL;
	int rc;

	if (!a->policy)
		return 0;
	rc = guest_fs_get_xattr(a->fs, path, SELINUX_XATTR, &old, a->e);
	if (rc < 0 || (rc > 0 && !anew))
		return rc;
	rc = real_path(a, path, &real);
	if (rc >= 0)
		rc = selinux_lookup(a->policy, real, type, &label, a->e);
	if (rc == 0 && !old.len)
		a->unlabeled = true;
	if (rc <= 0 || !label.len ||
	    (old.len == label.len && !memcmp(old.data, label.data, label.len)))
		return rc;
	rc = guest_fs_set_xattr(a->fs, path, SELINUX_XATTR, label.data, label.len, a->e);
	if (rc != -ENOTSUP)
		return rc;
	a->unlabeled = true;
	return 0;
}

static int make_dir(struct apply *a, const char *path, const struct overlay_attr *attr)
{
	int rc = guest_fs_mkdir(a->fs, path, attr, a->e);

	if (rc >= 0)
		rc = give_label(a, path, S_IFDIR, true);
	if (rc >= 0 && a->made)
		rc = receipt_add_dir(a->made, path, a->e);
	return rc < 0 ? rc : note(a, '+', path);
}

/* The folder exists, as one of the guest or made now; a link to a folder is good. */
static int need_dir(struct apply *a, const char *path, const struct overlay_attr *attr)
{
	struct guest_stat st;
	int rc = look(a, path, true, &st);

	if (rc < 0)
		return rc;
	if (rc && S_ISDIR(st.mode))
		return 0;
	if (rc || look(a, path, false, &st) > 0)
		return err_set(a->e, ENOTDIR, "'%s' is not a folder in the guest", path);
	return make_dir(a, path, attr);
}

static int need_parents(struct apply *a, const char *path)
{
	AUTO_FREE char *copy = strdup(path);

	if (!copy)
		return err_nomem(a->e);
	for (char *s = copy + 1; (s = strchr(s, '/')); s++) {
		int rc;

		*s = '\0';
		rc = need_dir(a, copy, &new_dir);
		*s = '/';
		if (rc < 0)
			return rc;
	}
	return 0;
}

static bool same_file(struct apply *a, const struct overlay_entry *x, const struct guest_stat *st)
{
	AUTO_BUF data = BUF_INIT;

	if (!S_ISREG(st->mode) || st->size != x->len || x->n_xattrs)
		return false;
	if (guest_fs_keeps_owners(a->fs) && ((st->mode & 07777) != x->attr.mode ||
					     st->uid != x->attr.uid || st->gid != x->attr.gid))
		return false;
	return guest_fs_read_file(a->fs, x->path, x->len, &data, NULL) >= 0 && data.len == x->len &&
	       (!x->len || !memcmp(data.data, x->data, x->len));
}

static int apply_file(struct apply *a, const struct overlay_entry *x)
{
	struct guest_stat st;
	int there = look(a, x->path, false, &st);
	int rc;

	if (there < 0)
		return there;
	if (there && same_file(a, x, &st))
		return 0;
	rc = guest_fs_write_file(a->fs, x->path, x->data, x->len, &x->attr, a->e);
	if (rc >= 0)
		rc = give_label(a, x->path, S_IFREG, !there);
	return rc < 0 ? rc : note(a, there ? '~' : '+', x->path);
}

static int apply_symlink(struct apply *a, const struct overlay_entry *x)
{
	AUTO_BUF target = BUF_INIT;
	struct guest_stat st;
	int there = look(a, x->path, false, &st);
	int rc;

	if (there < 0)
		return there;
	if (there && S_ISLNK(st.mode) && guest_fs_readlink(a->fs, x->path, &target, NULL) >= 0 &&
	    target.len == x->len && !memcmp(target.data, x->data, x->len))
		return 0;
	rc = guest_fs_symlink(a->fs, x->path, x->data, a->e);
	if (rc >= 0)
		rc = give_label(a, x->path, S_IFLNK, !there);
	return rc < 0 ? rc : note(a, there ? '~' : '+', x->path);
}

static int apply_delete(struct apply *a, const struct overlay_entry *x)
{
	struct guest_stat st;
	int rc = look(a, x->path, false, &st);

	if (rc <= 0)
		return rc;
	rc = guest_fs_remove(a->fs, x->path, a->e);
	return rc < 0 ? rc : note(a, '-', x->path);
}

static int apply_move(struct apply *a, const struct overlay_entry *x)
{
	AUTO_BUF target = BUF_INIT;
	struct overlay_entry link = {.kind = OVERLAY_SYMLINK, .path = x->data};
	int rc = guest_fs_readlink(a->fs, x->path, &target, a->e);

	if (rc >= 0)
		rc = apply_delete(a, x);
	link.data = target.data;
	link.len = target.len;
	return rc < 0 ? rc : apply_symlink(a, &link);
}

static int see_anything(void *ctx, const char *name, const struct guest_stat *st)
{
	(void)ctx;
	(void)name;
	(void)st;
	return 1;
}

static int apply_rmdir(struct apply *a, const struct overlay_entry *x)
{
	struct guest_stat st;
	int rc = look(a, x->path, false, &st);

	if (rc <= 0 || !S_ISDIR(st.mode))
		return rc < 0 ? rc : 0;
	rc = guest_fs_list(a->fs, x->path, see_anything, NULL, a->e);
	return rc ? MIN(rc, 0) : apply_delete(a, x);
}

static int apply_entry(struct apply *a, const struct overlay_entry *x)
{
	int rc;

	if (x->kind == OVERLAY_DELETE)
		return apply_delete(a, x);
	if (x->kind == OVERLAY_RMDIR)
		return apply_rmdir(a, x);
	if (x->kind == OVERLAY_MOVE)
		return apply_move(a, x);
	if (x->kind == OVERLAY_KEEP)
		return note(a, '!', x->path);
	rc = need_parents(a, x->path);
	if (rc < 0)
		return rc;
	if (x->kind == OVERLAY_DIR)
		return need_dir(a, x->path, &x->attr);
	rc = x->kind == OVERLAY_FILE ? apply_file(a, x) : apply_symlink(a, x);
	for (size_t i = 0; i < x->n_xattrs && rc >= 0; i++)
		rc = guest_fs_set_xattr(a->fs, x->path, x->xattrs[i].key, x->xattrs[i].value,
					x->xattrs[i].len, a->e);
	return rc;
}

static int apply_all(struct apply *a, const struct overlay *o, const struct distro *d);

/* What an entry means in this guest. */
static int expand(struct apply *a, const struct overlay_entry *x, const struct distro *d,
		  struct overlay *to)
{
	switch (x->kind) {
	case OVERLAY_CTXD:
		return ctxd_expand(a->fs, d, x->files, to, a->e);
	case OVERLAY_REMOVE_CTXD:
		return ctxd_remove_expand(a->fs, to, a->e);
	case OVERLAY_FIRST_BOOT:
		return first_boot_expand(a->fs, d, x, to, a->e);
	case OVERLAY_HOSTNAME:
		return setup_hostname(a->fs, d, x, to, a->e);
	case OVERLAY_SSH_KEY:
		return setup_ssh_key(a->fs, x, to, a->e);
	default:
		return 0;
	}
}

/* Applied at once: what comes later sees what the guest has by then. */
static int apply_expanded(struct apply *a, const struct overlay_entry *x, const struct distro *d)
{
	AUTO(overlay_free) struct overlay *to = NULL;
	int rc = overlay_new(&to, a->e);

	if (rc >= 0)
		rc = expand(a, x, d, to);
	return rc < 0 ? rc : apply_all(a, to, d);
}

/* The same, and the guest gets a receipt of it. */
static int apply_ctxd(struct apply *a, const struct overlay_entry *x, const struct distro *d)
{
	static const struct overlay_attr attr = {.mode = 0644};
	AUTO(overlay_free) struct overlay *to = NULL;
	AUTO(receipt_release) struct receipt receipt = {0};
	AUTO_BUF text = BUF_INIT;
	int rc = overlay_new(&to, a->e);

	if (rc >= 0)
		rc = receipt_read(a->fs, &receipt, a->e);
	if (rc >= 0)
		rc = expand(a, x, d, to);
	if (rc < 0)
		return rc;
	a->made = &receipt;
	rc = apply_all(a, to, d);
	if (rc >= 0)
		rc = need_parents(a, RECEIPT_PATH);
	a->made = NULL;
	if (rc >= 0)
		rc = receipt_add_overlay(&receipt, to, a->e);
	if (rc < 0)
		return rc;
	if (receipt_text(&receipt, &text) < 0)
		return err_nomem(a->e);
	rc = overlay_add_file(to, RECEIPT_PATH, buf_str(&text), text.len, &attr, a->e);
	return rc < 0 ? rc : apply_entry(a, &to->entries[to->n - 1]);
}

static int apply_all(struct apply *a, const struct overlay *o, const struct distro *d)
{
	int rc = 0;

	for (size_t i = 0; i < o->n && rc >= 0; i++) {
		const struct overlay_entry *x = &o->entries[i];

		rc = stop_check(a->e);
		if (rc < 0)
			break;
		if (x->path)
			rc = apply_entry(a, x);
		else
			rc = x->kind == OVERLAY_CTXD ? apply_ctxd(a, x, d)
						     : apply_expanded(a, x, d);
	}
	return rc;
}

/* The guest labels all its files when it boots. */
static int ask_for_labels(struct apply *a)
{
	static const struct overlay_attr attr = {.mode = 0644};
	static const char path[] = "/.autorelabel";
	struct guest_stat st;
	int rc = look(a, path, false, &st);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = guest_fs_write_file(a->fs, path, "-F\n", 3, &attr, a->e);
	return rc < 0 ? rc : note(a, '+', path);
}

static int inject(struct image *im, const struct overlay *o, const struct inject_opts *opts,
		  struct inject_report *r, struct err *e)
{
	AUTO(guest_fs_close) struct guest_fs *fs = NULL;
	AUTO(distro_release) struct distro d = {0};
	AUTO(selinux_free) struct selinux *policy = NULL;
	struct apply a = {.report = r, .e = e};
	unsigned flags = GUEST_FS_WRITE | (opts->replay_journal ? GUEST_FS_REPLAY : 0);
	int rc = root_open(im, opts->partition, opts->volume, flags, &fs, &r->partition, e);

	if (rc < 0)
		return rc;
	guest_fs_set_time(fs, opts->now);
	rc = distro_detect(fs, &d, e);
	if (rc < 0)
		return rc;
	r->distro = STEAL(d.name);
	r->init = strdup(d.init);
	r->volume = strdup(guest_fs_volume(fs));
	if (!r->init || !r->volume)
		return err_nomem(e);
	a.fs = fs;
	rc = selinux_load(fs, &policy, e);
	a.policy = policy;
	if (rc >= 0)
		rc = apply_all(&a, o, &d);
	if (rc >= 0 && a.unlabeled)
		rc = ask_for_labels(&a);
	if (rc < 0)
		return err_wrap(e, "'%s'", image_name(im));
	return opts->dry_run ? 0 : guest_fs_commit(fs, e);
}

int inject_apply(struct image *im, const struct overlay *o, const struct inject_opts *opts,
		 struct inject_report *ret, struct err *e)
{
	int rc;

	*ret = (struct inject_report){0};
	rc = inject(im, o, opts, ret, e);
	if (rc < 0)
		inject_report_release(ret);
	return rc;
}

void inject_report_release(struct inject_report *r)
{
	free(r->distro);
	free(r->init);
	free(r->volume);
	buf_release(&r->changes);
	*r = (struct inject_report){0};
}
