/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FAT volumes: see ctxd/fat.h. Microsoft, FAT32 File System Specification 1.03.
 *
 *	boot sector
 *	  +11 2 bytes a sector    +13 1 sectors a cluster  +14 2 sectors before the tables
 *	  +16 1 tables            +17 2 entries of the root folder (0: FAT32)
 *	  +19 2 sectors in all    +22 2 sectors of a table  +32 4, +36 4 the same, large
 *	  +44 4 first cluster of the root folder (FAT32)    +43 or +71 (FAT32) 11 label
 *	entry of a folder, 32 bytes
 *	  +0 11 name   +11 1 attributes   +12 1 case   +20 2, +26 2 first cluster   +28 4 size
 *	  a long name stands in entries before: +0 number (0x40: the last part comes first),
 *	  UTF-16 at +1 (5), +14 (6), +28 (2)
 */
#include "ctxd/fat.h"

#include <stdio.h>

#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/str.h"

#define SECTOR 512
#define TABLE_MAX (16 * MIB)
#define FILES_MAX 4096
#define DEPTH_MAX 8
#define FOLDER_MAX MIB
#define ENTRY_LEN 32
#define PART_CHARS 13
#define LONG_MAX 260 /* characters: 20 parts */

#define ATTR_LABEL 0x08
#define ATTR_FOLDER 0x10
#define ATTR_LONG 0x0f

struct fat {
	int fd;
	const char *name;
	unsigned bits;
	uint32_t sector, cluster; /* bytes */
	uint64_t table_at, root_at, data_at;
	uint32_t root_entries, root_cluster, clusters;
	unsigned char *table;
	size_t table_len;
	char label[FAT_LABEL_MAX + 1]; /* of the boot sector */
	/* of a walk */
	size_t left, files;
	fat_walk_fn *fn;
	void *arg;
	struct err *e;
};

static void fat_release(struct fat *f)
{
	free(f->table);
}
DEFINE_AUTO_STRUCT(struct fat, fat_release);

static void take_label(const unsigned char *p, char ret[FAT_LABEL_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < FAT_LABEL_MAX; i++) {
		ret[i] = p[i] >= ' ' && p[i] < 0x7f ? (char)p[i] : '?';
		if (p[i] != ' ')
			n = i + 1;
	}
	ret[n] = '\0';
}

/* ---- the boot sector --------------------------------------------------------------------- */

/* Returns 1 if it is one. */
static int parse_boot(struct fat *f, const unsigned char *b)
{
	uint64_t sectors = le16_get(b + 19), table = le16_get(b + 22), reserved = le16_get(b + 14);
	uint64_t data, tables = b[16], per_cluster = b[13];

	f->sector = le16_get(b + 11);
	f->root_entries = le16_get(b + 17);
	if (!sectors)
		sectors = le32_get(b + 32);
	if (!table)
		table = le32_get(b + 36);
	if (b[510] != 0x55 || b[511] != 0xaa || !is_pow2(f->sector) || f->sector < 512 ||
	    f->sector > 4096 || !is_pow2(per_cluster) || !reserved || !tables || tables > 4 ||
	    !table)
		return 0;
	data = reserved + tables * table + div_up((uint64_t)f->root_entries * ENTRY_LEN, f->sector);
	if (data >= sectors)
		return 0;
	f->cluster = (uint32_t)(per_cluster * f->sector);
	f->clusters = (uint32_t)MIN((sectors - data) / per_cluster, UINT32_MAX / 2);
	f->bits = f->clusters < 4085 ? 12 : f->clusters < 65525 ? 16 : 32;
	if ((f->bits == 32) != !f->root_entries)
		return 0;
	f->root_cluster = f->bits == 32 ? le32_get(b + 44) : 0;
	f->table_at = reserved * f->sector;
	f->root_at = (reserved + tables * table) * f->sector;
	f->data_at = data * f->sector;
	f->table_len =
		(size_t)MIN(table * f->sector, ((uint64_t)f->clusters + 2) * f->bits / 8 + 1);
	take_label(b + (f->bits == 32 ? 71 : 43), f->label);
	return 1;
}

static int open_volume(struct fat *f, struct err *e)
{
	unsigned char b[SECTOR];
	ssize_t n = pread(f->fd, b, sizeof(b), 0);

	if (n < 0)
		return err_errno(e, errno, "reading '%s'", f->name);
	return n == (ssize_t)sizeof(b) && parse_boot(f, b);
}

