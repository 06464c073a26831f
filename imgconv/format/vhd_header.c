/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VHD: the footer, its copy at the beginning, the dynamic disk header. Whatever two readers could
 * understand in two ways is a fault; faults are kept, so that a damaged image can be looked at.
 */
#include <stdarg.h>
#include <stdio.h>

#include "imgconv/format/vhd.h"
#include "lib/fs.h"

/* What a damaged footer may be after all. */
#define OR_RAW "; to read it as a raw disk name the format raw"

uint32_t vhd_checksum(const uint8_t *p, size_t len, size_t at)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++) {
		if (i < at || i >= at + 4)
			sum += p[i];
	}
	return ~sum;
}

int vhd_fault(struct vhd *v, int code, uint64_t offset, struct err *e, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!v->refusal.code)
		err_set(&v->refusal, code, "%s (at 0x%llx)", text, (unsigned long long)offset);
	return image_check_add(&v->faults, IMAGE_FINDING_ERROR, offset, 0, e, "%s", text);
}

static bool has_cookie(const uint8_t *p)
{
	return memcmp(p, VHD_COOKIE, strlen(VHD_COOKIE)) == 0;
}

bool vhd_probe(const struct image_head *head)
{
	if (head->len >= VHD_FOOTER_SIZE && has_cookie(head->data))
		return true;
	return head->tail && (has_cookie(head->tail) || has_cookie(head->tail + 1));
}

/* ---- the footer and its copy ---------------------------------------------------------------- */

/* A footer that may be there. */
struct footer {
	uint8_t bytes[VHD_FOOTER_SIZE];
	uint64_t offset;
	bool found; /* has the cookie */
	bool sound; /* and the checksum */
};

static void look_at_footer(struct footer *f)
{
	f->found = has_cookie(f->bytes);
	f->sound = f->found && be32_get(f->bytes + FOOTER_CHECKSUM) ==
				       vhd_checksum(f->bytes, sizeof(f->bytes), FOOTER_CHECKSUM);
}

static int read_footers(struct vhd *v, struct footer *tail, struct footer *copy, struct err *e)
{
	uint64_t file_size = v->common.file_size;
	int rc;

	if (file_size < VHD_FOOTER_SIZE)
		return err_set(e, EBADMSG, "%llu bytes are too few for a VHD",
			       (unsigned long long)file_size);
	tail->offset = file_size - VHD_FOOTER_SIZE;
	rc = image_file_read(&v->common, tail->bytes, VHD_FOOTER_SIZE, tail->offset, e);
	if (rc == 0 && has_cookie(tail->bytes + 1)) {
		/* 511 bytes: the last one is missing, and counts as zero. */
		memmove(tail->bytes, tail->bytes + 1, VHD_OLD_FOOTER_SIZE);
		tail->bytes[VHD_OLD_FOOTER_SIZE] = 0;
		tail->offset++;
	}
	if (rc == 0)
		rc = image_file_read(&v->common, copy->bytes, VHD_FOOTER_SIZE, 0, e);
	look_at_footer(tail);
	look_at_footer(copy);
	return rc;
}

/* Names what differs between footer and copy. */
static int compare_footers(struct vhd *v, const struct footer *tail, const struct footer *copy,
			   struct err *e)
{
	static const struct {
		unsigned offset;
		const char *name;
	} fields[] = {
		{FOOTER_FEATURES, "features"},
		{FOOTER_VERSION, "version"},
		{FOOTER_DATA_OFFSET, "header's offset"},
		{FOOTER_TIMESTAMP, "time stamp"},
		{FOOTER_CREATOR, "creator"},
		{FOOTER_ORIGINAL_SIZE, "original size"},
		{FOOTER_CURRENT_SIZE, "current size"},
		{FOOTER_CYLINDERS, "geometry"},
		{FOOTER_TYPE, "type"},
		{FOOTER_CHECKSUM, NULL}, /* follows from the others */
		{FOOTER_UUID, "UUID"},
		{FOOTER_SAVED_STATE, "saved state"},
		{FOOTER_RESERVED, "reserved bytes"},
	};
	/* An old footer is one byte shorter. */
	unsigned whole = (unsigned)MIN(v->common.file_size - tail->offset, VHD_FOOTER_SIZE);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(fields); i++) {
		unsigned at = fields[i].offset;
		unsigned end = i + 1 < ARRAY_SIZE(fields) ? fields[i + 1].offset : whole;

		if (fields[i].name && memcmp(tail->bytes + at, copy->bytes + at, end - at) != 0)
			rc = vhd_fault(v, EBADMSG, tail->offset + at, e,
				       "the footer and its copy at the beginning differ in the %s",
				       fields[i].name);
	}
	return rc;
}

