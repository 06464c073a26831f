/* SPDX-License-Identifier: Apache-2.0 */
/*
 * menu.lst, and what becomes of its entries: every kernel, initrd and command line goes on into the
 * menu that we make.
 */
#include "imgconv/disk/cmdline.h"
#include "imgconv/disk/grub.h"
#include "imgconv/disk/kernel.h"
#include "imgconv/disk/menulst.h"

#define UUID "6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b"

static void use_entry(const struct menulst_entry *x)
{
	AUTO_FREE char *line = NULL;
	AUTO_BUF menu = BUF_INIT;
	struct boot_report r = {.kernel = x->kernel, .initrd = x->initrd};
	struct err e;

	if (x->kernel[0] != '/')
		abort();
	if (kernel_cmdline(x->args ? x->args : "", "UUID=" UUID, "ttyS0,115200", x->title, &line,
			   &e) < 0)
		return;
	r.cmdline = line;
	if (grub_config(&r, UUID, &menu, &e) < 0)
		return;
	/* Nothing of the guest begins a line of its own. */
	for (const char *s = buf_str(&menu); *s; s++) {
		if ((unsigned char)*s < 0x20 && *s != '\n' && *s != '\t')
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(menulst_release) struct menulst m = {0};
	struct err e;

	if (menulst_parse((const char *)data, size, &m, &e) < 0)
		return 0;
	if (m.n_entries && m.default_entry >= m.n_entries)
		abort();
	for (size_t i = 0; i < m.n_entries; i++)
		use_entry(&m.entries[i]);
	return 0;
}
