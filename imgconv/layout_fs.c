/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Superblocks: type, label and UUID of what lies in a partition. Labels and UUIDs are hostile text,
 * given as they are.
 *
 *	type          magic                               UUID         label (bytes)
 *	ext2/3/4      0xef53 (LE) at 1024+56              1024+104     1024+120 (16)
 *	vfat          0x55 0xaa at 510, a sane BPB        39 or 67 (4) 43 or 71 (11)
 *	exfat         "EXFAT   " at 3                     100 (4)      -
 *	ntfs          "NTFS    " at 3                     72 (8)       -
 *	swap          "SWAPSPACE2" at page size - 10      1036         1052 (16)
 *	LVM2_member   "LABELONE" in sectors 0-3           in the PV header
 *	linux_raid_member  0xa92b4efc (LE) at 0, 4096, or near the end
 *	crypto_LUKS   "LUKS\xba\xbe" at 0                 168 (text)   24 in version 2 (48)
 *	iso9660       "CD001" at 32769                    -            32808 (32)
 *	zfs_member    0x00bab10c in one of the blocks of 1 KiB from 128 KiB on
 *
 * and those of the table `magics` below.
 */
#include <stdio.h>

#include "imgconv/layout.h"

#define HEAD 4096        /* read of every partition */
#define ISO_VOLUME 32768 /* of the first volume descriptor */
#define PAGE_MAX 65536   /* swap space counts in pages of the machine that made it */

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
	/* Block size, blocks and revision as they can be: two bytes alone may be there by chance. */
	if (le16_get(sb + 56) != 0xef53 || le32_get(sb + 24) > 6 || !le32_get(sb + 32) ||
	    le32_get(sb + 76) > 1)
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

/* What a few bytes at a place of its own are enough for. */
static const struct magic {
	const char *type;
	const char *text; /* len bytes at `at` */
	uint32_t at;
	uint32_t uuid;  /* where its 16 bytes are; 0: none */
	uint32_t label; /* label_len bytes; 0: none */
	uint8_t len, label_len;
} magics[] = {
	{"BitLocker", "-FVE-FS-", 3, 0, 0, 8, 0},
	{"ReFS", "ReFS\0\0\0\0", 3, 0, 0, 8, 0},
	{"xfs", "XFSB", 0, 32, 108, 4, 12},
	{"squashfs", "hsqs", 0, 0, 0, 4, 0},
	{"cramfs", "\x45\x3d\xcd\x28", 0, 0, 48, 4, 16},
	{"apfs", "NXSB", 32, 72, 0, 4, 0},
	{"f2fs", "\x10\x20\xf5\xf2", 1024, 1024 + 108, 0, 4, 0},
	{"erofs", "\xe2\xe1\xf5\xe0", 1024, 1024 + 48, 1024 + 64, 4, 16},
	{"nilfs2", "\2\0\0\0\0\0\x34\x34", 1024, 1024 + 152, 1024 + 168, 8, 80},
	{"hfsplus", "H+\0\4", 1024, 0, 0, 4, 0},
	{"hfsplus", "HX\0\5", 1024, 0, 0, 4, 0},
	{"ocfs2", "OCFSV2", 8192, 0, 0, 6, 0},
	{"bcachefs", "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", 4096 + 24,
	 4096 + 56, 4096 + 72, 16, 32},
	{"bcachefs", "\xc6\x85\x73\x66\xcf\x4f\x49\x41\x8c\xa3\x94\x6b\x84\x40\x6a\x7e", 4096 + 24,
	 4096 + 56, 4096 + 72, 16, 32},
	{"jfs", "JFS1", 32768, 32768 + 136, 32768 + 152, 4, 16},
	{"reiserfs", "ReIsErFs", 65536 + 52, 65536 + 84, 65536 + 100, 8, 16},
	{"reiserfs", "ReIsEr2Fs", 65536 + 52, 65536 + 84, 65536 + 100, 9, 16},
	{"reiserfs", "ReIsEr3Fs", 65536 + 52, 65536 + 84, 65536 + 100, 9, 16},
	{"gfs2", "\x01\x16\x19\x70\0\0\0\1", 65536, 0, 0, 8, 0},
	{"btrfs", "_BHRfS_M", 65536 + 64, 65536 + 32, 65536 + 299, 8, 64},
	{"ufs", "\x54\x19\x01\x00", 8192 + 1372, 0, 0, 4, 0},
	{"ufs", "\x19\x01\x54\x19", 65536 + 1372, 0, 0, 4, 0},
	{"VMFS_volume_member", "\x0d\xd0\x01\xc0", 1024 * 1024, 0, 0, 4, 0},
};

