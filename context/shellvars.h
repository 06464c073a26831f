/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of shell assignments (context.sh) as data: read without a shell, written so that every
 * shell reads them back. Nothing in such a file is ever evaluated.
 */
#ifndef CONTEXT_SHELLVARS_H
#define CONTEXT_SHELLVARS_H

#include "context/context.h"

#define SHELLVARS_FILE_MAX MIB /* bytes of a file */
#define SHELLVARS_MAX 4096     /* variables */
#define SHELLVARS_NAME_MAX 256 /* bytes of a name */
#define SHELLVARS_NOTES_MAX 32 /* skipped lines that are told one by one */

/* Variables, each name once; values are bytes without NUL. All zero to begin with. */
struct shellvars {
	struct context_pair *v; /* n */
	size_t n;
};

/*
 * Reads assignments. Of a name given twice the last value counts, as in a shell.
 *
 *	file       = *(blank line | "#" comment | statement)
 *	statement  = ["export" blanks] NAME "=" value, up to ";", a comment behind a blank, or LF
 *	NAME       = [A-Za-z_][A-Za-z0-9_]*
 *	value      = *( '...' raw, may span lines
 *	              | "..." with \" \\ \$ \` and \LF taken as in a shell
 *	              | \x outside quotes
 *	              | other bytes, but not blanks ; & | < > ( ) $ ` )
 *
 * A CR at the end of a line, outside quotes, is dropped. What a shell would expand or run makes
 * the statement be skipped; so does anything else. Each skipped statement appends
 * "LINE:COLUMN: why" to notes (may be NULL), at most SHELLVARS_NOTES_MAX of them. A quote that is
 * never closed ends the reading: what it was meant to enclose cannot be known.
 * Errors: EFBIG (file, number of variables), EBADMSG (a NUL byte), ENOMEM.
 */
int shellvars_parse(const char *text, size_t len, struct shellvars *ret, struct strlist *notes,
		    struct err *e);

/* The value of a variable, NULL if it is not there. */
const char *shellvars_get(const struct shellvars *s, const char *name);

/* Sets (replaces) a variable. Errors: EINVAL not a name, EFBIG, ENOMEM. */
int shellvars_set(struct shellvars *s, const char *name, const char *value, struct err *e);

/*
 * Appends "NAME='value'" lines in the byte order of the names; a quote inside a value becomes
 * '\''. Sorts s. Errors: ENOMEM.
 */
int shellvars_write(struct shellvars *s, struct buf *out, struct err *e);

bool shellvars_name_valid(const char *name, size_t len);

void shellvars_release(struct shellvars *s);
DEFINE_AUTO_STRUCT(struct shellvars, shellvars_release);

#endif
