/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model's shape as data: every member of struct context, its name, kind and rule. What treats
 * all members alike walks these tables: release, validation, comparison, the YAML dialect. A new
 * member of the model is a row here; the names are the keys of metadata-server.yaml(5).
 */
#ifndef CONTEXT_FIELDS_H
#define CONTEXT_FIELDS_H

#include "context/context.h"

enum field_kind {
	CTX_END,
	CTX_TEXT,    /* char *; NULL: not given */
	CTX_MAC,     /* char[18]; "": not given */
	CTX_U32,     /* uint32_t; 0: not given */
	CTX_MODE,    /* uint32_t, written in octal; 0: not given */
	CTX_SIZE,    /* uint64_t bytes; 0: not given */
	CTX_TIME,    /* uint64_t; 0: not given */
	CTX_CHOICE,  /* enum context_choice */
	CTX_METHOD,  /* enum nic_method */
	CTX_LIST,    /* struct strlist */
	CTX_BYTES,   /* struct buf; with has, a bool says whether it is given */
	CTX_PAIRS,   /* struct context_pair *, and how many */
	CTX_STRUCT,  /* a struct of rows `fields` */
	CTX_STRUCTS, /* an array of them, and how many */
};

typedef int context_check_fn(const char *s, struct err *e);

struct context_field {
	const char *name;
	enum field_kind kind;
	size_t offset;
	size_t offset_n; /* CTX_PAIRS, CTX_STRUCTS: of the size_t; CTX_BYTES: of the bool, or 0 */
	context_check_fn *check; /* CTX_TEXT, CTX_LIST: each one; CTX_PAIRS: values; NULL: any */
	context_check_fn *check_key; /* CTX_PAIRS */
	uint64_t min, max;           /* numbers that are given; both 0: any */
	const struct context_field *fields;
	const char *name_base64, *name_file; /* CTX_BYTES: other ways to give it in YAML */
	size_t size;                         /* of the struct */
	bool required;                       /* in its struct */
	bool secret;                         /* is never shown where others than root may look */
};

/* All rows of struct context, `source` left out; ended by CTX_END. */
extern const struct context_field context_fields[];
/* Those of a NIC, a user, a file. */
extern const struct context_field nic_fields[];
extern const struct context_field user_fields[];
extern const struct context_field file_fields[];

/* The row of that name, NULL if there is none. */
const struct context_field *context_field(const struct context_field *table, const char *name);

/* Is the member given (not NULL, 0, empty, open)? A NIC's methods always are. */
bool context_field_given(const struct context_field *f, const void *object);

/* Appends a zeroed struct to a CTX_STRUCTS member; NULL when memory is out. */
void *context_field_append(const struct context_field *f, void *object);

/* Frees the members of a struct and makes them zero. */
void context_fields_release(const struct context_field *table, void *object);

/*
 * Where two structs of one table differ: fn is called with each member's path ("nics[0].mtu",
 * "tags.Name", "users" where their numbers differ) and how it is different. Stops when fn returns
 * non-zero, and returns that; -ENOMEM.
 */
enum field_difference {
	DIFF_MISSING, /* in b */
	DIFF_ADDED,   /* in b */
	DIFF_CHANGED,
};
typedef int context_diff_fn(void *arg, const char *path, enum field_difference how);
int context_compare(const struct context *a, const struct context *b, context_diff_fn *fn,
		    void *arg);

/* Checks a struct by its table. Errors: EBADMSG "path: rule". */
int context_fields_check(const struct context_field *table, const void *object, struct err *e);

#endif
