/* SPDX-License-Identifier: Apache-2.0 */
/* Removing what nothing in the store refers to: see catalog/store.h. */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "catalog/store_private.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"

struct disk {
	char *file;
	bool live;
};

/* One collection. */
struct round {
	const struct store *store;
	struct disk *disks; /* n_disks, by name */
	size_t n_disks;
	unsigned flags;
	void (*tell)(void *ctx, const char *text);
	void *ctx;
	struct store_garbage *garbage;
};

static void round_release(struct round *r)
{
	for (size_t i = 0; i < r->n_disks; i++)
		free(r->disks[i].file);
	free(r->disks);
}
DEFINE_AUTO_STRUCT(struct round, round_release);

static void PRINTF_LIKE(2, 3) say(const struct round *r, const char *fmt, ...)
{
	AUTO_BUF text = BUF_INIT;
	va_list ap;
	int rc;

	if (!r->tell)
		return;
	va_start(ap, fmt);
	rc = buf_vaddf(&text, fmt, ap);
	va_end(ap);
	if (rc == 0)
		r->tell(r->ctx, buf_str(&text));
}

/* ---- disks -------------------------------------------------------------------------------------- */

static int add_disk(void *ctx, const char *name, struct err *e)
{
	struct round *r = ctx;
	struct disk *grown;

	if (!store_is_fixed(name) && !store_is_clone(name))
		return 0;
	grown = reallocarray(r->disks, r->n_disks + 1, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	r->disks = grown;
	grown[r->n_disks] = (struct disk){.file = strdup(name)};
	if (!grown[r->n_disks].file)
		return err_nomem(e);
	r->n_disks++;
	return 0;
}

static int by_name(const void *key, const void *item)
{
	return strcmp(key, ((const struct disk *)item)->file);
}

/* Marks a disk and all its bases. */
static int mark(struct round *r, const char *file, struct err *e)
{
	AUTO_FREE char *next = strdup(file);

	if (!next)
		return err_nomem(e);
	for (;;) {
		struct disk *d = !r->n_disks ? NULL
					     : bsearch(next, r->disks, r->n_disks,
						       sizeof(*r->disks), by_name);
		AUTO_FREE char *base = NULL;
		int rc;

		if (!d || d->live)
			return 0;
		d->live = true;
		rc = store_disk_base(r->store, d->file, &base, e);
		if (rc < 0)
			return err_wrap(e, "what the disk '%s' needs is not known", d->file);
		if (!base)
			return 0;
		free(next);
		next = STEAL(base);
	}
}

static int mark_image(void *ctx, const char *name, struct err *e)
{
	struct round *r = ctx;
	int rc = 0;

	if (store_check_name(name, NULL) < 0)
		return 0;
	for (unsigned n = 0; rc == 0 && n < STORE_DISKS_MAX; n++) {
		AUTO(store_disk_release) struct store_disk d = {0};

		if (store_find_disk(r->store, name, n, &d, NULL) == 0 && d.kind != STORE_DISK_OLD)
			rc = mark(r, d.file, e);
	}
	return rc;
}

/* True if nobody holds it; *ret_fd keeps it so. */
static bool take_disk(const char *path, int *ret_fd)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	*ret_fd = steal_fd(&fd);
	return true;
}

/* What somebody holds is needed, and so are its bases. */
static int mark_held(struct round *r, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->n_disks; i++) {
		AUTO_FREE char *path = path_join(r->store->disks, r->disks[i].file);
		AUTO_FD int fd = -1;

		if (!path)
			return err_nomem(e);
		if (!r->disks[i].live && !take_disk(path, &fd))
			rc = mark(r, r->disks[i].file, e);
	}
	return rc;
}

static int drop_disk(struct round *r, const char *file, struct err *e)
{
	AUTO_FREE char *path = path_join(r->store->disks, file);
	AUTO_FD int fd = -1;
	struct stat st;

	if (!path)
		return err_nomem(e);
	if (!take_disk(path, &fd) || fstat(fd, &st) < 0)
		return 0;
	if (!(r->flags & STORE_GC_DRY_RUN) && unlink(path) < 0)
		return err_errno(e, errno, "removing '%s'", path);
	say(r, "disk %s", file);
	r->garbage->disks++;
	r->garbage->bytes += (uint64_t)st.st_blocks * 512;
	return 0;
}

int store_collect(const struct store *s, unsigned flags, void (*tell)(void *ctx, const char *text),
		  void *ctx, struct store_garbage *ret, struct err *e)
{
	AUTO(round_release)
	struct round r = {.store = s, .flags = flags, .tell = tell, .ctx = ctx, .garbage = ret};
	int rc;

	*ret = (struct store_garbage){0};
	rc = store_each(s->disks, add_disk, &r, e);
	if (rc == 0)
		rc = store_each(s->images, mark_image, &r, e);
	if (rc == 0)
		rc = mark_held(&r, e);
	for (size_t i = 0; rc == 0 && i < r.n_disks; i++) {
		if (!r.disks[i].live)
			rc = drop_disk(&r, r.disks[i].file, e);
	}
	if (ret->disks)
		store_sync_dir(s->disks);
	return rc;
}

/* ---- partial/ ------------------------------------------------------------------------------------ */

