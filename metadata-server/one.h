/* SPDX-License-Identifier: Apache-2.0 */
/* The INSTANCE of a command line. */
#ifndef METADATA_SERVER_ONE_H
#define METADATA_SERVER_ONE_H

#include "context/imds.h"

/* For faults in definitions: one line each on stderr; arg counts them (size_t). */
void report_fault(void *arg, const struct err *e);

/*
 * The file of an instance: arg itself, if it has a '/' or ends in ".yaml", else NAME.yaml in folder
 * dir (NULL: there is none, EINVAL). *ret is the caller's to free.
 */
int one_file(const char *arg, const char *dir, char **ret, struct err *e);
/* Reads it. Errors: those, and instance_read_yaml's. */
int one_load(const char *arg, const char *dir, instance_report_fn *report, void *report_arg,
	     struct instance **ret, struct err *e);

/* Ends a command that failed: says why, unless the faults were told already. */
int one_fail(size_t faults, const struct err *e);

#endif
