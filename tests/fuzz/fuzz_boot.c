/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `imgconv info` and `imgconv bootable` find out about a guest: a disk with a damaged file
 * system, kernel, initrd. The input is as tests/fuzz/pieces.h says; tests/fuzz/corpus/boot/ is made
 * by tests/fuzz/boot_seeds.
 */
#include "imgconv/disk/report.h"
#include "tests/fuzz/pieces.h"

#define DISK_SIZE (2 * MIB)

static void show(const struct image_boot *b)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_BUF json = BUF_INIT;
	struct jsonw w;

	jsonw_begin(&w, &json, false);
	jsonw_object(&w, NULL);
	image_boot_json(&w, b);
	jsonw_close(&w);
	if (jsonw_end(&w, NULL) < 0 || image_boot_text(&text, b) < 0)
		abort();
	/* Nothing of the guest begins a line of its own, or moves a terminal's cursor. */
	for (const char *s = buf_str(&text); *s; s++) {
		if ((unsigned char)*s < 0x20 && *s != '\n')
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(image_close) struct image *im = pieces_open(data, size, DISK_SIZE);
	AUTO(image_layout_release) struct image_layout l = {0};
	AUTO(image_boot_release) struct image_boot b = {0};
	AUTO(image_info_release) struct image_info info = {0};
	AUTO(boot_report_release) struct boot_report r = {0};
	struct boot_opts o = {.direct = size & 1};
	struct err e;

	if (image_layout_check(im, &info, &e) < 0)
		abort();
	if (image_layout_read(im, &l, &e) < 0)
		return 0;
	if (image_boot_read(im, &l, size & 2 ? BOOT_DEEP : 0, &b, &e) < 0)
		abort();
	show(&b);
	boot_plan(im, 0, image_size(im), &o, &r, &e);
	return 0;
}
