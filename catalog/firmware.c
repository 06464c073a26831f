/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which machine an image needs, and where this host has the firmware for it. The places are those of
 * Debian and Ubuntu, Fedora, Arch, openSUSE, and of QEMU itself.
 */
#include <stdio.h>

#include "catalog/run.h"
#include "lib/fs.h"
#include "lib/str.h"

struct place {
	const char *code, *variables;
};

static const struct place x86_places[] = {
	{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
	{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
	{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
	{"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
	{"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"},
	{"/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"},
	{0},
};

static const struct place arm64_places[] = {
	{"/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"},
	{"/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw",
	 "/usr/share/edk2/aarch64/vars-template-pflash.raw"},
	{"/usr/share/edk2/aarch64/QEMU_CODE.fd", "/usr/share/edk2/aarch64/QEMU_VARS.fd"},
	{"/usr/share/qemu/aavmf-aarch64-code.bin", "/usr/share/qemu/aavmf-aarch64-vars.bin"},
	{"/usr/share/qemu/edk2-aarch64-code.fd", "/usr/share/qemu/edk2-arm-vars.fd"},
	{0},
};

int firmware_find(bool arm64, char **ret_code, char **ret_variables, struct err *e)
{
	for (const struct place *p = arm64 ? arm64_places : x86_places; p->code; p++) {
		if (access(p->code, R_OK) < 0 || access(p->variables, R_OK) < 0)
			continue;
		*ret_code = strdup(p->code);
		*ret_variables = strdup(p->variables);
		return *ret_code && *ret_variables ? 0 : err_nomem(e);
	}
	return err_set(e, ENOENT, "there is no UEFI firmware for %s guests (Debian: %s)",
		       arm64 ? "arm64" : "x86-64", arm64 ? "qemu-efi-aarch64" : "ovmf");
}

/* An image that boots by both boots by BIOS: that takes less time and needs no firmware file. */
static bool needs_uefi(const struct facts *f, const struct value *record, const char *forced)
{
	const char *mode = store_text(record, "source/boot-mode");

	if (f->arm64)
		return true;
	if (forced)
		return strcmp(forced, "uefi") == 0;
	if (f->bios || f->uefi)
		return !f->bios;
	/* Nothing was found in it: what its cloud says. */
	return mode && strcmp(mode, "uefi") == 0;
}

static bool is_debian(const char *os)
{
	return !strncasecmp(os, "debian", 6) || !strncasecmp(os, "ubuntu", 6);
}

/*
 * QEMU 7.2's emulated cmpxchg16b now and then spoils the flags, which the memory allocator of Linux 6.12
 * does not survive: of 13 boots of Debian 13 three ended in an oops, without it none of six. It is no part
 * of the x86-64 that Debian and Ubuntu are built for. Of the others some are built for x86-64-v2, which has
 * it, and end at once without it, as Windows does. Where the root cannot be read here (XFS, Btrfs), it
 * counts what the import saw and was told.
 */
static bool without_cx16(const struct facts *f, const struct value *record)
{
	static const char *const told[] = {"injected/distribution", "source/os", "source/name"};

	if (f->os)
		return is_debian(f->os);
	for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
		const char *os = store_text(record, told[i]);

		if (os)
			return is_debian(os);
	}
	return false;
}

int firmware_choose(const struct facts *f, const struct value *record, const char *forced,
		    struct vm *vm, struct err *e)
{
	const char *arch = store_text(record, "source/architecture");

	vm->arm64 = f->arm64 ||
		    (!f->bios && !f->uefi && !f->has_kernel && arch && strcmp(arch, "arm64") == 0);
	if (vm->arm64 && forced && strcmp(forced, "bios") == 0)
		return err_set(e, EINVAL, "arm64 machines have no BIOS");
	vm->uefi = vm->arm64 || needs_uefi(f, record, forced);
	vm->emulated_nic = f->no_virtio_net;
	vm->no_cx16 = !vm->arm64 && without_cx16(f, record);
	snprintf(vm->bus, sizeof(vm->bus), "%s", f->bus);
	return vm->uefi ? firmware_find(vm->arm64, &vm->firmware, &vm->variables, e) : 0;
}
