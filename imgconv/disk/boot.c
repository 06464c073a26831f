/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare partition becomes a bootable disk: partition table and boot loader in front of it, the file
 * system as it is.
 *
 * For BIOS, what partitioning tools make:
 *	sector 0        MBR: GRUB's boot.img, disk signature, one active Linux partition
 *	sector 1 ...    GRUB's core image, less than 1 MiB
 *	1 MiB ...       the partition
 *
 * With UEFI, what images of clouds have; the file system is the last one and can grow:
 *	sector 0 ...    GPT; with BIOS, boot.img in its protective MBR
 *	1 MiB ...       with BIOS, partition 14: BIOS boot partition, GRUB's core image
 *	2 MiB ...       partition 15: EFI system partition, FAT32, GRUB as EFI/BOOT/BOOTX64.EFI
 *	64 MiB ...      partition 1
 *	... the end     the copy of the GPT; the disk has whole MiBs
 */
#include <inttypes.h>

#include "imgconv/disk/assemble.h"
#include "imgconv/disk/fat.h"
#include "imgconv/disk/gpt.h"
#include "imgconv/disk/grub.h"
#include "imgconv/disk/mbr.h"
#include "imgconv/disk/plan.h"

#define SECTOR 512
#define TYPE_LINUX 0x83

#define CORE_START MIB /* of a disk with a GPT */
#define ESP_START (2 * MIB)
#define ROOT_START (64 * MIB)
#define NUMBER_ROOT 1
#define NUMBER_BIOS 14
#define NUMBER_ESP 15
#define ESP_LABEL "ESP"

uint64_t boot_disk_size(uint64_t partition_size)
{
	return BOOT_PARTITION_START + round_up(partition_size, SECTOR);
}

uint64_t boot_assembled_size(uint64_t partition_size, enum boot_firmware firmware)
{
	if (firmware == BOOT_BIOS)
		return boot_disk_size(partition_size);
	return round_up(ROOT_START + round_up(partition_size, SECTOR) + GPT_TAIL_SIZE, MIB);
}

static struct buf *add_piece(struct disk_pieces *d, uint64_t start)
{
	struct disk_piece *p = &d->piece[d->n_pieces++];

	*p = (struct disk_piece){.start = start, .data = BUF_INIT};
	return &p->data;
}

static int add_bytes(struct disk_pieces *d, uint64_t start, const void *data, size_t len,
		     struct err *e)
{
	return buf_add(add_piece(d, start), data, len) < 0 ? err_nomem(e) : 0;
}

/* ---- BIOS alone ------------------------------------------------------------------------------ */

static int make_mbr_disk(const struct boot_plan_result *p, uint64_t partition_size,
			 struct disk_pieces *d, struct err *e)
{
	AUTO_BUF core = BUF_INIT;
	uint8_t sector[SECTOR];
	struct mbr mbr = {
		.disk_signature = p->signature,
		.part[0] = {.type = TYPE_LINUX,
			    .active = true,
			    .start = BOOT_PARTITION_START,
			    .length = round_up(partition_size, SECTOR)},
	};
	int rc = grub_make_bios(&p->report, p->uuid, SECTOR, BOOT_PARTITION_START - SECTOR, sector,
				&core, e);

	if (rc >= 0)
		rc = mbr_write(&mbr, sector, e);
	if (rc < 0)
		return rc;
	d->partition_start = BOOT_PARTITION_START;
	rc = add_bytes(d, 0, sector, SECTOR, e);
	return rc < 0 ? rc : add_bytes(d, SECTOR, core.data, core.len, e);
}

/* ---- with UEFI ------------------------------------------------------------------------------- */

static int make_esp(const struct boot_plan_result *p, struct disk_pieces *d, struct err *e)
{
	AUTO_BUF grub = BUF_INIT;
	struct fat_file file = {.name = p->is_arm64 ? "BOOTAA64.EFI" : "BOOTX64.EFI"};
	struct fat_volume v = {
		.size = ROOT_START - ESP_START,
		.start = ESP_START,
		.serial = p->signature,
		.label = ESP_LABEL,
		.folder = "EFI/BOOT",
		.files = &file,
		.n_files = 1,
	};
	int rc = grub_make_efi(p->is_arm64 ? GRUB_EFI_ARM64 : GRUB_EFI_X64, &p->report, p->uuid,
			       &grub, e);

	if (rc < 0)
		return rc;
	file.data = grub.data;
	file.len = grub.len;
	return fat_make(&v, add_piece(d, ESP_START), e);
}

/* The boot sector into `sector`, the core image into its partition. */
static int make_bios_partition(const struct boot_plan_result *p, struct disk_pieces *d,
			       uint8_t *sector, struct err *e)
{
	return grub_make_bios(&p->report, p->uuid, CORE_START, ESP_START - CORE_START, sector,
			      add_piece(d, CORE_START), e);
}

