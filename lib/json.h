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
 * in an array and for the outermost value. An error (memory) is kept and reported by json_end, so
 * that the calls between need no check:
 *
 *	struct json_writer w;
 *	json_begin(&w, &out, true);
 *	json_object(&w, NULL);
 *	json_string(&w, "name", name);
 *	json_close(&w);
 *	rc = json_end(&w, e);
 */
#define JSON_WRITER_DEPTH 64

struct json_writer {
	struct buf *out;
	bool pretty;
	int rc;
	unsigned depth;
	struct {
		bool is_object;
		bool has_members;
	} level[JSON_WRITER_DEPTH + 1];
};

/* Appends to out. pretty: two spaces a level, a newline at the end; else no white space at all. */
void json_begin(struct json_writer *w, struct buf *out, bool pretty);
void json_object(struct json_writer *w, const char *key);
void json_array(struct json_writer *w, const char *key);
/* Ends the innermost object or array. */
void json_close(struct json_writer *w);
/*
 * Bytes that are not UTF-8 become U+FFFD, so that the output is always valid JSON; control
 * characters are escaped. NULL is written as null.
 */
void json_string(struct json_writer *w, const char *key, const char *s);
void json_string_n(struct json_writer *w, const char *key, const void *s, size_t len);
void json_u64(struct json_writer *w, const char *key, uint64_t v);
void json_i64(struct json_writer *w, const char *key, int64_t v);
void json_bool(struct json_writer *w, const char *key, bool v);
void json_null(struct json_writer *w, const char *key);
/* All must be closed. Errors: ENOMEM; EINVAL where calls did not match (deeper than 64, key amiss).
 */
int json_end(struct json_writer *w, struct err *e);

#endif
