/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking into a FAT12, FAT16 or FAT32 volume (Microsoft, FAT32 File System Specification 1.03): the
 * names in its folders. How many clusters there are decides which of the three it is: fewer than
 * 4085 FAT12, fewer than 65525 FAT16. A FAT12 or 16 has its root folder between FATs and clusters.
 *
 * Long names lie in entries of attribute 0x0f before the short one, the last part first: 0 u8
 * number, 0x40 in the first | 1, 14, 28 UTF-16 letters (5, 6, 2) | 13 u8 checksum of the short name.
 *
 * Nothing is trusted: a chain of clusters is followed at most as far as a folder may be large.
 */
#include <strings.h>

#include "imgconv/disk/fat.h"

#define FOLDER_MAX MIB
#define DEPTH_MAX 8 /* of fat_list's folder */
#define ENTRY 32u
#define NAME_LEN 11u

#define ATTR_LABEL 0x08u
#define ATTR_FOLDER 0x10u
#define ATTR_LONG 0x0fu

/* Of byte 12 in a short name's entry. */
#define SMALL_NAME 0x08u
#define SMALL_EXTENSION 0x10u

#define LONG_PARTS 20u /* 255 letters, 13 in each */
#define LONG_LETTERS 13u
#define LONG_LAST 0x40u

struct fat {
	struct image *im;
	uint64_t start, length;
	unsigned bits;
	uint32_t cluster_size;   /* bytes */
	uint32_t clusters;       /* numbered from 2 */
	uint64_t fat;            /* offsets from the volume's beginning */
	uint64_t root, root_len; /* FAT12 and 16 */
	uint64_t data;
	uint32_t root_cluster; /* FAT32 */
};

/* What is known of a folder or file. */
struct node {
	bool is_folder;
	bool is_root; /* of a FAT12 or 16 */
	uint32_t cluster;
};

unsigned fat_bits(const struct fat *f)
{
	return f->bits;
}

void fat_close(struct fat *f)
{
	free(f);
}

static int read_at(struct fat *f, void *buf, size_t len, uint64_t off, struct err *e)
{
	if (!range_within(off, len, f->length))
		return err_set(e, EBADMSG, "FAT: 0x%llx lies past the volume's end",
			       (unsigned long long)off);
	return image_pread(f->im, buf, len, f->start + off, e);
}

static int parse_bpb(struct fat *f, const uint8_t *b, struct err *e)
{
	uint64_t sector = le16_get(b + 11), per_cluster = b[13], reserved = le16_get(b + 14);
	uint64_t fats = b[16], root_entries = le16_get(b + 17);
	uint64_t sectors = le16_get(b + 19) ? le16_get(b + 19) : le32_get(b + 32);
	uint64_t fat_sectors = le16_get(b + 22) ? le16_get(b + 22) : le32_get(b + 36);
	uint64_t root_sectors, before;

	if (le16_get(b + 510) != 0xaa55 || !is_pow2(sector) || sector < 512 || sector > 4096 ||
	    !is_pow2(per_cluster) || !reserved || !fats || fats > 2 || !fat_sectors)
		return err_set(e, EBADMSG, "no FAT file system");
	root_sectors = div_up(root_entries * ENTRY, sector);
	before = reserved + fats * fat_sectors + root_sectors;
	if (before >= sectors || sectors * sector > f->length)
		return err_set(e, EBADMSG, "FAT: %llu sectors do not fit the partition",
			       (unsigned long long)sectors);
	f->clusters = (uint32_t)((sectors - before) / per_cluster);
	f->bits = f->clusters < 4085 ? 12 : f->clusters < 65525 ? 16 : 32;
	if ((f->bits == 32) != !le16_get(b + 22) || (f->bits == 32) != !root_entries)
		return err_set(e, EBADMSG, "FAT: %u clusters do not fit its kind", f->clusters);
	if ((fat_sectors * sector) * 8 / f->bits < (uint64_t)f->clusters + 2)
		return err_set(e, EBADMSG, "FAT: a table of %llu sectors is too short",
			       (unsigned long long)fat_sectors);
	f->cluster_size = (uint32_t)(per_cluster * sector);
	f->fat = reserved * sector;
	f->root = (reserved + fats * fat_sectors) * sector;
	f->root_len = root_entries * ENTRY;
	f->data = before * sector;
	f->root_cluster = le32_get(b + 44);
	return 0;
}

