/* SPDX-License-Identifier: Apache-2.0 */
/* What was found out about a guest's booting, as JSON and as text. */
#ifndef IMGCONV_DISK_REPORT_H
#define IMGCONV_DISK_REPORT_H

#include "imgconv/imgconv.h"
#include "lib/json.h"

/* "kernel-version", "kernel-kind", "efi-stub", "initrd-compression", "drivers", "bus", "bus-why" */
void boot_verdict_json(struct jsonw *w, const struct boot_verdict *v);
/* "kernel", "initrd", "cmdline", "found-by", those of the verdict, "warnings" */
void boot_report_json(struct jsonw *w, const struct boot_report *r);

/* All that image_boot_read found out: members, and lines of text with the key in 20 columns. */
void image_boot_json(struct jsonw *w, const struct image_boot *b);
int image_boot_text(struct buf *out, const struct image_boot *b);

#endif
