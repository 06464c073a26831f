/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the guest of an image boots, as far as looking can tell: boot loaders for BIOS and UEFI,
 * the root file system, its kernel, and the drivers for its disk. Each part that is damaged, or of a
 * kind that is not read, becomes unknown with a reason, and the others go on.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/disk/drivers.h"
#include "imgconv/disk/fat.h"
#include "imgconv/disk/gpt.h"
#include "imgconv/disk/kernel.h"
#include "imgconv/disk/loader.h"
#include "imgconv/inject/distro.h"
#include "lib/str.h"

#define PARTITIONS_MAX 64 /* that are looked into */
#define EFI_FILES_MAX 32
#define NAMES_MAX 10000 /* in a folder that may have kernels */
/* A file system of more has tables that are not read in milliseconds. */
#define FS_SIZE_MAX (16 * 1024 * GIB)

struct look {
	struct image *im;
	const struct image_layout *layout;
	unsigned flags;
	struct image_boot boot;
	struct guest_fs *root;    /* NULL: not found */
	struct guest_fs *kernels; /* a file system of kernels alone; NULL: none */
	struct err *e;
};

void image_boot_release(struct image_boot *b)
{
	free(b->bios);
	for (size_t i = 0; i < b->n_efi; i++)
		free(b->efi[i].path);
	free(b->efi);
	free(b->os);
	free(b->kernel);
	free(b->initrd);
	boot_verdict_release(&b->verdict);
	for (size_t i = 0; i < b->n_unknown; i++)
		free(b->unknown[i].why);
	free(b->unknown);
	*b = (struct image_boot){0};
}

