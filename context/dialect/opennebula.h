/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader and the writer of context.sh share. */
#ifndef CONTEXT_DIALECT_OPENNEBULA_H
#define CONTEXT_DIALECT_OPENNEBULA_H

#include "context/opennebula.h"
#include "context/reading.h"
#include "context/shellvars.h"

#define ONE_NICS_MAX 64                 /* numbers from there on are taken for a mistake */
#define ONE_START_SCRIPT "start-script" /* its name in the model; the variable gives none */

struct one_reader {
	struct reading r;
	const struct shellvars *vars;
	const struct tree *docs; /* what else lies on the image; NULL: nobody knows */
};

/* Variables whose text is a member's, and those that are lists with one entry in each line. */
struct one_variable {
	const char *name;
	size_t offset;
	context_check_fn *check;
};
extern const struct one_variable one_texts[], one_lists[]; /* ended by a name of NULL */

/* All return 0 or -ENOMEM. */

/* Fills the context's NICs. */
int one_read_nics(struct one_reader *o);
/* Users, disks, scripts, files, readiness: what is about the guest, not the network. */
int one_read_guest(struct one_reader *o);

/* A variable's value; NULL if it is absent or empty. */
const char *one_get(const struct one_reader *o, const char *name);
/* "YES" and "NO", in either case; anything else leaves *at as it is. */
void one_choice(const struct one_reader *o, const char *name, enum context_choice *at);
/* Is that a variable of a NIC (ETHn_, PCIn_)? Then its number, at most ONE_NICS_MAX. */
bool one_nic_number(const char *name, unsigned *ret);
/* Is that read by one_read_guest? */
bool one_is_guest_variable(const char *name);

/* The writer's side. */
struct one_writer {
	struct shellvars vars;
	struct tree *docs; /* for files; NULL: there is no room for them */
	struct err *e;
};
/* Sets PREFIX SUFFIX if there is a value. */
int one_put2(struct one_writer *w, const char *prefix, const char *suffix, const char *value);
int one_put(struct one_writer *w, const char *name, const char *value);
int one_put_number(struct one_writer *w, const char *prefix, const char *suffix, uint64_t value);
int one_put_list(struct one_writer *w, const char *prefix, const char *suffix,
		 const struct strlist *l, const char *separator);
int one_put_base64(struct one_writer *w, const char *name, const struct buf *bytes);
int one_put_choice(struct one_writer *w, const char *name, enum context_choice choice);
int one_write_guest(struct one_writer *w, const struct context *c);

/* opennebula_read and opennebula_write with what lies beside context.sh; docs may be NULL. */
int one_read(const char *text, size_t len, const struct tree *docs, const char *source,
	     struct strlist *notes, struct context **ret, struct err *e);
int one_write(const struct context *c, struct tree *docs, struct buf *out, struct err *e);

#endif
