/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is derived from images: other names, copy-on-write clones, and new images made of these.
 *
 * A clone's disk changes; so that something can stand on it, it is settled: its file becomes one
 * that never changes, and the clone goes on with an empty one above. Each step leaves a whole
 * store: first a second name (which nothing refers to yet), then the empty disk, then the clone's
 * link is turned over in one rename, then the first name goes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "catalog/store_private.h"
#include "imgconv/imgconv.h"
#include "lib/fs.h"
#include "lib/str.h"

/* Bases that may lie under a disk, so that one more, and a run's own clone, can be read. */
#define CHAIN_MAX 12

static int must_be_new(const struct store *s, const char *name, struct err *e)
{
	AUTO_FREE char *path = NULL;
	int rc = store_check_name(name, e);

	if (rc < 0)
		return rc;
	path = path_join(s->images, name);
	if (!path)
		return err_nomem(e);
	return access(path, F_OK) == 0
		       ? err_set(e, EEXIST, "image '%s' is in the store already", name)
		       : 0;
}

static int disk_size(const char *path, uint64_t *ret, struct err *e)
{
	const struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_INSPECT};
	AUTO(image_close) struct image *im = NULL;
	int rc = image_open(path, &o, &im, e);

	if (rc == 0)
		*ret = image_size(im);
	return rc;
}

/* ---- images of older stores ----------------------------------------------------------------------- */

/* With the lock. The disk has both names until the link has taken the place of the old one. */
static int adopt_disk(const struct store *s, const char *dir, const struct store_disk *d,
		      const char digest[65], unsigned n, struct err *e)
{
	AUTO_FREE char *file = store_fixed_name(digest);
	AUTO_FREE char *path = file ? path_join(s->disks, file) : NULL;

	if (!path)
		return err_nomem(e);
	if (link(d->path, path) < 0 && errno != EEXIST)
		return err_errno(e, errno, "moving '%s' to the disks of the store", d->path);
	if (chmod(path, 0444) < 0)
		return err_errno(e, errno, "'%s'", path);
	store_sync_dir(s->disks);
	return store_link_disk(dir, n, file, e);
}

int store_adopt(struct store *s, const char *name, struct err *e)
{
	AUTO(value_free) struct value *record = NULL;
	AUTO_FREE char *dir = path_join(s->images, name);
	unsigned n_disks, adopted = 0;
	int rc = dir ? store_count_disks(s, name, &n_disks, e) : err_nomem(e);

	for (unsigned n = 0; rc == 0 && n < n_disks; n++) {
		AUTO(store_disk_release) struct store_disk d = {0};
		AUTO_FD int lock = -1;
		char digest[65];

		rc = store_find_disk(s, name, n, &d, e);
		if (rc < 0 || d.kind != STORE_DISK_OLD)
			continue;
		rc = store_digest(d.path, digest, e);
		if (rc == 0)
			rc = store_lock(s, &lock, e);
		if (rc == 0)
			rc = adopt_disk(s, dir, &d, digest, n, e);
		adopted++;
	}
	if (rc < 0 || !adopted)
		return rc;
	rc = store_record(s, name, &record, e);
	return rc < 0 ? rc : store_write_record(dir, record, NULL, 0, e);
}

int store_tag(struct store *s, const char *name, const char *other, struct err *e)
{
	AUTO(store_stage_end) struct store_stage st = STORE_STAGE_INIT;
	AUTO(value_free) struct value *record = NULL;
	AUTO_FD int lock = -1;
	const struct store_member member = {.key = "name", .value = other};
	unsigned n_disks = 0;
	int rc = must_be_new(s, other, e);

	if (rc == 0)
		rc = store_adopt(s, name, e);
	if (rc == 0)
		rc = store_stage_begin(s, &st, e);
	if (rc == 0)
		rc = store_lock(s, &lock, e);
	if (rc == 0)
		rc = store_record(s, name, &record, e);
	if (rc == 0)
		rc = store_count_disks(s, name, &n_disks, e);
	for (unsigned n = 0; rc == 0 && n < n_disks; n++) {
		AUTO(store_disk_release) struct store_disk d = {0};

		rc = store_find_disk(s, name, n, &d, e);
		if (rc == 0 && d.kind != STORE_DISK_FIXED)
			rc = err_set(e, EINVAL,
				     "'%s' is a clone: make an image of it by catalog commit, or "
				     "clone it",
				     name);
		if (rc == 0)
			rc = store_link_disk(st.dir, n, d.file, e);
	}
	if (rc == 0)
		rc = store_write_record(st.dir, record, &member, 1, e);
	return rc < 0 ? rc : store_stage_publish(s, &st, other, e);
}

