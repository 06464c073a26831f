/* SPDX-License-Identifier: Apache-2.0 */
/* Images in the making: see catalog/store.h. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "catalog/store_private.h"
#include "lib/fs.h"
#include "lib/str.h"

struct store_import {
	struct store *store;
	char *name;
	char *dir;
	char *lock_path;
	int lock_fd;
	char digest[65]; /* of the first disk; "": not known */
};

static void import_free(struct store_import *i)
{
	if (!i)
		return;
	if (i->lock_fd >= 0) {
		unlink(i->lock_path);
		close(i->lock_fd);
	}
	free(i->lock_path);
	free(i->name);
	free(i->dir);
	free(i);
}
DEFINE_AUTO(struct store_import *, import_free);

int store_import_lock(const char *path, int *ret_fd, struct err *e)
{
	/* A file that was unlinked by its last holder between open and flock is no lock. */
	for (;;) {
		AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		struct stat mine, there;

		if (fd < 0)
			return err_errno(e, errno, "opening '%s'", path);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK ? err_set(e, EBUSY, "'%s' is locked", path)
						    : err_errno(e, errno, "locking '%s'", path);
		if (fstat(fd, &mine) == 0 && stat(path, &there) == 0 &&
		    mine.st_ino == there.st_ino) {
			*ret_fd = steal_fd(&fd);
			return 0;
		}
	}
}

int store_import_begin(struct store *s, const char *name, struct store_import **ret, struct err *e)
{
	AUTO(import_free) struct store_import *i = NULL;
	AUTO_FREE char *final = NULL;
	int rc = store_check_name(name, e);

	if (rc < 0)
		return rc;
	if (str_has_prefix(name, "tmp.") || str_has_suffix(name, ".lock"))
		return err_set(e, EINVAL, "'%s' is no name for an image to be imported", name);
	i = calloc(1, sizeof(*i));
	if (!i)
		return err_nomem(e);
	i->lock_fd = -1;
	i->store = s;
	i->name = strdup(name);
	i->dir = path_join(s->partial, name);
	i->lock_path = str_format("%s/%s.lock", s->partial, name);
	final = path_join(s->images, name);
	if (!i->name || !i->dir || !i->lock_path || !final)
		return err_nomem(e);
	rc = store_import_lock(i->lock_path, &i->lock_fd, e);
	if (rc == -EBUSY)
		return err_set(e, EBUSY, "another import of '%s' is under way in this store", name);
	if (rc < 0)
		return rc;
	if (access(final, F_OK) == 0)
		return err_set(e, EEXIST,
			       "image '%s' is in the store already (another name: --name; to "
			       "remove it: catalog rm %s)",
			       name, name);
	rc = fs_mkdir_p(i->dir, 0755, e);
	if (rc < 0)
		return rc;
	*ret = STEAL(i);
	return 0;
}

const char *store_import_dir(const struct store_import *i)
{
	return i->dir;
}

void store_import_digest(struct store_import *i, const char digest[65])
{
	memcpy(i->digest, digest, sizeof(i->digest));
}

void store_import_discard(struct store_import *i)
{
	if (!i)
		return;
	(void)fs_remove_tree(i->dir, NULL);
	import_free(i);
}

void store_import_close(struct store_import *i)
{
	import_free(i);
}

/* ---- commit ------------------------------------------------------------------------------------ */

struct commit {
	struct store_import *import;
	struct store_stage stage;
	char digests[STORE_DISKS_MAX][65];
	unsigned n_disks;
};

static void commit_release(struct commit *c)
{
	store_stage_end(&c->stage);
}
DEFINE_AUTO_STRUCT(struct commit, commit_release);

static int digest_disks(struct commit *c, struct err *e)
{
	for (unsigned n = 0; n < STORE_DISKS_MAX; n++) {
		AUTO_FREE char *path = NULL;
		char name[16];
		int rc = 0;

		store_disk_name(n, name);
		path = path_join(c->import->dir, name);
		if (!path)
			return err_nomem(e);
		if (access(path, F_OK) < 0)
			break;
		if (n == 0 && *c->import->digest)
			memcpy(c->digests[n], c->import->digest, sizeof(c->digests[n]));
		else
			rc = store_digest(path, c->digests[n], e);
		if (rc < 0)
			return rc;
		c->n_disks = n + 1;
	}
	return c->n_disks ? 0 : err_set(e, ENOENT, "there is no disk in '%s'", c->import->dir);
}

static int put_disks(struct commit *c, struct err *e)
{
	const struct store *s = c->import->store;
	int rc = 0;

	for (unsigned n = 0; rc == 0 && n < c->n_disks; n++) {
		AUTO_FREE char *path = NULL, *file = NULL;
		char name[16];

		store_disk_name(n, name);
		path = path_join(c->import->dir, name);
		file = store_fixed_name(c->digests[n]);
		if (!path || !file)
			return err_nomem(e);
		rc = store_put_disk(s, path, c->digests[n], e);
		if (rc == 0)
			rc = store_link_disk(c->stage.dir, n, file, e);
	}
	return rc;
}

static int move_record(struct commit *c, struct err *e)
{
	AUTO(value_free) struct value *record = NULL;
	AUTO_FREE char *path = path_join(c->import->dir, STORE_RECORD);
	AUTO_BUF text = BUF_INIT;
	int rc = path ? fs_read_file(path, STORE_RECORD_LIMIT, &text, e) : err_nomem(e);

	if (rc == 0)
		rc = json_parse(path, text.data, text.len, NULL, &record, e);
	if (rc < 0)
		return rc;
	return store_write_record(c->stage.dir, record,
				  &(struct store_member){"name", c->import->name}, 1, e);
}

static int commit(struct store_import *i, struct err *e)
{
	AUTO(commit_release) struct commit c = {.import = i, .stage = STORE_STAGE_INIT};
	AUTO_FD int lock = -1;
	int rc = digest_disks(&c, e);

	if (rc == 0)
		rc = store_stage_begin(i->store, &c.stage, e);
	if (rc == 0)
		rc = store_lock(i->store, &lock, e);
	if (rc == 0)
		rc = put_disks(&c, e);
	if (rc == 0)
		rc = move_record(&c, e);
	if (rc == 0)
		rc = store_stage_publish(i->store, &c.stage, i->name, e);
	return rc;
}

int store_import_commit(struct store_import *i, struct err *e)
{
	int rc = commit(i, e);
	struct store_garbage garbage;
	AUTO_FD int lock = -1;

	/* Without its image the disk is not needed. */
	if (rc < 0 && store_lock(i->store, &lock, NULL) == 0)
		(void)store_collect(i->store, 0, NULL, NULL, &garbage, NULL);
	store_import_discard(i);
	return rc;
}
