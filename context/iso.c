/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing ISO 9660 with Rock Ridge and Joliet, by libarchive: see context/iso.h.
 *
 * Followed: ECMA-119 (ISO 9660:1988), Joliet 1995, SUSP/RRIP 1.12. What this file itself changes:
 *
 *   sector 16 ..      volume descriptors of 2048 bytes, until one of type 255
 *     +0              type: 1 primary, 2 supplementary (Joliet), 255 last
 *     +1              "CD001"
 *     +40             volume id, 32 bytes, padded with spaces (Joliet: UCS-2 big-endian)
 *     +156            record of the root folder, 34 bytes
 *     +813            four dates of 17 bytes: created, modified, expires, effective
 *   a folder's record
 *     +0              length of the record          +2   first sector, little-endian
 *     +10             bytes, little-endian          +18  date of 7 bytes
 *     +25             flags: 2 folder
 *     +32             length of the name            +33  name, a pad byte if that is even, SUSP
 *   SUSP field        2 bytes tag, length, version; "TF" has flags at +4 and dates from +5
 *
 * Not supported: links, files of several extents.
 *
 * libarchive stamps the volume and the root folder with the clock, and all dates with the time
 * zone; normalise() sets them to a fixed one, so that the same context gives the same bytes.
 */
#include "context/iso.h"

#include <archive.h>
#include <archive_entry.h>

#include "lib/fs.h"

#define SECTOR 2048u
#define FIRST_DESCRIPTOR 16u
#define VD_VOLUME_ID 40
#define VD_ROOT 156
#define VD_DATES 813
#define VD_DATE_LEN 17
#define VD_PRIMARY 1
#define VD_JOLIET 2
#define VD_LAST 255
#define REC_EXTENT 2
#define REC_SIZE 10
#define REC_DATE 18
#define REC_DATE_LEN 7
#define REC_FLAGS 25
#define REC_NAME_LEN 32
#define REC_NAME 33
#define SUSP_HEAD 4
#define TF_FIRST 5
#define JOLIET_ID_CHARS 16
#define FLAG_FOLDER 0x02
#define NAME_MAX_BYTES 64
#define COMPONENTS_MAX 6
#define FIXED_TIME 315532800 /* 1980-01-01 00:00:00 UTC */

DEFINE_AUTO(struct archive *, archive_write_free);
DEFINE_AUTO(struct archive_entry *, archive_entry_free);

static int failed(struct archive *a, const char *what, struct err *e)
{
	const char *text = archive_error_string(a);
	int code = archive_errno(a);

	if (code == ENOMEM)
		return err_nomem(e);
	return err_set(e, EIO, "%s: %s", what, text ? text : "libarchive failed");
}

static la_ssize_t collect(struct archive *a, void *data, const void *bytes, size_t len)
{
	struct buf *out = data;

	if (buf_add(out, bytes, len) < 0) {
		archive_set_error(a, ENOMEM, "out of memory");
		return -1;
	}
	return (la_ssize_t)len;
}

/* An archive's whole entry: a folder (data NULL) or a file in it. */
static int add_entry(struct archive *a, const char *path, const struct iso_file *f, struct err *e)
{
	AUTO(archive_entry_free) struct archive_entry *entry = archive_entry_new();

	if (!entry)
		return err_nomem(e);
	archive_entry_set_pathname(entry, path);
	archive_entry_set_filetype(entry, f ? AE_IFREG : AE_IFDIR);
	archive_entry_set_perm(entry, f ? 0444 : 0555);
	archive_entry_set_nlink(entry, f ? 1 : 2);
	archive_entry_set_mtime(entry, FIXED_TIME, 0);
	archive_entry_set_atime(entry, FIXED_TIME, 0);
	archive_entry_set_ctime(entry, FIXED_TIME, 0);
	archive_entry_set_size(entry, f ? (la_int64_t)f->len : 0);
	if (archive_write_header(a, entry) != ARCHIVE_OK)
		return failed(a, path, e);
	if (f && f->len && archive_write_data(a, f->data, f->len) != (la_ssize_t)f->len)
		return failed(a, path, e);
	return 0;
}

/* The folders that files[i] lies in and that no file before it lies in. */
static int add_folders(struct archive *a, const struct iso_file *files, size_t i, struct err *e)
{
	const char *name = files[i].name;
	int rc = 0;

	for (const char *slash = strchr(name, '/'); slash && rc == 0;
	     slash = strchr(slash + 1, '/')) {
		AUTO_FREE char *folder = strndup(name, (size_t)(slash - name));
		bool there = false;

		for (size_t k = 0; k < i && !there; k++)
			there = strncmp(files[k].name, name, (size_t)(slash - name) + 1) == 0;
		if (!folder)
			return err_nomem(e);
		if (!there)
			rc = add_entry(a, folder, NULL, e);
	}
	return rc;
}

