/* SPDX-License-Identifier: Apache-2.0 */
/* VDI: the header, checked before anything else is believed; and what is told of an image. */
#include <stdio.h>

#include "imgconv/format/vdi.h"
#include "lib/fs.h"

/* Least length of the header, as QEMU writes it; VirtualBox's has another geometry behind. */
#define HEADER_MIN 0x180u

bool vdi_probe(const struct image_head *head)
{
	return head->len >= VDI_MAGIC + 4 && le32_get(head->data + VDI_MAGIC) == VDI_SIGNATURE;
}

void vdi_swap_uuid(const uint8_t in[IMAGE_UUID_SIZE], uint8_t out[IMAGE_UUID_SIZE])
{
	static const uint8_t from[IMAGE_UUID_SIZE] = {3, 2, 1,  0,  5,  4,  7,  6,
						      8, 9, 10, 11, 12, 13, 14, 15};

	for (size_t i = 0; i < IMAGE_UUID_SIZE; i++)
		out[i] = in[from[i]];
}

/* ---- checking ------------------------------------------------------------------------------ */

/* The first reason for which the data are not read. */
static void refuse(struct vdi *v, const struct err *why)
{
	if (!v->refusal.code)
		v->refusal = *why;
}

static void check_features(struct vdi *v)
{
	const uint8_t *h = v->header;
	uint32_t extra = le32_get(h + VDI_BLOCK_EXTRA);
	struct err why;

	if (v->type == VDI_UNDO || v->type == VDI_DIFFERENCING) {
		err_set(&why, ENOTSUP, "%s VDI images, which need a parent, are not supported",
			v->type == VDI_UNDO ? "undo" : "differencing");
		refuse(v, &why);
	} else if (v->type != VDI_DYNAMIC && v->type != VDI_STATIC) {
		err_set(&why, ENOTSUP, "VDI of type %u is not supported", v->type);
		refuse(v, &why);
	}
	if (!mem_is_zero(h + VDI_UUID_PARENT, 2 * IMAGE_UUID_SIZE)) {
		err_set(&why, ENOTSUP, "the image names a parent, which is not supported");
		refuse(v, &why);
	}
	if (extra) {
		err_set(&why, ENOTSUP, "%u extra bytes before each block are not supported", extra);
		refuse(v, &why);
	}
}

/* Where map and data are. */
static int check_tables(const struct vdi *v, struct err *e)
{
	uint64_t header_end = (uint64_t)VDI_HEADER_SIZE + le32_get(v->header + VDI_HEADER_SIZE);
	uint64_t map_len = (uint64_t)v->n_entries * 4;

	if (v->map_offset % VDI_SECTOR || v->data_offset % VDI_SECTOR)
		return err_set(e, EBADMSG,
			       "the block map at 0x%llx or the data at 0x%llx do not begin at a "
			       "sector",
			       (unsigned long long)v->map_offset,
			       (unsigned long long)v->data_offset);
	if (v->map_offset < header_end)
		return err_set(e, EBADMSG, "the block map at 0x%llx overlaps the header",
			       (unsigned long long)v->map_offset);
	if (!range_within(v->map_offset, map_len, v->common.file_size))
		return err_set(e, EBADMSG,
			       "the block map (%llu bytes at 0x%llx) reaches past the end of the "
			       "file",
			       (unsigned long long)map_len, (unsigned long long)v->map_offset);
	if (v->data_offset < v->map_offset + map_len)
		return err_set(e, EBADMSG, "the data at 0x%llx overlap the block map",
			       (unsigned long long)v->data_offset);
	return 0;
}

static int check_sizes(struct vdi *v, struct err *e)
{
	const uint8_t *h = v->header;
	uint64_t holds;

	v->disk_size = le64_get(h + VDI_DISK_SIZE);
	v->block_size = le32_get(h + VDI_BLOCK_SIZE);
	v->n_entries = le32_get(h + VDI_BLOCKS);
	if (le32_get(h + VDI_SECTOR_SIZE) != VDI_SECTOR)
		return err_set(e, ENOTSUP, "sectors of %u bytes are not supported",
			       le32_get(h + VDI_SECTOR_SIZE));
	if (!is_pow2(v->block_size) || v->block_size < VDI_MIN_BLOCK ||
	    v->block_size > VDI_MAX_BLOCK)
		return err_set(e, EBADMSG,
			       "a block size of %u bytes is no power of two from 512 to 256 MiB",
			       v->block_size);
	if (v->n_entries > VDI_MAX_BLOCKS)
		return err_set(e, EFBIG, "%u blocks are over the limit of %u", v->n_entries,
			       VDI_MAX_BLOCKS);
	holds = (uint64_t)v->n_entries * v->block_size;
	if (v->disk_size > holds)
		return err_set(
			e, EBADMSG, "the disk has %llu bytes, but its %u blocks hold only %llu",
			(unsigned long long)v->disk_size, v->n_entries, (unsigned long long)holds);
	/* VirtualBox makes disks of odd sizes out of raw ones; guests see whole sectors. */
	v->common.size = round_up(v->disk_size, VDI_SECTOR);
	v->n_blocks = (uint32_t)div_up(v->common.size, v->block_size);
	return 0;
}