static int check_copy(struct vhd *v, const struct footer *tail, const struct footer *copy,
		      struct err *e)
{
	if (v->type == VHD_FIXED && copy->found)
		return vhd_fault(v, EBADMSG, 0, e,
				 "the file begins like a dynamic VHD, but is a fixed one");
	if (v->type == VHD_FIXED)
		return 0;
	if (!copy->found)
		return vhd_fault(v, EBADMSG, 0, e,
				 "there is no copy of the footer at the beginning");
	if (!copy->sound)
		return vhd_fault(v, EBADMSG, FOOTER_CHECKSUM, e,
				 "the checksum of the footer's copy at the beginning is wrong");
	return tail->sound ? compare_footers(v, tail, copy, e) : 0;
}

/* Which of the two is gone by: the one at the end, if it is sound. */
static int choose_footer(struct vhd *v, struct err *e)
{
	struct footer tail = {.found = false}, copy = {.found = false};
	const struct footer *f;
	int rc = read_footers(v, &tail, &copy, e);

	if (rc)
		return rc;
	f = tail.sound ? &tail : &copy;
	if (!f->sound && tail.found)
		return err_set(e, EBADMSG,
			       "the checksum of the VHD footer at 0x%llx is wrong" OR_RAW,
			       (unsigned long long)tail.offset);
	if (!f->sound && copy.found)
		return err_set(e, EBADMSG,
			       "there is no VHD footer at the end of the file, and the checksum "
			       "of its copy at the beginning is wrong" OR_RAW);
	if (!f->sound)
		return err_set(e, EBADMSG,
			       "there is no VHD footer at the end of the file or at its beginning");
	memcpy(v->footer, f->bytes, sizeof(v->footer));
	v->data_end = tail.found ? tail.offset : v->common.file_size;
	v->type = be32_get(v->footer + FOOTER_TYPE);
	if (tail.found && !tail.sound)
		rc = vhd_fault(v, EBADMSG, tail.offset + FOOTER_CHECKSUM, e,
			       "the footer's checksum is wrong");
	if (!tail.found)
		rc = vhd_fault(v, EBADMSG, v->common.file_size, e,
			       "the file does not end with a footer: it is cut off, longer than "
			       "it was, or was not closed");
	return rc < 0 ? rc : check_copy(v, &tail, &copy, e);
}

/* ---- what it says -------------------------------------------------------------------------- */

/*
 * The creators whose images are as large as their geometry says, though the footer's size may be
 * larger: Virtual PC, and QEMU if it was not told otherwise.
 */
static bool goes_by_geometry(const struct vhd *v)
{
	const uint8_t *creator = v->footer + FOOTER_CREATOR;

	if (v->geometry_size == VHD_MAX_GEOMETRY * VHD_SECTOR)
		return false;
	return memcmp(creator, "vpc ", 4) == 0 || memcmp(creator, "qemu", 4) == 0;
}

static int take_size(struct vhd *v, struct err *e)
{
	const uint8_t *f = v->footer;
	uint64_t limit = v->type == VHD_FIXED ? VHD_MAX_FIXED_SIZE : VHD_MAX_SIZE;

	v->current_size = be64_get(f + FOOTER_CURRENT_SIZE);
	v->geometry_size = (uint64_t)be16_get(f + FOOTER_CYLINDERS) * f[FOOTER_HEADS] *
			   f[FOOTER_SECTORS] * VHD_SECTOR;
	if (!v->current_size || v->current_size % VHD_SECTOR)
		return err_set(e, EBADMSG, "a disk of %llu bytes is not one of whole sectors",
			       (unsigned long long)v->current_size);
	if (v->current_size > limit)
		return err_set(e, EFBIG, "a disk of %llu bytes is over the limit of %llu",
			       (unsigned long long)v->current_size, (unsigned long long)limit);
	v->common.size = v->current_size;
	if (!goes_by_geometry(v))
		return 0;
	if (!v->geometry_size || v->geometry_size > v->current_size)
		return err_set(e, EBADMSG,
			       "the geometry's %llu bytes, which count for this creator, do not "
			       "fit the size of %llu",
			       (unsigned long long)v->geometry_size,
			       (unsigned long long)v->current_size);
	v->common.size = v->geometry_size;
	return 0;
}

static int check_footer(struct vhd *v, struct err *e)
{
	uint32_t version = be32_get(v->footer + FOOTER_VERSION);
	int rc;

	if (version >> 16 != VHD_VERSION >> 16)
		return err_set(e, ENOTSUP, "version %u.%u of VHD is not supported", version >> 16,
			       version & 0xffff);
	if (v->type < VHD_FIXED || v->type > VHD_DIFFERENCING)
		return err_set(e, ENOTSUP, "VHD of type %u is not supported", v->type);
	rc = take_size(v, e);
	if (rc < 0 || v->type != VHD_FIXED || v->current_size == v->data_end)
		return rc;
	return vhd_fault(v, EBADMSG, v->data_end + FOOTER_CURRENT_SIZE, e,
			 "the footer of a fixed VHD says %llu bytes, but %llu are before it" OR_RAW,
			 (unsigned long long)v->current_size, (unsigned long long)v->data_end);
}