int fat_open(struct image *im, uint64_t start, uint64_t length, struct fat **ret, struct err *e)
{
	AUTO(fat_close) struct fat *f = calloc(1, sizeof(*f));
	uint8_t boot[512];
	int rc;

	if (!f)
		return err_nomem(e);
	*f = (struct fat){.im = im, .start = start, .length = length};
	if (!range_within(start, length, image_size(im)))
		return err_set(e, EBADMSG, "the partition at 0x%llx reaches past the disk's end",
			       (unsigned long long)start);
	rc = read_at(f, boot, sizeof(boot), 0, e);
	if (rc >= 0)
		rc = parse_bpb(f, boot, e);
	if (rc < 0)
		return rc;
	*ret = STEAL(f);
	return 0;
}

/* The cluster behind `cluster`: 1 and *ret, or 0 at the chain's end. */
static int next_cluster(struct fat *f, uint32_t cluster, uint32_t *ret, struct err *e)
{
	uint64_t bit = (uint64_t)cluster * f->bits;
	uint8_t raw[4] = {0};
	uint32_t next;
	int rc = read_at(f, raw, f->bits == 32 ? 4 : 2, f->fat + bit / 8, e);

	if (rc < 0)
		return rc;
	next = le32_get(raw);
	if (f->bits == 12)
		next = (next >> bit % 8) & 0xfff;
	next &= f->bits == 12 ? 0xfffu : f->bits == 16 ? 0xffffu : 0x0fffffffu;
	if (next >= (f->bits == 12 ? 0xff8u : f->bits == 16 ? 0xfff8u : 0x0ffffff8u))
		return 0;
	*ret = next;
	return 1;
}

/* All bytes of a folder. */
static int read_folder(struct fat *f, const struct node *n, struct buf *out, struct err *e)
{
	uint32_t cluster = n->cluster;
	int rc;

	if (n->is_root) {
		if (buf_reserve(out, (size_t)f->root_len) < 0)
			return err_nomem(e);
		out->len = (size_t)f->root_len;
		out->data[out->len] = '\0';
		return read_at(f, out->data, out->len, f->root, e);
	}
	do {
		if (cluster < 2 || cluster - 2 >= f->clusters)
			return err_set(e, EBADMSG, "FAT: a folder has cluster %u of %u", cluster,
				       f->clusters);
		if (out->len + f->cluster_size > FOLDER_MAX)
			return err_set(e, EFBIG, "FAT: a folder of more than %u KiB",
				       (unsigned)(FOLDER_MAX / KIB));
		if (buf_reserve(out, f->cluster_size) < 0)
			return err_nomem(e);
		rc = read_at(f, out->data + out->len, f->cluster_size,
			     f->data + (uint64_t)(cluster - 2) * f->cluster_size, e);
		if (rc < 0)
			return rc;
		out->len += f->cluster_size;
		out->data[out->len] = '\0';
		rc = next_cluster(f, cluster, &cluster, e);
	} while (rc > 0);
	return rc;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* A long name as it comes in, part by part. */
struct long_name {
	uint16_t letters[LONG_PARTS * LONG_LETTERS];
	unsigned expected; /* the number of the next part; 0: the name is whole */
	bool any;
	uint8_t checksum;
};

static void long_name_part(struct long_name *l, const uint8_t *x)
{
	static const uint8_t at[LONG_LETTERS] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
	unsigned number = x[0] & ~LONG_LAST;

	if (x[0] & LONG_LAST) {
		l->any = number >= 1 && number <= LONG_PARTS;
		l->expected = number;
		l->checksum = x[13];
		memset(l->letters, 0, sizeof(l->letters));
	}
	if (!l->any || number != l->expected || x[13] != l->checksum) {
		l->any = false;
		return;
	}
	for (unsigned i = 0; i < LONG_LETTERS; i++)
		l->letters[(number - 1) * LONG_LETTERS + i] = le16_get(x + at[i]);
	l->expected--;
}

static uint8_t short_checksum(const uint8_t *name)
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < NAME_LEN; i++)
		sum = (uint8_t)((sum >> 1 | sum << 7) + name[i]);
	return sum;
}

/* One letter as UTF-8; halves of a pair, which file names of boot loaders have not, as '?'. */
static size_t put_utf8(char *to, uint16_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c >= 0xd800 && c < 0xe000) {
		to[0] = '?';
		return 1;
	}
	to[0] = (char)(0xe0 | c >> 12);
	to[1] = (char)(0x80 | (c >> 6 & 0x3f));
	to[2] = (char)(0x80 | (c & 0x3f));
	return 3;
}

