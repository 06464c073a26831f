/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: parts as files that somebody opens. */
#ifndef BUNDLE_PART_OPEN_H
#define BUNDLE_PART_OPEN_H

#include "bundle/bundle.h"

/*
 * open gives the part of that name, a plain file name, as a descriptor that is the caller's; ctx
 * stays the caller's. m must outlive it. Release by part_source_open_free.
 */
int part_source_open(int (*open)(void *ctx, const char *name, int *ret_fd, struct err *e),
		     void *ctx, const struct manifest *m, struct part_source *ret, struct err *e);
void part_source_open_free(struct part_source *s);

#endif
