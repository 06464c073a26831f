/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare partition becomes a bootable disk: an MBR and GRUB 2 in the first MiB, the file system
 * behind it as it is. The layout is what partitioning tools make today:
 *
 *	sector 0        MBR: GRUB's boot.img, disk signature, one active Linux partition
 *	sector 1 ...    GRUB's core image, less than 1 MiB
 *	1 MiB ...       the partition
 */
#include <inttypes.h>

#include "imgconv/disk/grub.h"
#include "imgconv/disk/kernel.h"
#include "imgconv/disk/mbr.h"
#include "lib/digest.h"

#define SECTOR 512
#define TYPE_LINUX 0x83

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

uint64_t boot_disk_size(uint64_t partition_size)
{
	return BOOT_PARTITION_START + round_up(partition_size, SECTOR);
}

void boot_report_release(struct boot_report *r)
{
	free(r->kernel);
	free(r->initrd);
	free(r->cmdline);
	free(r->source);
	*r = (struct boot_report){0};
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

/* The same file system gives the same disk. */
static uint32_t signature_of(const char *fs_uuid)
{
	uint8_t sum[DIGEST_MAX];
	uint32_t sig;

	digest_of(DIGEST_SHA256, fs_uuid, strlen(fs_uuid), sum);
	sig = le32_get(sum);
	return sig ? sig : 1;
}

/* Everything that is decided by looking: kernel, command line, and how the disk is to be known. */
struct plan {
	char uuid[40];
	uint32_t signature;
};

static int make_plan(struct image *im, uint64_t start, uint64_t length, const struct boot_opts *o,
		     struct plan *plan, struct boot_report *ret, struct err *e)
{
	AUTO(guest_fs_close) struct guest_fs *fs = NULL;
	AUTO(boot_report_release) struct boot_report r = {0};
	AUTO_FREE char *cmdline = NULL;
	int rc = guest_fs_open(im, start, length, 0, &fs, e);

	if (rc >= 0)
		rc = check_grub_reads(im, start, e);
	if (rc < 0)
		return rc;
	memcpy(plan->uuid, guest_fs_uuid(fs), 37);
	if (strspn(plan->uuid, "0-") == strlen(plan->uuid))
		return err_set(e, ENOTSUP, "the file system has no UUID to find it by");
	plan->signature = signature_of(plan->uuid);
	rc = kernel_find(fs, o, &r, e);
	if (rc >= 0)
		rc = kernel_cmdline(r.cmdline, r.initrd != NULL, plan->uuid, plan->signature,
				    o->append, &cmdline, e);
	if (rc < 0)
		return rc;
	free(r.cmdline);
	r.cmdline = STEAL(cmdline);
	*ret = r;
	r = (struct boot_report){0};
	return 0;
}

int boot_plan(struct image *im, uint64_t start, uint64_t length, const struct boot_opts *o,
	      struct boot_report *ret, struct err *e)
{
	struct plan plan;
	int rc;

	*ret = (struct boot_report){0};
	rc = make_plan(im, start, length, o, &plan, ret, e);
	return rc < 0 ? err_wrap(e, "making '%s' bootable", image_name(im)) : 0;
}

static int boot_write(struct image *disk, const struct boot_report *r, const struct plan *plan,
		      struct err *e)
{
	AUTO_BUF loader = BUF_INIT;
	struct mbr mbr = {
		.disk_signature = plan->signature,
		.part[0] = {.type = TYPE_LINUX,
			    .active = true,
			    .start = BOOT_PARTITION_START,
			    .length = (image_size(disk) - BOOT_PARTITION_START) / SECTOR * SECTOR},
	};
	int rc = grub_make(r, plan->uuid, BOOT_PARTITION_START, &loader, e);

	if (rc >= 0)
		rc = mbr_write(&mbr, (uint8_t *)loader.data, e);
	/* The table last: until it is there, the disk is not taken for a bootable one. */
	if (rc >= 0)
		rc = image_pwrite(disk, loader.data + SECTOR, loader.len - SECTOR, SECTOR, e);
	if (rc >= 0)
		rc = image_pwrite(disk, loader.data, SECTOR, 0, e);
	return rc < 0 ? rc : image_flush(disk, e);
}

int boot_make(struct image *disk, const struct boot_opts *o, struct boot_report *ret, struct err *e)
{
	AUTO(boot_report_release) struct boot_report r = {0};
	struct plan plan;
	int rc;

	*ret = r;
	if (image_size(disk) < BOOT_PARTITION_START + 4 * KIB)
		return err_set(e, EINVAL, "'%s': too small for a partition at 1 MiB",
			       image_name(disk));
	rc = make_plan(disk, BOOT_PARTITION_START, image_size(disk) - BOOT_PARTITION_START, o,
		       &plan, &r, e);
	if (rc >= 0)
		rc = boot_write(disk, &r, &plan, e);
	if (rc < 0)
		return err_wrap(e, "making '%s' bootable", image_name(disk));
	*ret = r;
	r = (struct boot_report){0};
	return 0;
}
