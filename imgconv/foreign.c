/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats that are not read here: see imgconv/foreign.h. What is looked at is where the size of the
 * disk stands, and every field that names another file or says that there is one:
 *
 *   VHDX       region tables at 192 and 256 KiB; metadata table: parent locator, HasParent
 *              ([MS-VHDX] 2.2.3, 2.6)
 *   QED        features bit 0 (backing file), backing file's offset and size
 *              (QEMU, docs/interop/qed_spec)
 *   QCOW 1     backing file's offset and size; encryption
 *   Parallels  nothing names a file (QEMU, docs/interop/parallels)
 *   DMG        the number of segments, of which others lie in files of their own (the trailer)
 *   Bochs      the kind: "Growing" stands alone, others are laid over a disk
 *   cloop      nothing names a file
 */
#include "imgconv/foreign.h"

#include <sys/stat.h>

#include "lib/fs.h"

/* More than any of them holds. */
#define SIZE_MAX_HERE (UINT64_C(1) << 50)

struct source {
	int fd;
	const struct image_head *head;
};

struct foreign_format {
	const char *name;
	uint32_t offset; /* of the magic; FROM_TAIL: in the last sector, at its beginning */
	uint32_t len;
	const char *magic;
	const char *driver; /* QEMU's name; NULL: not read by way of QEMU */
	int (*inspect)(const struct source *s, uint64_t *ret_size, struct err *e);
};
#define FROM_TAIL UINT32_MAX

static int past_end(struct err *e)
{
	return err_set(e, EBADMSG, "the file ends within its header");
}

static int refers(struct err *e)
{
	return err_set(e, EACCES, "it refers to another file");
}

/* ---- headers ----------------------------------------------------------------------------------- */

static int inspect_qed(const struct source *s, uint64_t *ret_size, struct err *e)
{
	const uint8_t *h = s->head->data;

	if (s->head->len < 64)
		return past_end(e);
	/* Offset and size count only with the bit; an honest image has none of them. */
	if (le64_get(h + 16) & 1 || le32_get(h + 56) || le32_get(h + 60))
		return refers(e);
	*ret_size = le64_get(h + 48);
	return 0;
}

static int inspect_qcow1(const struct source *s, uint64_t *ret_size, struct err *e)
{
	const uint8_t *h = s->head->data;

	if (s->head->len < 48)
		return past_end(e);
	if (be64_get(h + 8) || be32_get(h + 16))
		return refers(e);
	if (be32_get(h + 36))
		return err_set(e, ENOTSUP, "it is encrypted");
	*ret_size = be64_get(h + 24);
	return 0;
}

static int inspect_parallels(const struct source *s, uint64_t *ret_size, struct err *e)
{
	const uint8_t *h = s->head->data;
	uint64_t sectors;

	if (s->head->len < 64)
		return past_end(e);
	sectors = le64_get(h + 36);
	/* The older of the two has 32 bits. */
	if (memcmp(h, "WithoutFreeSpace", 16) == 0)
		sectors &= UINT32_MAX;
	*ret_size = sectors < SIZE_MAX_HERE / 512 ? sectors * 512 : UINT64_MAX;
	return 0;
}

static int inspect_bochs(const struct source *s, uint64_t *ret_size, struct err *e)
{
	const uint8_t *h = s->head->data;
	uint32_t version;

	if (s->head->len < 96)
		return past_end(e);
	if (memcmp(h + 32, "Redolog", 8) != 0)
		return err_set(e, ENOTSUP, "it is of a kind that is not known");
	if (memcmp(h + 48, "Growing", 8) != 0)
		return refers(e);
	version = le32_get(h + 64);
	if (version != 0x10000 && version != 0x20000)
		return err_set(e, ENOTSUP, "it is of version 0x%x", version);
	*ret_size = le64_get(h + (version == 0x10000 ? 84 : 88));
	return 0;
}

static int inspect_cloop(const struct source *s, uint64_t *ret_size, struct err *e)
{
	const uint8_t *h = s->head->data;

	if (s->head->len < 136)
		return past_end(e);
	if (!u64_mul(be32_get(h + 128), be32_get(h + 132), ret_size))
		*ret_size = UINT64_MAX;
	return 0;
}

/* A trailer of 512 bytes. */
static int inspect_dmg(const struct source *s, uint64_t *ret_size, struct err *e)
{
	const uint8_t *t = s->head->tail;
	uint64_t sectors = be64_get(t + 492);

	if (be32_get(t + 60) > 1)
		return refers(e);
	*ret_size = sectors < SIZE_MAX_HERE / 512 ? sectors * 512 : UINT64_MAX;
	return 0;
}

