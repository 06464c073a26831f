/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a FAT32 volume with one folder of files (Microsoft, FAT32 File System Specification 1.03);
 * sectors of 512 bytes, one to a cluster; integers little-endian.
 *
 *	sector 0 and 6     boot sector and its copy; the BPB in it is below
 *	sector 1 and 7     FSInfo: free clusters, next free one
 *	sector 32 ...      two FATs of 32-bit entries: 0 and 1 reserved, then a cluster each
 *	behind them        cluster 2, the root folder, and on
 *
 *	BPB: 11 u16 bytes a sector | 13 u8 sectors a cluster | 14 u16 reserved sectors | 16 u8 FATs |
 *	21 u8 media | 24 u16 sectors a track | 26 u16 heads | 28 u32 sectors before the volume |
 *	32 u32 sectors | 36 u32 sectors a FAT | 44 u32 root's cluster | 48 u16 FSInfo | 50 u16 copy |
 *	64 u8 drive | 66 u8 0x29 | 67 u32 serial | 71 label (11) | 82 "FAT32   "
 *
 *	Folder entry, 32 bytes: name (8.3, 11 letters) | 11 u8 attributes | 16 u16 created, 18 u16 read,
 *	24 u16 written (dates) | 20 u16 cluster, high half | 26 u16 low half | 28 u32 size
 */
#include "imgconv/disk/fat.h"

#define SECTOR 512u
#define RESERVED 32u
#define FATS 2u
#define FIRST_CLUSTER 2u
#define CLUSTERS_MIN 65525u /* fewer would be FAT16 */
#define MEDIA 0xf8u
#define END_OF_CHAIN 0x0fffffffu

#define ATTR_LABEL 0x08u
#define ATTR_FOLDER 0x10u
#define ATTR_ARCHIVE 0x20u
#define ENTRY 32u
#define NAME_LEN 11u
#define DATE_1980 0x0021u /* 1980-01-01 */

struct maker {
	const struct fat_volume *v;
	uint32_t sectors, fat_sectors, clusters;
	uint32_t next; /* free cluster */
	uint8_t *head; /* from sector 0 up to the last cluster in use; head_len bytes, zeroed */
	size_t head_len;
};

static uint8_t *fat_entry(struct maker *m, unsigned fat, uint32_t cluster)
{
	return m->head + ((size_t)RESERVED + (size_t)fat * m->fat_sectors) * SECTOR +
	       (size_t)cluster * 4;
}

static uint8_t *cluster_at(struct maker *m, uint32_t cluster)
{
	return m->head +
	       ((size_t)RESERVED + (size_t)FATS * m->fat_sectors + cluster - FIRST_CLUSTER) *
		       SECTOR;
}

/* The next n clusters as one chain. */
static uint32_t take_clusters(struct maker *m, uint32_t n)
{
	uint32_t first = m->next;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t next = i + 1 < n ? first + i + 1 : END_OF_CHAIN;

		for (unsigned fat = 0; fat < FATS; fat++)
			le32_put(fat_entry(m, fat, first + i), next);
	}
	m->next += n;
	return first;
}

/* "BOOTX64.EFI" as eleven letters with spaces; false if it cannot be. */
static bool short_name(const char *name, size_t len, uint8_t out[NAME_LEN])
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	const char *dot = memchr(name, '.', len);
	size_t base = dot ? (size_t)(dot - name) : len;
	size_t extension = dot ? len - base - 1 : 0;

	memset(out, ' ', NAME_LEN);
	if (!base || base > 8 || extension > 3 || (dot && !extension))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (i != base && !strchr(allowed, name[i]))
			return false;
	}
	memcpy(out, name, base);
	if (dot)
		memcpy(out + 8, dot + 1, extension);
	return true;
}

/* A text of a fixed field, with spaces behind it. */
static void put_padded(uint8_t *to, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = *text ? (uint8_t)*text++ : ' ';
}

