/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the YAML dialect share: the reader, and values that keep a rule. */
#ifndef CONTEXT_DIALECT_YAML_H
#define CONTEXT_DIALECT_YAML_H

#include "context/imds.h"
#include "lib/value.h"

enum {
	YAML_MAX_LIST = 256, /* entries of a list or a map */
	YAML_MAX_NICS = 64,
};

struct yaml_reader {
	struct instance *in;
	struct context *c;
	int folder;                    /* for user-data-file; -1: none */
	const struct value *user_data; /* the key that gave it */
	instance_report_fn *report;
	void *arg;
	struct err *first; /* of instance_parse_yaml's caller */
	int rc;            /* the first fault's code, 0 while there is none */
};

/* Tells a fault; arg is a struct yaml_reader. */
void yaml_fault(void *arg, const struct err *e);

typedef int yaml_check_fn(const char *s, struct err *e);
int yaml_check_ip(const char *s, struct err *e); /* without a prefix length */

/* A scalar that keeps a rule; *ret points into the tree. */
int yaml_checked_text(const struct value *v, yaml_check_fn *check, const char **ret, struct err *e);
/* The same, copied to *at. */
int yaml_set_text(const struct value *v, yaml_check_fn *check, char **at, struct err *e);
/* A list of such; each one's fault is told by itself. */
int yaml_set_list(const struct value *v, yaml_check_fn *check, struct strlist *l,
		  struct yaml_reader *r, struct err *e);
int yaml_expect_at_most(const struct value *v, enum value_kind kind, size_t max, struct err *e);

/* The key "nics"; object is a struct yaml_reader. */
int yaml_on_nics(const struct value *v, void *object, struct err *e);

#endif
