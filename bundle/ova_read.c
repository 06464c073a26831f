/* SPDX-License-Identifier: Apache-2.0 */
/* OVF packages that others made, in the sandbox: recognised, opened, verified and shown. */
#include "bundle/ova_read.h"

#include <inttypes.h>
#include <stdio.h>

#include "bundle/ova.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"

/* ---- opening --------------------------------------------------------------------------------- */

bool ova_probe(const struct bundle_head *h)
{
	const char *text = (const char *)h->data;
	size_t name = h->len >= 262 ? strnlen(text, 100) : 0, at = 0;

	if (name && !memcmp(h->data + 257, "ustar", 5))
		return true;
	if (h->len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		at = 3;
	while (at < h->len && strchr(" \t\r\n", text[at]) && text[at])
		at++;
	return at < h->len && text[at] == '<' &&
	       (memmem(text, h->len, "<Envelope", 9) || memmem(text, h->len, ":Envelope", 9));
}

int ova_open(struct opening *o, struct err *e)
{
	AUTO(ova_release) struct ova a = {0};
	unsigned first = o->a->disk ? o->a->disk - 1 : 0;
	int rc = ova_read(o, &a, e);

	if (rc < 0)
		return rc;
	if (!a.ovf.n_disks)
		return err_set(e, EBADMSG, "'%s' has no disks", o->a->input);
	if (first >= a.ovf.n_disks)
		return err_set(e, EINVAL, "'%s' has %zu disks", o->a->input, a.ovf.n_disks);
	if (!o->many && !o->a->disk && a.ovf.n_disks > 1)
		return err_set(e, EINVAL,
			       "'%s' has %zu disks: choose one by --disk N, or give a folder for "
			       "all",
			       o->a->input, a.ovf.n_disks);
	if (!a.has_manifest)
		log_warn("'%s' has no manifest: nothing tells whether its files are whole",
			 o->a->input);
	for (size_t i = first; rc == 0 && i < (o->a->disk ? first + 1 : a.ovf.n_disks); i++) {
		uint64_t size = 0;
		bool looked = false;

		rc = ova_read_disk(&a, &a.ovf.disks[i], true, &size, &looked, e);
	}
	return rc;
}

static int describe_signature(const struct ova *a, struct buf *out)
{
	AUTO_BUF shown = BUF_INIT;

	if (!a->has_manifest)
		return buf_adds(out,
				"manifest:  none: nothing tells whether the files are whole\n");
	if (buf_addf(out, "manifest:  %zu files\n", a->n_digests) < 0)
		return -ENOMEM;
	if (!a->signer)
		return buf_addf(out, "signature: %s\n", a->has_cert ? "not checked" : "none");
	if (a->o->a->ec2.own_cert)
		return buf_addf(out, "signature: verified with '%s'\n", a->o->a->ec2.cert);
	if (str_escape(a->signer, strlen(a->signer), 200, &shown) < 0)
		return -ENOMEM;
	return buf_addf(out,
			"signature: verified; the certificate names '%s', which nobody vouches "
			"for\n",
			buf_str(&shown));
}

static int verify_disk(struct ova *a, size_t i, struct buf *out, struct err *e)
{
	uint64_t size = 0;
	bool looked = false;
	int rc = ova_read_disk(a, &a->ovf.disks[i], false, &size, &looked, e);

	if (rc < 0)
		return rc;
	if (looked)
		rc = buf_addf(out, "disk %zu:    %" PRIu64 " bytes, sound%s\n", i + 1, size,
			      a->has_manifest ? ", digest right" : "");
	else
		rc = buf_addf(out, "disk %zu:    %s, not looked into\n", i + 1,
			      a->has_manifest ? "digest right" : "there");
	return rc < 0 ? err_nomem(e) : 0;
}

int ova_verify(struct opening *o, struct err *e)
{
	AUTO(ova_release) struct ova a = {0};
	AUTO_BUF out = BUF_INIT;
	int rc = ova_read(o, &a, e);

	if (rc == 0 && !a.ovf_first)
		rc = err_set(e, EBADMSG, "'%s': the descriptor is not the first file", o->a->input);
	if (rc == 0 && describe_signature(&a, &out) < 0)
		rc = err_nomem(e);
	for (size_t i = 0; rc == 0 && i < a.ovf.n_disks; i++)
		rc = verify_disk(&a, i, &out, e);
	if (rc == 0)
		fputs(buf_str(&out), stdout);
	return rc;
}

/* ---- info ------------------------------------------------------------------------------------- */

static void json_disks(struct jsonw *w, const struct ova *a)
{
	jsonw_array(w, "disks");
	for (size_t i = 0; i < a->ovf.n_disks; i++) {
		const struct ovf_disk *d = &a->ovf.disks[i];

		jsonw_object(w, NULL);
		jsonw_string(w, "id", d->id);
		jsonw_string(w, "file", d->file ? d->file->href : NULL);
		jsonw_u64(w, "size", d->capacity);
		jsonw_string(w, "format", d->format);
		jsonw_close(w);
	}
	jsonw_close(w);
	jsonw_array(w, "properties");
	for (size_t i = 0; i < a->ovf.n_properties; i++) {
		const struct ovf_property *p = &a->ovf.properties[i];

		jsonw_object(w, NULL);
		jsonw_string(w, "key", p->key);
		jsonw_string(w, "type", p->type);
		jsonw_string(w, "value", p->value);
		jsonw_string(w, "label", p->label);
		jsonw_close(w);
	}
	jsonw_close(w);
}

static int print_json(const struct ova *a, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "format", a->is_tar ? "ova" : "ovf");
	jsonw_string(&w, "name", a->ovf.name);
	jsonw_string(&w, "os", a->ovf.os);
	jsonw_string(&w, "product", a->ovf.product);
	jsonw_string(&w, "vendor", a->ovf.vendor);
	jsonw_string(&w, "version", a->ovf.version);
	jsonw_string(&w, "system-type", a->ovf.system_type);
	jsonw_string(&w, "firmware", a->ovf.is_efi ? "efi" : "bios");
	jsonw_u64(&w, "cpus", a->ovf.cpus);
	jsonw_u64(&w, "memory", a->ovf.memory);
	jsonw_bool(&w, "several-machines", a->ovf.is_collection);
	jsonw_bool(&w, "manifest", a->has_manifest);
	jsonw_string(&w, "signer", a->signer);
	json_disks(&w, a);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fputs(buf_str(&out), stdout);
	return rc;
}

