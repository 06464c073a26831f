/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sources a user has: catalog.yaml in $XDG_CONFIG_HOME/acclimate, else ~/.config/acclimate,
 * or the file that ACCLIMATE_CATALOG_CONFIG names.
 *
 *   sources:
 *     NAME:
 *       type: simplestreams
 *       url: https://cloud-images.ubuntu.com/releases/
 *
 * Without a file there are those of config_defaults.
 */
#ifndef CATALOG_CONFIG_H
#define CATALOG_CONFIG_H

#include "catalog/source.h"

struct config {
	char *path;
	bool defaults;           /* there is no file */
	struct source **sources; /* n_sources, in the order of the file */
	size_t n_sources;
};

/* Errors: EINVAL no place for it; EBADMSG with the file's place; errno of read. */
int config_load(struct config **ret, struct err *e);
void config_free(struct config *c);
DEFINE_AUTO(struct config *, config_free);

/* NULL: there is none of that name. */
struct source *config_find(const struct config *c, const char *name);
/* The first of that kind; NULL. */
struct source *config_first(const struct config *c, const struct source_type *type);

/*
 * Adds a source; settings are KEY=VALUE. Errors: EEXIST; EINVAL a name, type or key that cannot be.
 */
int config_add(struct config *c, const char *name, const char *type, char *const *settings,
	       size_t n_settings, struct err *e);
/* Errors: ENOENT. */
int config_remove(struct config *c, const char *name, struct err *e);
/* Writes the file anew; its comments are not kept. */
int config_save(const struct config *c, struct err *e);
/* A source by itself, for what is in no configuration ("s3://..."); the caller's, source_free. */
int source_new(const char *name, const struct source_type *type, struct source **ret,
	       struct err *e);
void source_free(struct source *s);
DEFINE_AUTO(struct source *, source_free);
const struct source_type *source_type_by_name(const char *name);

/* The keys that are set of a source: calls fn for each, in one order. */
void source_settings(const struct source *s,
		     void (*fn)(void *ctx, const char *key, const char *value), void *ctx);

#endif
