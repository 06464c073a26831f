/* SPDX-License-Identifier: Apache-2.0 */
/* What the two readers of EC2's metadata share: context/dialect/ec2_read.c and ec2_read_network.c. */
#ifndef CONTEXT_DIALECT_EC2_READ_H
#define CONTEXT_DIALECT_EC2_READ_H

#include "context/dialects.h"
#include "context/reading.h"

struct ec2_reader {
	struct reading r;
	const struct tree *t;
};

/* Paths are below meta-data. All return 0, or -ENOMEM; what cannot be used is told in a note. */

/* A leaf's text, without line ends behind it, the caller's to free; NULL if there is none. */
int ec2_leaf_text(const struct ec2_reader *o, const char *path, char **ret);
/* A text that keeps its rule. */
int ec2_read_text(struct ec2_reader *o, const char *path, context_check_fn *check, char **at);
/* Lines that keep it, each once. */
int ec2_read_lines(struct ec2_reader *o, const char *path, context_check_fn *check,
		   struct strlist *l);
/* A number up to max. */
int ec2_read_number(struct ec2_reader *o, const char *path, uint32_t max, uint32_t *at);

/* All NICs. */
int ec2_read_nics(struct ec2_reader *o);

#endif
