/* SPDX-License-Identifier: Apache-2.0 */
/* See bundle/machine.h. */
#include "bundle/machine.h"

#include "lib/str.h"

static void take_verdict(const struct boot_verdict *v, struct machine *m)
{
	enum boot_driver_state net = v->drivers[BOOT_VIRTIO_NET];

	if (v->kind == BOOT_KERNEL_BZIMAGE)
		m->architecture = "x86_64";
	else if (v->kind == BOOT_KERNEL_ARM64)
		m->architecture = "aarch64";
	m->bus = v->bus;
	m->has_virtio_net = net != BOOT_DRIVER_ABSENT;
}

int machine_read(struct image *im, struct machine *ret, struct err *e)
{
	AUTO(image_layout_release) struct image_layout l = {0};
	AUTO(image_boot_release) struct image_boot b = {0};
	struct err why = {0};
	int rc;

	*ret = (struct machine){.bus = BOOT_BUS_UNKNOWN, .has_virtio_net = true};
	/* A disk whose tables make no sense is not looked into; it is not ours to refuse here. */
	rc = image_layout_read(im, &l, &why);
	if (rc == -ENOMEM || rc == -ECANCELED)
		return err_set(e, -rc, "%s", why.msg);
	if (rc < 0)
		return 0;
	rc = image_boot_read(im, &l, 0, &b, e);
	if (rc < 0)
		return rc;
	ret->needs_uefi = b.n_efi && !b.bios;
	if (b.kernel)
		take_verdict(&b.verdict, ret);
	if (b.os && utf8_valid(b.os, strlen(b.os))) {
		ret->os = strdup(b.os);
		if (!ret->os)
			return err_nomem(e);
	}
	return 0;
}

void machine_release(struct machine *m)
{
	free(m->os);
	*m = (struct machine){0};
}
