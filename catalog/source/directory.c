/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image files in a folder: of this machine, or of a web server that lists it (nginx, Apache, ...).
 * SHA256SUMS and SHA512SUMS beside them say what they have to be; a web server without a listing is
 * read by those files alone. Folders inside are looked into as deep as `depth` says.
 *
 * An image's id is its path below the folder.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "catalog/parse.h"
#include "catalog/web.h"
#include "lib/fs.h"
#include "lib/stop.h"
#include "lib/str.h"

#define DOCUMENT_LIMIT (16 * MIB)
#define FOLDERS_MAX 1000
#define NAMES_MAX 10000

struct entry {
	char *name;
	char *digest; /* NULL: none is told */
	uint64_t size;
	time_t mtime; /* 0: unknown */
};

struct folder {
	struct entry *files;
	size_t n_files, cap;
	char **inner; /* names of folders */
	size_t n_inner;
	bool sums256, sums512;
};

struct walk {
	struct session *session;
	image_fn *fn;
	void *ctx;
	unsigned folders;
};

static void folder_release(struct folder *f)
{
	for (size_t i = 0; i < f->n_files; i++) {
		free(f->files[i].name);
		free(f->files[i].digest);
	}
	for (size_t i = 0; i < f->n_inner; i++)
		free(f->inner[i]);
	free(f->files);
	free(f->inner);
	*f = (struct folder){0};
}
DEFINE_AUTO_STRUCT(struct folder, folder_release);

static struct entry *find_entry(struct folder *f, const char *name)
{
	for (size_t i = 0; i < f->n_files; i++) {
		if (strcmp(f->files[i].name, name) == 0)
			return &f->files[i];
	}
	return NULL;
}

static int add_entry(struct folder *f, const char *name, struct entry **ret, struct err *e)
{
	if (f->n_files == NAMES_MAX)
		return err_set(e, EFBIG, "more than %d files in a folder", NAMES_MAX);
	if (f->n_files == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 32;
		struct entry *more = reallocarray(f->files, cap, sizeof(*more));

		if (!more)
			return err_nomem(e);
		f->files = more;
		f->cap = cap;
	}
	*ret = &f->files[f->n_files];
	**ret = (struct entry){.name = strdup(name)};
	if (!(*ret)->name)
		return err_nomem(e);
	f->n_files++;
	return 0;
}

static int add_folder(struct folder *f, const char *name, size_t len, struct err *e)
{
	char **more;

	if (f->n_inner == FOLDERS_MAX)
		return err_set(e, EFBIG, "more than %d folders in a folder", FOLDERS_MAX);
	more = reallocarray(f->inner, f->n_inner + 1, sizeof(char *));
	if (!more)
		return err_nomem(e);
	f->inner = more;
	f->inner[f->n_inner] = strndup(name, len);
	return f->inner[f->n_inner++] ? 0 : err_nomem(e);
}

/* A name of a listing, or of the folder itself. */
static int take_name(void *ctx, const char *name, struct err *e)
{
	struct folder *f = ctx;
	struct entry *entry;
	size_t n = strlen(name);

	if (name[n - 1] == '/')
		return add_folder(f, name, n - 1, e);
	f->sums256 |= strcmp(name, "SHA256SUMS") == 0;
	f->sums512 |= strcmp(name, "SHA512SUMS") == 0;
	if (!name_is_image(name))
		return 0;
	/* Listings link a name twice, by its icon too. */
	if (f->n_files && strcmp(f->files[f->n_files - 1].name, name) == 0)
		return 0;
	return add_entry(f, name, &entry, e);
}

/* The first of the two files wins: SHA512SUMS is read first. */
static int take_digest(void *ctx, const char *name, const char *digest, struct err *e)
{
	struct entry *entry = find_entry(ctx, name);

	if (!entry || entry->digest)
		return 0;
	entry->digest = strdup(digest);
	return entry->digest ? 0 : err_nomem(e);
}

/* Of a server without a listing: what has a digest is there. */
static int take_unlisted(void *ctx, const char *name, const char *digest, struct err *e)
{
	struct folder *f = ctx;
	int rc = find_entry(f, name) ? 0 : take_name(f, name, e);

	return rc < 0 ? rc : take_digest(f, name, digest, e);
}

