/* SPDX-License-Identifier: Apache-2.0 */
/* What an image needs to boot: see catalog/facts.h. */
#include "catalog/facts.h"

#include <stdio.h>

#include "imgconv/confine.h"

/* What comes back from the child, whose bytes may be any: so no bool. */
struct found {
	const char *path;
	uint8_t bios, uefi_x86, uefi_arm64, kernel_arm64, has_kernel, no_virtio_net;
	char bus[16];
	char os[128];
	uint64_t size;
};

void facts_release(struct facts *f)
{
	free(f->os);
	*f = (struct facts){0};
}

static void take_boot(struct found *f, const struct image_boot *b)
{
	f->bios = b->bios != NULL;
	for (size_t i = 0; i < b->n_efi; i++) {
		if (strcasestr(b->efi[i].path, "aa64.efi"))
			f->uefi_arm64 = 1;
		else
			f->uefi_x86 = 1;
	}
	snprintf(f->bus, sizeof(f->bus), "%s", boot_bus_name(b->verdict.bus));
	if (b->os)
		snprintf(f->os, sizeof(f->os), "%s", b->os);
	if (!b->kernel)
		return;
	f->has_kernel = 1;
	f->no_virtio_net = b->verdict.drivers[BOOT_VIRTIO_NET] == BOOT_DRIVER_ABSENT;
	f->kernel_arm64 = b->verdict.kind == BOOT_KERNEL_ARM64;
}

static int look(void *ctx, struct err *e)
{
	const struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_ALLOW_BACKING};
	struct found *f = ctx;
	AUTO(image_close) struct image *im = NULL;
	AUTO(image_layout_release) struct image_layout layout = {0};
	AUTO(image_boot_release) struct image_boot boot = {0};
	int rc = image_open(f->path, &o, &im, e);

	if (rc < 0)
		return rc;
	f->size = image_size(im);
	snprintf(f->bus, sizeof(f->bus), "%s", boot_bus_name(BOOT_BUS_UNKNOWN));
	if (image_layout_read(im, &layout, NULL) < 0)
		return 0;
	rc = image_boot_read(im, &layout, 0, &boot, e);
	if (rc == 0)
		take_boot(f, &boot);
	return rc;
}

int facts_read(const struct store *s, const char *name, struct facts *ret, struct err *e)
{
	AUTO(store_disk_release) struct store_disk d = {0};
	struct found f = {0};
	struct confine_file file = {.beneath = true};
	const struct confine c = {.files = &file,
				  .n_files = 1,
				  .run = look,
				  .ctx = &f,
				  .result = &f,
				  .result_len = sizeof(f)};
	int rc = store_find_disk(s, name, 0, &d, e);

	*ret = (struct facts){0};
	if (rc < 0)
		return rc;
	f.path = file.path = d.path;
	rc = confine_run(&c, e);
	if (rc < 0)
		return err_wrap(e, "looking into image '%s'", name);
	f.bus[sizeof(f.bus) - 1] = f.os[sizeof(f.os) - 1] = '\0';
	ret->arm64 = f.kernel_arm64 || (f.uefi_arm64 && !f.uefi_x86 && !f.bios);
	ret->bios = f.bios && !ret->arm64;
	ret->uefi = ret->arm64 ? f.uefi_arm64 || f.uefi_x86 : f.uefi_x86;
	ret->has_kernel = f.has_kernel;
	ret->no_virtio_net = f.no_virtio_net;
	memcpy(ret->bus, f.bus, sizeof(ret->bus));
	ret->size = f.size;
	if (f.os[0] && !(ret->os = strdup(f.os)))
		return err_nomem(e);
	return 0;
}
