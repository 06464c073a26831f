/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests are parsed in a process that can open nothing (lib/worker.h). What it found comes back
 * in a file in memory, in this form, and is as hostile as the manifest:
 *
 *   number    8 bytes, little-endian
 *   string    number: its length, or 2^64 - 1 for NULL; its bytes
 *   list      number: how many; the strings
 *
 *   size, bundled_size; the strings of `strings`, the digest; mappings, as two lists; product codes;
 *   ancestors; names of the parts; digests of the parts; the signed text
 */
#include <ctype.h>
#include <stddef.h>
#include <sys/mman.h>

#include "bundle/manifest.h"
#include "lib/fs.h"
#include "lib/worker.h"

#define FORM_LIMIT (4 * MANIFEST_LIMIT)
#define STRING_MAX 8192
#define SHA1_HEX 40

static const struct {
	size_t offset;
	bool needed;
} strings[] = {
	{offsetof(struct manifest, version), true},
	{offsetof(struct manifest, bundler_name), false},
	{offsetof(struct manifest, bundler_version), false},
	{offsetof(struct manifest, bundler_release), false},
	{offsetof(struct manifest, name), true},
	{offsetof(struct manifest, user), true},
	{offsetof(struct manifest, architecture), false},
	{offsetof(struct manifest, type), true},
	{offsetof(struct manifest, kernel_id), false},
	{offsetof(struct manifest, ramdisk_id), false},
	{offsetof(struct manifest, kernel_name), false},
	{offsetof(struct manifest, user_key), false},
	{offsetof(struct manifest, user_iv), false},
	{offsetof(struct manifest, ec2_key), false},
	{offsetof(struct manifest, ec2_iv), false},
	{offsetof(struct manifest, signature), false},
};

static char **string_at(const struct manifest *m, size_t i)
{
	return (char **)((char *)(uintptr_t)m + strings[i].offset);
}

/* ---- in the child ----------------------------------------------------------------------------- */

static void put_number(struct buf *out, uint64_t n, int *rc)
{
	uint8_t raw[8];

	le64_put(raw, n);
	if (*rc == 0)
		*rc = buf_add(out, raw, sizeof(raw));
}

static void put_bytes(struct buf *out, const char *s, size_t len, int *rc)
{
	put_number(out, s ? len : UINT64_MAX, rc);
	if (*rc == 0 && s)
		*rc = buf_add(out, s, len);
}

static void put_string(struct buf *out, const char *s, int *rc)
{
	put_bytes(out, s, s ? strlen(s) : 0, rc);
}

static void put_list(struct buf *out, char *const *list, size_t n, int *rc)
{
	put_number(out, n, rc);
	for (size_t i = 0; i < n; i++)
		put_string(out, list[i], rc);
}

int manifest_pack(const struct manifest *m, struct buf *out, struct err *e)
{
	int rc = 0;

	put_number(out, m->size, &rc);
	put_number(out, m->bundled_size, &rc);
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		put_string(out, *string_at(m, i), &rc);
	put_string(out, m->digest, &rc);
	put_number(out, m->n_mappings, &rc);
	for (size_t i = 0; i < m->n_mappings; i++)
		put_string(out, m->mappings[i].virtual_name, &rc);
	put_number(out, m->n_mappings, &rc);
	for (size_t i = 0; i < m->n_mappings; i++)
		put_string(out, m->mappings[i].device, &rc);
	put_list(out, m->product_codes, m->n_product_codes, &rc);
	put_list(out, m->ancestors, m->n_ancestors, &rc);
	put_number(out, m->n_parts, &rc);
	for (size_t i = 0; i < m->n_parts; i++)
		put_string(out, m->parts[i].filename, &rc);
	put_number(out, m->n_parts, &rc);
	for (size_t i = 0; i < m->n_parts; i++)
		put_string(out, m->parts[i].digest, &rc);
	put_bytes(out, buf_str(&m->signed_text), m->signed_text.len, &rc);
	return rc < 0 ? err_nomem(e) : 0;
}

