/* SPDX-License-Identifier: Apache-2.0 */
/* Text: strict numbers and sizes, hex and base64, escaping of hostile text, wildcards. */
#ifndef LIB_STR_H
#define LIB_STR_H

#include "lib/buf.h"

bool str_has_prefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);
/* Whether word is one of words, which blanks separate. */
bool str_has_word(const char *words, const char *word);

/*
 * Decimal digits alone, the whole of s, value in [min, max].
 * Errors: EINVAL not a number, ERANGE outside. The message does not name s's origin: wrap it.
 */
int str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret, struct err *e);

/* Like str_to_u64, with an optional suffix K, M, G or T (powers of 1024). Unit: bytes. */
int str_to_size(const char *s, uint64_t *ret, struct err *e);

/* Lower-case hex of len bytes; out has room for 2 * len + 1. */
void hex_encode(const void *data, size_t len, char *out);
/* Exactly 2 * len hex digits, either case. Errors: EBADMSG. */
int hex_decode(const char *hex, size_t hex_len, void *out, size_t len, struct err *e);

/* Standard alphabet with padding (RFC 4648 section 4), appended to out. */
int base64_encode(const void *data, size_t len, struct buf *out);
/* The URL-safe alphabet (RFC 4648 section 5), with padding. */
int base64url_encode(const void *data, size_t len, struct buf *out);
/* Strict: right alphabet, right padding; white space is skipped. Errors: EBADMSG, ENOMEM. */
int base64_decode(const char *text, size_t len, struct buf *out, struct err *e);
int base64url_decode(const char *text, size_t len, struct buf *out, struct err *e);

/*
 * Appends s with control characters, backslash and bytes that are not UTF-8 as \xNN (\n, \t as
 * such), so that hostile text can be shown on a terminal or in a log. At most max bytes of s.
 */
int str_escape(const char *s, size_t len, size_t max, struct buf *out);

/* The same for text that may have been made printable before: backslashes stay as they are. */
int str_escape_shown(const char *s, size_t len, size_t max, struct buf *out);

/* Length of the UTF-8 character at s (len > 0), 0 if there is none (RFC 3629: shortest form, no
 * surrogates). */
size_t utf8_char(const uint8_t *s, size_t len);
/* Valid UTF-8 without NUL. */
bool utf8_valid(const char *s, size_t len);

/* The whole of s matches pattern with * and ?, case-sensitive; linear time. */
bool str_glob(const char *pattern, const char *s);

/* "1.5 GiB": for people, never to be read back. out has room for 16. */
void size_to_text(uint64_t bytes, char out[16]);

/* For people, where a text may be missing. */
static inline const char *or_dash(const char *s)
{
	return s && *s ? s : "-";
}

/* xasprintf without exit: NULL when memory is out. */
char *str_format(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