static int make_gpt_disk(const struct boot_plan_result *p, enum boot_firmware firmware,
			 uint64_t partition_size, struct disk_pieces *d, struct err *e)
{
	uint64_t root_size = round_up(partition_size, SECTOR);
	struct gpt_entry entries[] = {
		{NUMBER_ROOT, GPT_TYPE_LINUX, {0}, ROOT_START, root_size, "root"},
		{NUMBER_ESP, GPT_TYPE_ESP, {0}, ESP_START, ROOT_START - ESP_START, "esp"},
		{NUMBER_BIOS, GPT_TYPE_BIOS_BOOT, {0}, CORE_START, ESP_START - CORE_START, "bios"},
	};
	struct gpt gpt = {.entries = entries, .n_entries = firmware == BOOT_BOTH ? 3 : 2};
	uint8_t head[GPT_HEAD_SIZE] = {0}, tail[GPT_TAIL_SIZE];
	size_t table = d->n_pieces;
	int rc = 0;

	d->partition_start = ROOT_START;
	memcpy(gpt.guid, p->disk_guid, 16);
	memcpy(entries[0].guid, p->root_guid, 16);
	gpt_guid_derive(p->uuid, "esp", entries[1].guid);
	gpt_guid_derive(p->uuid, "bios", entries[2].guid);
	/* The table is the first piece; what is in its boot sector is known later. */
	add_piece(d, 0);
	if (firmware == BOOT_BOTH)
		rc = make_bios_partition(p, d, head, e);
	if (rc >= 0)
		rc = make_esp(p, d, e);
	if (rc >= 0)
		rc = gpt_write(&gpt, d->size, head, tail, e);
	if (rc >= 0 && buf_add(&d->piece[table].data, head, sizeof(head)) < 0)
		rc = err_nomem(e);
	return rc < 0 ? rc : add_bytes(d, d->size - sizeof(tail), tail, sizeof(tail), e);
}

/* ---- the public face ------------------------------------------------------------------------- */

int boot_plan(struct image *im, uint64_t start, uint64_t length, const struct boot_opts *o,
	      struct boot_report *ret, struct err *e)
{
	struct boot_plan_result p;
	int rc;

	*ret = (struct boot_report){0};
	rc = plan_make(im, start, length, o, &p, e);
	if (rc < 0)
		return err_wrap(e, "making '%s' bootable", image_name(im));
	*ret = p.report;
	return 0;
}

/* The table last: until it is there, the disk is not taken for a bootable one. */
static int write_pieces(struct image *disk, const struct disk_pieces *d, struct err *e)
{
	int rc = 0;

	for (size_t i = d->n_pieces; i-- > 0 && rc >= 0;)
		rc = image_pwrite(disk, d->piece[i].data.data, d->piece[i].data.len,
				  d->piece[i].start, e);
	return rc < 0 ? rc : image_flush(disk, e);
}

int boot_make(struct image *disk, const struct boot_opts *o, struct boot_report *ret, struct err *e)
{
	AUTO(disk_pieces_release) struct disk_pieces d = {0};
	AUTO(plan_release) struct boot_plan_result p = {0};
	int rc = 0;

	*ret = (struct boot_report){0};
	if (image_size(disk) < BOOT_PARTITION_START + 4 * KIB)
		rc = err_set(e, EINVAL, "too small for a partition at 1 MiB");
	else if (o->firmware != BOOT_BIOS)
		rc = err_set(e, ENOTSUP, "a partition at 1 MiB leaves no room for UEFI");
	if (rc >= 0)
		rc = plan_make(disk, BOOT_PARTITION_START, image_size(disk) - BOOT_PARTITION_START,
			       o, &p, e);
	if (rc >= 0)
		rc = make_mbr_disk(&p, (image_size(disk) - BOOT_PARTITION_START) / SECTOR * SECTOR,
				   &d, e);
	if (rc >= 0)
		rc = write_pieces(disk, &d, e);
	if (rc < 0)
		return err_wrap(e, "making '%s' bootable", image_name(disk));
	*ret = p.report;
	p.report = (struct boot_report){0};
	return 0;
}

int boot_assemble(struct image *partition, const struct boot_opts *o, struct image **ret,
		  struct boot_report *report, struct err *e)
{
	AUTO(disk_pieces_release) struct disk_pieces d = {0};
	AUTO(plan_release) struct boot_plan_result p = {0};
	uint64_t size = image_size(partition);
	int rc = plan_make(partition, 0, size, o, &p, e);

	*report = (struct boot_report){0};
	d.size = o->disk_size ? o->disk_size : boot_assembled_size(size, o->firmware);
	if (rc >= 0 && (d.size % SECTOR || d.size < boot_assembled_size(size, o->firmware)))
		rc = err_set(e, EINVAL, "a disk of %" PRIu64 " bytes does not hold it", d.size);
	if (rc >= 0 && o->firmware == BOOT_BIOS)
		rc = make_mbr_disk(&p, size, &d, e);
	else if (rc >= 0)
		rc = make_gpt_disk(&p, o->firmware, size, &d, e);
	if (rc >= 0)
		rc = disk_assemble(partition, &d, ret, e);
	if (rc < 0)
		return err_wrap(e, "making '%s' bootable", image_name(partition));
	*report = p.report;
	p.report = (struct boot_report){0};
	return 0;
}
