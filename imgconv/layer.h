/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy-on-write layer in memory over an image that stays as it is: what is written to the layer
 * is read from it, all else from the image below. So changes can be made on the way from one image
 * to another.
 */
#ifndef IMGCONV_LAYER_H
#define IMGCONV_LAYER_H

#include "imgconv/imgconv.h"

#define IMAGE_LAYER_MAX (512 * MIB) /* bytes that may be written */

/* below stays as it is meanwhile, stays the caller's, and must outlive *ret, which takes writes. */
int image_layer_new(struct image *below, struct image **ret, struct err *e);
/* No more writes: from here on several threads may read, and it may be copied. Errors: ENOMEM. */
int image_layer_seal(struct image *im, struct err *e);
/*
 * Writes what really changed to the image below, which was opened IMAGE_RDWR; the layer is empty
 * afterwards. When a write fails, what was written is put back as it was.
 */
int image_layer_commit(struct image *im, struct err *e);

#endif
