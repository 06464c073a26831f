/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests that we make, in the layout of manifest.c. The two signed elements are built as text,
 * and that very text is signed and written.
 */
#include <ctype.h>
#include <inttypes.h>

#include "bundle/manifest.h"
#include "lib/fs.h"
#include "lib/str.h"
#include "lib/version.h"
#include "lib/xml.h"

#define STRING_MAX 1024

char *bundle_part_name(enum bundle_style style, const char *prefix, size_t index, size_t count)
{
	int width = 2;

	if (style == BUNDLE_STYLE_AMAZON) {
		for (width = 1; count >= 10; count /= 10)
			width++;
	}
	return str_format("%s.part.%0*zu", prefix, width, index);
}

/* ---- a new one -------------------------------------------------------------------------------- */

static int copy_text(const char *what, const char *s, char **ret, struct err *e)
{
	size_t len = s ? strlen(s) : 0;

	free(STEAL(*ret));
	if (!len)
		return 0;
	if (len > STRING_MAX || !utf8_valid(s, len))
		return err_set(e, EINVAL, "the %s is no text of at most %d bytes", what,
			       STRING_MAX);
	for (size_t i = 0; i < len; i++) {
		if (iscntrl((unsigned char)s[i]))
			return err_set(e, EINVAL, "the %s holds control characters", what);
	}
	*ret = strdup(s);
	return *ret ? 0 : err_nomem(e);
}

static int needed_text(const char *what, const char *s, char **ret, struct err *e)
{
	if (!s || !*s)
		return err_set(e, EINVAL, "the %s is missing", what);
	return copy_text(what, s, ret, e);
}

/* An account's number may be written 1234-5678-9012. */
static int copy_user(const char *s, char **ret, struct err *e)
{
	char digits[13];
	size_t n = 0;
	bool right = s != NULL;

	for (; right && *s; s++) {
		if (*s == '-')
			continue;
		right = n < 12 && *s >= '0' && *s <= '9';
		if (right)
			digits[n++] = *s;
	}
	if (!right || n != 12)
		return err_set(e, EINVAL, "the user is not an account number of 12 digits");
	digits[n] = '\0';
	return copy_text("user", digits, ret, e);
}

static int copy_mappings(const struct manifest_spec *s, struct manifest *m, struct err *e)
{
	int rc = 0;

	if (!s->n_mappings)
		return 0;
	m->mappings = calloc(s->n_mappings, sizeof(*m->mappings));
	if (!m->mappings)
		return err_nomem(e);
	for (size_t i = 0; rc == 0 && i < s->n_mappings; i++) {
		struct manifest_mapping *to = &m->mappings[m->n_mappings++];

		rc = needed_text("virtual device name", s->mappings[i].virtual_name,
				 &to->virtual_name, e);
		if (rc == 0)
			rc = needed_text("device name", s->mappings[i].device, &to->device, e);
	}
	return rc;
}

static int copy_list(const char *what, char *const *list, size_t n, char ***ret, size_t *ret_n,
		     struct err *e)
{
	int rc = 0;

	if (!n)
		return 0;
	*ret = calloc(n, sizeof(**ret));
	if (!*ret)
		return err_nomem(e);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = needed_text(what, list[i], &(*ret)[(*ret_n)++], e);
	return rc;
}

