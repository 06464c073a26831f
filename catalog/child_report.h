/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process in a sandbox tells of its work: JSON in a file in memory that both have. It is as
 * hostile as the image that was worked on.
 */
#ifndef CATALOG_CHILD_REPORT_H
#define CATALOG_CHILD_REPORT_H

#include "lib/json.h"

/* The file, a descriptor of the caller's. */
int child_report_new(int *ret_fd, struct err *e);
/* In the child: ends w, and writes text, which is its. */
int child_report_write(int fd, struct jsonw *w, const struct buf *text, struct err *e);
/* *ret is an object, the caller's. Errors: EBADMSG it is not whole. */
int child_report_read(int fd, struct value **ret, struct err *e);
/* A copy of a member that is a text; *ret stays as it is where there is none, or a null. */
int child_report_text(const struct value *root, const char *key, char **ret, struct err *e);

#endif