static int unknown(struct look *k, const char *what, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int unknown(struct look *k, const char *what, const char *fmt, ...)
{
	struct image_boot *b = &k->boot;
	struct boot_unknown *grown = reallocarray(b->unknown, b->n_unknown + 1, sizeof(*grown));
	char *why = NULL;
	va_list ap;
	int n;

	if (!grown)
		return err_nomem(k->e);
	b->unknown = grown;
	va_start(ap, fmt);
	n = vasprintf(&why, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err_nomem(k->e);
	grown[b->n_unknown++] = (struct boot_unknown){.what = what, .why = why};
	return 0;
}

/* An error of one part is its reason to be unknown; what ends all is passed on. */
static int degrade(struct look *k, const char *what, int rc, const struct err *why)
{
	if (rc >= 0)
		return 0;
	if (rc == -ENOMEM || rc == -ECANCELED) {
		if (k->e)
			*k->e = *why;
		return rc;
	}
	return unknown(k, what, "%s", why->msg);
}

/* ---- boot loaders ---------------------------------------------------------------------------- */

struct efi_listing {
	struct look *k;
	unsigned partition;
	int rc;
};

static int see_efi_file(void *ctx, const struct fat_entry *x)
{
	struct efi_listing *l = ctx;
	struct image_boot *b = &l->k->boot;
	struct boot_efi_file *grown;
	size_t len = strlen(x->name);

	if (x->is_folder || len < 4 || strcasecmp(x->name + len - 4, ".efi") != 0)
		return 0;
	if (b->n_efi == EFI_FILES_MAX)
		return 1;
	grown = reallocarray(b->efi, b->n_efi + 1, sizeof(*grown));
	if (!grown)
		return l->rc = err_nomem(l->k->e);
	b->efi = grown;
	grown[b->n_efi].partition = l->partition;
	grown[b->n_efi].path = str_format("EFI/BOOT/%s", x->name);
	if (!grown[b->n_efi].path)
		return l->rc = err_nomem(l->k->e);
	b->n_efi++;
	return 0;
}

static bool is_esp(const struct image_partition *p)
{
	return strcmp(p->type, GPT_TYPE_ESP) == 0 || strcmp(p->type, "ef") == 0;
}

static int look_into_esp(struct look *k, const struct image_partition *p)
{
	struct efi_listing l = {.k = k, .partition = p->number};
	AUTO(fat_close) struct fat *fat = NULL;
	struct err why = {0};
	int rc = fat_open(k->im, p->start, p->length, &fat, &why);

	if (rc >= 0)
		rc = fat_list(fat, "EFI/BOOT", see_efi_file, &l, &why);
	if (l.rc < 0)
		return l.rc;
	if (rc == -ENOENT)
		return 0; /* there is no such folder: nothing boots by itself */
	return degrade(k, "uefi", rc, &why);
}

static int find_loaders(struct look *k)
{
	struct err why = {0};
	int rc = loader_find(k->im, k->layout, &k->boot.bios, &why);

	rc = degrade(k, "bios", rc, &why);
	for (size_t i = 0; i < k->layout->n_partitions && rc >= 0; i++) {
		if (i < PARTITIONS_MAX && is_esp(&k->layout->partitions[i]))
			rc = look_into_esp(k, &k->layout->partitions[i]);
	}
	return rc;
}

/* ---- file systems ---------------------------------------------------------------------------- */

static bool exists(struct guest_fs *fs, const char *path)
{
	struct guest_stat st;

	return guest_fs_stat(fs, path, false, &st, NULL) >= 0;
}

static bool is_root(struct guest_fs *fs)
{
	return exists(fs, "/etc") && (exists(fs, "/sbin") || exists(fs, "/usr"));
}

static int see_kernel(void *ctx, const char *name, const struct guest_stat *st)
{
	if (S_ISREG(st->mode) && kernel_version_of(name))
		return 1;
	return ++*(unsigned *)ctx > NAMES_MAX ? -EFBIG : 0;
}

/* A partition that is mounted on /boot. */
static bool is_boot(struct guest_fs *fs)
{
	unsigned n = 0;

	return guest_fs_list(fs, "/", see_kernel, &n, NULL) > 0;
}

static int open_ext(struct look *k, const struct image_partition *p)
{
	AUTO(guest_fs_close) struct guest_fs *fs = NULL;
	struct err why = {0};
	int rc;

	if (p->length > FS_SIZE_MAX)
		return unknown(k, "root", "partition %u is too large to be looked into", p->number);
	rc = guest_fs_open(k->im, p->start, p->length, 0, &fs, &why);
	if (rc < 0)
		return degrade(k, "root", rc, &why);
	if (!k->root && is_root(fs)) {
		k->root = STEAL(fs);
		k->boot.has_root = true;
		k->boot.root = p->number;
	} else if (!k->kernels && is_boot(fs)) {
		k->kernels = STEAL(fs);
	}
	return 0;
}

/* Where a root could be, and we cannot look. */
static bool hides_root(const struct image_partition *p)
{
	static const char *const types[] = {
		"xfs",  "btrfs",      "ntfs",     "LVM2_member", "crypto_LUKS", "linux_raid_member",
		"f2fs", "zfs_member", "squashfs", "erofs",       "reiserfs",    "jfs",
		"ufs",  "bcachefs",   "nilfs2",   "BitLocker"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (strcmp(p->fs_type, types[i]) == 0)
			return true;
	}
	return false;
}

static int find_root(struct look *k)
{
	const struct image_partition *hidden = NULL;
	int rc = 0;

	for (size_t i = 0; i < k->layout->n_partitions && i < PARTITIONS_MAX && rc >= 0; i++) {
		const struct image_partition *p = &k->layout->partitions[i];

		ANALYZER_KNOWS(p);
		if (str_has_prefix(p->fs_type, "ext"))
			rc = open_ext(k, p);
		else if (!hidden && hides_root(p))
			hidden = p;
	}
	if (rc < 0 || k->root)
		return rc;
	if (hidden && hidden->number)
		return unknown(k, "root", "partition %u is %s, which is not looked into",
			       hidden->number, hidden->fs_type);
	if (hidden)
		return unknown(k, "root", "the disk is %s, which is not looked into",
			       hidden->fs_type);
	return 0;
}

static int find_os(struct look *k)
{
	AUTO(distro_release) struct distro d = {0};
	int rc;

	if (!k->root)
		return 0;
	rc = distro_detect(k->root, &d, k->e);
	if (rc < 0)
		return rc;
	if (d.name && strcmp(d.name, "unknown") != 0)
		k->boot.os = STEAL(d.name);
	return 0;
}

/* ---- kernel ---------------------------------------------------------------------------------- */

static bool virtio_is_known(const struct boot_verdict *v)
{
	return v->drivers[BOOT_VIRTIO_PCI] != BOOT_DRIVER_UNKNOWN &&
	       v->drivers[BOOT_VIRTIO_BLK] != BOOT_DRIVER_UNKNOWN &&
	       v->drivers[BOOT_VIRTIO_SCSI] != BOOT_DRIVER_UNKNOWN;
}

static int judge_kernel(struct look *k, struct guest_fs *fs, const char *boot)
{
	AUTO(drivers_found_release) struct drivers_found found = {0};
	struct kernel_place place = {.fs = fs,
				     .boot = boot,
				     .root = k->root,
				     .kernel = k->boot.kernel,
				     .initrd = k->boot.initrd};
	struct err why = {0};
	int rc = drivers_judge(&place, k->flags, &found, &why);

	if (rc < 0)
		return degrade(k, "kernel", rc, &why);
	k->boot.verdict = found.verdict;
	found.verdict = (struct boot_verdict){0};
	if (virtio_is_known(&k->boot.verdict))
		return 0;
	return unknown(k, "drivers", "%s",
		       found.why ? found.why
				 : "neither the configuration nor modules.builtin is there");
}

static int find_kernel(struct look *k)
{
	struct guest_fs *places[] = {k->kernels, k->root};
	const char *folders[] = {"", "/boot"};
	struct err first = {0};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		AUTO(boot_report_release) struct boot_report r = {0};
		struct err why = {0};
		int rc;

		if (!places[i])
			continue;
		rc = kernel_find_any(places[i], folders[i], &r, &why);
		if (rc >= 0) {
			k->boot.kernel = STEAL(r.kernel);
			k->boot.initrd = STEAL(r.initrd);
			return judge_kernel(k, places[i], folders[i]);
		}
		if (rc == -ENOMEM || rc == -ECANCELED)
			return degrade(k, "kernel", rc, &why);
		if (rc != -ENOENT && !first.code)
			first = why;
	}
	return first.code ? unknown(k, "kernel", "%s", first.msg) : 0;
}

int image_boot_read(struct image *im, const struct image_layout *l, unsigned flags,
		    struct image_boot *ret, struct err *e)
{
	struct look k = {.im = im, .layout = l, .flags = flags, .e = e};
	int rc = find_loaders(&k);

	if (rc >= 0)
		rc = find_root(&k);
	if (rc >= 0)
		rc = find_os(&k);
	if (rc >= 0)
		rc = find_kernel(&k);
	guest_fs_close(k.root);
	guest_fs_close(k.kernels);
	if (rc < 0)
		image_boot_release(&k.boot);
	else
		*ret = k.boot;
	return rc;
}
