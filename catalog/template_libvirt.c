/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A domain of libvirt (https://libvirt.org/formatdomain.html, as of 9.0): for `virsh define`.
 *
 * The identity that makes a guest look for EC2's metadata stands twice, as <uuid> and in SMBIOS;
 * libvirt wants both to be equal.
 */
#include <stdio.h>

#include "catalog/template.h"
#include "lib/str.h"
#include "lib/xml.h"

/* Where the disks are attached: "virtio", the prefix of their names. */
struct place {
	const char *bus, *prefix;
};

static struct place find_place(const struct vm *vm)
{
	if (strcmp(vm->bus, "virtio-scsi") == 0)
		return (struct place){"scsi", "sd"};
	if (strcmp(vm->bus, "sata") == 0)
		return (struct place){"sata", "sd"};
	if (strcmp(vm->bus, "ide") == 0 && !vm->uefi)
		return (struct place){"ide", "hd"};
	return (struct place){"virtio", "vd"};
}

/* "KEY='escaped value'", with the blank before it. */
static void attr(struct buf *out, const char *key, const char *value)
{
	AUTO_BUF text = BUF_INIT;

	if (xml_escape(value, &text) == 0)
		buf_addf(out, " %s=\"%s\"", key, buf_str(&text));
}

static void put_identity(const struct template *t, struct buf *out)
{
	const struct vm *vm = &t->vm;

	buf_addf(out,
		 "  <name>%s</name>\n  <uuid>%s</uuid>\n"
		 "  <memory unit=\"MiB\">%llu</memory>\n  <vcpu>%u</vcpu>\n",
		 t->opts->image, vm->uuid, (unsigned long long)(vm->memory / MIB), vm->cpus);
	if (!vm->ec2)
		return;
	buf_addf(out,
		 "  <sysinfo type=\"smbios\">\n    <system>\n"
		 "      <entry name=\"manufacturer\">Amazon EC2</entry>\n"
		 "      <entry name=\"product\">acclimate</entry>\n"
		 "      <entry name=\"serial\">%s</entry>\n"
		 "      <entry name=\"uuid\">%s</entry>\n"
		 "    </system>\n  </sysinfo>\n",
		 vm->uuid, vm->uuid);
}

static const char *cpu_of(const struct template *t)
{
	if (t->opts->accel != RUN_TCG)
		return "<cpu mode=\"host-passthrough\"/>";
	if (t->vm.no_cx16)
		return "<cpu mode=\"maximum\"><feature policy=\"disable\" name=\"cx16\"/></cpu>";
	return "<cpu mode=\"maximum\"/>";
}

static void put_os(const struct template *t, struct buf *out)
{
	const struct vm *vm = &t->vm;

	buf_addf(out, "  <os%s>\n    <type arch=\"%s\" machine=\"%s\">hvm</type>\n",
		 vm->uefi ? " firmware=\"efi\"" : "", vm->arm64 ? "aarch64" : "x86_64",
		 vm->arm64  ? "virt"
		 : vm->uefi ? "q35"
			    : "pc");
	if (vm->uefi)
		buf_adds(out,
			 "    <firmware>\n      <feature enabled=\"no\" name=\"secure-boot\"/>\n"
			 "    </firmware>\n");
	buf_adds(out, "    <boot dev=\"hd\"/>\n");
	if (vm->ec2)
		buf_adds(out, "    <smbios mode=\"sysinfo\"/>\n");
	buf_addf(out,
		 "  </os>\n  <features>\n    <acpi/>\n%s  </features>\n"
		 "  %s\n  <clock offset=\"utc\"/>\n"
		 "  <on_reboot>restart</on_reboot>\n  <on_crash>destroy</on_crash>\n",
		 vm->arm64 ? "" : "    <apic/>\n", cpu_of(t));
}

static void put_disk(const struct template *t, unsigned n, struct buf *out)
{
	struct place p = find_place(&t->vm);

	buf_adds(out,
		 "    <disk type=\"file\" device=\"disk\">\n"
		 "      <driver name=\"qemu\" type=\"qcow2\" discard=\"unmap\"/>\n      <source");
	attr(out, "file", t->vm.disks[n]);
	buf_addf(out, "/>\n      <target dev=\"%s%c\" bus=\"%s\"/>\n", p.prefix, (char)('a' + n),
		 p.bus);
	/* The disk of an image never changes: what the guest writes is dropped at its end. */
	if (t->vm.snapshot)
		buf_adds(out, "      <transient/>\n");
	buf_adds(out, "    </disk>\n");
}

static void put_iso(const struct template *t, struct buf *out)
{
	bool cdrom = !t->vm.arm64;

	if (!t->vm.iso)
		return;
	buf_addf(out,
		 "    <disk type=\"file\" device=\"%s\">\n"
		 "      <driver name=\"qemu\" type=\"raw\"/>\n      <source",
		 cdrom ? "cdrom" : "disk");
	attr(out, "file", t->vm.iso);
	buf_addf(out, "/>\n      <target dev=\"%s\" bus=\"%s\"/>\n      <readonly/>\n    </disk>\n",
		 cdrom ? "sdz" : "vdz", cdrom ? "sata" : "virtio");
}

static void put_devices(const struct template *t, struct buf *out)
{
	buf_adds(out, "  <devices>\n");
	for (unsigned n = 0; n < t->vm.n_disks; n++)
		put_disk(t, n, out);
	put_iso(t, out);
	if (strcmp(find_place(&t->vm).bus, "scsi") == 0)
		buf_adds(out,
			 "    <controller type=\"scsi\" index=\"0\" model=\"virtio-scsi\"/>\n");
	buf_adds(out, "    <interface type=\"network\">\n      <source");
	attr(out, "network", t->opts->network ? t->opts->network : "default");
	buf_addf(out, "/>\n      <model type=\"%s\"/>\n    </interface>\n",
		 t->vm.emulated_nic ? "e1000" : "virtio");
	buf_adds(out, "    <serial type=\"pty\"/>\n    <console type=\"pty\"/>\n"
		      "    <rng model=\"virtio\">\n"
		      "      <backend model=\"random\">/dev/urandom</backend>\n    </rng>\n"
		      "  </devices>\n");
}

static int write_libvirt(const struct template *t, struct buf *out, struct err *e)
{
	int rc =
		buf_addf(out, "<domain type=\"%s\">\n", t->opts->accel == RUN_TCG ? "qemu" : "kvm");

	put_identity(t, out);
	put_os(t, out);
	put_devices(t, out);
	return rc < 0 || buf_adds(out, "</domain>\n") < 0 ? err_nomem(e) : 0;
}

const struct template_type template_libvirt = {
	.name = "libvirt",
	.write = write_libvirt,
	.options = "--memory --cpus --disk --iso --network --uuid --firmware --accel",
};
