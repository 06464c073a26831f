/* SPDX-License-Identifier: Apache-2.0 */
/* Checking the wishes for a new image against what its format knows. */
#ifndef IMGCONV_OPTIONS_H
#define IMGCONV_OPTIONS_H

#include "imgconv/format.h"

/* Errors: ENOTSUP for a wish that the format does not know; a level is taken by any format that
 * compresses, and its value left to it. o may be NULL. */
int image_options_check(const struct image_format *f, const struct image_create_opts *o,
			struct err *e);

#endif