int manifest_new(const struct manifest_spec *s, struct manifest **ret, struct err *e)
{
	AUTO(manifest_free) struct manifest *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return err_nomem(e);
	if (!s->name || !name_is_plain(s->name))
		return err_set(e, EINVAL, "the name '%s' is no plain file name",
			       s->name ? s->name : "");
	rc = needed_text("name", s->name, &m->name, e);
	if (rc == 0)
		rc = copy_user(s->user, &m->user, e);
	if (rc == 0)
		rc = needed_text("architecture", s->architecture, &m->architecture, e);
	if (rc == 0)
		rc = needed_text("type", s->type ? s->type : "machine", &m->type, e);
	if (rc == 0)
		rc = manifest_set_kernel(m, s->kernel_id, e);
	if (rc == 0)
		rc = manifest_set_ramdisk(m, s->ramdisk_id, e);
	if (rc == 0)
		rc = copy_text("kernel's name", s->kernel_name, &m->kernel_name, e);
	if (rc == 0)
		rc = copy_mappings(s, m, e);
	if (rc == 0)
		rc = copy_list("product code", s->product_codes, s->n_product_codes,
			       &m->product_codes, &m->n_product_codes, e);
	if (rc == 0)
		rc = copy_list("ancestor", s->ancestors, s->n_ancestors, &m->ancestors,
			       &m->n_ancestors, e);
	if (rc == 0)
		*ret = STEAL(m);
	return rc;
}

int manifest_set_kernel(struct manifest *m, const char *kernel_id, struct err *e)
{
	return copy_text("kernel's id", kernel_id, &m->kernel_id, e);
}

int manifest_set_ramdisk(struct manifest *m, const char *ramdisk_id, struct err *e)
{
	return copy_text("ramdisk's id", ramdisk_id, &m->ramdisk_id, e);
}

/* ---- its text --------------------------------------------------------------------------------- */

/* Appends; an error is kept, and found at the end. */
struct text {
	struct buf *out;
	char quote;
	int rc;
};

static void put(struct text *t, const char *s)
{
	if (t->rc == 0)
		t->rc = buf_adds(t->out, s);
}

/* <name>value</name>; nothing for NULL. */
static void put_element(struct text *t, const char *name, const char *value)
{
	if (t->rc < 0 || !value)
		return;
	t->rc = buf_addf(t->out, "<%s>", name);
	if (t->rc == 0)
		t->rc = xml_escape(value, t->out);
	if (t->rc == 0)
		t->rc = buf_addf(t->out, "</%s>", name);
}

static void put_number(struct text *t, const char *name, uint64_t v)
{
	if (t->rc == 0)
		t->rc = buf_addf(t->out, "<%s>%" PRIu64 "</%s>", name, v, name);
}

/* An element with one attribute; value NULL: an empty one. */
static void put_with(struct text *t, const char *name, const char *attribute, const char *of,
		     const char *value)
{
	if (t->rc == 0)
		t->rc = buf_addf(t->out, "<%s %s=%c%s%c", name, attribute, t->quote, of, t->quote);
	if (t->rc == 0)
		t->rc = value ? buf_addf(t->out, ">%s</%s>", value, name) : buf_adds(t->out, "/>");
}

static int by_virtual_name(const void *a, const void *b)
{
	const struct manifest_mapping *const *x = a, *const *y = b;

	return strcmp((*x)->virtual_name, (*y)->virtual_name);
}

static void put_mappings(struct text *t, const struct manifest *m)
{
	AUTO_FREE const struct manifest_mapping **sorted =
		m->n_mappings ? calloc(m->n_mappings, sizeof(*sorted)) : NULL;

	if (!m->n_mappings)
		return;
	if (!sorted) {
		t->rc = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < m->n_mappings; i++)
		sorted[i] = &m->mappings[i];
	qsort(sorted, m->n_mappings, sizeof(*sorted), by_virtual_name);
	put(t, "<block_device_mapping>");
	for (size_t i = 0; i < m->n_mappings; i++) {
		put(t, "<mapping>");
		put_element(t, "virtual", sorted[i]->virtual_name);
		put_element(t, "device", sorted[i]->device);
		put(t, "</mapping>");
	}
	put(t, "</block_device_mapping>");
}

static void put_list(struct text *t, const char *around, const char *name, char *const *list,
		     size_t n)
{
	if (!n)
		return;
	t->rc = t->rc ? t->rc : buf_addf(t->out, "<%s>", around);
	for (size_t i = 0; i < n; i++)
		put_element(t, name, list[i]);
	t->rc = t->rc ? t->rc : buf_addf(t->out, "</%s>", around);
}

