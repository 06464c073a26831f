/* SPDX-License-Identifier: Apache-2.0 */
/* The local store of images: see catalog/store.h. */
#include "catalog/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/json.h"
#include "lib/str.h"

#define RECORD_LIMIT (1u << 20)
#define NAME_LIMIT 128

struct store {
	char *path;
	char *images, *partial;
};

struct store_import {
	struct store *store;
	char *name;
	char *dir;
	char *lock_path;
	int lock_fd;
};

static int default_path(char **ret, struct err *e)
{
	const char *own = getenv("ACCLIMATE_STORE"), *data = getenv("XDG_DATA_HOME"),
		   *home = getenv("HOME");

	if (own && *own)
		*ret = strdup(own);
	else if (data && *data == '/')
		*ret = path_join(data, "acclimate/store");
	else if (home && *home == '/')
		*ret = path_join(home, ".local/share/acclimate/store");
	else
		return err_set(e, EINVAL, "no place for the store: HOME is not set (--store)");
	return *ret ? 0 : err_nomem(e);
}

int store_open(const char *path, struct store **ret, struct err *e)
{
	AUTO(store_free) struct store *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (!s)
		return err_nomem(e);
	if (path)
		s->path = strdup(path);
	else
		rc = default_path(&s->path, e);
	if (rc < 0)
		return rc;
	s->images = s->path ? path_join(s->path, "images") : NULL;
	s->partial = s->path ? path_join(s->path, "partial") : NULL;
	if (!s->images || !s->partial)
		return err_nomem(e);
	rc = fs_mkdir_p(s->images, 0755, e);
	if (rc == 0)
		rc = fs_mkdir_p(s->partial, 0755, e);
	if (rc < 0)
		return err_wrap(e, "opening the store");
	*ret = STEAL(s);
	return 0;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	free(s->path);
	free(s->images);
	free(s->partial);
	free(s);
}

const char *store_path(const struct store *s)
{
	return s->path;
}

int store_check_name(const char *name, struct err *e)
{
	size_t n = strlen(name);
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	if (!n || n > NAME_LIMIT || *name == '.' || *name == '-' || strspn(name, allowed) != n)
		return err_set(e, EINVAL,
			       "'%s' is no name for an image: letters, digits, '.', '_' and '-', "
			       "at most %d",
			       name, NAME_LIMIT);
	return 0;
}

int store_file(const struct store *s, const char *name, const char *file, char **ret, struct err *e)
{
	AUTO_FREE char *path = NULL;
	int rc = store_check_name(name, e);

	if (rc < 0)
		return rc;
	path = str_format("%s/%s/%s", s->images, name, file);
	if (!path)
		return err_nomem(e);
	if (access(path, F_OK) < 0)
		return err_set(e, ENOENT, "no image '%s' in the store '%s'", name, s->path);
	*ret = STEAL(path);
	return 0;
}

int store_record(const struct store *s, const char *name, struct value **ret, struct err *e)
{
	AUTO_FREE char *path = NULL;
	AUTO_BUF text = BUF_INIT;
	int rc = store_file(s, name, STORE_RECORD, &path, e);

	if (rc == 0)
		rc = fs_read_file(path, RECORD_LIMIT, &text, e);
	if (rc == 0)
		rc = json_parse(path, text.data, text.len, NULL, ret, e);
	if (rc == 0 && (*ret)->kind != VALUE_MAP) {
		value_free(*ret);
		rc = err_set(e, EBADMSG, "'%s' is not a map", path);
	}
	return rc;
}

int store_list(const struct store *s, int (*fn)(void *ctx, const char *name), void *ctx,
	       struct err *e)
{
	struct dirent **list = NULL;
	int n = scandir(s->images, &list, NULL, alphasort);
	int rc = 0;

	if (n < 0)
		return err_errno(e, errno, "reading '%s'", s->images);
	for (int i = 0; i < n; i++) {
		if (rc == 0 && list[i]->d_name[0] != '.' &&
		    store_check_name(list[i]->d_name, NULL) == 0)
			rc = fn(ctx, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return rc;
}

/* The folder's entries are on disk. */
static void sync_dir(const char *path)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		(void)fsync(fd);
}

int store_remove(struct store *s, const char *name, struct err *e)
{
	AUTO_FREE char *from = NULL, *to = NULL;
	int rc = store_check_name(name, e);

	if (rc < 0)
		return rc;
	from = path_join(s->images, name);
	to = str_format("%s/%s.removed.%d", s->partial, name, (int)getpid());
	if (!from || !to)
		return err_nomem(e);
	/* First out of sight in one step: half an image is never seen. */
	if (rename(from, to) < 0)
		return errno == ENOENT ? err_set(e, ENOENT, "no image '%s' in the store '%s'", name,
						 s->path)
				       : err_errno(e, errno, "removing image '%s'", name);
	sync_dir(s->images);
	return fs_remove_tree(to, e);
}

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

/* Takes the lock; a file that was unlinked by its last holder between open and flock is no lock. */
static int take_lock(struct store_import *i, struct err *e)
{
	for (;;) {
		AUTO_FD int fd = open(i->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		struct stat mine, there;

		if (fd < 0)
			return err_errno(e, errno, "opening '%s'", i->lock_path);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK
				       ? err_set(e, EBUSY,
						 "another import of '%s' is under way in this "
						 "store",
						 i->name)
				       : err_errno(e, errno, "locking '%s'", i->lock_path);
		if (fstat(fd, &mine) == 0 && stat(i->lock_path, &there) == 0 &&
		    mine.st_ino == there.st_ino) {
			i->lock_fd = steal_fd(&fd);
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
	rc = take_lock(i, e);
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

int store_import_commit(struct store_import *i, struct err *e)
{
	AUTO_FREE char *final = path_join(i->store->images, i->name);
	int rc = 0;

	if (!final) {
		rc = err_nomem(e);
	} else {
		sync_dir(i->dir);
		if (rename(i->dir, final) < 0)
			rc = err_errno(e, errno, "naming image '%s'", i->name);
		sync_dir(i->store->images);
	}
	if (rc < 0)
		store_import_discard(i);
	else
		import_free(i);
	return rc;
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
