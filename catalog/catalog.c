/* SPDX-License-Identifier: Apache-2.0 */
/* The sources of a user as one: see catalog/catalog.h. */
#include "catalog/catalog.h"

#include <stdio.h>
#include <time.h>

#include "catalog/cache.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"

int catalog_open(const struct cloud_options *o, struct catalog *ret, struct err *e)
{
	int rc = config_load(&ret->config, e);

	ret->options = o;
	if (rc == 0 && o->source && !config_find(ret->config, o->source)) {
		catalog_close(ret);
		return err_set(e, ENOENT, "no source '%s' (catalog source list)", o->source);
	}
	return rc;
}

void catalog_close(struct catalog *c)
{
	config_free(c->config);
	c->config = NULL;
}

/* ---- the index of a source ------------------------------------------------------------------ */

static int add_to_index(void *ctx, const struct catalog_image *im)
{
	struct {
		struct index_writer *w;
		struct err *e;
	} *to = ctx;

	return index_writer_add(to->w, im, to->e);
}

/* Lists the source into a new index at path. */
static int refresh(struct session *s, const char *path, struct err *e)
{
	AUTO(index_writer_free) struct index_writer *w = NULL;
	static const char *const self[] = {"self"};
	const struct value_strings *owners = &s->source->owners;
	const struct list_filter filter = {
		.owners = owners->n_items ? (const char *const *)owners->items : self,
		.n_owners = MAX(owners->n_items, (size_t)1),
	};
	struct {
		struct index_writer *w;
		struct err *e;
	} to = {NULL, e};
	int rc = index_writer_new(path, &w, e);

	to.w = w;
	if (rc == 0)
		rc = s->source->type->list(s, &filter, add_to_index, &to, e);
	return rc < 0 ? rc : index_writer_commit(w, e);
}

static bool fresh(const struct session *s, const struct index *x)
{
	int64_t age = (int64_t)time(NULL) - index_time(x);

	if (s->freshness == FRESH_OFFLINE)
		return true;
	return s->freshness == FRESH_BY_AGE && age >= 0 &&
	       age < (int64_t)s->source->type->max_age_s;
}

int catalog_index(struct session *s, struct index **ret, struct err *e)
{
	AUTO(index_close) struct index *old = NULL;
	AUTO_FREE char *path = NULL;
	int rc;

	if (!s->cache)
		return err_set(e, EINVAL, "no place for the cache: HOME is not set");
	path = cache_path(s->cache, "index");
	if (!path)
		return err_nomem(e);
	if (index_open(path, &old, NULL) == 0 && fresh(s, old)) {
		*ret = STEAL(old);
		return 0;
	}
	if (s->freshness == FRESH_OFFLINE)
		return err_set(e, ENOENT,
			       "nothing is known of it, and nothing is asked for offline");
	rc = cache_lock(s->cache, e);
	if (rc == 0)
		rc = refresh(s, path, e);
	/* Better what was true yesterday than nothing; what was damaged on the way, too. */
	if (rc < 0 && old && rc != -ECANCELED && rc != -ENOMEM && s->freshness != FRESH_ALWAYS) {
		log_warn("source '%s': %s; what was listed before is used", s->source->name,
			 e ? e->msg : "it cannot be read");
		*ret = STEAL(old);
		return 0;
	}
	return rc < 0 ? rc : index_open(path, ret, e);
}

/* ---- searching ------------------------------------------------------------------------------ */

struct searching {
	const struct source *source;
	const struct query *query;
	found_fn *fn;
	void *ctx;
	bool filter; /* the query is not asked of the index */
};

static int found(void *ctx, const struct catalog_image *im)
{
	struct searching *s = ctx;

	if (s->filter && !query_matches(s->query, im))
		return 0;
	return s->fn(s->ctx, s->source, im);
}

static int search_source(struct catalog *c, const struct source *src, const struct query *q,
			 const struct list_filter *filter, found_fn *fn, void *ctx, struct err *e)
{
	AUTO(session_close) struct session s = {0};
	AUTO(index_close) struct index *x = NULL;
	struct searching searching = {.source = src, .query = q, .fn = fn, .ctx = ctx};
	int rc = session_open(c->options, src, &s, e);

	if (rc < 0)
		return rc;
	if (filter) {
		searching.filter = true;
		return src->type->list(&s, filter, found, &searching, e);
	}
	rc = catalog_index(&s, &x, e);
	return rc < 0 ? rc : index_search(x, q, found, &searching, e);
}