/* ---- the dynamic disk header ---------------------------------------------------------------- */

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* Where the BAT is, and whether it is enough for the disk. */
static int check_table(struct vhd *v, struct err *e)
{
	uint64_t len = (uint64_t)v->n_entries * 4;
	uint64_t needed = div_up(v->common.size, v->block_size);

	if (needed > v->n_entries)
		return err_set(e, EBADMSG,
			       "the block table has %u entries, the disk of %llu bytes needs %llu",
			       v->n_entries, (unsigned long long)v->common.size,
			       (unsigned long long)needed);
	v->n_blocks = (uint32_t)needed;
	if (!range_within(v->bat_offset, len, v->data_end))
		return err_set(e, EBADMSG,
			       "the block table (%llu bytes at 0x%llx) reaches past the end of "
			       "the file",
			       (unsigned long long)len, (unsigned long long)v->bat_offset);
	if (overlap(v->bat_offset, len, 0, VHD_FOOTER_SIZE) ||
	    overlap(v->bat_offset, len, v->header_offset, VHD_HEADER_SIZE))
		return err_set(e, EBADMSG, "the block table at 0x%llx overlaps the header",
			       (unsigned long long)v->bat_offset);
	return 0;
}

static int check_header(struct vhd *v, struct err *e)
{
	const uint8_t *h = v->header;
	uint32_t version = be32_get(h + HEADER_VERSION);

	if (memcmp(h, VHD_HEADER_COOKIE, strlen(VHD_HEADER_COOKIE)) != 0)
		return err_set(e, EBADMSG, "there is no dynamic disk header at 0x%llx",
			       (unsigned long long)v->header_offset);
	if (be32_get(h + HEADER_CHECKSUM) != vhd_checksum(h, VHD_HEADER_SIZE, HEADER_CHECKSUM)) {
		int rc = vhd_fault(v, EBADMSG, v->header_offset + HEADER_CHECKSUM, e,
				   "the checksum of the dynamic disk header is wrong");
		if (rc)
			return rc;
	}
	if (version >> 16 != VHD_VERSION >> 16)
		return err_set(e, ENOTSUP,
			       "version %u.%u of the dynamic disk header is not supported",
			       version >> 16, version & 0xffff);
	v->bat_offset = be64_get(h + HEADER_TABLE_OFFSET);
	v->n_entries = be32_get(h + HEADER_ENTRIES);
	v->block_size = be32_get(h + HEADER_BLOCK_SIZE);
	if (!is_pow2(v->block_size) || v->block_size < VHD_MIN_BLOCK ||
	    v->block_size > VHD_MAX_BLOCK)
		return err_set(e, EBADMSG,
			       "a block size of %u bytes is no power of two from 512 to 256 MiB",
			       v->block_size);
	v->bitmap_size = (uint32_t)round_up(div_up(v->block_size / VHD_SECTOR, 8), VHD_SECTOR);
	return check_table(v, e);
}

static int load_header(struct vhd *v, struct err *e)
{
	int rc;

	v->header_offset = be64_get(v->footer + FOOTER_DATA_OFFSET);
	if (v->header_offset < VHD_FOOTER_SIZE ||
	    !range_within(v->header_offset, VHD_HEADER_SIZE, v->data_end))
		return err_set(e, EBADMSG,
			       "the dynamic disk header at 0x%llx does not lie between the "
			       "footers",
			       (unsigned long long)v->header_offset);
	rc = image_file_read(&v->common, v->header, VHD_HEADER_SIZE, v->header_offset, e);
	return rc < 0 ? rc : check_header(v, e);
}

int vhd_read_header(struct vhd *v, struct err *e)
{
	bool inspect = v->common.flags & IMAGE_INSPECT;
	struct err why;
	int rc = choose_footer(v, e);

	/* vhd_open tells a fault; what follows from it is not of interest. */
	if (rc == 0 && (!v->refusal.code || inspect))
		rc = check_footer(v, e);
	if (rc < 0 || v->type == VHD_FIXED || (v->refusal.code && !inspect))
		return rc;
	rc = load_header(v, &why);
	if (rc == 0)
		return 0;
	if (!inspect || (why.code != EBADMSG && why.code != ENOTSUP))
		return err_set(e, why.code, "%s", why.msg);
	/* Without its tables an image can still be told about. */
	v->tables_unknown = true;
	return vhd_fault(v, why.code, v->header_offset, e, "%s", why.msg);
}