static bool component_is_good(const char *name)
{
	if (!name_is_plain(name) || strlen(name) > NAME_MAX_BYTES)
		return false;
	for (const char *p = name; *p; p++) {
		if ((unsigned char)*p >= 0x7f || *p == ';' || *p == ' ' || *p == '\\')
			return false;
	}
	return true;
}

static bool name_is_good(const char *name)
{
	unsigned components = 0;

	for (;; name++) {
		size_t len = strcspn(name, "/");
		char one[NAME_MAX_BYTES + 2];

		if (len > NAME_MAX_BYTES || ++components > COMPONENTS_MAX)
			return false;
		memcpy(one, name, len);
		one[len] = '\0';
		if (!component_is_good(one))
			return false;
		name += len;
		if (!*name)
			return true;
	}
}

/* The same file, or one a folder of the other; case makes no difference to some guests. */
static bool names_clash(const char *a, const char *b)
{
	size_t len = MIN(strlen(a), strlen(b));

	return strncasecmp(a, b, len) == 0 && (!a[len] || a[len] == '/') &&
	       (!b[len] || b[len] == '/');
}

static int check_arguments(const char *volume_id, const struct iso_file *files, size_t n,
			   struct err *e)
{
	uint64_t total = 0;

	if (!*volume_id || strlen(volume_id) > JOLIET_ID_CHARS)
		return err_set(e, EINVAL, "volume id '%s' is not 1 to %d characters long",
			       volume_id, JOLIET_ID_CHARS);
	for (const char *p = volume_id; *p; p++) {
		if (*p <= ' ' || *p >= 0x7f)
			return err_set(e, EINVAL, "volume id '%s' is not printable ASCII",
				       volume_id);
	}
	for (size_t i = 0; i < n; i++) {
		if (!name_is_good(files[i].name))
			return err_set(e, EINVAL, "'%s' is no file name for an image",
				       files[i].name);
		for (size_t k = 0; k < i; k++) {
			if (names_clash(files[i].name, files[k].name))
				return err_set(e, EEXIST, "two files named '%s'", files[i].name);
		}
		if (!u64_add(total, files[i].len, &total) || total > ISO_WRITE_MAX)
			return err_set(e, EFBIG, "the files are larger than %llu bytes together",
				       (unsigned long long)ISO_WRITE_MAX);
	}
	return 0;
}

/* The same moment, FIXED_TIME, in the two forms that the standard has for it. */
static void fix_dates(unsigned char *descriptor)
{
	static const char moment[VD_DATE_LEN] = "1980010100000000"; /* and zone 0 */
	static const char never[VD_DATE_LEN] = "0000000000000000";

	memcpy(descriptor + VD_DATES, moment, VD_DATE_LEN);
	memcpy(descriptor + VD_DATES + VD_DATE_LEN, moment, VD_DATE_LEN);
	memcpy(descriptor + VD_DATES + 2 * VD_DATE_LEN, never, VD_DATE_LEN);
	memcpy(descriptor + VD_DATES + 3 * VD_DATE_LEN, never, VD_DATE_LEN);
}

static const unsigned char fixed_date[REC_DATE_LEN] = {80, 1, 1, 0, 0, 0, 0};

/* The dates of one folder record and of the Rock Ridge fields behind its name. */
static void fix_record(unsigned char *rec, size_t len)
{
	size_t off = REC_NAME + rec[REC_NAME_LEN];

	memcpy(rec + REC_DATE, fixed_date, REC_DATE_LEN);
	off += off % 2; /* a pad byte brings the fields to an even offset */
	while (len >= SUSP_HEAD && off <= len - SUSP_HEAD) {
		size_t field = rec[off + 2];

		if (field < SUSP_HEAD || field > len - off)
			return;
		if (rec[off] == 'T' && rec[off + 1] == 'F') {
			for (size_t d = TF_FIRST; d + REC_DATE_LEN <= field; d += REC_DATE_LEN)
				memcpy(rec + off + d, fixed_date, REC_DATE_LEN);
		}
		off += field;
	}
}

