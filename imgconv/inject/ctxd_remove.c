/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `--remove-ctxd`: what --ctxd has put into a guest is taken out again, offline.
 *
 * Files go by the receipt (receipt.h): one that is not as it was put in is somebody's by now and
 * stays. Links that start our services are looked for where the init systems keep them, since
 * insserv(8) and others give them new numbers. Links of the guest that had made room get their old
 * numbers back if all of their folder still stand as they were put.
 */
#include <ctype.h>
#include <sys/stat.h>

#include "imgconv/inject/ctxd.h"
#include "imgconv/inject/lsb.h"
#include "imgconv/inject/receipt.h"
#include "lib/fs.h"
#include "lib/str.h"

#define DEPEND_MAX (256 * KIB)
#define LINKS_MAX 1000

struct removal {
	struct guest_fs *fs;
	const struct receipt *m;
	struct overlay *to;
	struct err *e;
};

/* ---- files ----------------------------------------------------------------------------------- */

/* 1: as it was put in; 0: it is another's by now, or not there (*there). */
static int is_ours(struct removal *r, const struct receipt_line *l, bool *there)
{
	AUTO_BUF data = BUF_INIT;
	struct guest_stat st;
	char digest[65];
	int rc = guest_fs_stat(r->fs, l->path, false, &st, r->e);

	*there = rc >= 0;
	if (rc < 0)
		return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
	if (!S_ISREG(st.mode) || st.size > OVERLAY_BYTES_MAX ||
	    (guest_fs_keeps_owners(r->fs) && ((st.mode & 07777) != l->mode || st.uid || st.gid)))
		return 0;
	rc = guest_fs_read_file(r->fs, l->path, (size_t)st.size, &data, r->e);
	if (rc < 0)
		return rc;
	receipt_digest(data.data, data.len, digest);
	return !strcmp(digest, l->digest);
}

static int remove_files(struct removal *r)
{
	int rc = 0;

	for (size_t i = 0; i < r->m->n && rc >= 0; i++) {
		const struct receipt_line *l = &r->m->lines[i];
		bool there;

		if (l->kind != RECEIPT_FILE)
			continue;
		rc = is_ours(r, l, &there);
		if (rc >= 0 && there)
			rc = overlay_add(r->to, rc ? OVERLAY_DELETE : OVERLAY_KEEP, l->path, NULL,
					 0, NULL, r->e);
	}
	return rc;
}

/* Those that were made, as far as nobody has put something into them; the deepest first. */
static int remove_dirs(struct removal *r)
{
	int rc = 0;

	for (size_t i = r->m->n; i-- > 0 && rc >= 0;) {
		const struct receipt_line *l = &r->m->lines[i];

		if (l->kind == RECEIPT_DIR)
			rc = overlay_add(r->to, OVERLAY_RMDIR, l->path, NULL, 0, NULL, r->e);
	}
	return rc;
}

/* ---- links ----------------------------------------------------------------------------------- */

/* The name of the service that a file of ours is; NULL: it is none. */
static const char *service_of(const struct receipt_line *l)
{
	static const char *const folders[] = {"/init.d/", "/systemd/system/"};
	const char *name = strrchr(l->path, '/') + 1;

	for (size_t i = 0; l->kind == RECEIPT_FILE && i < ARRAY_SIZE(folders); i++) {
		size_t n = strlen(folders[i]), before = (size_t)(name - l->path);

		if (*name && before >= n && !memcmp(name - n, folders[i], n))
			return name;
	}
	return NULL;
}

static bool is_service(const struct removal *r, const char *name)
{
	for (size_t i = 0; i < r->m->n; i++) {
		const char *s = service_of(&r->m->lines[i]);

		if (s && !strcmp(s, name))
			return true;
	}
	return false;
}

/* "ssh" of "S03ssh", with its number; NULL: no link of a runlevel. */
static const char *numbered(const char *link, unsigned *number)
{
	if ((link[0] != 'S' && link[0] != 'K') || !isdigit((unsigned char)link[1]) ||
	    !isdigit((unsigned char)link[2]) || !link[3])
		return NULL;
	*number = (unsigned)(link[1] - '0') * 10 + (unsigned)(link[2] - '0');
	return link + 3;
}

struct rc_link {
	char *name; /* "S03ssh" */
	unsigned number, was;
};

