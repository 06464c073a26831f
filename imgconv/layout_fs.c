/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Superblocks: type, label and UUID of what lies in a partition. Labels and UUIDs are hostile text,
 * given as they are.
 *
 *	type          magic                               UUID         label (bytes)
 *	ext2/3/4      0xef53 (LE) at 1024+56              1024+104     1024+120 (16)
 *	xfs           "XFSB" at 0                         32           108 (12)
 *	btrfs         "_BHRfS_M" at 65536+64              65536+32     65536+299 (256)
 *	vfat          0x55 0xaa at 510, a sane BPB        39 or 67 (4) 43 or 71 (11)
 *	ntfs          "NTFS    " at 3                     72 (8)       -
 *	swap          "SWAPSPACE2" at page size - 10      1036         1052 (16)
 *	LVM2_member   "LABELONE" in sectors 0-3           in the PV header
 *	crypto_LUKS   "LUKS\xba\xbe" at 0                 168 (text)   24 in version 2 (48)
 *	iso9660       "CD001" at 32769                    -            32808 (32)
 *	squashfs      "hsqs" at 0                         -            -
 */
#include <stdio.h>

#include "imgconv/layout.h"

#define HEAD 4096         /* read of every partition */
#define BTRFS_SUPER 65536 /* its superblock's place */
#define ISO_VOLUME 32768  /* of the first volume descriptor */
#define PAGE_MAX 65536    /* swap space counts in pages of the machine that made it */

struct probe {
	struct image *im;
	struct image_partition *p;
	uint8_t head[HEAD]; /* zero behind the partition's end */
};

void layout_uuid_text(const uint8_t u[16], char out[37])
{
	static const uint8_t dash_before[16] = {[4] = 1, [6] = 1, [8] = 1, [10] = 1};
	char *at = out;

	for (int i = 0; i < 16; i++)
		at += sprintf(at, dash_before[i] ? "-%02x" : "%02x", u[i]);
}

/* Text of a fixed field, without what pads it. */
static void set_label(struct image_partition *p, const uint8_t *text, size_t len, char pad)
{
	len = MIN(strnlen((const char *)text, len), sizeof(p->fs_label) - 1);
	while (len && text[len - 1] == (uint8_t)pad)
		len--;
	memcpy(p->fs_label, text, len);
	p->fs_label[len] = '\0';
}

static void set(struct image_partition *p, const char *type, const uint8_t *uuid)
{
	snprintf(p->fs_type, sizeof(p->fs_type), "%s", type);
	if (uuid && !mem_is_zero(uuid, 16))
		layout_uuid_text(uuid, p->fs_uuid);
}

/* Reads within the partition: 1, 0 if it is too short, or an error. */
static int read_at(const struct probe *pr, void *buf, size_t len, uint64_t off, struct err *e)
{
	int rc;

	if (!range_within(off, len, pr->p->length))
		return 0;
	rc = image_pread(pr->im, buf, len, pr->p->start + off, e);
	return rc < 0 ? rc : 1;
}

static int probe_ext(struct probe *pr, struct err *e)
{
	enum {
		COMPAT_JOURNAL = 4,
		INCOMPAT_JOURNAL_DEV = 8
	};
	/* What ext3 knows: filetype, recover, journal_dev, meta_bg; sparse_super, large_file,
	 * btree_dir. */
	const uint32_t ext3_incompat = 0x1e, ext3_ro_compat = 0x7;
	const uint8_t *sb = pr->head + 1024;
	uint32_t incompat = le32_get(sb + 96);
	const char *type = "ext2";

	(void)e;
	if (le16_get(sb + 56) != 0xef53)
		return 0;
	if (incompat & INCOMPAT_JOURNAL_DEV)
		type = "jbd";
	else if (incompat & ~ext3_incompat || le32_get(sb + 100) & ~ext3_ro_compat)
		type = "ext4";
	else if (le32_get(sb + 92) & COMPAT_JOURNAL)
		type = "ext3";
	set(pr->p, type, sb + 104);
	set_label(pr->p, sb + 120, 16, '\0');
	return 1;
}

static int probe_xfs(struct probe *pr, struct err *e)
{
	(void)e;
	if (memcmp(pr->head, "XFSB", 4) != 0)
		return 0;
	set(pr->p, "xfs", pr->head + 32);
	set_label(pr->p, pr->head + 108, 12, '\0');
	return 1;
}

static int probe_btrfs(struct probe *pr, struct err *e)
{
	uint8_t sb[1024];
	int rc = read_at(pr, sb, sizeof(sb), BTRFS_SUPER, e);

	if (rc <= 0 || memcmp(sb + 64, "_BHRfS_M", 8) != 0)
		return MIN(rc, 0);
	set(pr->p, "btrfs", sb + 32);
	set_label(pr->p, sb + 299, 256, '\0');
	return 1;
}

static int probe_ntfs(struct probe *pr, struct err *e)
{
	(void)e;
	if (memcmp(pr->head + 3, "NTFS    ", 8) != 0)
		return 0;
	set(pr->p, "ntfs", NULL);
	snprintf(pr->p->fs_uuid, sizeof(pr->p->fs_uuid), "%016llX",
		 (unsigned long long)le64_get(pr->head + 72));
	return 1;
}

