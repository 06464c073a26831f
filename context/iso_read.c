/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading ISO 9660: see context/iso.h.
 *
 * Written here and not taken from a library, since it is the first thing that a guest does with a
 * medium that anybody may have made: it reads the descriptors, one folder and one file, and
 * allocates what the limits allow and the medium holds.
 *
 * Followed: ECMA-119 (ISO 9660:1988), Joliet 1995, SUSP/RRIP 1.12. Numbers are little-endian here;
 * the standard has each a second time, big-endian, behind it.
 *
 *	sector 16 ..       volume descriptors of 2048 bytes
 *	  +0     1         type: 1 primary, 2 supplementary, 255 the last one
 *	  +1     5         "CD001"
 *	  +40    32        volume id, padded with spaces
 *	  +88    3         supplementary: "%/@", "%/C" or "%/E" say Joliet
 *	  +128   2         block size: 2048
 *	  +156   34        record of the root folder
 *	a folder           records, none crosses a sector's end; length 0: on to the next sector
 *	  +0     1         length of the record
 *	  +1     1         blocks of an extended attribute before the data
 *	  +2     4         first block
 *	  +10    4         bytes
 *	  +25    1         flags: 2 folder, 4 associated file, 0x80 the file goes on
 *	  +26    2         interleave, none if both bytes are 0
 *	  +32    1         length of the name
 *	  +33              name (Joliet: UCS-2 big-endian), a pad byte if its length is even, SUSP
 *	a SUSP field       2 bytes tag, length of the field, version, then
 *	  "SP"             +4: 0xbe 0xef; +6: bytes before each record's SUSP
 *	  "CE"             +4: block, +12: offset in it, +20: bytes of more fields
 *	  "NM"             +4: flags (1: goes on in the next NM); +5: a part of the name
 *	  "PX"             +4: POSIX mode
 *	  "ZF"             the content is compressed (zisofs)
 *	  "ST"             end of the fields
 *
 * Not supported: other block sizes, several sessions, files of several extents or interleaved,
 * zisofs, relocated folders of Rock Ridge.
 */
#include <sys/stat.h>

#include "context/iso.h"
#include "lib/fs.h"

#define SECTOR 2048u
#define FIRST_DESCRIPTOR 16u
#define DESCRIPTORS_MAX 64u
#define VD_VOLUME_ID 40
#define VD_ESCAPE 88
#define VD_BLOCK_SIZE 128
#define VD_ROOT 156
#define VD_PRIMARY 1
#define VD_SUPPLEMENTARY 2
#define VD_LAST 255
#define REC_MIN 34
#define REC_ATTRIBUTE 1
#define REC_EXTENT 2
#define REC_SIZE 10
#define REC_FLAGS 25
#define REC_INTERLEAVE 26
#define REC_NAME_LEN 32
#define REC_NAME 33
#define FLAG_FOLDER 0x02
#define FLAG_ASSOCIATED 0x04
#define FLAG_GOES_ON 0x80
#define SUSP_HEAD 4
#define SUSP_VALUE 4
#define SP_LEN 7
#define CE_LEN 28
#define NM_NAME 5
#define NM_CONTINUES 1
#define PX_MIN 8
#define CONTINUATIONS_MAX 16
#define NAME_BYTES 255
#define DEPTH_MAX 8   /* of folders */
#define WALK_MAX 4096 /* files and folders that are walked over */

struct volume {
	int fd;
	const char *where;
	uint64_t size; /* bytes of the medium */
	unsigned char root[REC_MIN], joliet_root[REC_MIN];
	bool has_joliet;
};

/* How a folder's names are written. */
enum naming {
	NAMES_BARE,
	NAMES_JOLIET,
	NAMES_ROCK_RIDGE,
};

/* An open volume and the folder that is looked at. */
struct view {
	struct volume v;
	enum naming naming;
	size_t skip; /* bytes before each record's SUSP */
};

/* A record's name and what else decides about it. */
struct entry {
	char name[NAME_BYTES + 1];
	size_t len;
	bool has_name;   /* by Rock Ridge */
	bool special;    /* no regular file, by Rock Ridge */
	bool compressed; /* zisofs */
};