static int load_table(struct fat *f, struct err *e)
{
	if (f->table_len > TABLE_MAX)
		return err_set(e, EFBIG, "'%s' is too large a volume for a context", f->name);
	f->table = malloc(f->table_len + 4);
	if (!f->table)
		return err_nomem(e);
	return fs_pread(f->fd, f->table, f->table_len, f->table_at, e);
}

/* The cluster behind c; 0 at the end, or where the table is damaged. */
static uint32_t next_cluster(const struct fat *f, uint32_t c)
{
	size_t at = (size_t)c * f->bits / 8;
	uint32_t v;

	if (at + (f->bits == 32 ? 4 : 2) > f->table_len)
		return 0;
	if (f->bits == 12)
		v = c & 1 ? le16_get(f->table + at) >> 4 : le16_get(f->table + at) & 0xfff;
	else
		v = f->bits == 16 ? le16_get(f->table + at)
				  : le32_get(f->table + at) & UINT32_C(0xfffffff);
	return v >= 2 && v < f->clusters + 2 ? v : 0;
}

/* ---- contents ---------------------------------------------------------------------------- */

static int damaged(const struct fat *f, const char *what)
{
	return err_set(f->e, EBADMSG, "'%s' is no sound FAT volume: %s", f->name, what);
}

/* len bytes from cluster c on; a folder's length is that of its chain (len is the limit). */
static int read_chain(const struct fat *f, uint32_t c, size_t len, bool folder, struct buf *out)
{
	for (uint32_t steps = 0; out->len < len; steps++) {
		size_t part = MIN(len - out->len, f->cluster);

		if (c < 2 || c >= f->clusters + 2 || steps > f->clusters)
			return folder && steps ? 0 : damaged(f, "a chain of clusters is cut");
		if (buf_reserve(out, part) < 0)
			return err_nomem(f->e);
		if (fs_pread(f->fd, out->data + out->len, part,
			     f->data_at + (uint64_t)(c - 2) * f->cluster, f->e) < 0)
			return err_wrap(f->e, "'%s'", f->name);
		out->len += part;
		out->data[out->len] = '\0';
		c = next_cluster(f, c);
		if (folder && !c)
			return 0;
	}
	return folder ? err_set(f->e, EFBIG, "'%s': a folder is too large", f->name) : 0;
}

static int read_root(const struct fat *f, struct buf *out)
{
	size_t len = (size_t)f->root_entries * ENTRY_LEN;

	if (f->bits == 32)
		return read_chain(f, f->root_cluster, FOLDER_MAX, true, out);
	if (buf_reserve(out, len) < 0)
		return err_nomem(f->e);
	if (fs_pread(f->fd, out->data, len, f->root_at, f->e) < 0)
		return err_wrap(f->e, "'%s'", f->name);
	out->len = len;
	return 0;
}

/* ---- names ------------------------------------------------------------------------------- */

struct long_name {
	uint16_t chars[LONG_MAX];
	unsigned next; /* number of the part that is to come; 0: complete */
	bool valid;
};

static void take_part(struct long_name *l, const unsigned char *entry)
{
	static const unsigned char places[PART_CHARS] = {1,  3,  5,  7,  9,  14, 16,
							 18, 20, 22, 24, 28, 30};
	unsigned number = entry[0] & 0x3fu;

	if (entry[0] & 0x40) {
		memset(l, 0, sizeof(*l));
		l->valid = number >= 1 && number <= LONG_MAX / PART_CHARS;
		l->next = number;
	}
	if (!l->valid || number != l->next || !number) {
		l->valid = false;
		return;
	}
	for (unsigned i = 0; i < PART_CHARS; i++)
		l->chars[(number - 1) * PART_CHARS + i] = le16_get(entry + places[i]);
	l->next--;
}

/* ASCII alone: the names that matter are. Others become '?', and so are not plain enough to use. */
static void long_text(const struct long_name *l, char out[LONG_MAX + 1])
{
	unsigned n = 0;

	for (; n < LONG_MAX && l->chars[n] && l->chars[n] != 0xffff; n++)
		out[n] = l->chars[n] < 0x80 ? (char)l->chars[n] : '?';
	out[n] = '\0';
}

/* "README  TXT" to "README.TXT"; two bits say that a part is in lower case. */
static void short_text(const unsigned char *entry, char out[LONG_MAX + 1])
{
	unsigned n = 0;

	for (unsigned i = 0; i < 11; i++) {
		unsigned char c = entry[i];
		bool lower = entry[12] & (i < 8 ? 0x08 : 0x10);

		if (c == ' ')
			continue;
		if (i >= 8 && !memchr(out, '.', n))
			out[n++] = '.';
		out[n++] = lower && c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : (char)c;
	}
	out[n] = '\0';
}

