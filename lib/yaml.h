/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML into a value tree: one document, block and flow style, plain and quoted scalars.
 *
 * Plain scalars are resolved by the core schema of YAML 1.2 (section 10.3.2) alone: null ~ true
 * false, decimal, 0o and 0x integers, reals, .inf, .nan. So yes, on, 12:30 and 2024-01-01 stay
 * strings, and 010 is ten. A quoted or block scalar is always a string, byte for byte as YAML
 * defines it. An integer that does not fit int64_t is refused, never rounded.
 * Tags: !!str !!int !!float !!bool !!null !!map !!seq, and !!binary (base64, gives a string of
 * those bytes), if they fit the value; all others are refused.
 * Refused: anchors and aliases, merge keys (<<), duplicate keys, keys that are not scalars, more
 * than one document, text that is not UTF-8.
 */
#ifndef LIB_YAML_H
#define LIB_YAML_H

#include "lib/value.h"

/*
 * Parses len bytes. name is for messages; limits may be NULL. An empty document gives VALUE_NULL.
 * *ret is the caller's, value_free. Errors: EBADMSG malformed; ENOTSUP refused as listed above;
 * EFBIG over a limit; ENOMEM.
 */
int yaml_parse(const char *name, const void *data, size_t len, const struct value_limits *limits,
	       struct value **ret, struct err *e);

/* Reads the whole file and parses it; "-" is standard input. */
int yaml_load(const char *path, const struct value_limits *limits, struct value **ret,
	      struct err *e);

#endif
