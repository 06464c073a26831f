/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside bundle/: what stands in a manifest's elements, in the forms that there are: one short line
 * without control characters, a digest, a cipher text. n may be NULL where a child may be missing.
 * Strings are the caller's. Errors of all: EBADMSG, ENOMEM.
 */
#ifndef BUNDLE_MANIFEST_TEXT_H
#define BUNDLE_MANIFEST_TEXT_H

#include "lib/xml.h"

#define SHA1_HEX 40

/* The child `name`, *ret NULL where there is none. */
int manifest_child(const struct xml_node *n, const char *name, const struct xml_node **ret,
		   struct err *e);
/* Text of a child that may be missing; empty counts as missing, too. */
int manifest_optional_text(const struct xml_node *n, const char *name, char **ret, struct err *e);
int manifest_needed_text(const struct xml_node *n, const char *name, char **ret, struct err *e);
/* Texts of all children `name` of n. */
int manifest_text_list(const struct xml_node *n, const char *name, char ***ret, size_t *ret_n,
		       struct err *e);
/* Errors: ENOTSUP the attribute is there and says another algorithm. */
int manifest_check_algorithm(const struct xml_node *n, const char *want, struct err *e);
/* The child <digest algorithm="SHA1"> as lower-case hex. Errors: also ENOTSUP. */
int manifest_digest(const struct xml_node *n, char ret[SHA1_HEX + 1], struct err *e);
/* An RSA cipher text or signature in hex; *ret stays NULL where it is missing or empty. */
int manifest_optional_hex(const struct xml_node *n, const char *name, char **ret, struct err *e);

#endif