static void put_entry(uint8_t *to, const uint8_t name[NAME_LEN], unsigned attributes,
		      uint32_t cluster, uint32_t size)
{
	memcpy(to, name, NAME_LEN);
	to[11] = (uint8_t)attributes;
	le16_put(to + 16, DATE_1980);
	le16_put(to + 18, DATE_1980);
	le16_put(to + 24, DATE_1980);
	le16_put(to + 20, (uint16_t)(cluster >> 16));
	le16_put(to + 26, (uint16_t)cluster);
	le32_put(to + 28, size);
}

static void put_dots(uint8_t *folder, uint32_t self, uint32_t parent)
{
	put_entry(folder, (const uint8_t *)".          ", ATTR_FOLDER, self, 0);
	/* A folder in the root says 0, whatever the root's cluster is. */
	put_entry(folder + ENTRY, (const uint8_t *)"..         ", ATTR_FOLDER,
		  parent == FIRST_CLUSTER ? 0 : parent, 0);
}

/* ---- what the sectors at the beginning say --------------------------------------------------- */

static void put_boot_sector(const struct maker *m, uint8_t *to)
{
	/* Booted by a BIOS: int 0x18, "nothing here to boot", then wait. */
	static const uint8_t code[] = {0xcd, 0x18, 0xf4, 0xeb, 0xfd};
	static const uint8_t jump[] = {0xeb, 0x58, 0x90};

	memcpy(to, jump, sizeof(jump));
	put_padded(to + 3, "ACCLIMAT", 8);
	le16_put(to + 11, SECTOR);
	to[13] = 1;
	le16_put(to + 14, RESERVED);
	to[16] = FATS;
	to[21] = MEDIA;
	le16_put(to + 24, 63);
	le16_put(to + 26, 255);
	le32_put(to + 28, (uint32_t)(m->v->start / SECTOR));
	le32_put(to + 32, m->sectors);
	le32_put(to + 36, m->fat_sectors);
	le32_put(to + 44, FIRST_CLUSTER);
	le16_put(to + 48, 1);
	le16_put(to + 50, 6);
	to[64] = 0x80;
	to[66] = 0x29;
	le32_put(to + 67, m->v->serial);
	put_padded(to + 71, m->v->label, NAME_LEN);
	put_padded(to + 82, "FAT32", 8);
	memcpy(to + 90, code, sizeof(code));
	le16_put(to + 510, 0xaa55);
}

static void put_info_sector(const struct maker *m, uint8_t *to)
{
	le32_put(to, 0x41615252);
	le32_put(to + 484, 0x61417272);
	le32_put(to + 488, m->clusters - (m->next - FIRST_CLUSTER));
	le32_put(to + 492, m->next);
	le32_put(to + 508, 0xaa550000);
}

/* ---- the volume ------------------------------------------------------------------------------ */

/* The FATs take room themselves: they grow until they cover what is left. */
static void count_clusters(struct maker *m)
{
	m->fat_sectors = 1;
	for (;;) {
		uint32_t data = m->sectors - RESERVED - FATS * m->fat_sectors;
		uint32_t needed = (uint32_t)div_up((uint64_t)(data + FIRST_CLUSTER) * 4, SECTOR);

		m->clusters = data;
		if (needed <= m->fat_sectors)
			return;
		m->fat_sectors = needed;
	}
}

/* Folders of `folder`, then the files in the last of them; *ret_parent is that one. */
static int make_folders(struct maker *m, uint32_t *ret, struct err *e)
{
	uint32_t parent = take_clusters(m, 1);
	uint8_t label[NAME_LEN];
	size_t used = ENTRY; /* of the parent: the root has the label, others their dots */

	put_padded(label, m->v->label, NAME_LEN);
	put_entry(cluster_at(m, parent), label, ATTR_LABEL, 0, 0);
	for (const char *s = m->v->folder; *s;) {
		size_t len = strcspn(s, "/");
		uint8_t name[NAME_LEN];
		uint32_t folder;

		if (!short_name(s, len, name))
			return err_set(e, EINVAL, "'%s' is no folder of a FAT", m->v->folder);
		folder = take_clusters(m, 1);
		put_entry(cluster_at(m, parent) + used, name, ATTR_FOLDER, folder, 0);
		put_dots(cluster_at(m, folder), folder, parent);
		used = (size_t)2 * ENTRY;
		parent = folder;
		s += len + (s[len] == '/');
	}
	*ret = parent;
	return 0;
}