static int probe_magic(struct probe *pr, const struct magic *m, struct err *e)
{
	uint8_t text[16], uuid[16], label[80];
	int rc = read_at(pr, text, m->len, m->at, e);

	if (rc <= 0 || memcmp(text, m->text, m->len) != 0)
		return MIN(rc, 0);
	rc = m->uuid ? read_at(pr, uuid, sizeof(uuid), m->uuid, e) : 0;
	if (rc < 0)
		return rc;
	set(pr->p, m->type, rc ? uuid : NULL);
	rc = m->label ? read_at(pr, label, m->label_len, m->label, e) : 0;
	if (rc > 0)
		set_label(pr->p, label, m->label_len, '\0');
	return rc < 0 ? rc : 1;
}

static int probe_magics(struct probe *pr, uint32_t from, uint32_t to, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(magics) && rc == 0; i++) {
		if (magics[i].at >= from && magics[i].at < to)
			rc = probe_magic(pr, &magics[i], e);
	}
	return rc;
}

/* Where an ext file system begins, before which it leaves what is there as it is. */
#define EXT_SUPER 1024

static int probe_magics_first(struct probe *pr, struct err *e)
{
	return probe_magics(pr, 0, EXT_SUPER, e);
}

static int probe_magics_behind(struct probe *pr, struct err *e)
{
	return probe_magics(pr, EXT_SUPER, UINT32_MAX, e);
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

bool layout_is_fat(const uint8_t *h)
{
	uint16_t sector = le16_get(h + 11);
	uint8_t media = h[21];

	return h[510] == 0x55 && h[511] == 0xaa && is_pow2(sector) && sector >= 512 &&
	       sector <= 4096 && is_pow2(h[13]) && le16_get(h + 14) && h[16] >= 1 && h[16] <= 4 &&
	       (media == 0xf0 || media >= 0xf8) &&
	       (memcmp(h + 54, "FAT", 3) == 0 || memcmp(h + 82, "FAT32", 5) == 0);
}

static int probe_exfat(struct probe *pr, struct err *e)
{
	uint32_t serial = le32_get(pr->head + 100);

	(void)e;
	if (memcmp(pr->head + 3, "EXFAT   ", 8) != 0)
		return 0;
	set(pr->p, "exfat", NULL);
	snprintf(pr->p->fs_uuid, sizeof(pr->p->fs_uuid), "%04X-%04X", serial >> 16,
		 serial & 0xffff);
	return 1;
}

static int probe_fat(struct probe *pr, struct err *e)
{
	const uint8_t *h = pr->head;
	size_t at = le16_get(h + 22) ? 39 : 67; /* FAT12 and 16, or FAT32 */
	uint32_t serial;

	(void)e;
	if (!layout_is_fat(h))
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
	/* Of a machine that sleeps, with its memory in it. */
	static const char *const asleep[] = {"S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001"};

	for (uint64_t page = 4096; page <= PAGE_MAX; page *= 2) {
		char magic[10];
		int rc = read_at(pr, magic, sizeof(magic), page - sizeof(magic), e);
		const char *type = NULL;

		if (rc <= 0)
			return rc;
		if (memcmp(magic, "SWAPSPACE2", 10) == 0 || memcmp(magic, "SWAP-SPACE", 10) == 0)
			type = "swap";
		for (size_t i = 0; i < ARRAY_SIZE(asleep); i++) {
			if (memcmp(magic, asleep[i], strlen(asleep[i])) == 0)
				type = "swsuspend";
		}
		if (!type)
			continue;
		set(pr->p, type, pr->head + 1036);
		set_label(pr->p, pr->head + 1052, 16, '\0');
		return 1;
	}
	return 0;
}

/* A member of a Linux MD array: version 1 at its beginning or end, version 0.90 at its end. */
static int probe_raid(struct probe *pr, struct err *e)
{
	const uint32_t md_magic = 0xa92b4efc;
	uint64_t sectors = pr->p->length / 512;
	const uint64_t places[] = {
		0, 4096, sectors >= 16 ? ((sectors - 16) & ~UINT64_C(7)) * 512 : UINT64_MAX,
		sectors >= 128 ? ((sectors & ~UINT64_C(127)) - 128) * 512 : UINT64_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		uint8_t sb[64];
		uint32_t version;
		int rc = read_at(pr, sb, sizeof(sb), places[i], e);

		if (rc < 0)
			return rc;
		version = rc ? le32_get(sb + 4) : 0;
		if (!rc || le32_get(sb) != md_magic || (i == 3) != (version == 0))
			continue;
		if (version == 0) {
			uint8_t uuid[16];

			/* Four words, the first apart from the others. */
			memcpy(uuid, sb + 20, 4);
			memcpy(uuid + 4, sb + 52, 12);
			for (unsigned w = 0; w < 16; w += 4)
				be32_put(uuid + w, le32_get(uuid + w));
			set(pr->p, "linux_raid_member", uuid);
			return 1;
		}
		set(pr->p, "linux_raid_member", sb + 16);
		set_label(pr->p, sb + 32, 32, '\0');
		return 1;
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

/* Blocks of 1 KiB, of which each write to the pool takes the next one. */
static int probe_zfs(struct probe *pr, struct err *e)
{
	const uint64_t ring = 128 * KIB, ring_len = 128 * KIB;
	AUTO_FREE uint8_t *blocks = malloc(ring_len);
	int rc = blocks ? read_at(pr, blocks, ring_len, ring, e) : err_nomem(e);

	for (uint64_t at = 0; rc > 0 && at < ring_len; at += KIB) {
		if (le64_get(blocks + at) == 0x00bab10c || be64_get(blocks + at) == 0x00bab10c) {
			set(pr->p, "zfs_member", NULL);
			return 1;
		}
	}
	return MIN(rc, 0);
}

/* A volume recognition sequence with "NSR02" or "NSR03" in it (ECMA-167, part 2). */
static int probe_udf(struct probe *pr, struct err *e)
{
	for (uint64_t at = ISO_VOLUME; at < ISO_VOLUME + 16 * 2048; at += 2048) {
		uint8_t id[6];
		int rc = read_at(pr, id, sizeof(id), at, e);

		if (rc <= 0)
			return rc;
		if (memcmp(id + 1, "NSR02", 5) == 0 || memcmp(id + 1, "NSR03", 5) == 0) {
			set(pr->p, "udf", NULL);
			return 1;
		}
		if (mem_is_zero(id, sizeof(id)))
			break;
	}
	return 0;
}

int layout_probe_fs(struct image *im, struct image_partition *p, struct err *e)
{
	/* What takes a file system into itself comes first. Then by how sure the magic is, and so
	 * that what an older file system left behind is not taken for one: mkfs of ext leaves much
	 * of what lies behind its superblock. */
	static int (*const probes[])(struct probe * pr, struct err * e) = {
		probe_luks,          probe_lvm,  probe_raid,  probe_magics_first, probe_ext,
		probe_magics_behind, probe_ntfs, probe_exfat, probe_fat,          probe_swap,
		probe_iso,           probe_udf,  probe_zfs,
	};
	struct probe pr = {.im = im, .p = p};
	int rc = image_pread(im, pr.head, (size_t)MIN(p->length, (uint64_t)HEAD), p->start, e);

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(probes); i++)
		rc = probes[i](&pr, e);
	return MIN(rc, 0);
}