/* All records of a folder and of those in it; none crosses a sector's end. */
static int fix_folder(struct buf *image, const unsigned char *of, unsigned depth, struct err *e)
{
	uint64_t at = (uint64_t)le32_get(of + REC_EXTENT) * SECTOR;
	uint64_t size = le32_get(of + REC_SIZE);
	unsigned char *dir;
	int rc = 0;

	if (!range_within(at, size, image->len) || depth > COMPONENTS_MAX)
		return err_set(e, EIO, "a folder of the new image lies outside of it");
	dir = (unsigned char *)image->data + at;
	for (uint64_t off = 0; off < size && rc == 0;) {
		unsigned char *rec = dir + off;

		if (!*rec) {
			off = (off / SECTOR + 1) * SECTOR;
			continue;
		}
		if (*rec <= REC_NAME || *rec > size - off)
			return err_set(e, EIO, "a folder of the new image is not as expected");
		fix_record(rec, *rec);
		if ((rec[REC_FLAGS] & FLAG_FOLDER) &&
		    !(rec[REC_NAME_LEN] == 1 && rec[REC_NAME] <= 1)) /* "." and ".." */
			rc = fix_folder(image, rec, depth + 1, e);
		off += *rec;
	}
	return rc;
}

static void put_volume_id(unsigned char *field, const char *volume_id, bool joliet)
{
	size_t len = strlen(volume_id);

	for (size_t i = 0; i < ISO_VOLUME_ID_MAX; i++) {
		size_t at = joliet ? i / 2 : i;
		unsigned char c = at < len ? (unsigned char)volume_id[at] : ' ';

		field[i] = joliet && i % 2 == 0 ? 0 : c;
	}
}

/*
 * Behind the descriptors libarchive leaves a sector of text, which nothing refers to, with its
 * version, its options and the time.
 */
static int clear_note(struct buf *image, uint64_t at, struct err *e)
{
	if (!range_within(at, SECTOR, image->len))
		return err_set(e, EIO, "the new image ends with its descriptors");
	if (memcmp(image->data + at, "INFO ", 5) == 0)
		memset(image->data + at, 0, SECTOR);
	return 0;
}

/* Makes the image a function of its content: see the head of this file. */
static int normalise(struct buf *image, const char *volume_id, struct err *e)
{
	for (uint64_t at = (uint64_t)FIRST_DESCRIPTOR * SECTOR;; at += SECTOR) {
		unsigned char *vd;
		int rc;

		if (!range_within(at, SECTOR, image->len))
			return err_set(e, EIO, "the new image has no end of its descriptors");
		vd = (unsigned char *)image->data + at;
		if (vd[0] == VD_LAST)
			return clear_note(image, at + SECTOR, e);
		if (vd[0] != VD_PRIMARY && vd[0] != VD_JOLIET)
			continue;
		put_volume_id(vd + VD_VOLUME_ID, volume_id, vd[0] == VD_JOLIET);
		fix_dates(vd);
		memcpy(vd + VD_ROOT + REC_DATE, fixed_date, REC_DATE_LEN);
		rc = fix_folder(image, vd + VD_ROOT, 0, e);
		if (rc < 0)
			return rc;
	}
}

/* libarchive sorts what it writes; the order of files makes no difference. */
int iso_build(const char *volume_id, const struct iso_file *files, size_t n, struct buf *out,
	      struct err *e)
{
	AUTO(archive_write_free) struct archive *a = NULL;
	AUTO_BUF image = BUF_INIT;
	int rc = check_arguments(volume_id, files, n, e);

	if (rc < 0)
		return rc;
	a = archive_write_new();
	if (!a)
		return err_nomem(e);
	if (archive_write_set_format_iso9660(a) != ARCHIVE_OK ||
	    archive_write_set_options(a, "volume-id=X,application-id=ACCLIMATE,"
					 "rockridge=useful,joliet,iso-level=3,pad") != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
	    archive_write_open(a, &image, NULL, collect, NULL) != ARCHIVE_OK)
		return failed(a, "starting an ISO image", e);
	rc = add_entry(a, ".", NULL, e);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = add_folders(a, files, i, e);
		if (rc == 0)
			rc = add_entry(a, files[i].name, &files[i], e);
	}
	if (rc < 0)
		return err_wrap(e, "writing an ISO image");
	if (archive_write_close(a) != ARCHIVE_OK)
		return failed(a, "ending an ISO image", e);
	rc = normalise(&image, volume_id, e);
	if (rc < 0)
		return rc;
	return buf_add(out, image.data, image.len) < 0 ? err_nomem(e) : 0;
}

int iso_write(const char *path, const char *volume_id, const struct iso_file *files, size_t n,
	      struct err *e)
{
	AUTO_BUF image = BUF_INIT;
	int rc = iso_build(volume_id, files, n, &image, e);

	if (rc == 0 && strcmp(path, "-") == 0)
		rc = fs_write(STDOUT_FILENO, image.data, image.len, e);
	else if (rc == 0)
		rc = fs_write_file(path, image.data, image.len, 0600, e);
	return rc < 0 ? err_wrap(e, "writing '%s'", path) : 0;
}