/* ---- here --------------------------------------------------------------------------------------- */

struct form {
	const uint8_t *at, *end;
	struct err *e;
};

static int broken(struct form *f)
{
	return err_set(f->e, EBADMSG,
		       "what the confined process says of the manifest is not whole");
}

static int take_number(struct form *f, uint64_t *ret)
{
	if (f->end - f->at < 8)
		return broken(f);
	*ret = le64_get(f->at);
	f->at += 8;
	return 0;
}

/* Numbers of things of which each takes at least eight bytes. */
static int take_count(struct form *f, size_t *ret)
{
	uint64_t n = 0;
	int rc = take_number(f, &n);

	if (rc < 0)
		return rc;
	if (n > (uint64_t)(f->end - f->at) / 8)
		return broken(f);
	*ret = (size_t)n;
	return 0;
}

/* One line without control characters; *ret stays NULL for none. */
static int take_string(struct form *f, bool needed, char **ret)
{
	uint64_t len = 0;
	int rc = take_number(f, &len);

	if (rc < 0 || (len == UINT64_MAX && !needed))
		return rc;
	if (len > STRING_MAX || len > (uint64_t)(f->end - f->at))
		return broken(f);
	for (size_t i = 0; i < len; i++) {
		if (iscntrl(f->at[i]))
			return broken(f);
	}
	*ret = strndup((const char *)f->at, (size_t)len);
	f->at += len;
	return *ret ? 0 : err_nomem(f->e);
}

static int take_digest(struct form *f, char ret[SHA1_HEX + 1])
{
	AUTO_FREE char *text = NULL;
	int rc = take_string(f, true, &text);

	if (rc < 0)
		return rc;
	if (strlen(text) != SHA1_HEX || strspn(text, "0123456789abcdef") != SHA1_HEX)
		return broken(f);
	memcpy(ret, text, SHA1_HEX + 1);
	return 0;
}

static int take_list(struct form *f, char ***ret, size_t *ret_n)
{
	size_t n = 0;
	int rc = take_count(f, &n);

	if (rc < 0)
		return rc;
	*ret = calloc(n + 1, sizeof(**ret));
	if (!*ret)
		return err_nomem(f->e);
	while (rc == 0 && *ret_n < n)
		rc = take_string(f, true, &(*ret)[(*ret_n)++]);
	return rc;
}

static int take_mappings(struct form *f, struct manifest *m)
{
	size_t n = 0, again = 0;
	int rc = take_count(f, &n);

	if (rc < 0)
		return rc;
	m->mappings = calloc(n + 1, sizeof(*m->mappings));
	if (!m->mappings)
		return err_nomem(f->e);
	m->n_mappings = n;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = take_string(f, true, &m->mappings[i].virtual_name);
	if (rc == 0)
		rc = take_count(f, &again);
	if (rc == 0 && again != n)
		rc = broken(f);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = take_string(f, true, &m->mappings[i].device);
	return rc;
}

static int take_parts(struct form *f, struct manifest *m)
{
	const char *twice = NULL;
	size_t n = 0, again = 0;
	int rc = take_count(f, &n);

	if (rc < 0)
		return rc;
	if (!n)
		return broken(f);
	m->parts = calloc(n, sizeof(*m->parts));
	if (!m->parts)
		return err_nomem(f->e);
	m->n_parts = n;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = take_string(f, true, &m->parts[i].filename);
		if (rc == 0 && !name_is_plain(m->parts[i].filename))
			rc = broken(f);
	}
	if (rc == 0 && manifest_twice_named(m, &twice) < 0)
		rc = err_nomem(f->e);
	if (rc == 0 && twice)
		rc = broken(f);
	if (rc == 0)
		rc = take_count(f, &again);
	if (rc == 0 && again != n)
		rc = broken(f);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = take_digest(f, m->parts[i].digest);
	return rc;
}

