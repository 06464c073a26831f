/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening, verifying and showing bundles for EC2, in the sandbox: manifest and parts are parsed
 * there; the private key stays with the parent, which decrypts two cipher texts and hands over what
 * is public of it.
 */
#include "bundle/ec2_read.h"

#include <inttypes.h>
#include <stdio.h>

#include "bundle/unlock.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"

static int read_manifest(struct opening *o, struct manifest **ret, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc = fs_read_fd(o->fd, o->a->input, MANIFEST_LIMIT, &text, e);

	return rc < 0 ? rc : manifest_parse(buf_str(&text), text.len, o->a->input, ret, e);
}

static int ask_public_key(void *ctx, const char *path, struct buf *pem, struct err *e)
{
	(void)ctx;
	return open_public_key(path, pem, e);
}

static int ask_unseal(void *ctx, const char *key_hex, const char *iv_hex, struct bundle_secret *ret,
		      struct err *e)
{
	(void)ctx;
	return open_unseal(key_hex, iv_hex, ret, e);
}

static int ask_part(void *ctx, const char *name, int *ret_fd, struct err *e)
{
	(void)ctx;
	return open_beside(name, ret_fd, e);
}

/* What both need: manifest, secret, parts. */
struct ec2 {
	struct manifest *m;
	struct bundle_secret secret;
	const char *signer;
	struct part_source parts;
};

static void ec2_release(struct ec2 *b)
{
	if (b->parts.ctx)
		part_source_open_free(&b->parts);
	bundle_secret_wipe(&b->secret);
	manifest_free(b->m);
}
DEFINE_AUTO_STRUCT(struct ec2, ec2_release);

static int unlock(struct opening *o, struct ec2 *b, struct err *e)
{
	const struct keyring keys = {.public_key = ask_public_key, .unseal = ask_unseal};
	int rc = read_manifest(o, &b->m, e);

	if (rc == 0)
		rc = bundle_unlock(&o->a->ec2, &keys, b->m, &b->secret, &b->signer, e);
	return rc < 0 ? rc : part_source_open(ask_part, NULL, b->m, &b->parts, e);
}

/* ---- open -------------------------------------------------------------------------------------- */

static int write_image(struct opening *o, struct ec2 *b, struct err *e)
{
	AUTO_FD int fd = -1;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct bundle_writer to = {0};
	struct bundle_sink sink;
	struct progress *p;
	int rc;

	/* The manifest says how much may come, unless the user does. */
	if (o->a->max_output == UINT64_MAX)
		o->create.max_data = 0;
	rc = open_writer(o, b->m->name, b->m->size, &w, &fd, e);
	if (rc < 0)
		return rc;
	to.w = w;
	sink = bundle_sink_to_writer(&to);
	p = progress_start("opening", b->m->bundled_size);
	rc = bundle_ec2_open(b->m, &b->secret, &b->parts, &sink, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return rc;
}

int ec2_open(struct opening *o, struct err *e)
{
	AUTO(ec2_release) struct ec2 b = {0};
	int rc = unlock(o, &b, e);

	if (rc == 0)
		rc = write_image(o, &b, e);
	if (rc < 0)
		return rc;
	log_info("'%s': %" PRIu64 " bytes, %s%s%s%s", o->a->output, b.m->size, o->a->output_format,
		 b.signer ? ", signed by '" : "", b.signer ? b.signer : "", b.signer ? "'" : "");
	return 0;
}

/* ---- verify ------------------------------------------------------------------------------------ */

int ec2_verify(struct opening *o, struct err *e)
{
	AUTO(ec2_release) struct ec2 b = {0};
	const char *key = o->a->ec2.key;
	struct progress *p;
	struct err why = {0};
	int rc = unlock(o, &b, e);

	if (rc < 0)
		return rc;
	p = progress_start("verifying", b.m->bundled_size);
	rc = key ? bundle_ec2_open(b.m, &b.secret, &b.parts, NULL, p, &why)
		 : bundle_ec2_check_parts(b.m, &b.parts, p, &why);
	progress_end(p, rc == 0);
	/* That a part is missing is found, not what keeps from looking. */
	if (rc < 0)
		return err_set(e, rc == -ENOENT ? EBADMSG : -rc, "%s", why.msg);
	if (b.signer)
		printf("signature: verified with '%s'\n", b.signer);
	else
		printf("signature: not checked\n");
	printf("parts:     %zu, %" PRIu64 " bytes, every digest right\n", b.m->n_parts,
	       b.m->bundled_size);
	if (key)
		printf("image:     %" PRIu64 " bytes, digest right\n", b.m->size);
	else
		printf("image:     not checked: no private key\n");
	return 0;
}

/* ---- info: what the manifest says; nothing of it is checked against keys or parts ------------- */

static void json_strings(struct jsonw *w, const char *key, char *const *list, size_t n)
{
	jsonw_array(w, key);
	for (size_t i = 0; i < n; i++)
		jsonw_string(w, NULL, list[i]);
	jsonw_close(w);
}

static void json_lists(struct jsonw *w, const struct manifest *m)
{
	jsonw_array(w, "block-device-mapping");
	for (size_t i = 0; i < m->n_mappings; i++) {
		jsonw_object(w, NULL);
		jsonw_string(w, "virtual", m->mappings[i].virtual_name);
		jsonw_string(w, "device", m->mappings[i].device);
		jsonw_close(w);
	}
	jsonw_close(w);
	json_strings(w, "product-codes", m->product_codes, m->n_product_codes);
	json_strings(w, "ancestors", m->ancestors, m->n_ancestors);
	jsonw_array(w, "encrypted-for");
	if (m->user_key && m->user_iv)
		jsonw_string(w, NULL, "user");
	if (m->ec2_key && m->ec2_iv)
		jsonw_string(w, NULL, "ec2");
	jsonw_close(w);
	jsonw_array(w, "parts");
	for (size_t i = 0; i < m->n_parts; i++) {
		jsonw_object(w, NULL);
		jsonw_string(w, "filename", m->parts[i].filename);
		jsonw_string(w, "sha1", m->parts[i].digest);
		jsonw_close(w);
	}
	jsonw_close(w);
}

static int print_json(const struct manifest *m, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "version", m->version);
	jsonw_object(&w, "bundler");
	jsonw_string(&w, "name", m->bundler_name);
	jsonw_string(&w, "version", m->bundler_version);
	jsonw_string(&w, "release", m->bundler_release);
	jsonw_close(&w);
	jsonw_string(&w, "name", m->name);
	jsonw_string(&w, "user", m->user);
	jsonw_string(&w, "type", m->type);
	jsonw_string(&w, "architecture", m->architecture);
	jsonw_string(&w, "kernel-id", m->kernel_id);
	jsonw_string(&w, "ramdisk-id", m->ramdisk_id);
	jsonw_string(&w, "kernel-name", m->kernel_name);
	jsonw_u64(&w, "size", m->size);
	jsonw_u64(&w, "bundled-size", m->bundled_size);
	jsonw_string(&w, "sha1", m->digest);
	jsonw_bool(&w, "signed", m->signature != NULL);
	json_lists(&w, m);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fputs(buf_str(&out), stdout);
	return rc;
}

