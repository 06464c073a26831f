/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What readers of the clouds' own formats share. Such a document is not ours to refuse for one bad
 * value: what cannot be used is told in a note and left out, the rest is taken.
 */
#ifndef CONTEXT_READING_H
#define CONTEXT_READING_H

#include "context/fields.h"
#include "context/imds.h"
#include "lib/value.h"

#define READING_NOTES_MAX 64

struct reading {
	struct context *c;
	struct strlist *notes; /* may be NULL */
	const char *where;     /* the document: "meta-data"; NULL: not to be said */
};

/* All return 0, or -ENOMEM with e untouched, unless they say otherwise. */

/* Adds a line to the notes, made fit to be shown. */
int reading_note(struct reading *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Is there no room for one more than n of them? The first time, that is told. */
bool reading_is_full(struct reading *r, const char *name, size_t n);
/* The same for one more file of len bytes: at most 1024, of 64 MiB together. */
bool reading_files_full(struct reading *r, size_t len);

/* Takes a text that keeps its rule; what is empty or there already is skipped. */
int reading_text(struct reading *r, const char *name, const char *s, context_check_fn *check,
		 char **at);
/* The same of a scalar of a document (NULL: none). */
int reading_value(struct reading *r, const struct value *v, context_check_fn *check, char **at);
/* A list of scalars, or one that stands for a list of one; each once. */
int reading_list(struct reading *r, const struct value *v, context_check_fn *check,
		 struct strlist *l);
int reading_item(struct reading *r, const char *name, const char *s, context_check_fn *check,
		 struct strlist *l);
/* A number within [min, max]. */
int reading_u32(struct reading *r, const struct value *v, uint32_t min, uint32_t max, uint32_t *at);
/* true, false and what people write for them. */
int reading_choice(struct reading *r, const struct value *v, enum context_choice *at);
/* The member of that row of a struct of the model, if it is not given yet. v may be NULL. */
int reading_row(struct reading *r, const struct value *v, const struct context_field *f,
		void *object);
/* A member of the model by its row's name, as metadata-server.yaml(5) has it. */
int reading_member(struct reading *r, const struct value *v, const char *row);

/* The host name, made a legal one: other characters become '-'. */
int reading_hostname(struct reading *r, const char *s);
/* Lines of authorized_keys; comments are dropped, each key is taken once. */
int reading_keys(struct reading *r, const char *name, const char *lines, size_t len,
		 struct strlist *to);
/* The MAC of a NIC that is in the context already; another NIC's is told and left out. */
int reading_mac(struct reading *r, const char *s, struct nic *n);
/* Its name, unless another NIC has that. */
int reading_nic_name(struct reading *r, const char *s, struct nic *n);
/* A NIC of zeros; *ret is NULL where there are too many of them, which is told. */
int reading_nic(struct reading *r, struct nic **ret);

bool strlist_has(const struct strlist *l, const char *s);
/* A leaf of a tree, if it is there. */
bool tree_leaf(const struct tree *t, const char *path, struct http_slice *ret);

#endif
