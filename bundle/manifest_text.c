/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in a manifest's elements: see bundle/manifest_text.h. */
#include "bundle/manifest_text.h"

#include <ctype.h>

#include "lib/str.h"

#define CIPHERTEXT_LIMIT ((size_t)2048) /* bytes: RSA of 16384 bits */
#define STRING_LIMIT 1024               /* bytes of a name or id */

/* A copy of the element's text, which must be one short line. */
static int copy_text(const struct xml_node *n, char **ret, struct err *e)
{
	if (n->first)
		return xml_err(n, e, EBADMSG, "holds elements where text belongs");
	if (n->text_len > STRING_LIMIT)
		return xml_err(n, e, EBADMSG, "is longer than %d bytes", STRING_LIMIT);
	for (size_t i = 0; i < n->text_len; i++) {
		if (iscntrl((unsigned char)n->text[i]))
			return xml_err(n, e, EBADMSG, "holds control characters");
	}
	*ret = strdup(n->text);
	if (!*ret) {
		err_nomem(e);
		return -ENOMEM;
	}
	return 0;
}

int manifest_child(const struct xml_node *n, const char *name, const struct xml_node **ret,
		   struct err *e)
{
	*ret = xml_child(n, name);
	if (xml_next(*ret, name))
		return xml_err(xml_next(*ret, name), e, EBADMSG, "stands twice");
	return 0;
}

int manifest_optional_text(const struct xml_node *n, const char *name, char **ret, struct err *e)
{
	const struct xml_node *child = NULL;
	int rc = manifest_child(n, name, &child, e);

	return rc < 0 || !child || !*child->text ? rc : copy_text(child, ret, e);
}

int manifest_needed_text(const struct xml_node *n, const char *name, char **ret, struct err *e)
{
	const struct xml_node *child = NULL;
	int rc = xml_need(n, name, &child, e);

	if (rc < 0 || !child)
		return rc;
	if (!child->text_len && !child->first)
		return xml_err(child, e, EBADMSG, "is empty");
	return copy_text(child, ret, e);
}

int manifest_check_algorithm(const struct xml_node *n, const char *want, struct err *e)
{
	const char *algorithm = xml_attr(n, "algorithm");

	if (algorithm && strcmp(algorithm, want) != 0)
		return xml_err(n, e, ENOTSUP, "algorithm '%s' is not %s", algorithm, want);
	return 0;
}

int manifest_digest(const struct xml_node *n, char ret[SHA1_HEX + 1], struct err *e)
{
	const struct xml_node *digest;
	uint8_t raw[SHA1_HEX / 2];
	const char *text = NULL;
	int rc = xml_need(n, "digest", &digest, e);

	if (rc == 0)
		rc = manifest_check_algorithm(digest, "SHA1", e);
	if (rc == 0)
		rc = xml_need_text(n, "digest", &text, e);
	if (rc < 0 || !text)
		return rc;
	if (hex_decode(text, strlen(text), raw, sizeof(raw), NULL) < 0)
		return xml_err(digest, e, EBADMSG, "is not %d hex digits", SHA1_HEX);
	hex_encode(raw, sizeof(raw), ret);
	return 0;
}

static bool is_hex(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isxdigit((unsigned char)s[i]))
			return false;
	}
	return true;
}

int manifest_optional_hex(const struct xml_node *n, const char *name, char **ret, struct err *e)
{
	const struct xml_node *child;
	int rc = manifest_child(n, name, &child, e);

	if (rc < 0 || !child || !child->text_len)
		return rc;
	if (child->first || child->text_len % 2 || child->text_len > 2 * CIPHERTEXT_LIMIT ||
	    !is_hex(child->text, child->text_len))
		return xml_err(child, e, EBADMSG,
			       "is not an even number of hex digits, at most %zu",
			       2 * CIPHERTEXT_LIMIT);
	*ret = strdup(child->text);
	return *ret ? 0 : err_nomem(e);
}

int manifest_text_list(const struct xml_node *n, const char *name, char ***ret, size_t *ret_n,
		       struct err *e)
{
	size_t count = xml_count(n, name);

	if (!count)
		return 0;
	*ret = calloc(count, sizeof(**ret));
	if (!*ret)
		return err_nomem(e);
	for (const struct xml_node *c = xml_child(n, name); c; c = xml_next(c, name)) {
		int rc = copy_text(c, *ret + *ret_n, e);

		if (rc < 0)
			return rc;
		++*ret_n;
	}
	return 0;
}
