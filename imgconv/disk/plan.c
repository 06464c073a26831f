/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether and how a guest boots here: its kernel, the command line for the new disk, what firmware
 * starts it, what bus it finds its disk on. What is certain not to boot is refused, what is not
 * certain is told.
 */
#include "imgconv/disk/plan.h"

#include <stdarg.h>
#include <stdio.h>

#include "imgconv/disk/cmdline.h"
#include "imgconv/disk/drivers.h"
#include "imgconv/disk/gpt.h"
#include "imgconv/disk/kernel.h"
#include "lib/digest.h"
#include "lib/str.h"

/* The oldest protocol that GRUB's linux command speaks. */
#define PROTOCOL_MIN 0x0203

/* The superblock, as far as GRUB's own reader of ext2 cares. */
#define SB_OFF_INCOMPAT (1024 + 96)
#define SB_OFF_RO_COMPAT (1024 + 100)

/* What the reader of GRUB 2.06 in Debian 12 refuses; all of it was tried. */
static const struct {
	unsigned offset;
	uint32_t bit;
	const char *name;
} not_for_grub[] = {
	{SB_OFF_INCOMPAT, 0x400, "ea_inode"},
	{SB_OFF_INCOMPAT, 0x8000, "inline_data"},
	{SB_OFF_INCOMPAT, 0x20000, "casefold"},
	{SB_OFF_RO_COMPAT, 0x200, "bigalloc"},
};

void boot_report_release(struct boot_report *r)
{
	free(r->kernel);
	free(r->initrd);
	free(r->cmdline);
	free(r->source);
	boot_verdict_release(&r->verdict);
	for (size_t i = 0; i < r->n_warnings; i++)
		free(r->warnings[i]);
	free(r->warnings);
	*r = (struct boot_report){0};
}

void plan_release(struct boot_plan_result *p)
{
	boot_report_release(&p->report);
}

static int warn(struct boot_report *r, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int warn(struct boot_report *r, struct err *e, const char *fmt, ...)
{
	char **grown = reallocarray(r->warnings, r->n_warnings + 1, sizeof(*grown));
	char *text = NULL;
	va_list ap;
	int n;

	if (!grown)
		return err_nomem(e);
	r->warnings = grown;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err_nomem(e);
	r->warnings[r->n_warnings++] = text;
	return 0;
}

static int check_grub_reads(struct image *im, uint64_t start, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(not_for_grub); i++) {
		uint8_t word[4];
		int rc = image_pread(im, word, sizeof(word), start + not_for_grub[i].offset, e);

		if (rc < 0)
			return rc;
		if (le32_get(word) & not_for_grub[i].bit)
			return err_set(e, ENOTSUP,
				       "GRUB does not read a file system with the feature %s",
				       not_for_grub[i].name);
	}
	return 0;
}

/* ---- how the disk is known: the same file system gives the same disk ------------------------- */

static int identify(struct guest_fs *fs, struct boot_plan_result *p, struct err *e)
{
	uint8_t sum[DIGEST_MAX];

	snprintf(p->uuid, sizeof(p->uuid), "%s", guest_fs_uuid(fs));
	if (strspn(p->uuid, "0-") == strlen(p->uuid))
		return err_set(e, ENOTSUP, "the file system has no UUID to find it by");
	digest_of(DIGEST_SHA256, p->uuid, strlen(p->uuid), sum);
	p->signature = le32_get(sum);
	if (!p->signature)
		p->signature = 1;
	gpt_guid_derive(p->uuid, "disk", p->disk_guid);
	gpt_guid_derive(p->uuid, "root", p->root_guid);
	return 0;
}

/* ---- the kernel ------------------------------------------------------------------------------ */

static int check_x86(const struct drivers_found *d, enum boot_firmware firmware,
		     struct boot_report *r, struct err *e)
{
	bool has_config = d->config.len;

	if (d->image.protocol < PROTOCOL_MIN)
		return err_set(e, ENOTSUP,
			       "kernel '%s' is too old for GRUB 2: its boot protocol is %u.%02u",
			       r->kernel, d->image.protocol >> 8, d->image.protocol & 0xff);
	if (!d->image.loaded_high)
		return err_set(e, ENOTSUP, "kernel '%s' is a zImage, which GRUB 2 does not boot",
			       r->kernel);
	if (firmware == BOOT_BIOS)
		return 0;
	if (!d->image.efi_stub && has_config &&
	    kernel_config_value(buf_str(&d->config), "CONFIG_EFI") != 'y')
		return err_set(e, ENOTSUP,
			       "kernel '%s' does not know UEFI (CONFIG_EFI is not set): it boots "
			       "with --firmware bios",
			       r->kernel);
	if (!d->image.efi_stub && !has_config)
		return warn(r, e,
			    "kernel '%s' has no EFI stub: GRUB starts it, but whether it knows "
			    "UEFI is not known",
			    r->kernel);
	if (d->image.protocol >= 0x020c && !d->image.is_64bit)
		return warn(r, e,
			    "kernel '%s' has 32 bits: under UEFI of 64 bits it has no runtime "
			    "services",
			    r->kernel);
	return 0;
}

