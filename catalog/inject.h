/* SPDX-License-Identifier: Apache-2.0 */
/* Changing files inside an image that somebody else made: in a sandbox. */
#ifndef CATALOG_INJECT_H
#define CATALOG_INJECT_H

#include "imgconv/imgconv.h"

/*
 * inject_apply on the QCOW2 at path, by a process that can open nothing else; what is written is on
 * its way to the disk when this returns. Errors: as inject_apply; those of worker_run.
 */
int inject_confined(const char *path, const struct overlay *overlay, const struct inject_opts *o,
		    struct inject_report *ret, struct err *e);

#endif
