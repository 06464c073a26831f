/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the model and maps of keys and values, by the model's rows (context/fields.h): the keys
 * are the rows' names, the rules theirs.
 */
#ifndef CONTEXT_BIND_H
#define CONTEXT_BIND_H

#include "context/fields.h"
#include "lib/json.h"
#include "lib/value.h"

enum {
	BIND_MAX_LIST = 4096, /* entries of a list or a map */
	BIND_MAX_NICS = 64,
};

struct bind_reader {
	const struct context *c; /* that is being filled */
	int folder;              /* for NAME-file keys; -1: none */
	size_t taken;            /* bytes of values that any byte may be in */
	void (*report)(void *arg, const struct err *e); /* of each fault; may be NULL */
	void *arg;
	struct err *first; /* gets the first one; may be NULL */
	int rc;            /* the first fault's code, 0 while there is none */
};

void bind_fault(struct bind_reader *r, const struct err *e);

/* A scalar that keeps a rule (NULL: any); *ret points into the tree. */
int bind_checked_text(const struct value *v, context_check_fn *check, const char **ret,
		      struct err *e);
/* The same, copied to *at. */
int bind_text(const struct value *v, context_check_fn *check, char **at, struct err *e);

/* Reads a value into the member of that row. A list's members are told one by one. */
int bind_field(struct bind_reader *r, const struct value *v, const struct context_field *f,
	       void *object, struct err *e);

/*
 * Reads a map into a struct of the model by its rows; more (may be NULL) has rows of other keys,
 * whose handlers get the reader. Every fault is told. Returns 0 or the first fault's code.
 */
int bind_struct(struct bind_reader *r, const struct value *map, const struct context_field *table,
		void *object, const struct value_field *more);

/* The other way: a member under its row's name, or all that are given. */
void bind_write_field(struct jsonw *w, const struct context_field *f, const void *object);
void bind_write(struct jsonw *w, const struct context_field *table, const void *object);

#endif
