/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INI files as the AWS tools keep them: [section], key = value, whole-line comments with '#' or
 * ';'. Indented lines under a key without a value are a nested block: "s3 =", then "  endpoint_url
 * = X", is the key "s3.endpoint_url". A section that comes twice is merged; of a key that comes
 * twice the last one counts.
 */
#ifndef LIB_INI_H
#define LIB_INI_H

#include "lib/buf.h"

struct ini;

/*
 * name is for messages. Errors: EBADMSG ("FILE:LINE: rule"; the line's text is not shown, it may
 * be a secret), EFBIG over 1 MiB or 10000 entries, ENOMEM.
 */
int ini_parse(const char *name, const void *data, size_t len, struct ini **ret, struct err *e);
void ini_free(struct ini *ini); /* wipes the values */
DEFINE_AUTO(struct ini *, ini_free);

bool ini_has_section(const struct ini *ini, const char *section);
/* The value, trimmed, or NULL. Keys are compared without case. ini may be NULL. */
const char *ini_get(const struct ini *ini, const char *section, const char *key);

#endif