static uint64_t counted;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)type;
	(void)ftw;
	counted += (uint64_t)st->st_blocks * 512;
	return 0;
}

static int drop_tree(struct round *r, const char *path, const char *what, struct err *e)
{
	int rc = 0;

	counted = 0;
	(void)nftw(path, count_one, 16, FTW_PHYS);
	if (!(r->flags & STORE_GC_DRY_RUN))
		rc = fs_remove_tree(path, e);
	if (rc < 0)
		return rc;
	say(r, "%s", what);
	r->garbage->partial++;
	r->garbage->bytes += counted;
	return 0;
}

/* Of a process that is no more: nobody has the folder locked. */
static int drop_stage(struct round *r, const char *path, const char *name, struct err *e)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	return drop_tree(r, path, name, e);
}

/* Whether an interrupted import left what it can be gone on by, or what it made in a cloud and must
 * remove there. */
static bool has_journal(const char *path)
{
	static const char *const names[] = {STORE_JOURNALS};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_FREE char *journal = path_join(path, names[i]);

		if (!journal || access(journal, F_OK) == 0)
			return true;
	}
	return false;
}

/* An import that nobody works on, and that cannot be gone on with (or need not be). */
static int drop_import(struct round *r, const char *path, const char *name, struct err *e)
{
	AUTO_FREE char *lock = str_format("%s.lock", path);
	AUTO_FREE char *copy = path_join(path, STORE_COPY_JOURNAL);
	AUTO_FD int fd = -1;
	int rc = 0;

	if (!lock || !copy)
		return err_nomem(e);
	if (store_import_lock(lock, &fd, NULL) < 0)
		return 0;
	if (r->flags & STORE_GC_PARTIAL && access(copy, F_OK) == 0)
		log_warn("'%s' is kept: the copy of an AMI that it made is still in the cloud; the "
			 "same import removes it",
			 name);
	else if (r->flags & STORE_GC_PARTIAL || !has_journal(path))
		rc = drop_tree(r, path, name, e);
	(void)unlink(lock);
	return rc;
}

/* A lock whose import is gone. */
static void drop_lock(const struct round *r, const char *path)
{
	AUTO_FREE char *dir = strndup(path, strlen(path) - strlen(".lock"));
	AUTO_FD int fd = -1;

	if (!dir || access(dir, F_OK) == 0 || store_import_lock(path, &fd, NULL) < 0)
		return;
	if (!(r->flags & STORE_GC_DRY_RUN))
		(void)unlink(path);
}

static int look_at_partial(void *ctx, const char *name, struct err *e)
{
	struct round *r = ctx;
	AUTO_FREE char *path = path_join(r->store->partial, name);
	AUTO_FREE char *what = str_format("partial/%s", name);
	struct stat st;

	if (!path || !what)
		return err_nomem(e);
	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode)) {
		if (str_has_suffix(name, ".lock"))
			drop_lock(r, path);
		return 0;
	}
	if (str_has_prefix(name, "tmp."))
		return drop_stage(r, path, what, e);
	return drop_import(r, path, what, e);
}

int store_gc(struct store *s, unsigned flags, void (*tell)(void *ctx, const char *text), void *ctx,
	     struct store_garbage *ret, struct err *e)
{
	AUTO_FD int lock = -1;
	struct round r = {.store = s, .flags = flags, .tell = tell, .ctx = ctx, .garbage = ret};
	int rc = store_lock(s, &lock, e);

	if (rc == 0)
		rc = store_collect(s, flags, tell, ctx, ret, e);
	return rc < 0 ? rc : store_each(s->partial, look_at_partial, &r, e);
}

int store_remove(struct store *s, const char *name, struct err *e)
{
	AUTO(store_disk_release) struct store_disk d = {0};
	AUTO(store_stage_end) struct store_stage st = STORE_STAGE_INIT;
	AUTO_FREE char *from = NULL, *to = NULL;
	struct store_garbage garbage;
	struct err why;
	AUTO_FD int lock = -1;
	AUTO_FD int claim = -1;
	int rc = store_check_name(name, e);

	if (rc == 0)
		rc = store_stage_begin(s, &st, e);
	if (rc == 0)
		rc = store_lock(s, &lock, e);
	/* Whatever is wrong with an image, it can be removed. */
	if (rc == 0 && store_find_disk(s, name, 0, &d, NULL) == 0 && d.kind == STORE_DISK_CLONE &&
	    store_claim(&d, &claim, &why) == -EBUSY)
		rc = err_set(e, EBUSY, "%s", why.msg);
	if (rc < 0)
		return rc;
	from = path_join(s->images, name);
	to = path_join(st.dir, name);
	if (!from || !to)
		return err_nomem(e);
	/* First out of sight in one step: half an image is never seen. */
	if (rename(from, to) < 0)
		return errno == ENOENT ? err_set(e, ENOENT, "no image '%s' in the store '%s'", name,
						 s->path)
				       : err_errno(e, errno, "removing image '%s'", name);
	store_sync_dir(s->images);
	if (store_collect(s, 0, NULL, NULL, &garbage, &why) < 0)
		log_warn("no disk was removed: %s", why.msg);
	return 0;
}