static int take_rest(struct form *f, struct manifest *m)
{
	uint64_t len = 0;
	int rc = take_number(f, &len);

	if (rc < 0)
		return rc;
	if (len != (uint64_t)(f->end - f->at))
		return broken(f);
	return buf_add(&m->signed_text, f->at, (size_t)len) < 0 ? err_nomem(f->e) : 0;
}

static int take_manifest(struct form *f, struct manifest *m)
{
	int rc = take_number(f, &m->size);

	if (rc == 0)
		rc = take_number(f, &m->bundled_size);
	if (rc == 0 &&
	    (!m->size || m->size > INT64_MAX || !m->bundled_size || m->bundled_size > INT64_MAX))
		rc = broken(f);
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(strings); i++)
		rc = take_string(f, strings[i].needed, string_at(m, i));
	if (rc == 0 && !name_is_plain(m->name))
		rc = broken(f);
	if (rc == 0)
		rc = take_digest(f, m->digest);
	if (rc == 0)
		rc = take_mappings(f, m);
	if (rc == 0)
		rc = take_list(f, &m->product_codes, &m->n_product_codes);
	if (rc == 0)
		rc = take_list(f, &m->ancestors, &m->n_ancestors);
	if (rc == 0)
		rc = take_parts(f, m);
	return rc < 0 ? rc : take_rest(f, m);
}

int manifest_unpack(const void *form, size_t len, struct manifest **ret, struct err *e)
{
	AUTO(manifest_free) struct manifest *m = calloc(1, sizeof(*m));
	struct form f = {.at = form, .end = (const uint8_t *)form + len, .e = e};
	int rc = m ? take_manifest(&f, m) : err_nomem(e);

	if (rc == 0)
		*ret = STEAL(m);
	return rc;
}

/* ---- both --------------------------------------------------------------------------------------- */

struct parsing {
	const void *xml;
	size_t len;
	const char *origin;
	int form; /* file in memory */
};

static int parse(void *ctx, struct err *e)
{
	const struct parsing *p = ctx;
	AUTO(manifest_free) struct manifest *m = NULL;
	AUTO_BUF form = BUF_INIT;
	int rc = manifest_parse(p->xml, p->len, p->origin, &m, e);

	if (rc == 0)
		rc = manifest_pack(m, &form, e);
	return rc < 0 ? rc : fs_pwrite(p->form, form.data, form.len, 0, e);
}

int manifest_parse_confined(const void *xml, size_t len, const char *origin, struct manifest **ret,
			    struct err *e)
{
	AUTO_FD int fd = memfd_create("manifest", MFD_CLOEXEC);
	struct parsing p = {.xml = xml, .len = len, .origin = origin, .form = fd};
	const struct worker w = {.run = parse, .ctx = &p};
	AUTO(manifest_free) struct manifest *m = NULL;
	AUTO_BUF form = BUF_INIT;
	int rc = fd < 0 ? err_errno(e, errno, "making a file in memory") : worker_run(&w, e);

	/* It says that all is well, or not. */
	if (rc > 0)
		rc = err_set(e, EBADMSG, "the confined process says what makes no sense");
	if (rc == 0)
		rc = fs_read_fd(fd, origin, FORM_LIMIT, &form, e);
	if (rc == 0) {
		rc = manifest_unpack(form.data, form.len, &m, e);
		if (rc < 0)
			err_wrap(e, "%s", origin);
	}
	if (rc == 0 && buf_add(&m->text, xml, len) < 0)
		rc = err_nomem(e);
	if (rc == 0)
		*ret = STEAL(m);
	return rc;
}

int manifest_read(const char *path, struct manifest **ret, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc = fs_read_file(path, MANIFEST_LIMIT, &text, e);

	return rc < 0 ? rc : manifest_parse_confined(buf_str(&text), text.len, path, ret, e);
}