static bool wanted(const struct catalog *c, const struct source *src, char *const *names,
		   size_t n_names)
{
	if (c->options->source)
		return strcmp(src->name, c->options->source) == 0;
	for (size_t i = 0; i < n_names; i++) {
		if (strcmp(src->name, names[i]) == 0)
			return true;
	}
	return n_names == 0;
}

static bool takes(const struct source_type *t, const struct list_filter *f)
{
	return t->by_owner && (t->by_filter || !f->n_filters);
}

/* Those who never gave keys for AWS do not want to hear of it each time. */
static bool not_set_up(const struct catalog *c, const struct source *src, int rc)
{
	return c->config->defaults && src->type->aws && (rc == -ENOKEY || rc == -EINVAL);
}

int catalog_search(struct catalog *c, char *const *names, size_t n_names, const struct query *q,
		   const struct list_filter *filter, found_fn *fn, void *ctx, struct err *e)
{
	struct err first = {0};
	size_t ok = 0, asked = 0, quiet = 0;

	for (size_t i = 0; i < n_names; i++) {
		const struct source *src = config_find(c->config, names[i]);

		if (!src)
			return err_set(e, ENOENT, "no source '%s' (catalog source list)", names[i]);
		if (filter && !takes(src->type, filter))
			return err_set(e, EINVAL,
				       "'%s' is a source of kind %s, which is not listed by %s",
				       src->name, src->type->name,
				       src->type->by_owner ? "filters" : "owners or filters");
	}
	for (size_t i = 0; i < c->config->n_sources; i++) {
		const struct source *src = c->config->sources[i];
		struct err why = {0};
		int rc;

		if (!wanted(c, src, names, n_names) || (filter && !takes(src->type, filter)))
			continue;
		asked++;
		rc = search_source(c, src, q, filter, fn, ctx, &why);
		if (rc == 0) {
			ok++;
			continue;
		}
		if (rc == -ECANCELED || rc == -ENOMEM || rc == -ETIMEDOUT) {
			if (e)
				*e = why;
			return rc;
		}
		(void)err_wrap(&why, "source '%s'", src->name);
		if (not_set_up(c, src, rc)) {
			log_debug("%s", why.msg);
			quiet++;
		} else {
			if (first.code)
				log_warn("%s", first.msg);
			first = why;
		}
	}
	if (ok || asked == quiet) {
		if (first.code)
			log_warn("%s", first.msg);
		return 0;
	}
	if (e)
		*e = first;
	return -first.code;
}

/* ---- finding one ---------------------------------------------------------------------------- */

static int find_listed(struct session *s, const char *id, struct catalog_image *ret, struct err *e)
{
	AUTO(index_close) struct index *x = NULL;
	int rc = catalog_index(s, &x, e);

	return rc < 0 ? rc : index_find(x, id, ret, e);
}

static int find_in(struct session *s, const char *id, struct catalog_image *ret, struct err *e)
{
	int rc;

	if (s->source->type->find)
		return s->source->type->find(s, id, ret, e);
	rc = find_listed(s, id, ret, e);
	/* It may be newer than what was listed last. */
	if (rc == -ENOENT && s->freshness == FRESH_BY_AGE) {
		s->freshness = FRESH_ALWAYS;
		rc = find_listed(s, id, ret, e);
		s->freshness = FRESH_BY_AGE;
	}
	return rc < 0 ? err_wrap(e, "source '%s'", s->source->name) : 0;
}

static int find_with(struct catalog *c, const struct source *src, const char *id,
		     struct session *ret_session, struct catalog_image *ret, struct err *e)
{
	AUTO(session_close) struct session s = {0};
	int rc = session_open(c->options, src, &s, e);

	if (rc == 0)
		rc = find_in(&s, id, ret, e);
	if (rc < 0)
		return rc;
	*ret_session = s;
	s = (struct session){0};
	return 0;
}

/* A kind of source that the user has none of still can be asked, as it is by default. */
static int source_of_type(struct catalog *c, const struct source_type *t, struct source **ret,
			  struct err *e)
{
	struct source *named =
		c->options->source ? config_find(c->config, c->options->source) : NULL;
	int rc;

	*ret = named && named->type == t ? named : config_first(c->config, t);
	if (*ret)
		return 0;
	rc = config_add(c->config, t->name, t->name, NULL, 0, e);
	if (rc == 0)
		*ret = config_find(c->config, t->name);
	return rc;
}