static void print_row(const char *what, const char *value)
{
	AUTO_BUF shown = BUF_INIT;

	if (value && str_escape(value, strlen(value), 400, &shown) == 0)
		printf("%-15s%s\n", what, buf_str(&shown));
}

static void print_text(const struct ova *a)
{
	char size[16];

	print_row("name:", a->ovf.name);
	print_row("os:", a->ovf.os);
	print_row("product:", a->ovf.product);
	print_row("vendor:", a->ovf.vendor);
	print_row("version:", a->ovf.version);
	print_row("system type:", a->ovf.system_type);
	print_row("firmware:", a->ovf.is_efi ? "efi" : "bios");
	printf("%-15s%u\n", "cpus:", a->ovf.cpus);
	size_to_text(a->ovf.memory, size);
	printf("%-15s%s\n", "memory:", size);
	if (a->ovf.is_collection)
		printf("%-15s%s\n", "machines:", "several; this is the first one");
	for (size_t i = 0; i < a->ovf.n_disks; i++) {
		const struct ovf_disk *d = &a->ovf.disks[i];

		printf("%-15s%" PRIu64 " bytes", i ? "" : "disks:", d->capacity);
		if (d->file)
			printf(", '%s'", d->file->href);
		putchar('\n');
	}
	for (size_t i = 0; i < a->ovf.n_properties; i++) {
		AUTO_BUF row = BUF_INIT;

		(void)buf_addf(&row, "%s = %s", a->ovf.properties[i].key,
			       a->ovf.properties[i].value ? a->ovf.properties[i].value : "");
		print_row(i ? "" : "properties:", buf_str(&row));
	}
	print_row("manifest:", a->has_manifest ? "yes (disks not checked here)" : "no");
	print_row("signed by:", a->signer);
}

int ova_info(struct opening *o, struct err *e)
{
	AUTO(ova_release) struct ova a = {0};
	int rc = ova_read(o, &a, e);

	if (rc == 0 && o->a->show == CLI_JSON)
		rc = print_json(&a, e);
	else if (rc == 0)
		print_text(&a);
	return rc;
}
