/* SPDX-License-Identifier: Apache-2.0 */
/* VHD: what is told of an image. */
#include <stdio.h>

#include "imgconv/format/vhd.h"
#include "lib/buf.h"

static int add_u64(struct image_info *info, const char *key, uint64_t v, struct err *e)
{
	return image_info_add(info, key, IMAGE_FACT_U64, v, NULL, 0, e);
}

static int add_text(struct image_info *info, const char *key, const char *text, struct err *e)
{
	return image_info_add(info, key, IMAGE_FACT_TEXT, 0, text, strlen(text), e);
}

static int add_uuid(struct image_info *info, const char *key, const uint8_t *uuid, struct err *e)
{
	char text[IMAGE_UUID_TEXT];

	image_uuid_text(uuid, text);
	return add_text(info, key, text, e);
}

/* Four characters, padded with spaces or NULs. */
static void creator_name(const uint8_t *p, char out[5])
{
	size_t n = 4;

	memcpy(out, p, 4);
	while (n && (out[n - 1] == ' ' || out[n - 1] == '\0'))
		n--;
	out[n] = '\0';
}

static int add_creator(const struct vhd *v, struct image_info *info, struct err *e)
{
	uint32_t version = be32_get(v->footer + FOOTER_CREATOR_VERSION);
	char name[5], text[32];
	int rc;

	creator_name(v->footer + FOOTER_CREATOR, name);
	snprintf(text, sizeof(text), "%s %u.%u", name, version >> 16, version & 0xffff);
	rc = add_text(info, "creator", text, e);
	creator_name(v->footer + FOOTER_CREATOR_OS, name);
	return rc < 0 ? rc : add_text(info, "creator-os", name, e);
}

static void put_utf8(uint32_t c, struct buf *out)
{
	if (c < 0x80) {
		buf_addc(out, (char)c);
	} else if (c < 0x800) {
		buf_addc(out, (char)(0xc0 | c >> 6));
		buf_addc(out, (char)(0x80 | (c & 0x3f)));
	} else {
		if (c < 0x10000) {
			buf_addc(out, (char)(0xe0 | c >> 12));
		} else {
			buf_addc(out, (char)(0xf0 | c >> 18));
			buf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_addc(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* The name is hostile: half a surrogate pair becomes U+FFFD. */
static void name_to_utf8(const uint8_t *p, size_t len, struct buf *out)
{
	for (size_t i = 0; i + 2 <= len && be16_get(p + i); i += 2) {
		uint32_t c = be16_get(p + i);
		uint32_t low = i + 4 <= len ? be16_get(p + i + 2) : 0;

		if ((c & 0xfc00) == 0xd800 && (low & 0xfc00) == 0xdc00) {
			c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
			i += 2;
		} else if ((c & 0xf800) == 0xd800) {
			c = 0xfffd;
		}
		put_utf8(c, out);
	}
}

static int add_parent(const struct vhd *v, struct image_info *info, struct err *e)
{
	AUTO_BUF name = BUF_INIT;
	int rc = add_uuid(info, "parent-uuid", v->header + HEADER_PARENT_UUID, e);

	name_to_utf8(v->header + HEADER_PARENT_NAME, HEADER_PARENT_NAME_LEN, &name);
	return rc < 0 ? rc : add_text(info, "parent-name", buf_str(&name), e);
}

/* The creators that QEMU takes the footer's size of; of others it takes the geometry. */
static bool qemu_goes_by_footer(const struct vhd *v)
{
	static const char *const names[] = {"win ", "qem2", "d2v ", "CTXS"};
	const uint8_t *creator = v->footer + FOOTER_CREATOR;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (memcmp(creator, names[i], 4) == 0)
			return true;
	}
	return memcmp(creator, "tap\0", 4) == 0;
}

/* Programs disagree about the size if the geometry says another. */
static int add_sizes(const struct vhd *v, struct image_info *info, struct err *e)
{
	unsigned long long geometry = v->geometry_size, current = v->current_size;
	int rc;

	if (v->geometry_size == v->current_size ||
	    v->geometry_size == VHD_MAX_GEOMETRY * VHD_SECTOR)
		return 0;
	rc = add_u64(info, "current-size", v->current_size, e);
	if (rc == 0)
		rc = add_u64(info, "geometry-size", v->geometry_size, e);
	if (rc == 0 && v->common.size == v->geometry_size)
		rc = image_info_warn(info, e,
				     "the disk has the %llu bytes of its geometry, as its creator "
				     "goes by it; others may see the footer's %llu",
				     geometry, current);
	else if (rc == 0 && !qemu_goes_by_footer(v))
		rc = image_info_warn(info, e,
				     "the disk has the %llu bytes of its footer; programs that go "
				     "by the geometry see %llu",
				     current, geometry);
	return rc;
}

static int add_warnings(const struct vhd *v, struct image_info *info, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < v->faults.n_findings; i++)
		rc = image_info_warn(info, e, "%s", v->faults.findings[i].text);
	if (rc == 0 && v->refusal.code && !v->faults.n_errors)
		rc = image_info_warn(info, e, "%s", v->refusal.msg);
	if (rc == 0 && v->footer[FOOTER_SAVED_STATE])
		rc = image_info_warn(info, e,
				     "the disk belongs to the saved state of a running machine");
	if (rc == 0 && v->n_entries > v->n_blocks)
		rc = image_info_warn(info, e,
				     "the block table has %u entries, the disk %u blocks: some "
				     "clouds refuse that",
				     v->n_entries, v->n_blocks);
	return rc;
}

int vhd_info(struct image *im, struct image_info *info, struct err *e)
{
	static const char *const types[] = {
		[VHD_FIXED] = "fixed",
		[VHD_DYNAMIC] = "dynamic",
		[VHD_DIFFERENCING] = "differencing",
	};
	const struct vhd *v = to_vhd(im);
	bool has_header = v->type != VHD_FIXED && !v->tables_unknown;
	int rc = add_text(info, "subformat", types[v->type], e);

	if (rc == 0 && has_header)
		rc = add_u64(info, "block-size", v->block_size, e);
	if (rc == 0)
		rc = add_creator(v, info, e);
	if (rc == 0)
		rc = add_uuid(info, "uuid", v->footer + FOOTER_UUID, e);
	if (rc == 0)
		rc = add_sizes(v, info, e);
	if (rc == 0 && has_header && v->type == VHD_DIFFERENCING)
		rc = add_parent(v, info, e);
	return rc < 0 ? rc : add_warnings(v, info, e);
}
