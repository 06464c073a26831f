/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot loaders by their first sector. The code lies in the first 440 bytes (a file system's own data
 * among them); what tells one from another is how it begins, and what it says when it fails:
 *
 *	GRUB 2        eb 63 90, "GRUB " before 0x1b8; where it goes on is a 64-bit number at 0x5c
 *	GRUB legacy   eb 48 90, "GRUB "
 *	LILO          "LILO" at 6 or 2
 *	SYSLINUX      "SYSLINUX" or "EXTLINUX" at 3, in a partition; in an MBR its messages
 *	Windows       its messages: an MBR's, and those of BOOTMGR and NTLDR in a partition
 */
#include "imgconv/disk/loader.h"

#include "lib/str.h"

#define SECTOR 512u
#define CODE 440u
#define GRUB_NEXT 0x5c

/* Messages, and what they are of. All that are given must be there. */
static const struct signature {
	const char *text[2];
	struct loader loader;
} signatures[] = {
	{{"Missing operating system.", "Operating system load error."},
	 {LOADER_CHAIN, "SYSLINUX's MBR", 0}},
	{{"Missing OS", "Multiple active partitions"}, {LOADER_CHAIN, "SYSLINUX's GPT MBR", 0}},
	{{"Invalid partition table", "Error loading operating system"},
	 {LOADER_CHAIN, "Windows' MBR", 0}},
	{{"BOOTMGR", NULL}, {LOADER_WHOLE, "Windows (BOOTMGR)", 0}},
	{{"NTLDR", NULL}, {LOADER_WHOLE, "Windows (NTLDR)", 0}},
	{{"Missing boot loader", NULL}, {LOADER_WHOLE, "FreeBSD", 0}},
	{{"This is not a bootable disk", NULL}, {LOADER_NONE, NULL, 0}},
};

static bool has_text(const uint8_t *sector, const char *text)
{
	return !text || memmem(sector, SECTOR - 2, text, strlen(text));
}

struct loader loader_identify(const uint8_t *p)
{
	if (p[510] != 0x55 || p[511] != 0xaa || mem_is_zero(p, CODE))
		return (struct loader){LOADER_NONE, NULL, 0};
	if (memcmp(p, "\xeb\x63\x90", 3) == 0 && has_text(p, "GRUB "))
		return (struct loader){LOADER_WHOLE, "GRUB 2", le64_get(p + GRUB_NEXT)};
	if (memcmp(p, "\xeb\x48\x90", 3) == 0 && has_text(p, "GRUB "))
		return (struct loader){LOADER_WHOLE, "GRUB legacy", 0};
	if (memcmp(p + 6, "LILO", 4) == 0 || memcmp(p + 2, "LILO", 4) == 0)
		return (struct loader){LOADER_WHOLE, "LILO", 0};
	if (memcmp(p + 3, "SYSLINUX", 8) == 0)
		return (struct loader){LOADER_WHOLE, "SYSLINUX", 0};
	if (memcmp(p + 3, "EXTLINUX", 8) == 0)
		return (struct loader){LOADER_WHOLE, "EXTLINUX", 0};
	for (size_t i = 0; i < ARRAY_SIZE(signatures); i++) {
		const struct signature *s = &signatures[i];

		if (has_text(p, s->text[0]) && has_text(p, s->text[1]))
			return s->loader;
	}
	return (struct loader){LOADER_UNKNOWN, "an unknown boot loader", 0};
}

/* Reads a sector; 0 with *ret_there false if there is none. */
static int read_sector(struct image *im, uint64_t at, uint8_t *sector, bool *ret_there,
		       struct err *e)
{
	*ret_there = range_within(at, SECTOR, image_size(im));
	return *ret_there ? image_pread(im, sector, SECTOR, at, e) : 0;
}

/* The boot sector that a chain-loading MBR starts. */
static int find_active(struct image *im, const struct image_layout *l, const char *mbr, char **ret,
		       struct err *e)
{
	for (size_t i = 0; i < l->n_partitions; i++) {
		const struct image_partition *p = &l->partitions[i];
		uint8_t sector[SECTOR];
		struct loader x;
		bool there;
		int rc;

		if (!p->bootable)
			continue;
		rc = read_sector(im, p->start, sector, &there, e);
		if (rc < 0)
			return rc;
		x = there ? loader_identify(sector) : (struct loader){LOADER_NONE, NULL, 0};
		if (x.kind == LOADER_NONE || x.kind == LOADER_CHAIN)
			return 0;
		*ret = str_format("%s, %s in partition %u", mbr, x.name, p->number);
		return *ret ? 0 : err_nomem(e);
	}
	return 0;
}

int loader_find(struct image *im, const struct image_layout *l, char **ret, struct err *e)
{
	const char *place = strcmp(l->table, "none") == 0 ? "sector 0" : "the MBR";
	uint8_t sector[SECTOR], next[SECTOR];
	struct loader x;
	bool there;
	int rc = read_sector(im, 0, sector, &there, e);

	*ret = NULL;
	if (rc < 0 || !there)
		return rc;
	x = loader_identify(sector);
	if (x.kind == LOADER_NONE)
		return 0;
	if (x.kind == LOADER_CHAIN)
		return find_active(im, l, x.name, ret, e);
	if (x.next) {
		/* Its second stage has to be there, too. */
		rc = x.next > UINT64_MAX / SECTOR
			     ? 0
			     : read_sector(im, x.next * SECTOR, next, &there, e);
		if (rc < 0 || !there || mem_is_zero(next, SECTOR))
			return rc;
	}
	*ret = str_format("%s in %s", x.name, place);
	return *ret ? 0 : err_nomem(e);
}