static void name_from_long(const struct long_name *l, char *out)
{
	size_t n = 0;

	for (unsigned i = 0; i < 255 && l->letters[i] && l->letters[i] != 0xffff; i++)
		n += put_utf8(out + n, l->letters[i]);
	out[n] = '\0';
}

/*
 * "BOOTX64 EFI" as "BOOTX64.EFI"; bytes above 0x7f are of an unknown code page. Windows NT has two
 * bits for names that are in small letters otherwise.
 */
static void name_from_short(const uint8_t *x, char *out)
{
	size_t n = 0;

	for (unsigned i = 0; i < NAME_LEN; i++) {
		unsigned small = x[12] & (i < 8 ? SMALL_NAME : SMALL_EXTENSION);
		uint8_t c = x[i];

		if (c == ' ')
			continue;
		if (i >= 8 && !memchr(out, '.', n))
			out[n++] = '.';
		if (small && c >= 'A' && c <= 'Z')
			c = (uint8_t)(c - 'A' + 'a');
		out[n++] = c >= 0x80 || c < 0x20 ? '?' : (char)c;
	}
	out[n] = '\0';
}

/* ---- folders --------------------------------------------------------------------------------- */

typedef int visit_fn(void *ctx, const struct fat_entry *entry, const struct node *n,
		     const char *short_name);

static int walk(struct fat *f, const struct node *folder, visit_fn *fn, void *ctx, struct err *e)
{
	AUTO_BUF raw = BUF_INIT;
	struct long_name l = {.any = false};
	int rc = read_folder(f, folder, &raw, e);

	for (size_t at = 0; rc == 0 && at + ENTRY <= raw.len; at += ENTRY) {
		const uint8_t *x = (const uint8_t *)raw.data + at;
		struct fat_entry entry = {.is_folder = x[11] & ATTR_FOLDER,
					  .size = le32_get(x + 28)};
		struct node n = {.is_folder = entry.is_folder, .cluster = le16_get(x + 26)};
		char name[NAME_LEN + 2] = "";

		if (!x[0])
			break;
		if ((x[11] & 0x3f) == ATTR_LONG && x[0] != 0xe5) {
			long_name_part(&l, x);
			continue;
		}
		if (f->bits == 32)
			n.cluster |= (uint32_t)le16_get(x + 20) << 16;
		if (x[0] != 0xe5 && x[0] != '.' && !(x[11] & ATTR_LABEL)) {
			name_from_short(x, name);
			if (l.any && !l.expected && l.checksum == short_checksum(x))
				name_from_long(&l, entry.name);
			else
				memcpy(entry.name, name, sizeof(name));
			rc = fn(ctx, &entry, &n, name);
		}
		l.any = false;
	}
	return rc;
}

struct search {
	const char *name; /* len letters */
	size_t len;
	struct node found;
};

static bool is_name(const struct search *s, const char *name)
{
	return strlen(name) == s->len && strncasecmp(name, s->name, s->len) == 0;
}

static int search_entry(void *ctx, const struct fat_entry *x, const struct node *n,
			const char *short_name)
{
	struct search *s = ctx;

	if (!is_name(s, x->name) && !is_name(s, short_name))
		return 0;
	s->found = *n;
	return 1;
}

struct listing {
	int (*fn)(void *ctx, const struct fat_entry *x);
	void *ctx;
};

static int list_entry(void *ctx, const struct fat_entry *x, const struct node *n,
		      const char *short_name)
{
	struct listing *l = ctx;

	(void)n;
	(void)short_name;
	return l->fn(l->ctx, x);
}

int fat_list(struct fat *f, const char *folder, int (*fn)(void *ctx, const struct fat_entry *x),
	     void *ctx, struct err *e)
{
	struct node here = {
		.is_folder = true, .is_root = f->bits != 32, .cluster = f->root_cluster};
	struct listing l = {.fn = fn, .ctx = ctx};
	unsigned depth = 0;

	for (const char *s = folder; *s;) {
		struct search search = {.name = s, .len = strcspn(s, "/")};
		int rc = walk(f, &here, search_entry, &search, e);

		if (rc < 0)
			return rc;
		if (!rc || ++depth > DEPTH_MAX)
			return err_set(e, ENOENT, "FAT: there is no '%s'", folder);
		if (!search.found.is_folder)
			return err_set(e, ENOTDIR, "FAT: '%s' is no folder", folder);
		here = search.found;
		s += search.len + (s[search.len] == '/');
	}
	return walk(f, &here, list_entry, &l, e);
}