/* ---- settling ------------------------------------------------------------------------------------ */

/* What a clone is settled by: nobody else has its disks meanwhile. */
struct settling {
	struct store *store;
	const char *name;
	unsigned n_disks;
	struct store_disk disks[STORE_DISKS_MAX];
	int claims[STORE_DISKS_MAX];
	char digests[STORE_DISKS_MAX][65];
};

#define SETTLING_INIT ((struct settling){.claims = {[0 ... STORE_DISKS_MAX - 1] = -1}})

static void settling_release(struct settling *t)
{
	for (unsigned n = 0; n < STORE_DISKS_MAX; n++) {
		store_disk_release(&t->disks[n]);
		if (t->claims[n] >= 0)
			close(t->claims[n]);
	}
}
DEFINE_AUTO_STRUCT(struct settling, settling_release);

static int check_chain(const struct store *s, const char *file, struct err *e)
{
	AUTO_FREE char *at = strdup(file);

	for (unsigned depth = 0; at; depth++) {
		char *base = NULL;
		int rc;

		if (depth == CHAIN_MAX)
			return err_set(e, ELOOP,
				       "more than %d disks under each other (catalog commit "
				       "--flatten makes an image that needs none)",
				       CHAIN_MAX);
		rc = store_disk_base(s, at, &base, e);
		if (rc < 0)
			return rc;
		free(at);
		at = base;
		if (!at)
			return 0;
	}
	return err_nomem(e);
}

/* Finds and claims the disks of a clone. Errors: EINVAL it is none. */
static int settling_begin(struct store *s, const char *name, struct settling *t, struct err *e)
{
	int rc;

	t->store = s;
	t->name = name;
	rc = store_count_disks(s, name, &t->n_disks, e);
	for (unsigned n = 0; rc == 0 && n < t->n_disks; n++) {
		rc = store_find_disk(s, name, n, &t->disks[n], e);
		if (rc == 0 && t->disks[n].kind != STORE_DISK_CLONE)
			rc = err_set(e, EINVAL,
				     "'%s' is no clone, so nothing of it can have changed", name);
		if (rc == 0)
			rc = store_claim(&t->disks[n], &t->claims[n], e);
	}
	return rc;
}

/*
 * Gives a clone's file its second name. What has the name already is the same file after a commit
 * that was interrupted, or an equal one; but one with a second name is another clone's, which may
 * have changed since: gc knows that nothing refers to it.
 */
static int name_fixed(const struct store *s, const char *clone, const char *fixed, struct err *e)
{
	struct store_garbage none;
	struct stat mine, there;
	int rc;

	if (link(clone, fixed) == 0)
		return 0;
	if (errno != EEXIST || stat(clone, &mine) < 0 || stat(fixed, &there) < 0)
		return err_errno(e, errno, "naming the disk '%s'", fixed);
	if (mine.st_ino == there.st_ino || there.st_nlink == 1)
		return 0;
	rc = store_collect(s, 0, NULL, NULL, &none, e);
	if (rc == 0 && link(clone, fixed) < 0)
		rc = err_errno(e, errno, "naming the disk '%s'", fixed);
	return rc;
}

