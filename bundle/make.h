/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: makes a delivery as the command line wishes it. */
#ifndef BUNDLE_MAKE_H
#define BUNDLE_MAKE_H

#include "bundle/format.h"

/*
 * Reads the images in a sandbox and makes the output, all of its files or none. replace: files that
 * stand there are replaced.
 */
int make_delivery(const struct bundle_format *f, const struct make_args *a, bool replace,
		  struct err *e);

#endif