static int bad(const struct volume *v, struct err *e, const char *what, uint64_t at)
{
	return err_set(e, EBADMSG, "'%s' is no sound ISO 9660 image: %s at 0x%llx", v->where, what,
		       (unsigned long long)at);
}

/* Reads bytes that must be there. */
static int get(const struct volume *v, void *to, size_t len, uint64_t at, const char *what,
	       struct err *e)
{
	if (!range_within(at, len, v->size))
		return bad(v, e, what, at);
	return fs_pread(v->fd, to, len, at, e) < 0 ? err_wrap(e, "reading '%s'", v->where) : 0;
}

/* ---- descriptors ------------------------------------------------------------------------- */

int iso_volume_id(int fd, char ret[ISO_VOLUME_ID_MAX + 1], struct err *e)
{
	unsigned char vd[SECTOR];
	size_t got = 0, len = ISO_VOLUME_ID_MAX;

	while (got < sizeof(vd)) {
		off_t at = (off_t)FIRST_DESCRIPTOR * SECTOR + (off_t)got;
		ssize_t n = pread(fd, vd + got, sizeof(vd) - got, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "reading sector %u", FIRST_DESCRIPTOR);
		if (n == 0)
			return 0; /* shorter than any image */
		got += (size_t)n;
	}
	if (vd[0] != VD_PRIMARY || memcmp(vd + 1, "CD001", 5) != 0)
		return 0;
	while (len && (vd[VD_VOLUME_ID + len - 1] == ' ' || vd[VD_VOLUME_ID + len - 1] == '\0'))
		len--;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = vd[VD_VOLUME_ID + i];

		ret[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
	ret[len] = '\0';
	return 1;
}

static bool is_joliet(const unsigned char *vd)
{
	const unsigned char *escape = vd + VD_ESCAPE;

	return escape[0] == '%' && escape[1] == '/' &&
	       (escape[2] == '@' || escape[2] == 'C' || escape[2] == 'E');
}

static int open_volume(struct volume *v, struct err *e)
{
	off_t end = lseek(v->fd, 0, SEEK_END);
	bool has_primary = false;

	if (end < 0)
		return err_errno(e, errno, "finding the size of '%s'", v->where);
	v->size = (uint64_t)end;
	for (unsigned i = 0; i < DESCRIPTORS_MAX; i++) {
		uint64_t at = (uint64_t)(FIRST_DESCRIPTOR + i) * SECTOR;
		unsigned char vd[SECTOR];
		int rc = get(v, vd, sizeof(vd), at, "its descriptors end", e);

		if (rc < 0)
			return rc;
		if (memcmp(vd + 1, "CD001", 5) != 0)
			return bad(v, e, "no descriptor", at);
		if (vd[0] == VD_LAST)
			return has_primary ? 0 : bad(v, e, "no primary descriptor", at);
		if (vd[0] != VD_PRIMARY && (vd[0] != VD_SUPPLEMENTARY || !is_joliet(vd)))
			continue;
		if (le16_get(vd + VD_BLOCK_SIZE) != SECTOR)
			return err_set(e, ENOTSUP, "'%s': ISO 9660 with blocks of %u bytes",
				       v->where, le16_get(vd + VD_BLOCK_SIZE));
		if (vd[0] == VD_PRIMARY && !has_primary) {
			memcpy(v->root, vd + VD_ROOT, REC_MIN);
			has_primary = true;
		} else if (vd[0] == VD_SUPPLEMENTARY) {
			memcpy(v->joliet_root, vd + VD_ROOT, REC_MIN);
			v->has_joliet = true;
		}
	}
	return bad(v, e, "too many descriptors", (uint64_t)FIRST_DESCRIPTOR * SECTOR);
}

/* The bytes that a record is about, at most limit of them, appended to out. */
static int read_extent(const struct volume *v, const unsigned char *rec, const char *what,
		       size_t limit, struct buf *out, struct err *e)
{
	uint64_t at = ((uint64_t)le32_get(rec + REC_EXTENT) + rec[REC_ATTRIBUTE]) * SECTOR;
	uint64_t size = le32_get(rec + REC_SIZE);
	int rc;

	if (size > limit)
		return err_set(e, EFBIG, "'%s' in '%s' is larger than %zu bytes", what, v->where,
			       limit);
	if (!size)
		return 0;
	if (!range_within(at, size, v->size))
		return bad(v, e, "data outside of it", at);
	if (buf_reserve(out, size) < 0)
		return err_nomem(e);
	rc = get(v, out->data + out->len, size, at, what, e);
	if (rc < 0)
		return rc;
	out->len += size;
	out->data[out->len] = '\0';
	return 0;
}

/* ---- Rock Ridge --------------------------------------------------------------------------- */

static void take_name(struct entry *en, const unsigned char *part, size_t len)
{
	if (len > NAME_BYTES - en->len)
		len = NAME_BYTES - en->len;
	memcpy(en->name + en->len, part, len);
	en->len += len;
	en->name[en->len] = '\0';
	en->has_name = true;
}

/* One area of fields; *more is where a "CE" sends us, its first field 0 if none did. */
static void take_fields(const unsigned char *p, size_t len, struct entry *en, uint32_t more[3])
{
	more[0] = 0;
	while (len >= SUSP_HEAD) {
		size_t field = p[2];

		if (field < SUSP_HEAD || field > len || memcmp(p, "ST", 2) == 0)
			return;
		if (memcmp(p, "NM", 2) == 0 && field > NM_NAME)
			take_name(en, p + NM_NAME, field - NM_NAME);
		else if (memcmp(p, "PX", 2) == 0 && field >= PX_MIN)
			en->special |= !S_ISREG(le32_get(p + SUSP_VALUE));
		else if (memcmp(p, "ZF", 2) == 0)
			en->compressed = true;
		else if (memcmp(p, "CE", 2) == 0 && field >= CE_LEN) {
			more[0] = le32_get(p + SUSP_VALUE);
			more[1] = le32_get(p + SUSP_VALUE + 8);
			more[2] = le32_get(p + SUSP_VALUE + 16);
		}
		p += field;
		len -= field;
	}
}

/* All fields of a record, those in continuation areas too. */
static int take_susp(const struct volume *v, const unsigned char *rec, size_t skip,
		     struct entry *en, struct err *e)
{
	size_t off = REC_NAME + rec[REC_NAME_LEN];
	uint32_t more[3] = {0};

	off += off % 2 + skip;
	if (off < rec[0])
		take_fields(rec + off, rec[0] - off, en, more);
	for (unsigned i = 0; more[0]; i++) {
		unsigned char area[SECTOR];
		uint64_t at = (uint64_t)more[0] * SECTOR + more[1];
		int rc;

		if (i >= CONTINUATIONS_MAX || more[2] > sizeof(area))
			return bad(v, e, "an endless record", at);
		rc = get(v, area, more[2], at, "a record that goes on outside of it", e);
		if (rc < 0)
			return rc;
		take_fields(area, more[2], en, more);
	}
	return 0;
}

/* The "." record says whether there is Rock Ridge. */
static bool has_susp(const unsigned char *rec, size_t *skip)
{
	size_t off = REC_NAME + rec[REC_NAME_LEN];
	const unsigned char *p;

	off += off % 2;
	p = rec + off;
	if (off + SP_LEN > rec[0] || memcmp(p, "SP", 2) != 0 || p[2] < SP_LEN || p[4] != 0xbe ||
	    p[5] != 0xef)
		return false;
	*skip = p[6];
	return true;
}

/* ---- names ---------------------------------------------------------------------------------- */

/* UCS-2 to ASCII; what is not ASCII becomes a byte that no name of ours has. */
static void take_joliet(const unsigned char *name, size_t len, struct entry *en)
{
	for (size_t i = 0; i + 1 < len && en->len < NAME_BYTES; i += 2) {
		unsigned c = be16_get(name + i);

		en->name[en->len++] = c && c < 0x80 ? (char)c : '\x1a';
	}
	en->name[en->len] = '\0';
}

/* "CONTEXT.SH;1" and "NAME." lose what is behind the name. */
static void strip(struct entry *en)
{
	char *version = strrchr(en->name, ';');

	if (version)
		*version = '\0';
	en->len = strlen(en->name);
	if (en->len && en->name[en->len - 1] == '.')
		en->name[--en->len] = '\0';
}

static int name_entry(const struct volume *v, const unsigned char *rec, enum naming naming,
		      size_t skip, struct entry *en, struct err *e)
{
	*en = (struct entry){.len = 0};
	if (naming == NAMES_ROCK_RIDGE) {
		int rc = take_susp(v, rec, skip, en, e);

		if (rc < 0 || en->has_name)
			return rc;
	}
	if (naming == NAMES_JOLIET)
		take_joliet(rec + REC_NAME, rec[REC_NAME_LEN], en);
	else
		take_name(en, rec + REC_NAME, rec[REC_NAME_LEN]);
	strip(en);
	return 0;
}

/* ---- the folder ------------------------------------------------------------------------------ */

/* The record at *at, moved past the end of a sector; NULL behind the last one, or if it is bad. */
static const unsigned char *record_at(const struct buf *folder, size_t *at)
{
	const unsigned char *p = (const unsigned char *)folder->data;

	while (*at < folder->len && p[*at] == 0)
		*at = (*at / SECTOR + 1) * SECTOR;
	if (*at >= folder->len || p[*at] > folder->len - *at || p[*at] < REC_MIN)
		return NULL;
	p += *at;
	return REC_NAME + p[REC_NAME_LEN] <= p[0] ? p : NULL;
}

static bool is_dot(const unsigned char *rec)
{
	return rec[REC_NAME_LEN] == 1 && rec[REC_NAME] <= 1;
}

/* The record of that name, a file's or a folder's. Errors: ENOENT and what reading gives. */
static int find(const struct view *w, const struct buf *folder, const char *name, size_t len,
		bool want_folder, const unsigned char **ret, struct err *e)
{
	bool exact = false;
	size_t at = 0;
	const unsigned char *rec;

	*ret = NULL;
	for (; (rec = record_at(folder, &at)); at += rec[0]) {
		struct entry en;
		int rc;

		if ((rec[REC_FLAGS] & FLAG_ASSOCIATED) || is_dot(rec) ||
		    !(rec[REC_FLAGS] & FLAG_FOLDER) == want_folder)
			continue;
		rc = name_entry(&w->v, rec, w->naming, w->skip, &en, e);
		if (rc < 0)
			return rc;
		if ((en.special && !want_folder) || en.len != len ||
		    strncasecmp(en.name, name, len) != 0 || exact ||
		    (*ret && strncmp(en.name, name, len) != 0))
			continue;
		if (en.compressed || (rec[REC_FLAGS] & FLAG_GOES_ON) || rec[REC_INTERLEAVE] ||
		    rec[REC_INTERLEAVE + 1])
			return err_set(e, ENOTSUP, "'%.*s' in '%s' is compressed or in pieces",
				       (int)len, name, w->v.where);
		*ret = rec;
		exact = strncmp(en.name, name, len) == 0;
	}
	if (at < folder->len)
		return bad(&w->v, e, "a bad record in one of its folders,", at);
	return *ret ? 0 : err_set(e, ENOENT, "no file '%.*s' in '%s'", (int)len, name, w->v.where);
}

/* Opens the volume, chooses how names are read, and reads the root folder. */
static int open_view(struct view *w, struct buf *folder, struct err *e)
{
	const unsigned char *rec;
	size_t at = 0;
	int rc = open_volume(&w->v, e);

	if (rc == 0)
		rc = read_extent(&w->v, w->v.root, "/", ISO_FOLDER_MAX, folder, e);
	if (rc < 0)
		return rc;
	rec = record_at(folder, &at);
	if (rec && has_susp(rec, &w->skip)) {
		w->naming = NAMES_ROCK_RIDGE;
	} else if (w->v.has_joliet) {
		w->naming = NAMES_JOLIET;
		buf_clear(folder);
		rc = read_extent(&w->v, w->v.joliet_root, "/", ISO_FOLDER_MAX, folder, e);
	}
	return rc;
}

int iso_read_file(int fd, const char *name_for_messages, const char *path, size_t limit,
		  struct buf *out, struct err *e)
{
	struct view w = {.v = {.fd = fd, .where = name_for_messages}};
	AUTO_BUF folder = BUF_INIT;
	const unsigned char *found;
	unsigned char rec[REC_MIN];
	int rc = open_view(&w, &folder, e);

	for (const char *slash; rc == 0 && (slash = strchr(path, '/')); path = slash + 1) {
		rc = find(&w, &folder, path, (size_t)(slash - path), true, &found, e);
		if (rc < 0)
			return rc;
		memcpy(rec, found, REC_MIN); /* found lies in the folder that goes now */
		buf_clear(&folder);
		rc = read_extent(&w.v, rec, path, ISO_FOLDER_MAX, &folder, e);
	}
	if (rc == 0)
		rc = find(&w, &folder, path, strlen(path), false, &found, e);
	return rc < 0 ? rc : read_extent(&w.v, found, path, limit, out, e);
}

/* ---- all files ------------------------------------------------------------------------------- */

struct walk {
	struct view w;
	iso_walk_fn *fn;
	void *arg;
	size_t left;    /* bytes of files that may still be read */
	size_t folders; /* the same of folders */
	unsigned seen;  /* records */
};

static int walk_folder(struct walk *k, const struct buf *folder, const char *prefix, unsigned depth,
		       struct err *e);

static int walk_entry(struct walk *k, const unsigned char *rec, const char *path, unsigned depth,
		      struct err *e)
{
	AUTO_BUF content = BUF_INIT;
	bool is_folder = rec[REC_FLAGS] & FLAG_FOLDER;
	int rc;

	if (++k->seen > WALK_MAX)
		return err_set(e, EFBIG, "'%s' has more than %d files", k->w.v.where, WALK_MAX);
	if (is_folder && depth >= DEPTH_MAX)
		return err_set(e, EFBIG, "'%s' has more than %d folders in each other",
			       k->w.v.where, DEPTH_MAX);
	rc = read_extent(&k->w.v, rec, path, is_folder ? k->folders : k->left, &content, e);
	if (rc < 0)
		return rc;
	if (is_folder) {
		k->folders -= content.len;
		return walk_folder(k, &content, path, depth + 1, e);
	}
	k->left -= content.len;
	return k->fn(k->arg, path, content.data, content.len, e);
}

static int walk_folder(struct walk *k, const struct buf *folder, const char *prefix, unsigned depth,
		       struct err *e)
{
	const unsigned char *rec;
	size_t at = 0;

	for (; (rec = record_at(folder, &at)); at += rec[0]) {
		AUTO_FREE char *path = NULL;
		struct entry en;
		int rc;

		if ((rec[REC_FLAGS] & FLAG_ASSOCIATED) || is_dot(rec))
			continue;
		rc = name_entry(&k->w.v, rec, k->w.naming, k->w.skip, &en, e);
		if (rc < 0)
			return rc;
		if (!name_is_plain(en.name) || en.compressed || rec[REC_FLAGS] & FLAG_GOES_ON ||
		    (en.special && !(rec[REC_FLAGS] & FLAG_FOLDER)))
			continue;
		for (char *p = en.name; k->w.naming == NAMES_BARE && *p; p++)
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 'a' - 'A') : *p;
		path = *prefix ? path_join(prefix, en.name) : strdup(en.name);
		if (!path)
			return err_nomem(e);
		rc = walk_entry(k, rec, path, depth, e);
		if (rc < 0)
			return rc;
	}
	return at < folder->len ? bad(&k->w.v, e, "a bad record in one of its folders,", at) : 0;
}

int iso_walk(int fd, const char *name_for_messages, size_t limit, iso_walk_fn *fn, void *arg,
	     struct err *e)
{
	struct walk k = {.w.v = {.fd = fd, .where = name_for_messages},
			 .fn = fn,
			 .arg = arg,
			 .left = limit,
			 .folders = ISO_FOLDER_MAX};
	AUTO_BUF folder = BUF_INIT;
	int rc = open_view(&k.w, &folder, e);

	return rc < 0 ? rc : walk_folder(&k, &folder, "", 1, e);
}
