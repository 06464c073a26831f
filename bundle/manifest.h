/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: what the files that read, write and sign manifests share. */
#ifndef BUNDLE_MANIFEST_H
#define BUNDLE_MANIFEST_H

#include "bundle/bundle.h"

/* The signature over text, as hex; the caller's. Errors: EINVAL the key file; ENOTSUP. */
int manifest_sign(const struct buf *text, const char *key_path, char **ret, struct err *e);

#endif
