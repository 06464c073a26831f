/* SPDX-License-Identifier: Apache-2.0 */
/* What was read from a source, kept: see catalog/cache.h. */
#include "catalog/cache.h"

#include <fcntl.h>
#include <sys/file.h>

#include "lib/digest.h"
#include "lib/fs.h"
#include "lib/str.h"

#define MAGIC "acclimate-document 1"
#define HEAD_LIMIT 8192

struct cache {
	char *dir;
	int lock;
};

static int cache_root(char **ret, struct err *e)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (cache && *cache == '/')
		*ret = path_join(cache, "acclimate/catalog");
	else if (home && *home == '/')
		*ret = path_join(home, ".cache/acclimate/catalog");
	else
		return err_set(e, EINVAL, "no place for the cache: HOME is not set");
	return *ret ? 0 : err_nomem(e);
}

static void add_text(struct digest *d, const char *text)
{
	text = text ? text : "";
	digest_add(d, text, strlen(text) + 1);
}

/* Changes with all that changes what a source lists. */
static int fingerprint(const struct source *src, char out[2 * DIGEST_MAX + 1], struct err *e)
{
	AUTO(digest_free) struct digest *d = NULL;
	const char *const texts[] = {
		src->type->name, src->url,      src->region,  src->endpoint_url,
		src->profile,    src->bucket,   src->prefix,  src->keyring,
		src->auth_url,   src->username, src->project, src->token_file,
	};
	int rc = digest_new(DIGEST_SHA256, &d, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		add_text(d, texts[i]);
	for (size_t i = 0; i < src->owners.n_items; i++)
		add_text(d, src->owners.items[i]);
	digest_add(d, &src->depth, sizeof(src->depth));
	digest_final_hex(d, out);
	out[12] = '\0';
	return 0;
}

static int cache_dir(const struct source *src, char **ret, struct err *e)
{
	char mark[2 * DIGEST_MAX + 1];
	AUTO_FREE char *root = NULL;
	int rc = cache_root(&root, e);

	if (rc == 0)
		rc = fingerprint(src, mark, e);
	if (rc < 0)
		return rc;
	*ret = str_format("%s/%s-%s", root, src->name, mark);
	return *ret ? 0 : err_nomem(e);
}

int cache_open(const struct source *src, struct cache **ret, struct err *e)
{
	AUTO(cache_close) struct cache *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return err_nomem(e);
	c->lock = -1;
	rc = cache_dir(src, &c->dir, e);
	if (rc == 0)
		rc = fs_mkdir_p(c->dir, 0700, e);
	if (rc < 0)
		return err_wrap(e, "opening the cache of '%s'", src->name);
	*ret = STEAL(c);
	return 0;
}

void cache_close(struct cache *c)
{
	if (!c)
		return;
	if (c->lock >= 0)
		close(c->lock);
	free(c->dir);
	free(c);
}

char *cache_path(const struct cache *c, const char *name)
{
	return path_join(c->dir, name);
}

int cache_lock(struct cache *c, struct err *e)
{
	AUTO_FREE char *path = cache_path(c, "lock");

	if (!path)
		return err_nomem(e);
	c->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (c->lock < 0)
		return err_errno(e, errno, "opening '%s'", path);
	while (flock(c->lock, LOCK_EX) < 0) {
		if (errno != EINTR)
			return err_errno(e, errno, "locking '%s'", path);
	}
	return 0;
}

int cache_remove(const struct source *src, struct err *e)
{
	AUTO_FREE char *dir = NULL;
	int rc = cache_dir(src, &dir, e);

	return rc < 0 ? rc : fs_remove_tree(dir, e);
}

/* ---- documents ------------------------------------------------------------------------------ */

void cached_document_release(struct cached_document *d)
{
	buf_release(&d->body);
	free(d->etag);
	free(d->last_modified);
	*d = (struct cached_document){0};
}

static char *document_path(const struct cache *c, const char *url)
{
	uint8_t raw[DIGEST_MAX];
	char hex[2 * DIGEST_MAX + 1];

	digest_of(DIGEST_SHA256, url, strlen(url), raw);
	hex_encode(raw, digest_size(DIGEST_SHA256), hex);
	return cache_path(c, hex);
}

/* The next line of the head, cut off; NULL at its end. */
static char *head_line(char **p)
{
	char *line = *p, *end = line ? strchr(line, '\n') : NULL;

	if (!end)
		return NULL;
	*end = '\0';
	*p = end + 1;
	return line;
}

/* The head's lines: magic, URL, ETag, Last-Modified, number of bytes. */
static int take_head(char *p, const char *url, struct cached_document *d, uint64_t *ret_size,
		     struct err *e)
{
	const char *magic = head_line(&p), *their = head_line(&p), *etag = head_line(&p),
		   *modified = head_line(&p), *size = head_line(&p);

	if (!size || strcmp(magic, MAGIC) != 0 || strcmp(their, url) != 0)
		return -ENOENT;
	if (str_to_u64(size, 0, SIZE_MAX, ret_size, NULL) < 0)
		return -ENOENT;
	if (image_set(&d->etag, etag, e) < 0 || image_set(&d->last_modified, modified, e) < 0)
		return -ENOMEM;
	return 0;
}

int cache_get(const struct cache *c, const char *url, size_t limit, struct cached_document *ret,
	      struct err *e)
{
	AUTO(cached_document_release) struct cached_document d = {0};
	AUTO_FREE char *path = document_path(c, url);
	AUTO_FREE char *head = NULL;
	const char *blank;
	uint64_t size;
	int rc;

	if (!path)
		return err_nomem(e);
	if (fs_read_file(path, limit + HEAD_LIMIT, &d.body, NULL) < 0)
		return err_set(e, ENOENT, "'%s' is not in the cache", url);
	blank = d.body.data ? memmem(d.body.data, MIN(d.body.len, (size_t)HEAD_LIMIT), "\n\n", 2)
			    : NULL;
	head = blank ? strndup(d.body.data, (size_t)(blank + 1 - d.body.data)) : NULL;
	if (!head)
		return err_set(e, ENOENT, "'%s' is damaged in the cache", url);
	rc = take_head(head, url, &d, &size, e);
	if (rc == -ENOENT)
		return err_set(e, ENOENT, "'%s' is damaged in the cache", url);
	if (rc < 0)
		return rc;
	buf_consume(&d.body, (size_t)(blank + 2 - d.body.data));
	if (d.body.len != size)
		return err_set(e, ENOENT, "'%s' is damaged in the cache", url);
	*ret = d;
	d = (struct cached_document){0};
	return 0;
}

int cache_put(const struct cache *c, const char *url, const struct cached_document *d,
	      struct err *e)
{
	AUTO_FREE char *path = document_path(c, url);
	AUTO_BUF text = BUF_INIT;

	if (!path || strlen(url) > HEAD_LIMIT / 2)
		return path ? 0 : err_nomem(e);
	if (buf_addf(&text, "%s\n%s\n%s\n%s\n%zu\n\n", MAGIC, url, d->etag ? d->etag : "",
		     d->last_modified ? d->last_modified : "", d->body.len) < 0 ||
	    buf_add(&text, d->body.data, d->body.len) < 0)
		return err_nomem(e);
	return fs_write_file(path, text.data, text.len, 0600, e);
}