/* A file that no catalog told of: by its address alone. */
static int find_file(struct catalog *c, const char *ref, struct session *ret_session,
		     struct catalog_image *ret, struct err *e)
{
	AUTO(catalog_image_release) struct catalog_image im = {.delivery = DELIVERY_FILE};
	AUTO_FREE char *real = NULL;
	bool web = str_has_prefix(ref, "http://") || str_has_prefix(ref, "https://");
	const char *path = ref + (str_has_prefix(ref, "file://") ? strlen("file://") : 0), *name;
	size_t n = web ? strcspn(ref, "?#") : strlen(ref);
	int rc = 0;

	if (!web) {
		real = realpath(path, NULL);
		if (!real)
			return err_errno(e, errno, "'%s'", path);
	}
	im.url = web ? strdup(ref) : str_format("file://%s", real);
	im.id = strndup(ref, n);
	if (!im.url || !im.id)
		return err_nomem(e);
	name = strrchr(im.id, '/');
	rc = image_set(&im.name, name ? name + 1 : im.id, e);
	if (rc == 0)
		rc = image_set(&im.format, format_by_name(im.id), e);
	if (rc == 0)
		rc = session_open(c->options, NULL, ret_session, e);
	if (rc < 0)
		return rc;
	*ret = im;
	im = (struct catalog_image){0};
	return 0;
}

/* In what all sources have listed; the one that has it is the answer. */
static int find_anywhere(struct catalog *c, const char *id, struct session *ret_session,
			 struct catalog_image *ret, struct err *e)
{
	for (size_t i = 0; i < c->config->n_sources; i++) {
		const struct source *src = c->config->sources[i];
		AUTO(session_close) struct session s = {0};
		AUTO(index_close) struct index *x = NULL;
		struct err why;

		if (!wanted(c, src, NULL, 0) || src->type->aws)
			continue;
		if (session_open(c->options, src, &s, &why) < 0 ||
		    catalog_index(&s, &x, &why) < 0) {
			if (why.code == ECANCELED) {
				if (e)
					*e = why;
				return -ECANCELED;
			}
			log_debug("source '%s': %s", src->name, why.msg);
			continue;
		}
		if (index_find(x, id, ret, NULL) == 0) {
			*ret_session = s;
			s = (struct session){0};
			return 0;
		}
	}
	return err_set(e, ENOENT,
		       "'%s' is no image that is known: catalog search finds them, and a file is "
		       "given by its address or by a path with a '/'",
		       id);
}

int catalog_find(struct catalog *c, const char *ref, struct session *ret_session,
		 struct catalog_image *ret, struct err *e)
{
	const char *colon = strchr(ref, ':');
	AUTO_FREE char *name = colon ? strndup(ref, (size_t)(colon - ref)) : NULL;
	struct source *src = name ? config_find(c->config, name) : NULL;

	if (!*ref)
		return err_set(e, EINVAL, "an image's name is expected, not nothing");
	if (src)
		return find_with(c, src, colon + 1, ret_session, ret, e);
	for (size_t i = 0; source_types[i]; i++) {
		int rc;

		if (!source_types[i]->owns || !source_types[i]->owns(ref))
			continue;
		rc = source_of_type(c, source_types[i], &src, e);
		return rc < 0 ? rc : find_with(c, src, ref, ret_session, ret, e);
	}
	if (str_has_prefix(ref, "http://") || str_has_prefix(ref, "https://") ||
	    str_has_prefix(ref, "file://") || *ref == '/' || str_has_prefix(ref, "./") ||
	    str_has_prefix(ref, "../"))
		return find_file(c, ref, ret_session, ret, e);
	return find_anywhere(c, ref, ret_session, ret, e);
}

/* ---- showing -------------------------------------------------------------------------------- */

void catalog_image_json(struct jsonw *w, const struct catalog_image *im)
{
	for (const struct catalog_field *f = catalog_fields; f->name; f++) {
		const char *text = *catalog_field_of(im, f);

		if (f->shown && text)
			jsonw_string(w, f->name, text);
	}
	if (im->size)
		jsonw_u64(w, "size", im->size);
	if (im->virtual_size)
		jsonw_u64(w, "disk-size", im->virtual_size);
	jsonw_bool(w, "public", im->is_public);
}
