/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of a metadata service, by HTTP, into a tree as context/dialects.h reads it. */
#ifndef CTXD_CRAWL_H
#define CTXD_CRAWL_H

#include "context/imds.h"

/*
 * dialect: by its name; url: where its documents begin, ends with '/'. Each answer is bounded, and
 * so are their number, their sizes together, and each wait; the first document is asked for again
 * some times, since the service may be on its way. The tree is not sealed.
 * Errors: as of http_ask; ENOENT the first document is not there; EIO an answer that is neither
 * the document nor "not there"; EFBIG; ENOTSUP no such dialect; ENOMEM.
 */
int crawl(const char *dialect, const char *url, struct tree *docs, struct err *e);

#endif
