/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader of context.sh and its part for NICs share. */
#ifndef CONTEXT_DIALECT_OPENNEBULA_H
#define CONTEXT_DIALECT_OPENNEBULA_H

#include "context/opennebula.h"
#include "context/shellvars.h"

#define ONE_NICS_MAX 64      /* numbers from there on are taken for a mistake */
#define ONE_HOSTNAME_MAX 253 /* RFC 1035 section 2.3.4, as text */

struct one_reader {
	const struct shellvars *vars;
	struct context *c;
	struct strlist *notes;
};

/* All return 0 or -ENOMEM. */

/* Adds a line to the notes, made fit to be shown. */
int one_note(struct one_reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Fills the context's NICs. */
int one_read_nics(struct one_reader *r);

/* A variable's value; NULL if it is absent or empty. */
const char *one_get(const struct one_reader *r, const char *name);
/* "ETH3_IP": true and 3 (at most ONE_NICS_MAX). False for what is no variable of a NIC. */
bool one_nic_number(const char *name, unsigned *ret);
bool one_list_has(const struct strlist *l, const char *s);

#endif
