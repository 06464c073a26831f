/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenNebula: a template of a virtual machine for `onetemplate create`, and one of its image for
 * `oneimage create`. Attributes are those of the references "Virtual Machine Template" and "Image
 * Template". The guest is told about itself by OpenNebula's own CONTEXT ISO.
 */
#include <stdio.h>

#include "catalog/template.h"
#include "lib/str.h"

/* A value in double quotes; what OpenNebula has no way to write is refused. */
static int put(struct buf *out, const char *key, const char *value, struct err *e)
{
	if (strpbrk(value, "\"\\\n"))
		return err_set(e, EINVAL, "OpenNebula has no way to write '%s'", value);
	return buf_addf(out, "%s = \"%s\"", key, value) < 0 ? err_nomem(e) : 0;
}

static const char *prefix(const struct vm *vm)
{
	if (strcmp(vm->bus, "virtio-scsi") == 0 || strcmp(vm->bus, "sata") == 0)
		return "sd";
	return strcmp(vm->bus, "ide") == 0 && !vm->uefi ? "hd" : "vd";
}

static void put_os(const struct vm *vm, struct buf *out)
{
	buf_addf(out, "OS = [\n  ARCH = \"%s\",\n  BOOT = \"disk0\"",
		 vm->arm64 ? "aarch64" : "x86_64");
	if (vm->uefi)
		buf_addf(out,
			 ",\n  MACHINE = \"%s\",\n  FIRMWARE = \"%s\",\n  FIRMWARE_SECURE = \"NO\"",
			 vm->arm64 ? "virt" : "q35", vm->firmware);
	if (strcmp(prefix(vm), "sd") == 0)
		buf_addf(out, ",\n  SD_DISK_BUS = \"%s\"",
			 strcmp(vm->bus, "sata") == 0 ? "sata" : "scsi");
	buf_adds(out, " ]\n");
}

/* The name of disk n's image there. */
static char *image_name(const struct template *t, unsigned n)
{
	return n ? str_format("%s-disk%u", t->opts->image, n) : strdup(t->opts->image);
}

static int put_disks(const struct template *t, struct buf *out, struct err *e)
{
	int rc = 0;

	for (unsigned n = 0; rc == 0 && n < t->vm.n_disks; n++) {
		AUTO_FREE char *name = image_name(t, n);

		if (!name || buf_adds(out, "DISK = [\n  ") < 0)
			return err_nomem(e);
		rc = put(out, "IMAGE", name, e);
		if (rc == 0 && buf_addf(out, ",\n  DEV_PREFIX = \"%s\" ]\n", prefix(&t->vm)) < 0)
			rc = err_nomem(e);
	}
	return rc;
}

static int put_network(const struct template *t, struct buf *out, struct err *e)
{
	const char *model = t->vm.emulated_nic ? "e1000" : "virtio";
	int rc;

	if (!t->opts->network)
		return buf_addf(out, "NIC_DEFAULT = [\n  MODEL = \"%s\" ]\n", model) < 0
			       ? err_nomem(e)
			       : 0;
	buf_adds(out, "NIC = [\n  ");
	rc = put(out, "NETWORK", t->opts->network, e);
	if (rc == 0 && buf_addf(out, ",\n  MODEL = \"%s\" ]\n", model) < 0)
		rc = err_nomem(e);
	return rc;
}

static int write_vm(const struct template *t, struct buf *out, struct err *e)
{
	int rc = put(out, "NAME", t->opts->image, e);

	if (rc < 0)
		return rc;
	buf_addf(out, "\nCPU = \"%u\"\nVCPU = \"%u\"\nMEMORY = \"%llu\"\n", t->vm.cpus, t->vm.cpus,
		 (unsigned long long)(t->vm.memory / MIB));
	put_os(&t->vm, out);
	rc = put_disks(t, out, e);
	if (rc == 0)
		rc = put_network(t, out, e);
	if (rc < 0)
		return rc;
	return buf_adds(out, "FEATURES = [\n  ACPI = \"YES\" ]\n"
			     "GRAPHICS = [\n  TYPE = \"VNC\",\n  LISTEN = \"127.0.0.1\" ]\n"
			     "CONTEXT = [\n  NETWORK = \"YES\",\n"
			     "  SET_HOSTNAME = \"$NAME\",\n"
			     "  SSH_PUBLIC_KEY = \"$USER[SSH_PUBLIC_KEY]\" ]\n") < 0
		       ? err_nomem(e)
		       : 0;
}

static int write_image(const struct template *t, struct buf *out, struct err *e)
{
	int rc;

	/* OpenNebula would copy the file alone. */
	if (t->layered)
		return err_set(e, ENOTSUP,
			       "the disk of '%s' stands on another one: catalog export --to file "
			       "makes one that does not, for --disk",
			       t->opts->image);
	if (t->vm.n_disks > 1)
		return err_set(e, ENOTSUP, "'%s' has %u disks: an image of OpenNebula is one",
			       t->opts->image, t->vm.n_disks);
	rc = put(out, "NAME", t->opts->image, e);
	if (rc == 0 && buf_addc(out, '\n') < 0)
		rc = err_nomem(e);
	if (rc == 0)
		rc = put(out, "PATH", t->vm.disks[0], e);
	if (rc < 0)
		return rc;
	return buf_addf(out,
			"\nTYPE = \"OS\"\nFORMAT = \"qcow2\"\nDEV_PREFIX = \"%s\"\n"
			"PERSISTENT = \"NO\"\n",
			prefix(&t->vm)) < 0
		       ? err_nomem(e)
		       : 0;
}

const struct template_type template_opennebula = {
	.name = "opennebula",
	.write = write_vm,
	.options = "--memory --cpus --network --firmware",
};
const struct template_type template_opennebula_image = {
	.name = "opennebula-image",
	.write = write_image,
	.options = "--disk --firmware",
};
