/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The images that a source listed, in a file that is searched as it lies there: mapped into memory,
 * without being parsed. A line each:
 *
 *   acclimate-index 1 LF
 *   (TAB id TAB searched TAB numbers TAB text ... LF) ...
 *
 * searched: all texts that words are looked for in, lower case, with blanks between. numbers: delivery,
 * flags and sizes, with commas between. Then the texts in the order of catalog_fields. Control
 * characters and backslashes in texts are escaped (\t \n \\ \xNN), so that TAB and LF separate alone.
 */
#ifndef CATALOG_INDEX_H
#define CATALOG_INDEX_H

#include "catalog/source.h"

/* ---- writing -------------------------------------------------------------------------------- */

#define INDEX_IMAGES_MAX 2000000
#define INDEX_BYTES_MAX (2 * GIB)
#define INDEX_MAGIC "acclimate-index 1\n"
#define INDEX_SEARCHED_MAX 1024 /* bytes of one text that words are looked for in */

struct index_writer;
/* The index appears at path, complete, when it is committed. */
int index_writer_new(const char *path, struct index_writer **ret, struct err *e);
/* Errors: EBADMSG no id; EFBIG too many images; errno of write. */
int index_writer_add(struct index_writer *w, const struct catalog_image *im, struct err *e);
int index_writer_commit(struct index_writer *w, struct err *e);
void index_writer_free(struct index_writer *w);
DEFINE_AUTO(struct index_writer *, index_writer_free);

/* ---- searching ------------------------------------------------------------------------------ */

struct index;
/* Errors: ENOENT there is none; EBADMSG it is none of this version. */
int index_open(const char *path, struct index **ret, struct err *e);
void index_close(struct index *x);
DEFINE_AUTO(struct index *, index_close);
int64_t index_time(const struct index *x); /* when it was refreshed, seconds since 1970 */

/* What is looked for: all of it must be true of an image. */
struct query {
	const char **words; /* n_words; anywhere in the searched texts, any case; * and ? match */
	size_t n_words;
	/* n_filters of a field's name and a pattern with * and ? for the whole of its text, any
	 * case; "arch" is the architecture by any of its names. */
	struct query_filter {
		const char *name, *pattern;
	} * filters;
	size_t n_filters;
	bool older;     /* also images of which there are newer ones */
	bool elsewhere; /* also images that are only told of */
};
/*
 * Sorts words into words and filters (NAME=PATTERN); what it makes lives until query_release.
 * Errors: EINVAL no field of that name, an empty word.
 */
int query_parse(const char *const *words, size_t n, struct query *ret, struct err *e);
void query_release(struct query *q);
DEFINE_AUTO_STRUCT(struct query, query_release);

/* Calls fn for each image that matches, in the order of the index. EBADMSG: a damaged line. */
int index_search(const struct index *x, const struct query *q, image_fn *fn, void *ctx,
		 struct err *e);
/* The image of that id, exactly. Errors: ENOENT. */
int index_find(const struct index *x, const char *id, struct catalog_image *ret, struct err *e);
/* The same test for an image that is in no index. */
bool query_matches(const struct query *q, const struct catalog_image *im);

/* ---- inside: how texts stand in the file ------------------------------------------------------- */

/* With what separates taken out of it. Returns 0 or -ENOMEM. */
int index_add_escaped(struct buf *b, const char *s);
/* Lower case, and a blank behind; what separates becomes a blank. Returns 0 or -ENOMEM. */
int index_add_searched(struct buf *b, const char *s);

#endif
