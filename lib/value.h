/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One bounded tree of maps, lists and scalars, which YAML and JSON both parse into, and a strict
 * table-driven binder from such a tree into a C struct.
 *
 * A tree is owned by its root: value_free(root) frees every node and string. It is read-only after
 * parsing and may then be read by several threads. All look-ups accept NULL and then return NULL,
 * so that they can be chained; every error names the place: "FILE:LINE:COL: 'nics[0].mac': rule".
 */
#ifndef LIB_VALUE_H
#define LIB_VALUE_H

#include "lib/buf.h"

enum value_kind {
	VALUE_NULL,
	VALUE_BOOL,
	VALUE_INT, /* fits int64_t */
	VALUE_REAL,
	VALUE_STRING,
	VALUE_LIST,
	VALUE_MAP,
};

/* What a parser accepts; a zero member means the default in brackets. */
struct value_limits {
	size_t bytes;   /* of input [8 MiB] */
	unsigned depth; /* of nested lists and maps [64] */
	size_t nodes;   /* values, keys not counted [200000] */
};

struct value {
	enum value_kind kind;
	/* Of its key in a map, else of its first character; from 1; 0 if unknown. */
	unsigned line, column;
	const struct value *parent; /* NULL for the root */
	const char *key;            /* in a map, NUL-terminated, without NULs inside; else NULL */
	/*
	 * Of a scalar: the string itself, or the number, bool or null as it was written. Followed
	 * by a NUL; a string may hold NULs too, text_len counts. NULL for lists and maps.
	 */
	const char *text;
	size_t text_len;
	bool boolean;    /* VALUE_BOOL */
	int64_t integer; /* VALUE_INT */
	double real;     /* VALUE_REAL, and VALUE_INT converted */
	/* VALUE_LIST and VALUE_MAP: n_items members in the order as written. */
	struct value **items;
	size_t n_items;

	/* private to value.c */
	size_t index;          /* in parent->items */
	struct value **sorted; /* VALUE_MAP, once closed: by key */
	size_t items_cap;
	unsigned depth;
	struct value_doc *doc;
	struct value *all; /* the node made before this one */
};

/* Frees the whole tree; root must be what a parser returned. */
void value_free(struct value *root);
DEFINE_AUTO(struct value *, value_free);

/* Runs over the members of a list or map (none for NULL or a scalar); break and continue work. */
#define value_foreach(item, v)                                                                     \
	for (const struct value *item = value_at((v), 0); item; item = value_next(item))

/* "a map", "a string" ...: for messages. */
const char *value_kind_name(enum value_kind kind);

/* The member of a map with that key; NULL if there is none or v is not a map. */
const struct value *value_get(const struct value *v, const char *key);
/* Member number i of a list or map; NULL past the end. */
const struct value *value_at(const struct value *v, size_t i);
/* The member behind v in its list or map; NULL at the end and for the root. */
const struct value *value_next(const struct value *v);
/*
 * Walks down keys and list numbers: value_path(v, "nics/0/mac"). NULL if a step is missing. A key
 * that holds '/' cannot be reached this way.
 */
const struct value *value_path(const struct value *v, const char *path);

/*
 * Typed getters: 0 and *ret set, or -EBADMSG (wrong kind), -ERANGE, with the place in the message;
 * *ret is untouched on failure. v must not be NULL. Strings point into the tree.
 */
int value_string(const struct value *v, const char **ret, struct err *e); /* no NUL inside */
int value_bytes(const struct value *v, const void **ret, size_t *ret_len, struct err *e);
/* Any scalar but null, by its text: for what people write unquoted though it is a name (12345). */
int value_text(const struct value *v, const char **ret, struct err *e);
const char *value_text_of(const struct value *v); /* the same; NULL: v is none, or is NULL */
int value_bool(const struct value *v, bool *ret, struct err *e);
int value_i64(const struct value *v, int64_t min, int64_t max, int64_t *ret, struct err *e);
int value_u64(const struct value *v, uint64_t min, uint64_t max, uint64_t *ret, struct err *e);
/* A whole number of bytes, or a string as str_to_size reads it ("10G"). */
int value_size(const struct value *v, uint64_t *ret, struct err *e);
/* 0 if v is of that kind. */
int value_expect(const struct value *v, enum value_kind kind, struct err *e);

