/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances out of a folder of YAML files. What was read is kept with the file's identity, size
 * and times, so that reading again costs a look at each file and a parse of those that changed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/str.h"
#include "metadata-server/store/store.h"

/* A file as it was when it was read. */
struct entry {
	char *file; /* "web1.yaml" */
	struct instance *in;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec modified, changed;
};

struct directory {
	char *path;
	struct entry *v; /* n, sorted by file */
	size_t n;
};

static void close_dir(DIR *d)
{
	closedir(d);
}
DEFINE_AUTO(DIR *, close_dir);

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the instances' files, sorted, so that faults come in an order. */
static int list_files(const char *path, struct strlist *names, size_t most, struct err *e)
{
	AUTO(close_dir) DIR *d = opendir(path);

	if (!d)
		return err_errno(e, errno, "folder '%s'", path);
	for (;;) {
		struct dirent *entry;

		errno = 0;
		entry = readdir(d);
		if (!entry && errno)
			return err_errno(e, errno, "folder '%s'", path);
		if (!entry)
			break;
		if (entry->d_name[0] == '.' || !str_has_suffix(entry->d_name, ".yaml"))
			continue;
		if (names->n == most)
			return err_set(e, EFBIG, "folder '%s': more than %zu instances", path,
				       most);
		if (strlist_add(names, entry->d_name))
			return err_nomem(e);
	}
	if (names->n)
		qsort(names->v, names->n, sizeof(char *), compare_names);
	return 0;
}

/* ---- what is kept -------------------------------------------------------------------------- */

static void entries_free(struct entry *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].file);
		if (v[i].in)
			instance_free(v[i].in);
	}
	free(v);
}

static struct entry *find(const struct directory *d, const char *file)
{
	size_t lo = 0;
	size_t hi = d->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = strcmp(d->v[mid].file, file);

		if (!order)
			return &d->v[mid];
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool unchanged(const struct entry *e, const struct stat *st)
{
	return e->dev == st->st_dev && e->ino == st->st_ino && e->size == st->st_size &&
	       same_time(&e->modified, &st->st_mtim) && same_time(&e->changed, &st->st_ctim);
}

static bool has(const struct strlist *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->v[i], s))
			return true;
	return false;
}

/* What to look at, of a call. */
struct look {
	bool all;                   /* read every file */
	const struct strlist *only; /* nothing else has changed; NULL: not known */
};

/* Fills *now with file's instance: the one that was read before, or a new one. */
static int take(struct directory *d, int folder, const char *file, const struct look *look,
		instance_report_fn *report, void *arg, struct entry *now, struct err *e)
{
	const struct entry *before = find(d, file);
	bool same = before && before->in && look->only && !has(look->only, file);
	AUTO_FREE char *path = NULL;
	struct stat st = {0};

	now->file = strdup(file);
	if (!now->file)
		return err_nomem(e);
	if (same) {
		*now = (struct entry){.file = now->file,
				      .in = instance_ref(before->in),
				      .dev = before->dev,
				      .ino = before->ino,
				      .size = before->size,
				      .modified = before->modified,
				      .changed = before->changed};
		return 0;
	}
	/* looked at before it is read: one that changes in between is read once more */
	if (!fstatat(folder, file, &st, 0) && before && !look->all && before->in &&
	    unchanged(before, &st)) {
		now->in = instance_ref(before->in);
	} else {
		int rc;

		path = path_join(d->path, file);
		if (!path)
			return err_nomem(e);
		rc = instance_read_yaml(path, report, arg, &now->in, e);
		if (rc)
			return rc;
	}
	now->dev = st.st_dev;
	now->ino = st.st_ino;
	now->size = st.st_size;
	now->modified = st.st_mtim;
	now->changed = st.st_ctim;
	return 0;
}

static int collect(const struct entry *v, size_t n, struct instance_list *l, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct instance *in;

		if (!v[i].in)
			continue;
		in = instance_ref(v[i].in);
		if (instance_list_add(l, &in, e)) {
			instance_free(in);
			return -ENOMEM;
		}
	}
	return 0;
}

/* ---- face ---------------------------------------------------------------------------------- */

int directory_open(const char *path, struct directory **ret, struct err *e)
{
	struct directory *d = calloc(1, sizeof(*d));

	if (!d)
		return err_nomem(e);
	d->path = strdup(path);
	if (!d->path) {
		free(d);
		return err_nomem(e);
	}
	*ret = d;
	return 0;
}

void directory_free(struct directory *d)
{
	entries_free(d->v, d->n);
	free(d->path);
	free(d);
}

static int read_files(struct directory *d, int folder, const struct strlist *names,
		      const struct look *look, instance_report_fn *report, void *arg,
		      struct entry *v, struct err *e)
{
	int first = 0;

	for (size_t i = 0; i < names->n; i++) {
		int rc = take(d, folder, names->v[i], look, report, arg, &v[i], first ? NULL : e);

		first = first ? first : rc;
		if (rc == -ENOMEM)
			break;
	}
	return first;
}

/* Those of the call before, with and without the ones that have come and gone. */
static int names_but(const struct directory *d, int folder, const struct strlist *only,
		     struct strlist *names, struct err *e)
{
	struct stat st;

	for (size_t i = 0; i < d->n; i++)
		if (!has(only, d->v[i].file) && strlist_add(names, d->v[i].file))
			return err_nomem(e);
	for (size_t i = 0; i < only->n; i++)
		if (!fstatat(folder, only->v[i], &st, AT_SYMLINK_NOFOLLOW) &&
		    strlist_add(names, only->v[i]))
			return err_nomem(e);
	if (names->n)
		qsort(names->v, names->n, sizeof(char *), compare_names);
	return 0;
}

int directory_load(struct directory *d, bool all, const struct strlist *only,
		   instance_report_fn *report, void *arg, struct store **ret, struct err *e)
{
	struct look look = {.all = all, .only = d->v && !all ? only : NULL};
	AUTO(instance_list_release) struct instance_list l = {0};
	AUTO(strlist_release) struct strlist names = {0};
	AUTO(store_free) struct store *s = NULL;
	AUTO_FD int folder = open(d->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct entry *v;
	int rc, together;

	rc = folder < 0  ? err_errno(e, errno, "folder '%s'", d->path)
	     : look.only ? names_but(d, folder, look.only, &names, e)
			 : list_files(d->path, &names, DIRECTORY_MAX, e);
	if (rc) {
		if (report && e)
			report(arg, e);
		return rc;
	}
	v = calloc(names.n ? names.n : 1, sizeof(*v));
	if (!v)
		return err_nomem(e);
	rc = read_files(d, folder, &names, &look, report, arg, v, e);
	if (rc != -ENOMEM) {
		entries_free(d->v, d->n);
		d->v = v;
		d->n = names.n;
	} else {
		entries_free(v, names.n);
	}
	if (rc == -ENOMEM || collect(d->v, d->n, &l, e))
		return rc ? rc : -ENOMEM;
	/* what is good by itself may still clash: tell that too */
	together = store_new(&l, report, arg, &s, rc ? NULL : e);
	if (rc || together)
		return rc ? rc : together;
	*ret = STEAL(s);
	return 0;
}

int directory_load_once(const char *path, instance_report_fn *report, void *arg, struct store **ret,
			struct err *e)
{
	AUTO(directory_free) struct directory *d = NULL;
	int rc = directory_open(path, &d, e);

	return rc ? rc : directory_load(d, true, NULL, report, arg, ret, e);
}
