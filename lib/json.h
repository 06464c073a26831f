/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON (RFC 8259): strict reader into a value tree, and a writer onto a buffer.
 */
#ifndef LIB_JSON_H
#define LIB_JSON_H

#include "lib/value.h"

/*
 * Parses len bytes of one JSON text. Refused: duplicate keys, integers that do not fit int64_t,
 * reals that overflow, text that is not UTF-8, \u0000, anything behind the value. name is for
 * messages; limits may be NULL. *ret is the caller's, value_free.
 * Errors: EBADMSG, EFBIG over a limit, ENOMEM.
 */
int json_parse(const char *name, const void *data, size_t len, const struct value_limits *limits,
	       struct value **ret, struct err *e);

/*
 * The writer. Members are written in the order of the calls; key is needed in an object and NULL
 * in an array and for the outermost value. An error (memory) is kept and reported by jsonw_end, so
 * that the calls between need no check:
 *
 *	struct jsonw w;
 *	jsonw_begin(&w, &out, true);
 *	jsonw_object(&w, NULL);
 *	jsonw_string(&w, "name", name);
 *	jsonw_close(&w);
 *	rc = jsonw_end(&w, e);
 */
#define JSONW_DEPTH 64

struct jsonw {
	struct buf *out;
	bool pretty;
	int rc;
	unsigned depth;
	struct {
		bool is_object;
		bool has_members;
	} level[JSONW_DEPTH + 1];
};

/* Appends to out. pretty: two spaces a level, a newline at the end; else no white space at all. */
void jsonw_begin(struct jsonw *w, struct buf *out, bool pretty);
void jsonw_object(struct jsonw *w, const char *key);
void jsonw_array(struct jsonw *w, const char *key);
/* Ends the innermost object or array. */
void jsonw_close(struct jsonw *w);
/*
 * Bytes that are not UTF-8 become U+FFFD, so that the output is always valid JSON; control
 * characters are escaped. NULL is written as null.
 */
void jsonw_string(struct jsonw *w, const char *key, const char *s);
void jsonw_string_n(struct jsonw *w, const char *key, const void *s, size_t len);
void jsonw_u64(struct jsonw *w, const char *key, uint64_t v);
void jsonw_i64(struct jsonw *w, const char *key, int64_t v);
void jsonw_bool(struct jsonw *w, const char *key, bool v);
void jsonw_null(struct jsonw *w, const char *key);
/* A whole tree, under its own key; a real that is not finite becomes null. */
void jsonw_value(struct jsonw *w, const struct value *v);
/* All must be closed. Errors: ENOMEM; EINVAL where calls did not match (deeper than 64, key amiss).
 */
int jsonw_end(struct jsonw *w, struct err *e);

#endif