static bool is_fat(const uint8_t *h)
{
	uint16_t sector = le16_get(h + 11);
	uint8_t media = h[21];

	return h[510] == 0x55 && h[511] == 0xaa && is_pow2(sector) && sector >= 512 &&
	       sector <= 4096 && is_pow2(h[13]) && le16_get(h + 14) && h[16] >= 1 && h[16] <= 4 &&
	       (media == 0xf0 || media >= 0xf8) &&
	       (memcmp(h + 54, "FAT", 3) == 0 || memcmp(h + 82, "FAT32", 5) == 0);
}

static int probe_fat(struct probe *pr, struct err *e)
{
	const uint8_t *h = pr->head;
	size_t at = le16_get(h + 22) ? 39 : 67; /* FAT12 and 16, or FAT32 */
	uint32_t serial;

	(void)e;
	if (!is_fat(h))
		return 0;
	set(pr->p, "vfat", NULL);
	serial = le32_get(h + at);
	if (serial)
		snprintf(pr->p->fs_uuid, sizeof(pr->p->fs_uuid), "%04X-%04X", serial >> 16,
			 serial & 0xffff);
	if (memcmp(h + at + 4, "NO NAME    ", 11) != 0)
		set_label(pr->p, h + at + 4, 11, ' ');
	return 1;
}

static int probe_swap(struct probe *pr, struct err *e)
{
	for (uint64_t page = 4096; page <= PAGE_MAX; page *= 2) {
		uint8_t magic[10];
		int rc = read_at(pr, magic, sizeof(magic), page - sizeof(magic), e);

		if (rc <= 0)
			return rc;
		if (memcmp(magic, "SWAPSPACE2", 10) == 0) {
			set(pr->p, "swap", pr->head + 1036);
			set_label(pr->p, pr->head + 1052, 16, '\0');
			return 1;
		}
	}
	return 0;
}

/* The PV's UUID is 32 letters, shown in groups of 6, 4, 4, 4, 4, 4, 6. */
static int probe_lvm(struct probe *pr, struct err *e)
{
	(void)e;
	for (size_t sector = 0; sector < 4; sector++) {
		const uint8_t *label = pr->head + sector * 512;
		size_t off = sector * 512 + le32_get(label + 20);
		const char *id;

		if (memcmp(label, "LABELONE", 8) != 0 || memcmp(label + 24, "LVM2 001", 8) != 0)
			continue;
		set(pr->p, "LVM2_member", NULL);
		if (!range_within(off, 32, HEAD))
			return 1;
		id = (const char *)pr->head + off;
		snprintf(pr->p->fs_uuid, sizeof(pr->p->fs_uuid),
			 "%.6s-%.4s-%.4s-%.4s-%.4s-%.4s-%.6s", id, id + 6, id + 10, id + 14,
			 id + 18, id + 22, id + 26);
		return 1;
	}
	return 0;
}

static int probe_luks(struct probe *pr, struct err *e)
{
	(void)e;
	if (memcmp(pr->head, "LUKS\xba\xbe", 6) != 0)
		return 0;
	set(pr->p, "crypto_LUKS", NULL);
	snprintf(pr->p->fs_uuid, sizeof(pr->p->fs_uuid), "%.36s", (const char *)pr->head + 168);
	if (be16_get(pr->head + 6) == 2)
		set_label(pr->p, pr->head + 24, 48, '\0');
	return 1;
}

static int probe_iso(struct probe *pr, struct err *e)
{
	uint8_t volume[2048];
	int rc = read_at(pr, volume, sizeof(volume), ISO_VOLUME, e);

	if (rc <= 0 || memcmp(volume + 1, "CD001", 5) != 0)
		return MIN(rc, 0);
	set(pr->p, "iso9660", NULL);
	set_label(pr->p, volume + 40, 32, ' ');
	return 1;
}

static int probe_squashfs(struct probe *pr, struct err *e)
{
	(void)e;
	if (memcmp(pr->head, "hsqs", 4) != 0)
		return 0;
	set(pr->p, "squashfs", NULL);
	return 1;
}

int layout_probe_fs(struct image *im, struct image_partition *p, struct err *e)
{
	/* What has its magic at a fixed place of its own comes first; FAT's is weak; an ext file
	 * system leaves the first 1024 bytes to a boot loader and so may have an old one's magic
	 * before it. */
	static int (*const probes[])(struct probe * pr, struct err * e) = {
		probe_luks, probe_lvm, probe_xfs,   probe_squashfs, probe_ext,
		probe_ntfs, probe_fat, probe_btrfs, probe_swap,     probe_iso,
	};
	struct probe pr = {.im = im, .p = p};
	int rc = image_pread(im, pr.head, (size_t)MIN(p->length, (uint64_t)HEAD), p->start, e);

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(probes); i++)
		rc = probes[i](&pr, e);
	return MIN(rc, 0);
}
