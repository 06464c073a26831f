/* SPDX-License-Identifier: Apache-2.0 */
/* What was found out about a guest's booting, shown: one form for all commands. */
#include "imgconv/disk/report.h"

#include "lib/str.h"

void boot_verdict_json(struct jsonw *w, const struct boot_verdict *v)
{
	jsonw_string(w, "kernel-version", v->version);
	jsonw_string(w, "kernel-kind", boot_kernel_kind_name(v->kind));
	jsonw_bool(w, "efi-stub", v->efi_stub);
	jsonw_string(w, "initrd-compression", *v->compression ? v->compression : NULL);
	jsonw_object(w, "drivers");
	for (unsigned d = 0; d < BOOT_DRIVERS; d++)
		jsonw_string(w, boot_driver_name(d), boot_driver_state_name(v->drivers[d]));
	jsonw_close(w);
	jsonw_string(w, "bus", boot_bus_name(v->bus));
	jsonw_string(w, "bus-why", v->why);
}

void boot_report_json(struct jsonw *w, const struct boot_report *r)
{
	jsonw_string(w, "kernel", r->kernel);
	jsonw_string(w, "initrd", r->initrd);
	jsonw_string(w, "cmdline", r->cmdline);
	jsonw_string(w, "found-by", r->source);
	boot_verdict_json(w, &r->verdict);
	jsonw_array(w, "warnings");
	for (size_t i = 0; i < r->n_warnings; i++)
		jsonw_string(w, NULL, r->warnings[i]);
	jsonw_close(w);
}

void image_boot_json(struct jsonw *w, const struct image_boot *b)
{
	jsonw_string(w, "bios", b->bios);
	jsonw_array(w, "uefi");
	for (size_t i = 0; i < b->n_efi; i++) {
		jsonw_object(w, NULL);
		jsonw_u64(w, "partition", b->efi[i].partition);
		jsonw_string(w, "path", b->efi[i].path);
		jsonw_close(w);
	}
	jsonw_close(w);
	if (b->has_root)
		jsonw_u64(w, "root-partition", b->root);
	else
		jsonw_null(w, "root-partition");
	jsonw_string(w, "os", b->os);
	jsonw_string(w, "kernel", b->kernel);
	jsonw_string(w, "initrd", b->initrd);
	if (b->kernel)
		boot_verdict_json(w, &b->verdict);
	jsonw_array(w, "unknown");
	for (size_t i = 0; i < b->n_unknown; i++) {
		jsonw_object(w, NULL);
		jsonw_string(w, "what", b->unknown[i].what);
		jsonw_string(w, "why", b->unknown[i].why);
		jsonw_close(w);
	}
	jsonw_close(w);
}

/* ---- text ------------------------------------------------------------------------------------ */

static int add_row(struct buf *out, const char *key, const char *text)
{
	if (buf_addf(out, "%-20s", key) < 0 || str_escape(text, strlen(text), SIZE_MAX, out) < 0)
		return -ENOMEM;
	return buf_addc(out, '\n');
}

static int add_kernel(struct buf *out, const struct image_boot *b)
{
	const struct boot_verdict *v = &b->verdict;
	AUTO_BUF line = BUF_INIT;
	int rc = buf_addf(&line, "%s, %s%s%s%s", b->kernel, boot_kernel_kind_name(v->kind),
			  v->version ? " " : "", v->version ? v->version : "",
			  v->efi_stub ? ", EFI stub" : "");

	if (rc >= 0)
		rc = add_row(out, "kernel:", line.data);
	buf_clear(&line);
	if (rc >= 0 && b->initrd)
		rc = buf_addf(&line, "%s%s%s", b->initrd, *v->compression ? ", compression " : "",
			      v->compression);
	if (rc >= 0)
		rc = add_row(out, "initrd:", b->initrd ? line.data : "none");
	buf_clear(&line);
	for (unsigned d = 0; d < BOOT_DRIVERS && rc >= 0; d++) {
		if (v->drivers[d] > BOOT_DRIVER_ABSENT)
			rc = buf_addf(&line, "%s%s %s", line.len ? ", " : "", boot_driver_name(d),
				      boot_driver_state_name(v->drivers[d]));
	}
	if (rc >= 0 && line.len)
		rc = add_row(out, "drivers:", line.data);
	buf_clear(&line);
	if (rc >= 0)
		rc = buf_addf(&line, "%s (%s)", boot_bus_name(v->bus), v->why);
	return rc < 0 ? rc : add_row(out, "disk bus on KVM:", line.data);
}

int image_boot_text(struct buf *out, const struct image_boot *b)
{
	AUTO_BUF line = BUF_INIT;
	int rc = add_row(out, "boots by BIOS:", b->bios ? b->bios : "no");

	for (size_t i = 0; i < b->n_efi && rc >= 0; i++)
		rc = buf_addf(&line, "%s%s in partition %u", i ? ", " : "", b->efi[i].path,
			      b->efi[i].partition);
	if (rc >= 0)
		rc = add_row(out, "boots by UEFI:", line.len ? line.data : "no");
	buf_clear(&line);
	if (rc >= 0 && b->has_root) {
		rc = buf_addf(&line, "%s", b->os ? b->os : "unknown");
		if (rc >= 0 && b->root)
			rc = buf_addf(&line, ", in partition %u", b->root);
		if (rc >= 0)
			rc = add_row(out, "operating system:", line.data);
	}
	if (rc >= 0 && b->kernel)
		rc = add_kernel(out, b);
	for (size_t i = 0; i < b->n_unknown && rc >= 0; i++) {
		buf_clear(&line);
		rc = buf_addf(&line, "%s, because %s", b->unknown[i].what, b->unknown[i].why);
		if (rc >= 0)
			rc = add_row(out, "unknown:", line.data);
	}
	return rc;
}
