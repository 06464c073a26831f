/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the YAML dialect share: the reader, and values that keep a rule. */
#ifndef CONTEXT_DIALECT_YAML_H
#define CONTEXT_DIALECT_YAML_H

#include "context/fields.h"
#include "context/imds.h"
#include "lib/value.h"

enum {
	YAML_MAX_LIST = 4096, /* entries of a list or a map */
	YAML_MAX_NICS = 64,
};

struct yaml_reader {
	struct instance *in;
	int folder;   /* for NAME-file keys; -1: none */
	size_t taken; /* bytes of values that any byte may be in */
	instance_report_fn *report;
	void *arg;
	struct err *first; /* of instance_parse_yaml's caller */
	int rc;            /* the first fault's code, 0 while there is none */
};

/* Tells a fault; arg is a struct yaml_reader. */
void yaml_fault(void *arg, const struct err *e);

/* A scalar that keeps a rule; *ret points into the tree. */
int yaml_checked_text(const struct value *v, context_check_fn *check, const char **ret,
		      struct err *e);
/* The same, copied to *at. */
int yaml_set_text(const struct value *v, context_check_fn *check, char **at, struct err *e);

/*
 * Reads a map into a struct of the model by its rows; more (may be NULL) has rows of other keys,
 * whose handlers get the reader. Every fault is told. Returns 0 or the first fault's code.
 */
int yaml_read_struct(struct yaml_reader *r, const struct value *map,
		     const struct context_field *table, void *object,
		     const struct value_field *more);

#endif