int vdi_read_header(struct vdi *v, struct err *e)
{
	const uint8_t *h = v->header;
	uint32_t version, length;
	int rc;

	if (v->common.file_size < VDI_BYTES)
		return err_set(e, EBADMSG, "the file ends inside of the header");
	rc = image_file_read(&v->common, v->header, VDI_BYTES, 0, e);
	if (rc)
		return rc;
	version = le32_get(h + VDI_VERSION_AT);
	length = le32_get(h + VDI_HEADER_SIZE);
	if (le32_get(h + VDI_MAGIC) != VDI_SIGNATURE)
		return err_set(e, EBADMSG, "there is no VDI header");
	if (version != VDI_VERSION)
		return err_set(e, ENOTSUP, "version %u.%u of VDI is not supported", version >> 16,
			       version & 0xffff);
	if (length < HEADER_MIN)
		return err_set(e, EBADMSG, "a header of %u bytes is too short", length);
	v->type = le32_get(h + VDI_TYPE);
	v->map_offset = le32_get(h + VDI_MAP_OFFSET);
	v->data_offset = le32_get(h + VDI_DATA_OFFSET);
	rc = check_sizes(v, e);
	if (rc == 0)
		rc = check_tables(v, e);
	if (rc == 0)
		check_features(v);
	return rc;
}

/* ---- telling ------------------------------------------------------------------------------- */

static int add_u64(struct image_info *info, const char *key, uint64_t v, struct err *e)
{
	return image_info_add(info, key, IMAGE_FACT_U64, v, NULL, 0, e);
}

/* Text of a fixed room, up to a NUL or the end of the line. */
static int add_text(struct image_info *info, const char *key, const void *text, size_t room,
		    struct err *e)
{
	size_t len = strnlen(text, room);
	const void *newline = memchr(text, '\n', len);

	if (newline)
		len = (size_t)((const char *)newline - (const char *)text);
	return len ? image_info_add(info, key, IMAGE_FACT_TEXT, 0, text, len, e) : 0;
}

static int add_uuid(struct image_info *info, const char *key, const uint8_t *uuid, struct err *e)
{
	uint8_t swapped[IMAGE_UUID_SIZE];
	char text[IMAGE_UUID_TEXT];

	if (mem_is_zero(uuid, IMAGE_UUID_SIZE))
		return 0;
	vdi_swap_uuid(uuid, swapped);
	image_uuid_text(swapped, text);
	return add_text(info, key, text, sizeof(text), e);
}

static const char *type_name(unsigned type)
{
	static const char *const names[] = {
		[VDI_DYNAMIC] = "dynamic",
		[VDI_STATIC] = "static",
		[VDI_UNDO] = "undo",
		[VDI_DIFFERENCING] = "differencing",
	};

	return type < ARRAY_SIZE(names) && names[type] ? names[type] : "unknown";
}

int vdi_info(struct image *im, struct image_info *info, struct err *e)
{
	const struct vdi *v = to_vdi(im);
	const uint8_t *h = v->header;
	const char *type = type_name(v->type);
	int rc = add_text(info, "subformat", type, strlen(type), e);

	if (rc == 0)
		rc = add_u64(info, "block-size", v->block_size, e);
	if (rc == 0)
		rc = add_u64(info, "allocated-blocks", le32_get(h + VDI_ALLOCATED), e);
	if (rc == 0)
		rc = add_text(info, "creator", h + VDI_TEXT, VDI_TEXT_LEN, e);
	if (rc == 0)
		rc = add_text(info, "comment", h + VDI_COMMENT, VDI_COMMENT_LEN, e);
	if (rc == 0)
		rc = add_uuid(info, "uuid", h + VDI_UUID, e);
	if (rc == 0)
		rc = add_uuid(info, "parent-uuid", h + VDI_UUID_PARENT, e);
	if (rc == 0 && v->disk_size != im->size)
		rc = add_u64(info, "disk-size", v->disk_size, e);
	if (rc == 0 && v->disk_size != im->size)
		rc = image_info_warn(info, e,
				     "the disk has %llu bytes, no multiple of 512: zeros are added",
				     (unsigned long long)v->disk_size);
	if (rc == 0 && v->refusal.code)
		rc = image_info_warn(info, e, "%s", v->refusal.msg);
	return rc;
}
