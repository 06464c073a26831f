/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was read from a source, kept: documents by their URL with their ETag, and the index of the
 * images that were listed (catalog/index.h).
 *
 *   CACHE/NAME-FINGERPRINT/index       the index; its age is that of the last refresh
 *   CACHE/NAME-FINGERPRINT/SHA256      a document: head lines, an empty line, the body
 *   CACHE/NAME-FINGERPRINT/lock        held while it is refreshed
 *
 * CACHE is $XDG_CACHE_HOME/acclimate/catalog, else ~/.cache/acclimate/catalog. A source whose
 * configuration changes has another fingerprint, and so begins with nothing. Files are replaced
 * whole; several processes may use a cache. What is in it is as hostile as the server that it came
 * from, no more.
 */
#ifndef CATALOG_CACHE_H
#define CATALOG_CACHE_H

#include "catalog/source.h"

/* Errors: EINVAL no place for it (HOME is not set), those of mkdir. */
int cache_open(const struct source *src, struct cache **ret, struct err *e);
void cache_close(struct cache *c);
DEFINE_AUTO(struct cache *, cache_close);
/* DIR/name of the cache, the caller's to free; NULL when memory is out. */
char *cache_path(const struct cache *c, const char *name);
/* One process at a time refreshes; waits. The lock goes with the cache. */
int cache_lock(struct cache *c, struct err *e);

struct cached_document {
	struct buf body;
	char *etag, *last_modified; /* NULL: not told */
};
void cached_document_release(struct cached_document *d);
DEFINE_AUTO_STRUCT(struct cached_document, cached_document_release);
/* A document of that URL. Errors: ENOENT there is none, or it is damaged; ENOMEM. */
int cache_get(const struct cache *c, const char *url, size_t limit, struct cached_document *ret,
	      struct err *e);
int cache_put(const struct cache *c, const char *url, const struct cached_document *d,
	      struct err *e);

/* Removes what is kept of a source; none is no error. */
int cache_remove(const struct source *src, struct err *e);

#endif
