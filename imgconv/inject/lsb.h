/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of init scripts (Linux Standard Base 5.0, "Comment Conventions for Init Scripts"). */
#ifndef IMGCONV_INJECT_LSB_H
#define IMGCONV_INJECT_LSB_H

#include "lib/buf.h"

/*
 * Appends the words of a keyword ("Provides", "Required-Start") of the header in text to out, each
 * with a space behind it. Returns 1, or 0 if text has no header or it has no such line.
 * Errors: ENOMEM.
 */
int lsb_words(const char *text, const char *keyword, struct buf *out);

/*
 * The same for what a facility ("$local_fs") consists of: lines "NAME word word..." of
 * insserv.conf(5), in which a '+' before a word says that it may be missing.
 */
int lsb_facility_words(const char *conf, const char *name, size_t len, struct buf *out);

/* Whether a list, as above, has the word. */
bool lsb_has_word(const char *list, const char *word, size_t len);

/*
 * What startpar(8) goes by, with one more script: "TARGETS = ..." and a line "SCRIPT: SCRIPT..." for
 * what each waits for. `after` and `before` are lists as above, of the scripts that `name` waits for
 * and that wait for it. text without such a line is copied. Errors: ENOMEM.
 */
int lsb_depend_add(const char *text, const char *name, const char *after, const char *before,
		   struct buf *out);
/*
 * The same without a script: its own line, and its name in those of others. What else there is stays
 * as it is. Returns 1 if there was anything, 0 if not (out is then a copy). Errors: ENOMEM.
 */
int lsb_depend_remove(const char *text, const char *name, struct buf *out);

#endif