struct folder {
	struct removal *r;
	const char *dir;
	bool runlevel;        /* of System V init: links have numbers */
	struct rc_link *rest; /* those that start what is not ours */
	size_t n;
};

static void folder_release(struct folder *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->rest[i].name);
	free(f->rest);
}
DEFINE_AUTO_STRUCT(struct folder, folder_release);

static int keep_rest(struct folder *f, const char *link, unsigned number)
{
	struct rc_link *list;

	if (*link != 'S' || f->n == LINKS_MAX)
		return 0;
	list = realloc(f->rest, (f->n + 1) * sizeof(*list));
	if (!list)
		return err_nomem(f->r->e);
	f->rest = list;
	list[f->n] = (struct rc_link){strdup(link), number, number};
	return list[f->n++].name ? 0 : err_nomem(f->r->e);
}

static int see_link(void *ctx, const char *link, const struct guest_stat *st)
{
	struct folder *f = ctx;
	struct removal *r = f->r;
	AUTO_FREE char *path = path_join(f->dir, link);
	AUTO_BUF target = BUF_INIT;
	unsigned number = 0;
	const char *name = f->runlevel ? numbered(link, &number) : link, *slash;
	int rc;

	if (!path)
		return err_nomem(r->e);
	if (!name || !S_ISLNK(st->mode))
		return 0;
	if (!is_service(r, name))
		return f->runlevel ? keep_rest(f, link, number) : 0;
	rc = guest_fs_readlink(r->fs, path, &target, r->e);
	if (rc < 0)
		return rc;
	slash = strrchr(buf_str(&target), '/');
	if (strcmp(slash ? slash + 1 : buf_str(&target), name) != 0)
		return 0;
	return overlay_add_delete(r->to, path, r->e);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static struct rc_link *find_link(const struct folder *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++) {
		if (!strcmp(f->rest[i].name, name))
			return &f->rest[i];
	}
	return NULL;
}

/* The name in dir of a path, if it is a numbered one; NULL: it is not. */
static const char *link_in(const char *dir, const char *path, unsigned *number)
{
	size_t len = strlen(dir);

	if (strncmp(path, dir, len) != 0 || path[len] != '/' || path[len + 1] != 'S' ||
	    strchr(path + len + 1, '/'))
		return NULL;
	return numbered(path + len + 1, number) ? path + len + 1 : NULL;
}

/* Undoes one move in f's list. False: the link is not where it was put. */
static bool move_back(struct folder *f, const struct receipt_line *l, const char *old,
		      unsigned number)
{
	unsigned now;
	const char *new = link_in(f->dir, l->to, &now);
	struct rc_link *link = new ? find_link(f, new) : NULL;

	if (!link || strcmp(new + 3, old + 3) != 0 || find_link(f, old))
		return false;
	link->number = number;
	memcpy(link->name, old, 3);
	return true;
}

/* What is started after something else still is. */
static bool keeps_order(const struct folder *f)
{
	for (size_t i = 0; i < f->n; i++) {
		for (size_t j = 0; j < f->n; j++) {
			const struct rc_link *a = &f->rest[i], *b = &f->rest[j];

			if (a->was < b->was && a->number >= b->number)
				return false;
		}
	}
	return true;
}

/* All of a folder's, or none: those behind a link that came later would come before it. */
static int restore_numbers(struct folder *f)
{
	struct removal *r = f->r;
	int rc = 0;

	for (size_t i = r->m->n; i-- > 0;) {
		const struct receipt_line *l = &r->m->lines[i];
		unsigned number = 0;
		const char *old =
			l->kind == RECEIPT_MOVED ? link_in(f->dir, l->path, &number) : NULL;

		if (old && !move_back(f, l, old, number))
			return 0;
	}
	if (!keeps_order(f))
		return 0;
	for (size_t i = 0; i < f->n && rc >= 0; i++) {
		const struct rc_link *link = &f->rest[i];
		AUTO_FREE char *new = path_join(f->dir, link->name);
		AUTO_FREE char *old = str_format("%s/S%02u%s", f->dir, link->was, link->name + 3);

		if (!old || !new)
			return err_nomem(r->e);
		if (link->number != link->was)
			rc = overlay_add_move(r->to, old, new, r->e);
	}
	return rc;
}

/* ---- where they are -------------------------------------------------------------------------- */