/* ---- VHDX -------------------------------------------------------------------------------------- */

#define VHDX_TABLE (64 * KIB) /* bytes of a region table, and of the table of metadata */
#define VHDX_ENTRIES_MAX 2047u
#define VHDX_ENTRY 32
#define VHDX_ITEM_MAX MIB

/* GUIDs as they stand in the file. */
#define GUID_METADATA "\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e"
#define GUID_PARAMETERS "\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b"
#define GUID_SIZE "\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8"
#define GUID_PARENT "\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c"

static int vhdx_two_meanings(struct err *e)
{
	return err_set(e, EBADMSG, "it says of its disk's size two things");
}

/* An item of the metadata at `base`, which has `length` bytes. */
static int vhdx_item(const struct source *s, const uint8_t *entry, uint64_t base, uint32_t length,
		     uint64_t *size, struct err *e)
{
	uint32_t off = le32_get(entry + 16), len = le32_get(entry + 20);
	bool parameters = memcmp(entry, GUID_PARAMETERS, 16) == 0;
	uint8_t value[8];
	int rc;

	if (memcmp(entry, GUID_PARENT, 16) == 0)
		return refers(e);
	if (!parameters && memcmp(entry, GUID_SIZE, 16) != 0)
		return 0;
	if (len < sizeof(value) || len > VHDX_ITEM_MAX || !range_within(off, len, length))
		return err_set(e, EBADMSG, "an item of its metadata lies outside of them");
	rc = fs_pread(s->fd, value, sizeof(value), base + off, e);
	if (rc < 0)
		return rc;
	if (parameters)
		return le32_get(value + 4) & 2 ? refers(e) : 0;
	if (*size && *size != le64_get(value))
		return vhdx_two_meanings(e);
	*size = le64_get(value);
	return 0;
}

static int vhdx_metadata(const struct source *s, uint64_t base, uint32_t length, uint64_t *size,
			 struct err *e)
{
	AUTO_FREE uint8_t *table = malloc(VHDX_TABLE);
	unsigned n;
	int rc;

	if (!table)
		return err_nomem(e);
	if (length < VHDX_TABLE || !range_within(base, length, s->head->file_size))
		return err_set(e, EBADMSG, "its metadata lie outside of the file");
	rc = fs_pread(s->fd, table, VHDX_TABLE, base, e);
	if (rc < 0)
		return rc;
	n = le16_get(table + 10);
	if (memcmp(table, "metadata", 8) != 0 || n > VHDX_ENTRIES_MAX)
		return err_set(e, EBADMSG, "its table of metadata is malformed");
	for (unsigned i = 0; rc == 0 && i < n; i++)
		rc = vhdx_item(s, table + 32 + (size_t)VHDX_ENTRY * i, base, length, size, e);
	return rc;
}

/* One of the two region tables. It counts whether or not its checksum is right: a reader that is
 * less strict than it should be is to find nothing either. */
static int vhdx_regions(const struct source *s, uint64_t at, uint64_t *size, struct err *e)
{
	AUTO_FREE uint8_t *table = malloc(VHDX_TABLE);
	uint32_t n;
	int rc;

	if (!table)
		return err_nomem(e);
	if (!range_within(at, VHDX_TABLE, s->head->file_size))
		return past_end(e);
	rc = fs_pread(s->fd, table, VHDX_TABLE, at, e);
	if (rc < 0 || memcmp(table, "regi", 4) != 0)
		return rc;
	n = le32_get(table + 8);
	if (n > VHDX_ENTRIES_MAX)
		return err_set(e, EBADMSG, "a region table has %u entries", n);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		const uint8_t *entry = table + 16 + (size_t)VHDX_ENTRY * i;

		if (memcmp(entry, GUID_METADATA, 16) == 0)
			rc = vhdx_metadata(s, le64_get(entry + 16), le32_get(entry + 24), size, e);
	}
	return rc;
}

static int inspect_vhdx(const struct source *s, uint64_t *ret_size, struct err *e)
{
	int rc;

	*ret_size = 0;
	rc = vhdx_regions(s, 192 * KIB, ret_size, e);
	if (rc == 0)
		rc = vhdx_regions(s, 256 * KIB, ret_size, e);
	return rc;
}

/* ---- all of them ------------------------------------------------------------------------------- */

