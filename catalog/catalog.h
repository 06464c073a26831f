/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sources of a user as one: what they list is searched in the cache, an image is found wherever
 * it is named.
 */
#ifndef CATALOG_CATALOG_H
#define CATALOG_CATALOG_H

#include "catalog/config.h"
#include "catalog/index.h"

/* From the command line. */
struct cloud_options {
	struct aws_options aws;
	const char *source; /* --source: this one alone */
	enum freshness freshness;
	unsigned attempt_timeout_s; /* 0: none said */
};

struct catalog {
	const struct cloud_options *options;
	struct config *config;
};
/* Reads the configuration. Errors: as config_load; ENOENT no source of the name in the options. */
int catalog_open(const struct cloud_options *o, struct catalog *ret, struct err *e);
void catalog_close(struct catalog *c);
DEFINE_AUTO_STRUCT(struct catalog, catalog_close);

/* Opens the session with a source; released by session_close. src NULL: with the web alone. */
int session_open(const struct cloud_options *o, const struct source *src, struct session *ret,
		 struct err *e);
void session_close(struct session *s);
DEFINE_AUTO_STRUCT(struct session, session_close);

/* The same of an image, with the name of its source. */
typedef int found_fn(void *ctx, const struct source *src, const struct catalog_image *im);

/*
 * Calls fn for each image of the sources (n_names of them, 0: all) that matches. What is not in the
 * cache, or old there, is asked for. With filters or owners only sources that take them are asked,
 * and the answer is not kept. A source that cannot be read is warned of.
 * Errors: when no source could be read, that of the first one; ENOENT no such source; EINVAL one that
 * is named does not take owners or filters.
 */
int catalog_search(struct catalog *c, char *const *names, size_t n_names, const struct query *q,
		   const struct list_filter *filter, found_fn *fn, void *ctx, struct err *e);

/*
 * Finds an image by what a user calls it: "ami-...", "snap-...", "ssm:/aws/service/...",
 * "s3://BUCKET/KEY", "https://...", a path with '/' in it, "SOURCE:ID", or an id that one of the
 * sources has listed. ret_session is open with the image's source, ret_source its source or
 * NULL for what is in none; both are filled on success alone.
 * Errors: ENOENT, EINVAL, those of the sources.
 */
int catalog_find(struct catalog *c, const char *ref, struct session *ret_session,
		 struct catalog_image *ret, struct err *e);

/* The index of what the session's source lists, made or refreshed if need be. */
int catalog_index(struct session *s, struct index **ret, struct err *e);

/* Appends the image's fields as members of the object that w is in. */
struct jsonw;
void catalog_image_json(struct jsonw *w, const struct catalog_image *im);

#endif