static int remove_links_in(struct removal *r, const char *dir, bool runlevel)
{
	AUTO(folder_release) struct folder f = {.r = r, .dir = dir, .runlevel = runlevel};
	int rc = guest_fs_list(r->fs, dir, see_link, &f, r->e);

	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	return rc < 0 || !runlevel ? rc : restore_numbers(&f);
}

struct parent {
	struct removal *r;
	const char *dir;
};

/* Folders of OpenRC's runlevels, and of what a target of systemd wants. */
static int see_folder(void *ctx, const char *name, const struct guest_stat *st)
{
	struct parent *p = ctx;
	AUTO_FREE char *dir = path_join(p->dir, name);

	if (!dir)
		return err_nomem(p->r->e);
	return S_ISDIR(st->mode) ? remove_links_in(p->r, dir, false) : 0;
}

static int remove_links(struct removal *r)
{
	static const char *const parents[] = {"/etc/systemd/system", "/etc/runlevels"};
	static const char *const runlevels[] = {"/etc", "/etc/rc.d", "/etc/init.d"};
	int rc = remove_links_in(r, "/etc/init.d/boot.d", true);

	for (size_t i = 0; i < ARRAY_SIZE(parents) && rc >= 0; i++) {
		struct parent p = {r, parents[i]};

		rc = guest_fs_list(r->fs, parents[i], see_folder, &p, r->e);
		if (rc == -ENOENT || rc == -ENOTDIR)
			rc = 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(runlevels); i++) {
		for (const char *level = "S0123456"; *level && rc >= 0; level++) {
			AUTO_FREE char *dir = str_format("%s/rc%c.d", runlevels[i], *level);

			rc = dir ? remove_links_in(r, dir, true) : err_nomem(r->e);
		}
	}
	return rc;
}

/* ---- what startpar goes by ------------------------------------------------------------------- */

static int edit_depend(struct removal *r, const char *path)
{
	AUTO_BUF text = BUF_INIT;
	struct guest_stat st;
	struct overlay_attr attr;
	int rc = guest_fs_stat(r->fs, path, true, &st, NULL), any = 0;

	if (rc < 0 || !S_ISREG(st.mode))
		return 0;
	rc = guest_fs_read_file(r->fs, path, DEPEND_MAX, &text, r->e);
	for (size_t i = 0; i < r->m->n && rc >= 0; i++) {
		const char *name = service_of(&r->m->lines[i]);
		AUTO_BUF out = BUF_INIT;

		if (!name)
			continue;
		rc = lsb_depend_remove(buf_str(&text), name, &out);
		if (rc < 0)
			return err_nomem(r->e);
		any |= rc;
		buf_clear(&text);
		rc = buf_add(&text, out.data, out.len);
	}
	if (rc < 0 || !any)
		return rc == -ENOMEM ? err_nomem(r->e) : rc;
	attr = (struct overlay_attr){.mode = st.mode & 07777, .uid = st.uid, .gid = st.gid};
	return overlay_add_shared(r->to, path, buf_str(&text), text.len, &attr, r->e);
}

static int edit_depends(struct removal *r)
{
	static const char *const paths[] = {
		"/etc/init.d/.depend.boot",
		"/etc/init.d/.depend.start",
		"/lib/insserv/.depend.boot",
		"/lib/insserv/.depend.start",
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(paths) && rc >= 0; i++)
		rc = edit_depend(r, paths[i]);
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

int ctxd_remove_expand(struct guest_fs *fs, struct overlay *to, struct err *e)
{
	AUTO(receipt_release) struct receipt m = {0};
	struct removal r = {.fs = fs, .m = &m, .to = to, .e = e};
	struct guest_stat st;
	int rc = receipt_read(fs, &m, e);

	if (rc == 0 && guest_fs_stat(fs, CTXD_PROGRAM, false, &st, NULL) >= 0)
		return err_set(e, ENOENT,
			       "the guest's '" CTXD_PROGRAM "' was put in otherwise: there is no "
			       "'" RECEIPT_PATH "'");
	if (rc < 0 || !m.n)
		return rc;
	rc = ctxd_undo_expand(fs, to, e);
	if (rc >= 0)
		rc = remove_links(&r);
	if (rc >= 0)
		rc = edit_depends(&r);
	if (rc >= 0)
		rc = remove_files(&r);
	if (rc >= 0)
		rc = overlay_add_delete(to, RECEIPT_PATH, e);
	return rc < 0 ? rc : remove_dirs(&r);
}
