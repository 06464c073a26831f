/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest of an EC2 instance-store bundle, version 2007-10-10 and older, as ec2-ami-tools
 * 1.5.3, euca2ools 2 and 3 and go_ami_tools write it. There is no public schema: the layout is
 * what these tools write and what EC2 takes.
 *
 *   manifest
 *     version                     "2007-10-10", "20070829", "3"
 *     bundler?                    name version release
 *     machine_configuration?      architecture, block_device_mapping?/mapping*, kernel_id?,
 *                                 ramdisk_id?, product_codes?/product_code*
 *     image                       name user type kernel_name? ancestry?/ancestor_ami_id*
 *       digest @algorithm=SHA1      of the tar stream, before compression
 *       size bundled_size
 *       ec2_encrypted_key? user_encrypted_key?   @algorithm=AES-128-CBC, hex
 *       ec2_encrypted_iv? user_encrypted_iv?     hex
 *       parts @count / part* @index              filename, digest @algorithm=SHA1
 *     signature?                  hex, or "UNSIGNED"
 *
 * Signed are machine_configuration and image, in that order, as they stand in the text, each found
 * by searching for its first start tag and the first end tag behind it. We require that what the
 * search finds is what the parser found; and as document types are refused (lib/xml.h), no entity
 * from outside the signed text can change its meaning.
 *
 * Not supported: manifests that are themselves encrypted (before version 3).
 */
#include <inttypes.h>
#include <stdio.h>

#include "bundle/manifest.h"
#include "bundle/manifest_text.h"
#include "lib/fs.h"
#include "lib/str.h"
#include "lib/xml.h"

#define VERSION_OLDEST 3
#define VERSION_NEWEST 20071010

static int parse_signature(const struct xml_node *root, struct manifest *m, struct err *e)
{
	const struct xml_node *signature;
	int rc = manifest_child(root, "signature", &signature, e);

	if (rc < 0 || !signature || !strcmp(signature->text, "UNSIGNED"))
		return rc;
	return manifest_optional_hex(root, "signature", &m->signature, e);
}

