/* SPDX-License-Identifier: Apache-2.0 */
/* NoCloud's documents, for images and for HTTP: see context/dialect/nocloud.c. */
#ifndef CONTEXT_DIALECT_NOCLOUD_H
#define CONTEXT_DIALECT_NOCLOUD_H

#include "context/dialects.h"

/*
 * Into a tree that is not sealed. image: with what root alone reads there, and every process of a
 * guest could read by HTTP. Errors: ENOMEM.
 */
int nocloud_write_docs(const struct context *c, struct tree *docs, bool image, struct err *e);

#endif
