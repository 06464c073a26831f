/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the EC2 dialect share: a tree that is being made. */
#ifndef CONTEXT_DIALECT_EC2_H
#define CONTEXT_DIALECT_EC2_H

#include "context/imds.h"

/* After the first error the rest does nothing. */
struct ec2_render {
	struct tree *t;
	const struct context *c;
	const char *region; /* given, or of the zone; NULL: unknown */
	int rc;
	struct err *e;
};

/* One leaf; value NULL: there is none. */
void ec2_leaf(struct ec2_render *r, unsigned since, const char *path, const char *value);
void ec2_leaf_at(struct ec2_render *r, unsigned since, const char *value, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* A number that is not 0. */
void ec2_number(struct ec2_render *r, unsigned since, const char *path, uint64_t value);
/* A leaf that is made when it is asked for; needs: TREE_NEEDS_*. */
void ec2_made(struct ec2_render *r, unsigned since, unsigned needs, const char *path);
/* Appends a line behind the others; out->data stays NULL where there is none. */
void ec2_join(struct ec2_render *r, struct buf *out, const char *s);
/* A list, an entry a line; an empty one is no leaf. */
void ec2_list(struct ec2_render *r, unsigned since, const char *path, const struct strlist *l);
/* A JSON string. 0 or -ENOMEM. */
int ec2_add_json_string(struct buf *out, const char *s);
/* s, or NULL for "". */
const char *ec2_given(const char *s);
/* The primary NIC's first IPv4 address, "" for none. */
void ec2_primary_ipv4(struct ec2_render *r, char out[46]);

void ec2_render_network(struct ec2_render *r);
void ec2_render_document(struct ec2_render *r);
void ec2_render_role(struct ec2_render *r);
void ec2_render_events(struct ec2_render *r);

#endif
