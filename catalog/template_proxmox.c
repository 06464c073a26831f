/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proxmox VE, 7.2 or newer: a shell script for its host, which makes the machine by qm(1) and imports
 * the disks. Options are those of "qm create" in that manual page. Values in SMBIOS are in base64,
 * as qm wants those with blanks.
 */
#include <stdio.h>

#include "catalog/template.h"
#include "lib/str.h"

static const char *prefix(const struct vm *vm)
{
	if (strcmp(vm->bus, "virtio-scsi") == 0)
		return "scsi";
	if (strcmp(vm->bus, "sata") == 0)
		return "sata";
	return strcmp(vm->bus, "ide") == 0 && !vm->uefi ? "ide" : "virtio";
}

/* A name of DNS: no underscores. */
static char *dns_name(const char *image)
{
	char *name = strdup(image);

	for (char *p = name; name && *p; p++) {
		if (*p == '_')
			*p = '-';
	}
	return name;
}

static int put_disk(const struct vm *vm, unsigned n, struct buf *out, struct err *e)
{
	int rc;

	if (strpbrk(vm->disks[n], ",\n"))
		return err_set(e, EINVAL, "qm has no way to write the path '%s'", vm->disks[n]);
	buf_addf(out, " \\\n    --%s%u \"$storage:0,discard=on,import-from=\"", prefix(vm), n);
	rc = shell_word(out, vm->disks[n], e);
	return rc;
}

static int put_smbios(const struct vm *vm, struct buf *out, struct err *e)
{
	static const char maker[] = "Amazon EC2", product[] = "acclimate";
	AUTO_BUF m = BUF_INIT, p = BUF_INIT, s = BUF_INIT;

	if (!vm->ec2)
		return buf_addf(out, " \\\n    --smbios1 uuid=%s", vm->uuid) < 0 ? err_nomem(e) : 0;
	if (base64_encode(maker, strlen(maker), &m) < 0 ||
	    base64_encode(product, strlen(product), &p) < 0 ||
	    base64_encode(vm->uuid, strlen(vm->uuid), &s) < 0 ||
	    buf_addf(out,
		     " \\\n    --smbios1 uuid=%s,base64=1,manufacturer=%s,product=%s,serial=%s",
		     vm->uuid, buf_str(&m), buf_str(&p), buf_str(&s)) < 0)
		return err_nomem(e);
	return 0;
}

static int put_machine(const struct template *t, struct buf *out, struct err *e)
{
	const struct vm *vm = &t->vm;
	AUTO_FREE char *name = dns_name(t->opts->image);

	if (!name)
		return err_nomem(e);
	buf_addf(out,
		 "qm create \"$vmid\" \\\n    --name %s \\\n    --ostype l26 \\\n"
		 "    --memory %llu \\\n    --cores %u \\\n    --cpu host",
		 name, (unsigned long long)(vm->memory / MIB), vm->cpus);
	if (vm->arm64)
		buf_adds(out, " \\\n    --arch aarch64");
	if (vm->uefi)
		buf_addf(out,
			 "%s \\\n    --bios ovmf \\\n"
			 "    --efidisk0 \"$storage:0,efitype=4m,pre-enrolled-keys=0\"",
			 vm->arm64 ? "" : " \\\n    --machine q35");
	return buf_addf(out, " \\\n    --scsihw virtio-scsi-pci") < 0 ? err_nomem(e) : 0;
}

static int write_proxmox(const struct template *t, struct buf *out, struct err *e)
{
	int rc = buf_addf(out,
			  "#!/bin/sh\n"
			  "# Makes the image '%s' of catalog(1) a machine of Proxmox VE:\n"
			  "#   sh FILE VMID [STORAGE [BRIDGE]]\n"
			  "set -eu\n"
			  "vmid=${1:?the number of the new machine}\n"
			  "storage=${2:-local-lvm}\n"
			  "bridge=${3:-vmbr0}\n",
			  t->opts->image) < 0
			 ? err_nomem(e)
			 : put_machine(t, out, e);

	for (unsigned n = 0; rc == 0 && n < t->vm.n_disks; n++)
		rc = put_disk(&t->vm, n, out, e);
	if (rc == 0 && t->vm.iso && strpbrk(t->vm.iso, ",\n"))
		rc = err_set(e, EINVAL, "qm has no way to write the path '%s'", t->vm.iso);
	if (rc == 0 && t->vm.iso) {
		buf_adds(out, " \\\n    --ide2 ");
		rc = shell_word(out, t->vm.iso, e);
		buf_adds(out, ",media=cdrom");
	}
	if (rc < 0)
		return rc;
	buf_addf(out, " \\\n    --net0 \"%s,bridge=$bridge\" \\\n    --serial0 socket",
		 t->vm.emulated_nic ? "e1000" : "virtio");
	rc = put_smbios(&t->vm, out, e);
	return rc < 0 || buf_addf(out, " \\\n    --boot order=%s0\n", prefix(&t->vm)) < 0
		       ? err_nomem(e)
		       : 0;
}

const struct template_type template_proxmox = {
	.name = "proxmox",
	.write = write_proxmox,
	.options = "--memory --cpus --disk --iso --uuid --firmware",
};