/* ---- the walk ---------------------------------------------------------------------------- */

static int walk_folder(struct fat *f, const struct buf *folder, const char *path, unsigned depth);

static int visit(struct fat *f, const unsigned char *entry, const char *name, const char *path,
		 unsigned depth)
{
	uint32_t first =
		(f->bits == 32 ? (uint32_t)le16_get(entry + 20) << 16 : 0) | le16_get(entry + 26);
	AUTO_FREE char *full = str_format("%s%s%s", path, *path ? "/" : "", name);
	uint32_t size = le32_get(entry + 28);
	AUTO_BUF data = BUF_INIT;
	int rc;

	if (!full)
		return err_nomem(f->e);
	if (++f->files > FILES_MAX || depth > DEPTH_MAX)
		return err_set(f->e, EFBIG, "'%s' has too many files", f->name);
	if (entry[11] & ATTR_FOLDER) {
		rc = read_chain(f, first, FOLDER_MAX, true, &data);
		return rc < 0 ? rc : walk_folder(f, &data, full, depth + 1);
	}
	if (size > f->left)
		return err_set(f->e, EFBIG, "'%s': its files are too large", f->name);
	f->left -= size;
	rc = size ? read_chain(f, first, size, false, &data) : 0;
	return rc < 0 ? rc : f->fn(f->arg, full, buf_str(&data), data.len, f->e);
}

static int walk_folder(struct fat *f, const struct buf *folder, const char *path, unsigned depth)
{
	struct long_name l = {0};
	int rc = 0;

	for (size_t at = 0; rc == 0 && at + ENTRY_LEN <= folder->len; at += ENTRY_LEN) {
		const unsigned char *entry = (const unsigned char *)folder->data + at;
		char name[LONG_MAX + 1];

		if (!entry[0])
			break;
		if ((entry[11] & 0x3f) == ATTR_LONG && entry[0] != 0xe5) {
			take_part(&l, entry);
			continue;
		}
		if (l.valid && !l.next)
			long_text(&l, name);
		else
			short_text(entry, name);
		l.valid = false;
		if (entry[0] != 0xe5 && !(entry[11] & ATTR_LABEL) && entry[0] != '.' &&
		    name_is_plain(name) && !strchr(name, '?'))
			rc = visit(f, entry, name, path, depth);
	}
	return rc;
}

int fat_walk(int fd, const char *name_for_messages, size_t limit, fat_walk_fn *fn, void *arg,
	     struct err *e)
{
	AUTO(fat_release)
	struct fat f = {.fd = fd, .name = name_for_messages, .left = limit, .fn = fn, .arg = arg};
	AUTO_BUF root = BUF_INIT;
	struct err mine = {0};
	int rc;

	f.e = e ? e : &mine;
	rc = open_volume(&f, f.e);
	if (rc == 0)
		return err_set(f.e, EBADMSG, "'%s' is no FAT volume", f.name);
	if (rc > 0)
		rc = load_table(&f, f.e);
	if (rc == 0)
		rc = read_root(&f, &root);
	return rc < 0 ? rc : walk_folder(&f, &root, "", 1);
}

int fat_label(int fd, char ret[FAT_LABEL_MAX + 1], struct err *e)
{
	AUTO(fat_release) struct fat f = {.fd = fd, .name = "volume"};
	AUTO_BUF root = BUF_INIT;
	struct err mine = {0};
	int rc;

	f.e = e ? e : &mine;
	rc = open_volume(&f, f.e);
	if (rc <= 0)
		return rc;
	memcpy(ret, f.label, sizeof(f.label));
	/* Both are set when the file system is made; the root folder is read where need be. */
	if ((*f.label && strcmp(f.label, "NO NAME") != 0) ||
	    (f.bits == 32 && load_table(&f, NULL) < 0))
		return 1;
	f.e = &mine;
	if (read_root(&f, &root) < 0)
		return 1;
	for (size_t at = 0; at + ENTRY_LEN <= root.len && root.data[at]; at += ENTRY_LEN) {
		const unsigned char *entry = (const unsigned char *)root.data + at;

		if ((entry[11] & 0x3f) == ATTR_LABEL && entry[0] != 0xe5)
			take_label(entry, ret);
	}
	return 1;
}
