/* SPDX-License-Identifier: Apache-2.0 */
/* The local store: its place, names, records, the lock, stages; see catalog/store.h. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "catalog/store_private.h"
#include "lib/fs.h"
#include "lib/stop.h"
#include "lib/str.h"

#define NAME_LIMIT 128
#define LOCK_POLL_MS 5

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
	s->disks = s->path ? path_join(s->path, "disks") : NULL;
	if (!s->images || !s->partial || !s->disks)
		return err_nomem(e);
	rc = fs_mkdir_p(s->images, 0755, e);
	if (rc == 0)
		rc = fs_mkdir_p(s->partial, 0755, e);
	if (rc == 0)
		rc = fs_mkdir_p(s->disks, 0755, e);
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
	free(s->disks);
	free(s);
}

const char *store_path(const struct store *s)
{
	return s->path;
}

/* ---- names and records ---------------------------------------------------------------------- */

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

void store_disk_name(unsigned n, char ret[16])
{
	if (n)
		snprintf(ret, 16, "disk%u.qcow2", n % 1000);
	else
		snprintf(ret, 16, STORE_DISK);
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
		rc = fs_read_file(path, STORE_RECORD_LIMIT, &text, e);
	if (rc == 0)
		rc = json_parse(path, text.data, text.len, NULL, ret, e);
	if (rc == 0 && (*ret)->kind != VALUE_MAP) {
		value_free(*ret);
		*ret = NULL;
		rc = err_set(e, EBADMSG, "'%s' is not a map", path);
	}
	return rc;
}

const char *store_text(const struct value *record, const char *path)
{
	const struct value *m = value_path(record, path);
	const char *s;

	return m && value_text(m, &s, NULL) == 0 ? s : NULL;
}

int store_each(const char *dir, int (*fn)(void *ctx, const char *name, struct err *e), void *ctx,
	       struct err *e)
{
	struct dirent **list = NULL;
	int n = scandir(dir, &list, NULL, alphasort);
	int rc = 0;

	if (n < 0)
		return err_errno(e, errno, "reading '%s'", dir);
	for (int i = 0; i < n; i++) {
		if (rc == 0 && list[i]->d_name[0] != '.')
			rc = fn(ctx, list[i]->d_name, e);
		free(list[i]);
	}
	free(list);
	return rc;
}

struct list_call {
	int (*fn)(void *ctx, const char *name);
	void *ctx;
};

static int list_one(void *ctx, const char *name, struct err *e)
{
	const struct list_call *c = ctx;

	(void)e;
	return store_check_name(name, NULL) == 0 ? c->fn(c->ctx, name) : 0;
}

int store_list(const struct store *s, int (*fn)(void *ctx, const char *name), void *ctx,
	       struct err *e)
{
	struct list_call c = {fn, ctx};

	return store_each(s->images, list_one, &c, e);
}

void store_now(char ret[32])
{
	time_t t = time(NULL);
	struct tm tm;

	strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
}

/* "disks": file name, digest and size of each. */
static int add_disks(struct jsonw *w, const char *dir, struct err *e)
{
	jsonw_array(w, "disks");
	for (unsigned n = 0; n < STORE_DISKS_MAX; n++) {
		char name[16], target[PATH_MAX], digest[STORE_DIGEST_TEXT];
		AUTO_FREE char *path = NULL;
		const char *file;
		struct stat st;
		ssize_t len;

		store_disk_name(n, name);
		path = path_join(dir, name);
		if (!path)
			return err_nomem(e);
		len = readlink(path, target, sizeof(target) - 1);
		if (len < 0)
			break;
		target[len] = '\0';
		file = strrchr(target, '/');
		file = file ? file + 1 : target;
		jsonw_object(w, NULL);
		jsonw_string(w, "file", file);
		if (store_is_fixed(file)) {
			store_digest_text(file, digest);
			jsonw_string(w, "digest", digest);
			if (stat(path, &st) == 0)
				jsonw_u64(w, "file-size", (uint64_t)st.st_size);
		}
		jsonw_close(w);
	}
	jsonw_close(w);
	return 0;
}

static bool is_given(const char *key, const struct store_member *members, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(members[i].key, key) == 0)
			return true;
	}
	return strcmp(key, "disks") == 0;
}

int store_write_record(const char *dir, const struct value *from,
		       const struct store_member *members, size_t n_members, struct err *e)
{
	AUTO_FREE char *path = path_join(dir, STORE_RECORD);
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	int rc;

	if (!path)
		return err_nomem(e);
	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	for (size_t i = 0; i < n_members; i++) {
		if (members[i].value)
			jsonw_string(&w, members[i].key, members[i].value);
		else if (members[i].number)
			jsonw_u64(&w, members[i].key, members[i].number);
	}
	rc = add_disks(&w, dir, e);
	value_foreach (v, from) {
		if (!is_given(v->key, members, n_members))
			jsonw_value(&w, v);
	}
	if (rc < 0)
		return rc;
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc < 0 ? rc : fs_write_file(path, text.data, text.len, 0644, e);
}

/* ---- the lock -------------------------------------------------------------------------------- */

int store_lock(const struct store *s, int *ret_fd, struct err *e)
{
	AUTO_FREE char *path = path_join(s->path, "lock");
	AUTO_FD int fd = -1;

	if (!path)
		return err_nomem(e);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(e, errno, "opening '%s'", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int rc = stop_check(e);

		if (rc < 0)
			return rc;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(e, errno, "locking '%s'", path);
		poll(NULL, 0, LOCK_POLL_MS);
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

void store_sync_dir(const char *path)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		(void)fsync(fd);
}

/* ---- stages ----------------------------------------------------------------------------------- */

int store_stage_begin(const struct store *s, struct store_stage *ret, struct err *e)
{
	AUTO_FREE char *prefix = path_join(s->partial, "tmp");

	*ret = STORE_STAGE_INIT;
	if (!prefix)
		return err_nomem(e);
	/* gc may take a folder away between its making and its locking. */
	for (;;) {
		struct stat mine, there;
		int rc = fs_make_temp_dir(prefix, &ret->dir, e);

		if (rc < 0)
			return rc;
		ret->fd = open(ret->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (ret->fd >= 0 && flock(ret->fd, LOCK_SH | LOCK_NB) == 0 &&
		    fstat(ret->fd, &mine) == 0 && stat(ret->dir, &there) == 0 &&
		    mine.st_ino == there.st_ino) {
			if (fchmod(ret->fd, 0755) < 0)
				return err_errno(e, errno, "'%s'", ret->dir);
			return 0;
		}
		store_stage_end(ret);
	}
}

void store_stage_end(struct store_stage *st)
{
	if (st->dir)
		(void)fs_remove_tree(st->dir, NULL);
	if (st->fd >= 0)
		close(st->fd);
	free(st->dir);
	*st = STORE_STAGE_INIT;
}

int store_stage_publish(const struct store *s, struct store_stage *st, const char *name,
			struct err *e)
{
	AUTO_FREE char *final = path_join(s->images, name);

	if (!final)
		return err_nomem(e);
	(void)fsync(st->fd);
	if (rename(st->dir, final) < 0) {
		if (errno == ENOTEMPTY || errno == EEXIST)
			return err_set(e, EEXIST, "image '%s' is in the store already", name);
		return err_errno(e, errno, "naming image '%s'", name);
	}
	store_sync_dir(s->images);
	free(STEAL(st->dir));
	return 0;
}