static void print_row(const char *what, const char *value)
{
	if (value)
		printf("%-15s%s\n", what, value);
}

static void print_text(const struct manifest *m)
{
	bool user = m->user_key && m->user_iv, ec2 = m->ec2_key && m->ec2_iv;
	char size[16], bundled[16];

	size_to_text(m->size, size);
	size_to_text(m->bundled_size, bundled);
	print_row("name:", m->name);
	print_row("version:", m->version);
	if (m->bundler_name)
		printf("%-15s%s %s %s\n", "bundler:", m->bundler_name,
		       m->bundler_version ? m->bundler_version : "",
		       m->bundler_release ? m->bundler_release : "");
	print_row("user:", m->user);
	print_row("type:", m->type);
	print_row("architecture:", m->architecture);
	print_row("kernel:", m->kernel_id);
	print_row("ramdisk:", m->ramdisk_id);
	print_row("kernel name:", m->kernel_name);
	for (size_t i = 0; i < m->n_mappings; i++)
		printf("%-15s%s = %s\n", i ? "" : "devices:", m->mappings[i].virtual_name,
		       m->mappings[i].device);
	for (size_t i = 0; i < m->n_product_codes; i++)
		print_row(i ? "" : "product code:", m->product_codes[i]);
	for (size_t i = 0; i < m->n_ancestors; i++)
		print_row(i ? "" : "ancestors:", m->ancestors[i]);
	printf("%-15s%" PRIu64 " (%s)\n", "size:", m->size, size);
	printf("%-15s%" PRIu64 " (%s) in %zu parts, '%s' to '%s'\n", "bundled:", m->bundled_size,
	       bundled, m->n_parts, m->parts[0].filename, m->parts[m->n_parts - 1].filename);
	print_row("tar SHA-1:", m->digest);
	print_row("encrypted for:", user && ec2 ? "user, ec2"
				    : user      ? "user"
				    : ec2       ? "ec2"
						: "nobody");
	print_row("signed:", m->signature ? "yes (not checked here)" : "no");
}

int ec2_info(struct opening *o, struct err *e)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	int rc = read_manifest(o, &m, e);

	if (rc == 0 && o->a->show == CLI_JSON)
		rc = print_json(m, e);
	else if (rc == 0)
		print_text(m);
	return rc;
}