static int emit(struct walk *w, const char *base, const char *path, const struct entry *entry,
		struct err *e)
{
	AUTO(catalog_image_release)
	struct catalog_image im = {
		.delivery = DELIVERY_FILE,
		.size = entry->size,
		.is_public = true,
	};
	AUTO_BUF name = BUF_INIT;
	char date[24] = "";
	struct tm tm;
	int rc;

	if (httpc_percent_encode(entry->name, strlen(entry->name), false, &name) < 0)
		return err_nomem(e);
	im.id = str_format("%s%s", path, entry->name);
	im.url = str_format("%s%s", base,
			    str_has_prefix(base, "file:") ? entry->name : buf_str(&name));
	if (!im.id || !im.url)
		return err_nomem(e);
	if (entry->mtime && gmtime_r(&entry->mtime, &tm))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	rc = image_set(&im.name, entry->name, e);
	if (rc == 0)
		rc = image_set(&im.format, format_by_name(entry->name), e);
	if (rc == 0)
		rc = image_set(&im.digest, entry->digest, e);
	if (rc == 0)
		rc = image_set(&im.creation_date, date, e);
	if (rc == 0)
		rc = guess_by_name(entry->name, &im, e);
	if (rc == 0)
		rc = w->fn(w->ctx, &im);
	return rc;
}

/* ---- of this machine ------------------------------------------------------------------------ */

static int read_local(const char *dir, struct folder *f, struct err *e)
{
	struct dirent **list = NULL;
	int n = scandir(dir, &list, NULL, alphasort), rc = 0;

	if (n < 0)
		return err_errno(e, errno, "reading '%s'", dir);
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		AUTO_FREE char *path = path_join(dir, name);
		struct stat st;
		size_t before = f->n_files;

		if (!path)
			rc = err_nomem(e);
		else if (rc == 0 && *name != '.' && lstat(path, &st) == 0) {
			if (S_ISDIR(st.st_mode))
				rc = add_folder(f, name, strlen(name), e);
			else if (S_ISREG(st.st_mode))
				rc = take_name(f, name, e);
			if (f->n_files > before) {
				f->files[before].size = (uint64_t)st.st_size;
				f->files[before].mtime = st.st_mtime;
			}
		}
		free(list[i]);
	}
	free(list);
	return rc;
}

static int local_sums(const char *dir, const char *name, struct folder *f, struct err *e)
{
	AUTO_FREE char *path = path_join(dir, name);
	AUTO_BUF text = BUF_INIT;
	int rc = path ? fs_read_file(path, DOCUMENT_LIMIT, &text, e) : err_nomem(e);

	return rc < 0 ? rc : sums_parse(text.data, text.len, take_digest, f, e);
}

static int walk_local(struct walk *w, const char *dir, const char *path, uint64_t depth,
		      struct err *e)
{
	AUTO(folder_release) struct folder f = {0};
	AUTO_FREE char *base = str_format("file://%s/", dir);
	int rc = base ? read_local(dir, &f, e) : err_nomem(e);

	if (rc == 0 && f.sums512)
		rc = local_sums(dir, "SHA512SUMS", &f, e);
	if (rc == 0 && f.sums256)
		rc = local_sums(dir, "SHA256SUMS", &f, e);
	for (size_t i = 0; rc == 0 && i < f.n_files; i++)
		rc = emit(w, base, path, &f.files[i], e);
	for (size_t i = 0; rc == 0 && depth && i < f.n_inner; i++) {
		AUTO_FREE char *inner = path_join(dir, f.inner[i]);
		AUTO_FREE char *below = str_format("%s%s/", path, f.inner[i]);

		if (!inner || !below)
			return err_nomem(e);
		if (++w->folders > FOLDERS_MAX)
			return err_set(e, EFBIG, "more than %d folders", FOLDERS_MAX);
		rc = walk_local(w, inner, below, depth - 1, e);
	}
	return rc;
}

/* ---- of a web server ------------------------------------------------------------------------ */