static const struct foreign_format formats[] = {
	{"QCOW version 1", 0, 8, "QFI\xfb\0\0\0\1", "qcow", inspect_qcow1},
	{"VMDK (COWD)", 0, 4, "COWD", NULL, NULL},
	{"VMDK (seSparse)", 0, 8, "\xbe\xba\xfe\xca\0\0\0\0", NULL, NULL},
	{"VHDX", 0, 8, "vhdxfile", "vhdx", inspect_vhdx},
	{"QED", 0, 4, "QED\0", "qed", inspect_qed},
	{"Parallels", 0, 16, "WithoutFreeSpace", "parallels", inspect_parallels},
	{"Parallels", 0, 16, "WithouFreSpacExt", "parallels", inspect_parallels},
	{"Bochs", 0, 20, "Bochs Virtual HD Ima", "bochs", inspect_bochs},
	{"cloop", 0, 24, "#!/bin/sh\n#V2.0 Format\nm", "cloop", inspect_cloop},
	{"DMG", FROM_TAIL, 12, "koly\0\0\0\4\0\0\2\0", "dmg", inspect_dmg},
	{"LUKS", 0, 6, "LUKS\xba\xbe", NULL, NULL},
};

static bool head_has(const struct image_head *head, const struct foreign_format *f)
{
	if (f->offset == FROM_TAIL)
		return head->tail && memcmp(head->tail, f->magic, f->len) == 0;
	return head->len >= f->offset + f->len &&
	       memcmp(head->data + f->offset, f->magic, f->len) == 0;
}

const struct foreign_format *foreign_find(const struct image_head *head)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (head_has(head, &formats[i]))
			return &formats[i];
	}
	return NULL;
}

const char *foreign_name(const struct foreign_format *f)
{
	return f->name;
}

const char *foreign_advice(const struct foreign_format *f)
{
	return f->driver ? "QEMU reads them: convert --via-qemu; as raw bytes: name the format raw"
			 : "as raw bytes: name the format raw";
}

bool foreign_image_valid(const struct foreign_image *image)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (formats[i].driver &&
		    strncmp(formats[i].driver, image->driver, sizeof(image->driver)) == 0)
			return image->size && image->size <= SIZE_MAX_HERE;
	}
	return false;
}

/* The only one that the file looks like. */
static int find_only(const struct image_head *head, const struct foreign_format **ret,
		     struct err *e)
{
	*ret = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (!head_has(head, &formats[i]))
			continue;
		if (*ret)
			return err_set(e, EACCES, "it looks like both %s and %s", (*ret)->name,
				       formats[i].name);
		*ret = &formats[i];
	}
	for (size_t i = 0; image_formats[i]; i++) {
		const struct image_format *f = image_formats[i];

		if (!f->probe || !f->probe(head))
			continue;
		if (*ret)
			return err_set(e, EACCES, "it looks like both %s and %s", (*ret)->name,
				       f->name);
		return err_set(e, EINVAL, "%s images are read without QEMU", f->name);
	}
	if (!*ret)
		return err_set(e, EINVAL, "it is no image of a format that QEMU is needed for");
	if (!(*ret)->driver)
		return err_set(e, ENOTSUP, "%s images are not supported, by QEMU's help neither",
			       (*ret)->name);
	return 0;
}

static int inspect(int fd, const struct image_head *head, struct foreign_image *ret, struct err *e)
{
	const struct source s = {.fd = fd, .head = head};
	const struct foreign_format *f;
	uint64_t size = 0;
	int rc = find_only(head, &f, e);

	if (rc < 0)
		return rc;
	rc = f->inspect(&s, &size, e);
	if (rc < 0)
		return err_wrap(e, "%s", f->name);
	if (!size)
		return err_set(e, EBADMSG, "%s: its disk has no size", f->name);
	if (size > SIZE_MAX_HERE)
		return err_set(e, ENOTSUP, "%s: its disk is too large", f->name);
	*ret = (struct foreign_image){.size = size};
	memcpy(ret->driver, f->driver, strlen(f->driver));
	return 0;
}

int foreign_inspect(int fd, struct foreign_image *ret, struct err *e)
{
	AUTO_FREE uint8_t *data = malloc(IMAGE_HEAD_MAX);
	uint8_t tail[IMAGE_TAIL_SIZE];
	struct image_head head;
	struct stat st;
	int rc;

	if (!data)
		return err_nomem(e);
	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "fstat");
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "it is not a regular file");
	rc = image_head_read(fd, data, tail, &head, e);
	return rc < 0 ? rc : inspect(fd, &head, ret, e);
}
