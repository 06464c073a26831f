/* SPDX-License-Identifier: Apache-2.0 */
/* An image as a disk for another process, by the NBD protocol on a socket that is open. */
#ifndef IMGCONV_NBD_H
#define IMGCONV_NBD_H

#include "imgconv/imgconv.h"

/*
 * Serves im (IMAGE_RDWR) on fd until the peer ends it, with flush meaning nothing: for a layer in
 * memory. Whatever export the peer names, it gets im. Errors: EBADMSG the peer does not keep to the
 * protocol; those of im's reads and writes, which the peer was told as EIO, the first of them.
 */
int nbd_serve(struct image *im, int fd, struct err *e);

#endif