static int remote_sums(struct walk *w, const char *base, const char *name, struct folder *f,
		       sum_fn *fn, struct err *e)
{
	AUTO_FREE char *url = NULL;
	AUTO_BUF text = BUF_INIT;
	int rc = web_join(base, name, &url, e);

	if (rc == 0)
		rc = web_document(w->session, url, NULL, DOCUMENT_LIMIT, &text, e);
	return rc < 0 ? rc : sums_parse(text.data, text.len, fn, f, e);
}

/* A server that shows no listing may still have the files of check sums. */
static int unlisted(struct walk *w, const char *base, struct folder *f, struct err *e)
{
	struct err why;
	int first = remote_sums(w, base, "SHA512SUMS", f, take_unlisted, &why);
	int rc;

	if (first < 0 && first != -ENOENT && first != -EACCES) {
		if (e)
			*e = why;
		return first;
	}
	rc = remote_sums(w, base, "SHA256SUMS", f, take_unlisted, first == 0 ? &why : e);
	return first == 0 && (rc == -ENOENT || rc == -EACCES) ? 0 : rc;
}

static int read_remote(struct walk *w, const char *base, struct folder *f, struct err *e)
{
	AUTO_BUF html = BUF_INIT;
	int rc = web_document(w->session, base, NULL, DOCUMENT_LIMIT, &html, e);

	if (rc == -ENOENT || rc == -EACCES)
		return unlisted(w, base, f, e);
	if (rc == 0)
		rc = hrefs_parse(html.data, html.len, take_name, f, e);
	if (rc == 0 && f->sums512)
		rc = remote_sums(w, base, "SHA512SUMS", f, take_digest, e);
	if (rc == 0 && f->sums256)
		rc = remote_sums(w, base, "SHA256SUMS", f, take_digest, e);
	return rc;
}

static int walk_remote(struct walk *w, const char *base, const char *path, uint64_t depth,
		       struct err *e)
{
	AUTO(folder_release) struct folder f = {0};
	int rc = read_remote(w, base, &f, e);

	if (rc == 0)
		rc = stop_check(e);
	for (size_t i = 0; rc == 0 && i < f.n_files; i++)
		rc = emit(w, base, path, &f.files[i], e);
	for (size_t i = 0; rc == 0 && depth && i < f.n_inner; i++) {
		AUTO_FREE char *below = str_format("%s%s/", path, f.inner[i]), *url = NULL;
		AUTO_BUF name = BUF_INIT;

		if (!below ||
		    httpc_percent_encode(f.inner[i], strlen(f.inner[i]), false, &name) < 0)
			return err_nomem(e);
		url = str_format("%s%s/", base, buf_str(&name));
		if (!url)
			return err_nomem(e);
		if (++w->folders > FOLDERS_MAX)
			return err_set(e, EFBIG, "more than %d folders", FOLDERS_MAX);
		rc = walk_remote(w, url, below, depth - 1, e);
	}
	return rc;
}

static int directory_list(struct session *s, const struct list_filter *f, image_fn *fn, void *ctx,
			  struct err *e)
{
	struct walk w = {.session = s, .fn = fn, .ctx = ctx};
	const char *url = s->source->url;
	size_t n = strlen(url);
	AUTO_FREE char *place = NULL;

	(void)f;
	if (str_has_prefix(url, "http://") || str_has_prefix(url, "https://")) {
		place = str_format("%s%s", url, n && url[n - 1] == '/' ? "" : "/");
		return place ? walk_remote(&w, place, "", s->source->depth, e) : err_nomem(e);
	}
	url += str_has_prefix(url, "file://") ? strlen("file://") : 0;
	if (*url != '/')
		return err_set(e, EINVAL, "'%s' is neither a web address nor an absolute path",
			       url);
	place = strdup(url);
	if (!place)
		return err_nomem(e);
	for (n = strlen(place); n > 1 && place[n - 1] == '/'; n--)
		place[n - 1] = '\0';
	return walk_local(&w, place, "", s->source->depth, e);
}

const struct source_type source_directory = {
	.name = "directory",
	.summary = "image files in a folder, or on a web server that lists them",
	.keys = "!url depth",
	.max_age_s = 6 * 3600,
	.list = directory_list,
};