static int settle_disk(struct settling *t, unsigned n, struct err *e)
{
	const struct store *s = t->store;
	struct store_disk *d = &t->disks[n];
	AUTO_FREE char *fixed = store_fixed_name(t->digests[n]);
	AUTO_FREE char *path = fixed ? path_join(s->disks, fixed) : NULL;
	AUTO_FREE char *dir = path_join(s->images, t->name);
	AUTO_FREE char *clone = NULL;
	uint64_t size = 0;
	int rc = path && dir ? disk_size(d->path, &size, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	if (fsync(t->claims[n]) < 0)
		return err_errno(e, errno, "writing '%s'", d->path);
	rc = name_fixed(s, d->path, path, e);
	if (rc == 0)
		rc = store_make_clone(s, fixed, size, &clone, e);
	if (rc == 0)
		rc = store_link_disk(dir, n, clone, e);
	if (rc < 0)
		return rc;
	store_sync_dir(dir);
	(void)fchmod(t->claims[n], 0444);
	if (unlink(d->path) < 0)
		return err_errno(e, errno, "removing the name '%s'", d->path);
	free(d->file);
	d->file = STEAL(fixed);
	return 0;
}

/* Digests the disks, which takes a while; then with the lock: each becomes a fixed one. */
static int settling_digest(struct settling *t, struct err *e)
{
	int rc = 0;

	for (unsigned n = 0; rc == 0 && n < t->n_disks; n++) {
		rc = check_chain(t->store, t->disks[n].file, e);
		if (rc == 0)
			rc = store_digest(t->disks[n].path, t->digests[n], e);
	}
	return rc;
}

static int settling_finish(struct settling *t, struct err *e)
{
	int rc = 0;

	for (unsigned n = 0; rc == 0 && n < t->n_disks; n++)
		rc = settle_disk(t, n, e);
	return rc;
}

/* ---- clones -------------------------------------------------------------------------------------- */

/* What something new stands on: files of disks/ that never change. */
struct bases {
	char *files[STORE_DISKS_MAX];
	unsigned n;
};

static void bases_release(struct bases *b)
{
	for (unsigned n = 0; n < b->n; n++)
		free(b->files[n]);
}
DEFINE_AUTO_STRUCT(struct bases, bases_release);

/* With the lock. t: the clone's, claimed and digested; NULL for an image. */
static int find_bases(struct store *s, const char *name, struct settling *t, struct bases *ret,
		      struct err *e)
{
	unsigned n_disks = 0;
	int rc = t ? settling_finish(t, e) : store_count_disks(s, name, &n_disks, e);

	for (unsigned n = 0; rc == 0 && n < (t ? t->n_disks : n_disks); n++) {
		AUTO(store_disk_release) struct store_disk d = {0};

		if (!t)
			rc = store_find_disk(s, name, n, &d, e);
		if (rc == 0 && !t && d.kind != STORE_DISK_FIXED)
			rc = err_set(e, EAGAIN, "image '%s' changed meanwhile", name);
		if (rc < 0)
			return rc;
		ret->files[n] = t ? strdup(t->disks[n].file) : STEAL(d.file);
		if (!ret->files[n])
			return err_nomem(e);
		ret->n = n + 1;
	}
	return rc;
}

static int clone_disks(const struct store *s, const char *name, const struct bases *b,
		       uint64_t size, const struct store_stage *st, uint64_t *ret_size,
		       struct err *e)
{
	int rc = 0;

	for (unsigned n = 0; rc == 0 && n < b->n; n++) {
		AUTO_FREE char *path = path_join(s->disks, b->files[n]), *clone = NULL;
		uint64_t now = 0;

		rc = path ? disk_size(path, &now, e) : err_nomem(e);
		if (rc == 0 && n == 0 && size && size < now)
			rc = err_set(e, EINVAL,
				     "the disk of '%s' is of %llu bytes: a clone is not smaller",
				     name, (unsigned long long)now);
		if (n == 0)
			*ret_size = now = size ? round_up(size, 512) : now;
		if (rc == 0)
			rc = store_make_clone(s, b->files[n], now, &clone, e);
		if (rc == 0)
			rc = store_link_disk(st->dir, n, clone, e);
	}
	return rc;
}

static int is_clone(const struct store *s, const char *name, bool *ret, struct err *e)
{
	AUTO(store_disk_release) struct store_disk d = {0};
	int rc = store_find_disk(s, name, 0, &d, e);

	*ret = rc == 0 && d.kind == STORE_DISK_CLONE;
	return rc;
}

int store_clone(struct store *s, const char *name, const char *clone, uint64_t size, struct err *e)
{
	AUTO(store_stage_end) struct store_stage st = STORE_STAGE_INIT;
	AUTO(settling_release) struct settling t = SETTLING_INIT;
	AUTO(bases_release) struct bases b = {0};
	AUTO(value_free) struct value *record = NULL;
	AUTO_FD int lock = -1;
	char now[32];
	bool of_clone = false;
	uint64_t virtual_size = 0;
	int rc = must_be_new(s, clone, e);

	if (rc == 0)
		rc = store_adopt(s, name, e);
	if (rc == 0)
		rc = is_clone(s, name, &of_clone, e);
	if (rc == 0 && of_clone)
		rc = settling_begin(s, name, &t, e);
	if (rc == 0 && of_clone)
		rc = settling_digest(&t, e);
	if (rc == 0)
		rc = store_stage_begin(s, &st, e);
	if (rc == 0)
		rc = store_lock(s, &lock, e);
	if (rc == 0)
		rc = store_record(s, name, &record, e);
	if (rc == 0)
		rc = find_bases(s, name, of_clone ? &t : NULL, &b, e);
	if (rc == 0)
		rc = clone_disks(s, name, &b, size, &st, &virtual_size, e);
	if (rc < 0)
		return rc;
	store_now(now);
	rc = store_write_record(st.dir, record,
				(const struct store_member[]){
					{.key = "name", .value = clone},
					{.key = "created", .value = now},
					{.key = "clone-of", .value = name},
					{.key = "virtual-size", .number = virtual_size},
				},
				4, e);
	return rc < 0 ? rc : store_stage_publish(s, &st, clone, e);
}

/* ---- images of clones ------------------------------------------------------------------------------ */

/* One disk without a base: all that its guest sees. */
static int flatten_disk(const char *from, const char *to, struct err *e)
{
	const struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_ALLOW_BACKING};
	AUTO(image_writer_free) struct image_writer *w = NULL;
	AUTO(image_close) struct image *im = NULL;
	AUTO_FD int fd = -1;
	struct progress *p;
	int rc = image_open(from, &o, &im, e);

	if (rc < 0)
		return rc;
	fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(e, errno, "making '%s'", to);
	rc = image_create(fd, to, "qcow2", image_size(im), NULL, &w, e);
	if (rc < 0)
		return rc;
	p = progress_start("copying", image_size(im));
	rc = image_copy(im, w, p, e);
	progress_end(p, rc == 0);
	return rc < 0 ? rc : image_writer_finish(w, e);
}

