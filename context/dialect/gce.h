/* SPDX-License-Identifier: Apache-2.0 */
/* Google Compute Engine's metadata as one JSON document: see context/dialect/gce.c. */
#ifndef CONTEXT_DIALECT_GCE_H
#define CONTEXT_DIALECT_GCE_H

#include "context/dialects.h"

#define GCE_FILE "computeMetadata.json"

/* What "/computeMetadata/v1/?recursive=true" answers, appended to out. Errors: ENOMEM. */
int gce_write_json(const struct context *c, struct buf *out, struct err *e);

#endif