static int parse_mappings(const struct xml_node *config, struct manifest *m, struct err *e)
{
	const struct xml_node *list;
	int rc = manifest_child(config, "block_device_mapping", &list, e);
	size_t count = xml_count(list, "mapping");

	if (rc < 0 || !count)
		return rc;
	m->mappings = calloc(count, sizeof(*m->mappings));
	if (!m->mappings)
		return err_nomem(e);
	for (const struct xml_node *c = xml_child(list, "mapping"); c; c = xml_next(c, "mapping")) {
		struct manifest_mapping *map = &m->mappings[m->n_mappings++];

		rc = manifest_needed_text(c, "virtual", &map->virtual_name, e);
		if (rc == 0)
			rc = manifest_needed_text(c, "device", &map->device, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int parse_config(const struct xml_node *config, struct manifest *m, struct err *e)
{
	const struct xml_node *codes;
	int rc;

	if (!config)
		return 0;
	rc = manifest_needed_text(config, "architecture", &m->architecture, e);
	if (rc == 0)
		rc = parse_mappings(config, m, e);
	if (rc == 0)
		rc = manifest_optional_text(config, "kernel_id", &m->kernel_id, e);
	if (rc == 0)
		rc = manifest_optional_text(config, "ramdisk_id", &m->ramdisk_id, e);
	if (rc == 0)
		rc = manifest_child(config, "product_codes", &codes, e);
	if (rc == 0)
		rc = manifest_text_list(codes, "product_code", &m->product_codes,
					&m->n_product_codes, e);
	return rc;
}

static int parse_keys(const struct xml_node *image, struct manifest *m, struct err *e)
{
	const struct {
		const char *name;
		char **ret;
	} hex[] = {
		{"user_encrypted_key", &m->user_key},
		{"user_encrypted_iv", &m->user_iv},
		{"ec2_encrypted_key", &m->ec2_key},
		{"ec2_encrypted_iv", &m->ec2_iv},
	};

	for (size_t i = 0; i < ARRAY_SIZE(hex); i++) {
		const struct xml_node *child = xml_child(image, hex[i].name);
		int rc = child ? manifest_check_algorithm(child, "AES-128-CBC", e) : 0;

		if (rc == 0)
			rc = manifest_optional_hex(image, hex[i].name, hex[i].ret, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int by_filename(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int manifest_twice_named(const struct manifest *m, const char **ret)
{
	AUTO_FREE char **names = calloc(m->n_parts, sizeof(*names));

	*ret = NULL;
	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_parts; i++)
		names[i] = m->parts[i].filename;
	qsort(names, m->n_parts, sizeof(*names), by_filename);
	for (size_t i = 1; i < m->n_parts; i++) {
		if (!strcmp(names[i - 1], names[i]))
			*ret = names[i];
	}
	return 0;
}

/* A file that stands for two parts would be fetched or hashed twice: no tool writes that. */
static int check_names_differ(const struct xml_node *parts, const struct manifest *m, struct err *e)
{
	const char *twice = NULL;

	if (manifest_twice_named(m, &twice) < 0)
		return err_nomem(e);
	return twice ? xml_err(parts, e, EBADMSG, "file '%s' is named for two parts", twice) : 0;
}

static int parse_part(const struct xml_node *n, struct manifest *m, struct err *e)
{
	struct manifest_part *part;
	uint64_t index;
	int rc = xml_need_attr_u64(n, "index", 0, UINT64_MAX, &index, e);

	if (rc < 0)
		return rc;
	/* With as many elements as indexes, a gap shows as one that is too large. */
	if (index >= m->n_parts)
		return xml_err(n, e, EBADMSG, "index %" PRIu64 " does not fit %zu parts (0 to %zu)",
			       index, m->n_parts, m->n_parts - 1);
	part = &m->parts[index];
	if (part->filename)
		return xml_err(n, e, EBADMSG, "index %" PRIu64 " stands twice", index);
	rc = manifest_needed_text(n, "filename", &part->filename, e);
	if (rc == 0 && !name_is_plain(part->filename))
		return xml_err(n, e, EBADMSG, "filename '%s' is no plain file name",
			       part->filename);
	return rc < 0 ? rc : manifest_digest(n, part->digest, e);
}

static int parse_parts(const struct xml_node *image, struct manifest *m, struct err *e)
{
	const struct xml_node *parts;
	size_t n;
	uint64_t count;
	int rc = xml_need(image, "parts", &parts, e);

	if (rc < 0)
		return rc;
	n = xml_count(parts, "part");
	if (!n)
		return xml_err(parts, e, EBADMSG, "names no parts");
	if (xml_attr(parts, "count")) {
		rc = xml_need_attr_u64(parts, "count", 0, UINT64_MAX, &count, e);
		if (rc < 0)
			return rc;
		if (count != n)
			return xml_err(parts, e, EBADMSG,
				       "count is %" PRIu64 " but %zu parts are there", count, n);
	}
	m->parts = calloc(n, sizeof(*m->parts));
	if (!m->parts)
		return err_nomem(e);
	m->n_parts = n;
	for (const struct xml_node *c = xml_child(parts, "part"); c; c = xml_next(c, "part")) {
		rc = parse_part(c, m, e);
		if (rc < 0)
			return rc;
	}
	return check_names_differ(parts, m, e);
}

static int parse_image(const struct xml_node *image, struct manifest *m, struct err *e)
{
	const struct xml_node *ancestry;
	int rc = manifest_needed_text(image, "name", &m->name, e);

	if (rc == 0 && !name_is_plain(m->name))
		return xml_err(xml_child(image, "name"), e, EBADMSG, "'%s' is no plain file name",
			       m->name);
	if (rc == 0)
		rc = manifest_needed_text(image, "user", &m->user, e);
	if (rc == 0)
		rc = manifest_needed_text(image, "type", &m->type, e);
	if (rc == 0)
		rc = manifest_optional_text(image, "kernel_name", &m->kernel_name, e);
	if (rc == 0)
		rc = manifest_child(image, "ancestry", &ancestry, e);
	if (rc == 0)
		rc = manifest_text_list(ancestry, "ancestor_ami_id", &m->ancestors, &m->n_ancestors,
					e);
	if (rc == 0)
		rc = manifest_digest(image, m->digest, e);
	if (rc == 0)
		rc = xml_need_u64(image, "size", 1, INT64_MAX, &m->size, e);
	if (rc == 0)
		rc = xml_need_u64(image, "bundled_size", 1, INT64_MAX, &m->bundled_size, e);
	if (rc == 0)
		rc = parse_keys(image, m, e);
	return rc < 0 ? rc : parse_parts(image, m, e);
}

static int parse_version(const struct xml_node *root, struct manifest *m, struct err *e)
{
	char digits[16];
	size_t n = 0;
	uint64_t v;
	int rc = manifest_needed_text(root, "version", &m->version, e);

	if (rc < 0)
		return rc;
	for (const char *p = m->version; *p && n < sizeof(digits); p++) {
		if (*p != '-')
			digits[n++] = *p;
	}
	if (n < sizeof(digits))
		digits[n] = '\0';
	if (n == sizeof(digits) || str_to_u64(digits, VERSION_OLDEST, VERSION_NEWEST, &v, NULL) < 0)
		return xml_err(xml_child(root, "version"), e, ENOTSUP,
			       "version '%s' is none from 3 to 2007-10-10", m->version);
	return 0;
}

static int parse_bundler(const struct xml_node *root, struct manifest *m, struct err *e)
{
	const struct xml_node *bundler;
	int rc = manifest_child(root, "bundler", &bundler, e);

	if (rc == 0)
		rc = manifest_optional_text(bundler, "name", &m->bundler_name, e);
	if (rc == 0)
		rc = manifest_optional_text(bundler, "version", &m->bundler_version, e);
	if (rc == 0)
		rc = manifest_optional_text(bundler, "release", &m->bundler_release, e);
	return rc;
}

/*
 * Appends the slice from the first "<NAME>" to the first "</NAME>" behind it, and makes sure that
 * it is the element n (NULL: there must be no such text, either).
 */
static int add_slice(struct manifest *m, const char *origin, const char *name,
		     const struct xml_node *n, struct err *e)
{
	const char *text = buf_str(&m->text), *start, *end;
	char open[32], close[32];

	snprintf(open, sizeof(open), "<%s>", name);
	snprintf(close, sizeof(close), "</%s>", name);
	start = strstr(text, open); /* a parsed text holds no NUL */
	end = start ? strstr(start, close) : NULL;
	if (!n) {
		if (start)
			return err_set(e, EBADMSG, "%s: '%s' stands outside of elements", origin,
				       open);
		return 0;
	}
	if (!end || (size_t)(start - text) != n->start ||
	    (size_t)(end - text) + strlen(close) != n->end)
		return xml_err(n, e, EBADMSG,
			       "is not the first text from '%s' to '%s', which a signature covers",
			       open, close);
	return buf_add(&m->signed_text, start, n->end - n->start) < 0 ? err_nomem(e) : 0;
}

static int parse_root(const struct xml_node *root, const char *origin, struct manifest *m,
		      struct err *e)
{
	const struct xml_node *config = NULL, *image = NULL;
	int rc;

	if (strcmp(root->name, "manifest") != 0)
		return xml_err(root, e, EBADMSG, "is not <manifest>");
	rc = parse_version(root, m, e);
	if (rc == 0)
		rc = parse_bundler(root, m, e);
	if (rc == 0)
		rc = manifest_child(root, "machine_configuration", &config, e);
	if (rc == 0)
		rc = xml_need(root, "image", &image, e);
	if (rc == 0)
		rc = parse_config(config, m, e);
	if (rc == 0)
		rc = parse_image(image, m, e);
	if (rc == 0)
		rc = parse_signature(root, m, e);
	if (rc == 0)
		rc = add_slice(m, origin, "machine_configuration", config, e);
	return rc < 0 ? rc : add_slice(m, origin, "image", image, e);
}

int manifest_parse(const void *xml, size_t len, const char *origin, struct manifest **ret,
		   struct err *e)
{
	const struct xml_limits limits = {.bytes = MANIFEST_LIMIT};
	AUTO(manifest_free) struct manifest *m = calloc(1, sizeof(*m));
	AUTO(xml_free) struct xml_node *root = NULL;
	int rc;

	if (!m)
		return err_nomem(e);
	rc = xml_parse(origin, xml, len, &limits, &root, e);
	if (rc == 0 && buf_add(&m->text, xml, len) < 0)
		rc = err_nomem(e);
	if (rc == 0)
		rc = parse_root(root, origin, m, e);
	if (rc < 0)
		return rc;
	*ret = STEAL(m);
	return 0;
}

static void free_strings(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

void manifest_free(struct manifest *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_parts; i++)
		free(m->parts[i].filename);
	free(m->parts);
	for (size_t i = 0; i < m->n_mappings; i++) {
		free(m->mappings[i].virtual_name);
		free(m->mappings[i].device);
	}
	free(m->mappings);
	free_strings(m->product_codes, m->n_product_codes);
	free_strings(m->ancestors, m->n_ancestors);
	free(m->version);
	free(m->bundler_name);
	free(m->bundler_version);
	free(m->bundler_release);
	free(m->name);
	free(m->user);
	free(m->architecture);
	free(m->type);
	free(m->kernel_id);
	free(m->ramdisk_id);
	free(m->kernel_name);
	free(m->user_key);
	free(m->user_iv);
	free(m->ec2_key);
	free(m->ec2_iv);
	free(m->signature);
	buf_release(&m->signed_text);
	buf_release(&m->text);
	free(m);
}