/* Copies the disks into the stage and digests them; the clone stays as it is. */
static int flatten_disks(struct settling *t, const char *dir, struct err *e)
{
	int rc = 0;

	for (unsigned n = 0; rc == 0 && n < t->n_disks; n++) {
		AUTO_FREE char *path = str_format("%s/flat%u", dir, n);

		if (!path)
			return err_nomem(e);
		rc = flatten_disk(t->disks[n].path, path, e);
		if (rc == 0)
			rc = store_digest(path, t->digests[n], e);
	}
	return rc;
}

static int put_flat(struct settling *t, const char *dir, struct bases *ret, struct err *e)
{
	int rc = 0;

	for (unsigned n = 0; rc == 0 && n < t->n_disks; n++) {
		AUTO_FREE char *path = str_format("%s/flat%u", dir, n);

		ret->files[n] = store_fixed_name(t->digests[n]);
		if (!path || !ret->files[n])
			return err_nomem(e);
		ret->n = n + 1;
		rc = store_put_disk(t->store, path, t->digests[n], e);
	}
	return rc;
}

static int publish_commit(struct settling *t, struct store_stage *st, const struct bases *b,
			  const char *name, struct err *e)
{
	AUTO(value_free) struct value *record = NULL;
	char now[32];
	int rc = store_record(t->store, t->name, &record, e);

	for (unsigned n = 0; rc == 0 && n < b->n; n++)
		rc = store_link_disk(st->dir, n, b->files[n], e);
	if (rc < 0)
		return rc;
	store_now(now);
	rc = store_write_record(st->dir, record,
				(const struct store_member[]){
					{.key = "name", .value = name},
					{.key = "created", .value = now},
					{.key = "committed-from", .value = t->name},
					{.key = "clone-of"},
				},
				4, e);
	return rc < 0 ? rc : store_stage_publish(t->store, st, name, e);
}

int store_commit(struct store *s, const char *clone, const char *name, bool flatten, struct err *e)
{
	AUTO(store_stage_end) struct store_stage st = STORE_STAGE_INIT;
	AUTO(settling_release) struct settling t = SETTLING_INIT;
	AUTO(bases_release) struct bases b = {0};
	AUTO_FD int lock = -1;
	int rc = must_be_new(s, name, e);

	if (rc == 0)
		rc = settling_begin(s, clone, &t, e);
	if (rc == 0)
		rc = store_stage_begin(s, &st, e);
	if (rc == 0)
		rc = flatten ? flatten_disks(&t, st.dir, e) : settling_digest(&t, e);
	if (rc == 0)
		rc = store_lock(s, &lock, e);
	if (rc == 0)
		rc = flatten ? put_flat(&t, st.dir, &b, e) : find_bases(s, clone, &t, &b, e);
	return rc < 0 ? rc : publish_commit(&t, &st, &b, name, e);
}