/* Sets "FILE:LINE:COL: 'path.of.v': text"; returns -code. For rules that the caller checks. */
int value_err(const struct value *v, struct err *e, int code, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* ---- binder --------------------------------------------------------------------------------- */

/* A list of strings that belongs to a struct. */
struct value_strings {
	char **items; /* n_items NUL-terminated strings */
	size_t n_items;
};
void value_strings_release(struct value_strings *s);

/* What a row accepts, and the type of the member at its offset. */
enum value_field_type {
	FIELD_BOOL,     /* bool */
	FIELD_I64,      /* int64_t in [min, max] */
	FIELD_U64,      /* uint64_t in [min, max] */
	FIELD_UNSIGNED, /* unsigned int in [min, max] */
	FIELD_SIZE,     /* uint64_t bytes, see value_size; in [min, max] */
	FIELD_STRING,   /* char *: a copy, without NULs, of [min, max] bytes */
	FIELD_TEXT,     /* char *: a copy of any scalar's text, see value_text */
	FIELD_BYTES,    /* struct buf: a string that may hold any byte */
	FIELD_STRINGS,  /* struct value_strings: a list of strings of [min, max] items */
	FIELD_ENUM,     /* int: the index of the string in names */
	FIELD_MAP,      /* a nested struct at offset, bound by fields */
	FIELD_VALUE,    /* const struct value *: left as it is; lives as long as the tree */
	FIELD_CUSTOM,   /* handler is called with the whole object */
};

/* Returns 0, or a negative errno with e set (best by value_err). */
typedef int value_field_fn(const struct value *v, void *object, struct err *e);

struct value_field {
	const char *key; /* NULL ends the table */
	enum value_field_type type;
	size_t offset; /* of the member in the object */
	bool required;
	int64_t min, max;                 /* both 0: any value that fits */
	const char *const *names;         /* FIELD_ENUM: NULL-ended */
	const struct value_field *fields; /* FIELD_MAP */
	value_field_fn *handler;          /* FIELD_CUSTOM */
	const char *doc;                  /* one sentence, for manuals */
};

/*
 * Binds a map to an object. Keys that are not in the map leave their member as it is, so set the
 * defaults before (NULL for FIELD_STRING and FIELD_TEXT, BUF_INIT for FIELD_BYTES, all zero for
 * FIELD_STRINGS). Strings are copies and the object's. On failure the object may be partly filled:
 * release it as usual.
 * Errors: EBADMSG unknown key, missing required key (at the map's place), wrong kind; ERANGE;
 * ENOMEM; what a handler returns.
 */
int value_bind(const struct value *map, const struct value_field *fields, void *object,
	       struct err *e);

/*
 * The same, but every fault in the map is given to report, not the first alone; a handler for a
 * nested map may do likewise. Returns 0, or the first fault's code.
 */
typedef void value_report_fn(void *arg, const struct err *e);
int value_bind_all(const struct value *map, const struct value_field *fields, void *object,
		   value_report_fn *report, void *arg);

/* ---- for parsers (yaml.c, json.c) and tests -------------------------------------------------- */

/* Counts towards the limits of one document and knows its name. */
struct value_doc;

/*
 * A new document; its first node becomes the root and then owns it. name is for messages, copied.
 * A document without a root is freed by value_doc_free.
 */
int value_doc_new(const char *name, const struct value_limits *limits, struct value_doc **ret,
		  struct err *e);
void value_doc_free(struct value_doc *doc);
DEFINE_AUTO(struct value_doc *, value_doc_free);
/* "FILE:LINE:COL: text": for errors before there is a node. Returns -code. */
int value_doc_err(const struct value_doc *doc, unsigned line, unsigned column, struct err *e,
		  int code, const char *fmt, ...) PRINTF_LIKE(6, 7);
/* The limits with defaults filled in. */
struct value_limits value_limits_or_default(const struct value_limits *limits);

/*
 * Adds a node of that kind under parent (NULL: the root, once). key only if parent is a map; it is
 * copied. Errors: EFBIG over depth or nodes; EBADMSG for a NUL in the key; ENOMEM.
 */
int value_new(struct value_doc *doc, struct value *parent, const char *key, size_t key_len,
	      enum value_kind kind, unsigned line, unsigned column, struct value **ret,
	      struct err *e);
/* Sets a scalar's text (copied). */
int value_set_text(struct value *v, const char *text, size_t len, struct err *e);
/* Ends a map or list: refuses duplicate keys (EBADMSG at the second one), builds the index. */
int value_close(struct value *v, struct err *e);
/* Gives the root away; the root then owns doc. */
struct value *value_doc_take_root(struct value_doc **doc);

#endif