static void put_kernel(struct text *t, const struct manifest *m)
{
	put_element(t, "kernel_id", m->kernel_id);
	put_element(t, "ramdisk_id", m->ramdisk_id);
}

/* The order differs between the tools, which matters to nobody who parses it. */
static void put_machine(struct text *t, const struct manifest *m, enum bundle_style style)
{
	put(t, "<machine_configuration>");
	put_element(t, "architecture", m->architecture);
	put_mappings(t, m);
	if (style == BUNDLE_STYLE_AMAZON)
		put_kernel(t, m);
	put_list(t, "product_codes", "product_code", m->product_codes, m->n_product_codes);
	if (style != BUNDLE_STYLE_AMAZON)
		put_kernel(t, m);
	put(t, "</machine_configuration>");
}

static void put_parts(struct text *t, const struct manifest *m)
{
	if (t->rc == 0)
		t->rc = buf_addf(t->out, "<parts count=%c%zu%c>", t->quote, m->n_parts, t->quote);
	for (size_t i = 0; t->rc == 0 && i < m->n_parts; i++) {
		t->rc = buf_addf(t->out, "<part index=%c%zu%c>", t->quote, i, t->quote);
		put_element(t, "filename", m->parts[i].filename);
		put_with(t, "digest", "algorithm", "SHA1", m->parts[i].digest);
		put(t, "</part>");
	}
	put(t, "</parts>");
}

/* EC2 wants the elements of both pairs to be there, even if they are empty. */
static void put_secret(struct text *t, const struct manifest *m)
{
	static const char aes[] = "AES-128-CBC";

	put_with(t, "ec2_encrypted_key", "algorithm", aes, m->ec2_key);
	put_with(t, "user_encrypted_key", "algorithm", aes, m->user_key);
	put_element(t, "ec2_encrypted_iv", m->ec2_iv ? m->ec2_iv : "");
	put_element(t, "user_encrypted_iv", m->user_iv ? m->user_iv : "");
}

static void put_image(struct text *t, const struct manifest *m)
{
	put(t, "<image>");
	put_element(t, "name", m->name);
	put_element(t, "user", m->user);
	put_element(t, "type", m->type);
	put_element(t, "kernel_name", m->kernel_name);
	put_list(t, "ancestry", "ancestor_ami_id", m->ancestors, m->n_ancestors);
	put_with(t, "digest", "algorithm", "SHA1", m->digest);
	put_number(t, "size", m->size);
	put_number(t, "bundled_size", m->bundled_size);
	put_secret(t, m);
	put_parts(t, m);
	put(t, "</image>");
}

int manifest_write(const struct manifest *m, enum bundle_style style, const char *key_path,
		   struct buf *out, struct err *e)
{
	bool amazon = style == BUNDLE_STYLE_AMAZON;
	AUTO_BUF covered = BUF_INIT;
	AUTO_FREE char *signature = NULL;
	struct text t = {.out = &covered, .quote = amazon ? '\'' : '"'};
	int rc;

	if (m->architecture)
		put_machine(&t, m, style);
	put_image(&t, m);
	if (t.rc < 0)
		return err_nomem(e);
	rc = key_path ? manifest_sign(&covered, key_path, &signature, e) : 0;
	if (rc < 0)
		return rc;
	t.out = out;
	put(&t, amazon ? "<?xml version='1.0'?>" : "<?xml version='1.0' encoding='UTF-8'?>\n");
	put(&t, "<manifest><version>2007-10-10</version>");
	put(&t, "<bundler><name>acclimate</name><version>" ACCLIMATE_VERSION
		"</version><release>0</release></bundler>");
	put(&t, buf_str(&covered));
	put_element(&t, "signature", signature ? signature : "UNSIGNED");
	put(&t, "</manifest>");
	return t.rc < 0 ? err_nomem(e) : 0;
}