static int make_files(struct maker *m, uint32_t folder, struct err *e)
{
	for (size_t i = 0; i < m->v->n_files; i++) {
		const struct fat_file *f = &m->v->files[i];
		uint8_t name[NAME_LEN];
		uint32_t first = 0;

		if (!short_name(f->name, strlen(f->name), name))
			return err_set(e, EINVAL, "'%s' is no file name of 8 and 3 letters",
				       f->name);
		if (f->len) {
			first = take_clusters(m, (uint32_t)div_up(f->len, SECTOR));
			memcpy(cluster_at(m, first), f->data, f->len);
		}
		put_entry(cluster_at(m, folder) + (2 + i) * ENTRY, name, ATTR_ARCHIVE, first,
			  (uint32_t)f->len);
	}
	return 0;
}

static int check_volume(const struct fat_volume *v, struct err *e)
{
	if (v->size % SECTOR || v->size < FAT_MAKE_MIN || v->size > FAT_MAKE_MAX ||
	    v->start % SECTOR || v->start / SECTOR > UINT32_MAX)
		return err_set(e, EINVAL, "a FAT of %llu bytes at 0x%llx cannot be made",
			       (unsigned long long)v->size, (unsigned long long)v->start);
	/* All entries of the folder lie in one cluster. */
	if (strlen(v->label) > NAME_LEN || v->n_files > SECTOR / ENTRY - 2 || !*v->folder)
		return err_set(e, EINVAL, "too long a label, too many files, or no folder");
	return 0;
}

int fat_make(const struct fat_volume *v, struct buf *out, struct err *e)
{
	struct maker m = {.v = v, .next = FIRST_CLUSTER};
	AUTO_FREE uint8_t *head = NULL;
	uint64_t needed = 1; /* clusters */
	uint32_t folder = 0;
	int rc = check_volume(v, e);

	if (rc < 0)
		return rc;
	m.sectors = (uint32_t)(v->size / SECTOR);
	count_clusters(&m);
	for (const char *s = v->folder; s; s = strchr(s + 1, '/'))
		needed++;
	for (size_t i = 0; i < v->n_files; i++)
		needed += div_up(v->files[i].len, SECTOR);
	if (m.clusters < CLUSTERS_MIN || needed > m.clusters)
		return err_set(e, ENOSPC, "the files do not fit a FAT of %llu bytes",
			       (unsigned long long)v->size);
	m.head_len = ((size_t)RESERVED + (size_t)FATS * m.fat_sectors + (size_t)needed) * SECTOR;
	m.head = head = calloc(1, m.head_len);
	if (!head)
		return err_nomem(e);
	for (unsigned fat = 0; fat < FATS; fat++) {
		le32_put(fat_entry(&m, fat, 0), 0x0fffff00 | MEDIA);
		le32_put(fat_entry(&m, fat, 1), END_OF_CHAIN);
	}
	rc = make_folders(&m, &folder, e);
	if (rc >= 0)
		rc = make_files(&m, folder, e);
	if (rc < 0)
		return rc;
	for (unsigned copy = 0; copy <= 6; copy += 6) {
		put_boot_sector(&m, head + (size_t)copy * SECTOR);
		put_info_sector(&m, head + (size_t)(copy + 1) * SECTOR);
		le16_put(head + (size_t)(copy + 2) * SECTOR + 510, 0xaa55);
	}
	return buf_add(out, head, m.head_len) < 0 ? err_nomem(e) : 0;
}