static int check_kernel(const struct drivers_found *d, const struct boot_opts *o,
			struct boot_report *r, struct err *e)
{
	if (d->image.kind == BOOT_KERNEL_BZIMAGE)
		return check_x86(d, o->direct ? BOOT_BIOS : o->firmware, r, e);
	if (o->direct)
		return 0;
	if (d->image.kind == BOOT_KERNEL_ZBOOT)
		return err_set(
			e, ENOTSUP,
			"kernel '%s' is a program of UEFI that unpacks itself (zboot), which "
			"GRUB does not start",
			r->kernel);
	if (o->firmware != BOOT_UEFI)
		return err_set(
			e, ENOTSUP,
			"kernel '%s' is one for arm64, where there is no BIOS: it boots with "
			"--firmware uefi",
			r->kernel);
	if (!d->image.efi_stub)
		return err_set(e, ENOTSUP, "kernel '%s' has no EFI stub, which GRUB needs on arm64",
			       r->kernel);
	return 0;
}

/* The disk has to be found: refused if it cannot be, told if it is not sure. */
static int check_bus(struct boot_report *r, struct err *e)
{
	const struct boot_verdict *v = &r->verdict;

	switch (v->bus) {
	case BOOT_BUS_NONE:
		return err_set(e, ENOTSUP, "kernel '%s' does not find its disk on KVM: %s",
			       r->kernel, v->why);
	case BOOT_BUS_UNKNOWN:
		return warn(r, e, "whether the guest finds its disk on KVM is not known: %s",
			    v->why);
	case BOOT_BUS_VIRTIO:
		return 0;
	default:
		return warn(r, e, "the disk has to be attached by %s (virtio_blk: %s)",
			    boot_bus_name(v->bus),
			    boot_driver_state_name(v->drivers[BOOT_VIRTIO_BLK]));
	}
}

/* ---- the command line ------------------------------------------------------------------------ */

/* How the first disk is called, if the kernel is to find it by that. */
static const char *disk_device(const struct boot_verdict *v)
{
	enum boot_driver_state ide = v->drivers[BOOT_ATA_PIIX];

	switch (v->bus) {
	case BOOT_BUS_VIRTIO_SCSI:
	case BOOT_BUS_SATA:
		return "/dev/sda";
	case BOOT_BUS_NVME:
		return "/dev/nvme0n1";
	case BOOT_BUS_IDE:
		return ide == BOOT_DRIVER_BUILTIN || ide == BOOT_DRIVER_INITRD ? "/dev/sda"
									       : "/dev/hda";
	default:
		return "/dev/vda";
	}
}

/* What root= is to be; the caller's. */
static char *root_of(const struct boot_plan_result *p, const struct boot_opts *o)
{
	const struct boot_verdict *v = &p->report.verdict;
	const char *since = o->firmware == BOOT_BIOS ? "3.8" : "2.6.37"; /* kernels know PARTUUID */
	char guid[37];

	if (o->direct)
		return strdup(disk_device(v));
	if (p->report.initrd)
		return str_format("UUID=%s", p->uuid);
	if (v->version && kernel_version_compare(v->version, since) < 0)
		return str_format("%s%s1", disk_device(v), v->bus == BOOT_BUS_NVME ? "p" : "");
	if (o->firmware == BOOT_BIOS)
		return str_format("PARTUUID=%08x-01", p->signature);
	gpt_guid_text(p->root_guid, guid);
	return str_format("PARTUUID=%s", guid);
}

static int make_cmdline(struct boot_plan_result *p, const struct boot_opts *o, struct err *e)
{
	AUTO_FREE char *root = root_of(p, o);
	char *cmdline = NULL;
	int rc;

	if (!root)
		return err_nomem(e);
	rc = kernel_cmdline(p->report.cmdline, root, p->is_arm64 ? "ttyAMA0" : "ttyS0,115200",
			    o->append, &cmdline, e);
	if (rc < 0)
		return rc;
	free(p->report.cmdline);
	p->report.cmdline = cmdline;
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int judge(struct guest_fs *fs, const struct boot_opts *o, struct boot_plan_result *p,
		 struct err *e)
{
	AUTO(drivers_found_release) struct drivers_found d = {0};
	struct boot_report *r = &p->report;
	struct kernel_place place = {
		.fs = fs, .boot = "/boot", .root = fs, .kernel = r->kernel, .initrd = r->initrd};
	int rc = drivers_judge(&place, BOOT_DEEP, &d, e);

	if (rc >= 0)
		rc = check_kernel(&d, o, r, e);
	if (rc < 0)
		return rc;
	p->is_arm64 = d.image.kind != BOOT_KERNEL_BZIMAGE;
	r->verdict = d.verdict;
	d.verdict = (struct boot_verdict){0};
	return check_bus(r, e);
}

int plan_make(struct image *im, uint64_t start, uint64_t length, const struct boot_opts *o,
	      struct boot_plan_result *ret, struct err *e)
{
	AUTO(guest_fs_close) struct guest_fs *fs = NULL;
	AUTO(plan_release) struct boot_plan_result p = {0};
	int rc = guest_fs_open(im, start, length, 0, &fs, e);

	if (rc >= 0 && !o->direct)
		rc = check_grub_reads(im, start, e);
	if (rc >= 0 && !o->direct)
		rc = identify(fs, &p, e);
	if (rc >= 0)
		rc = kernel_find(fs, o, &p.report, e);
	if (rc >= 0)
		rc = judge(fs, o, &p, e);
	if (rc >= 0)
		rc = make_cmdline(&p, o, e);
	if (rc < 0)
		return rc;
	*ret = p;
	p = (struct boot_plan_result){0};
	return 0;
}
