/* SPDX-License-Identifier: Apache-2.0 */
/* The header of VMDK's sparse extents, its repetition in the footer, and markers: checking. */
#include "imgconv/format/vmdk.h"

static int check_flags(const struct vmdk_header *h, const uint8_t *raw, struct err *e)
{
	uint32_t unknown = h->flags & FLAGS_INCOMPATIBLE & ~(FLAG_COMPRESSED | FLAG_MARKERS);
	unsigned compression = le16_get(raw + HDR_COMPRESSION);

	if (unknown)
		return err_set(e, ENOTSUP, "the header's flags 0x%x are not supported", unknown);
	if (h->flags & FLAG_NEWLINES && le32_get(raw + HDR_NEWLINES) != VMDK_NEWLINES)
		return err_set(e, EBADMSG,
			       "the header's line ends are changed: the file was transferred as "
			       "text");
	if (compression > COMPRESSION_DEFLATE)
		return err_set(e, ENOTSUP, "compression algorithm %u is not supported",
			       compression);
	/* Readers look at one of them, some at this, some at that. */
	if (h->compressed != (compression == COMPRESSION_DEFLATE))
		return err_set(e, EBADMSG,
			       "the header's flags and its compression algorithm disagree");
	if (h->compressed && !(h->flags & FLAG_MARKERS))
		return err_set(e, ENOTSUP, "compression without markers is not supported");
	if (!h->compressed && h->flags & FLAG_MARKERS)
		return err_set(e, ENOTSUP, "markers without compression are not supported");
	return 0;
}

static int check_sizes(struct vmdk_header *h, uint32_t gt_entries, struct err *e)
{
	uint64_t tables;

	/* To some readers that means: look for extents in the descriptor. */
	if (!h->capacity)
		return err_set(e, EBADMSG, "the header's capacity is 0");
	if (h->capacity > VMDK_SECTORS_MAX)
		return err_set(e, EFBIG, "a capacity of %llu sectors is over the limit",
			       (unsigned long long)h->capacity);
	if (!is_pow2(h->grain) || h->grain > VMDK_GRAIN_MAX)
		return err_set(e, EBADMSG,
			       "a grain of %llu sectors is no power of two from 1 to %u",
			       (unsigned long long)h->grain, VMDK_GRAIN_MAX);
	if (gt_entries != GT_ENTRIES)
		return err_set(e, ENOTSUP, "grain tables of %u entries, not 512, are not supported",
			       gt_entries);
	tables = div_up(h->capacity, h->grain * GT_ENTRIES);
	if (tables > VMDK_GD_MAX)
		return err_set(e, EFBIG,
			       "the grain directory of %llu entries is over the limit of %u",
			       (unsigned long long)tables, VMDK_GD_MAX);
	h->n_gd = (uint32_t)tables;
	h->gd_sectors = div_up(tables * 4, SECTOR);
	return 0;
}

int vmdk_header_parse(const uint8_t raw[SECTOR], struct vmdk_header *ret, struct err *e)
{
	struct vmdk_header h = {
		.version = le32_get(raw + HDR_VERSION),
		.flags = le32_get(raw + HDR_FLAGS),
		.capacity = le64_get(raw + HDR_CAPACITY),
		.grain = le64_get(raw + HDR_GRAIN),
		.descriptor = le64_get(raw + HDR_DESCRIPTOR),
		.descriptor_size = le64_get(raw + HDR_DESCRIPTOR_SIZE),
		.gd = le64_get(raw + HDR_GD),
		.overhead = le64_get(raw + HDR_OVERHEAD),
		.unclean = raw[HDR_UNCLEAN] != 0,
	};
	int rc;

	if (le32_get(raw) != VMDK_MAGIC)
		return err_set(e, EBADMSG, "not a sparse extent of VMDK: no magic number");
	if (h.version < 1 || h.version > 3)
		return err_set(e, ENOTSUP, "VMDK version %u is not supported", h.version);
	h.compressed = h.flags & FLAG_COMPRESSED;
	if (h.flags & FLAG_RGD)
		h.rgd = le64_get(raw + HDR_RGD);
	if (h.descriptor_size * SECTOR / SECTOR != h.descriptor_size ||
	    h.descriptor_size * SECTOR > round_up(VMDK_DESCRIPTOR_MAX, SECTOR))
		return err_set(e, EFBIG, "a descriptor of %llu sectors is over the limit",
			       (unsigned long long)h.descriptor_size);
	rc = check_flags(&h, raw, e);
	if (rc == 0)
		rc = check_sizes(&h, le32_get(raw + HDR_GT_ENTRIES), e);
	if (rc == 0)
		*ret = h;
	return rc;
}

int vmdk_no_descriptor(struct err *e)
{
	return err_set(e, ENOTSUP,
		       "this is an extent of an image of several files: give the file of its "
		       "descriptor");
}

int vmdk_header_check_embedded(const struct vmdk_header *h, struct err *e)
{
	if (!h->descriptor || !h->descriptor_size)
		return vmdk_no_descriptor(e);
	if (h->descriptor != 1)
		return err_set(e, EBADMSG, "the descriptor is at sector %llu, not 1",
			       (unsigned long long)h->descriptor);
	return 0;
}

int vmdk_header_match(const struct vmdk_header *h, const struct vmdk_descriptor *d, struct err *e)
{
	if (d->sectors != h->capacity)
		return err_set(e, EBADMSG,
			       "the header's capacity is %llu sectors, the descriptor's %llu",
			       (unsigned long long)h->capacity, (unsigned long long)d->sectors);
	return 0;
}

int vmdk_footer_check(const uint8_t header[SECTOR], const uint8_t footer[SECTOR], uint64_t *ret_gd,
		      struct err *e)
{
	for (size_t i = 0; i < SECTOR; i++) {
		bool gd = i >= HDR_GD && i < HDR_GD + 8;

		if (!gd && header[i] != footer[i])
			return err_set(e, EBADMSG, "footer and header differ at byte %zu", i);
	}
	*ret_gd = le64_get(footer + HDR_GD);
	if (*ret_gd == GD_AT_END)
		return err_set(e, EBADMSG, "the footer points to another footer");
	return 0;
}

int vmdk_marker_check(const uint8_t marker[SECTOR], uint32_t type, uint64_t sectors, struct err *e)
{
	static const char *const names[] = {"end of stream", "grain table", "grain directory",
					    "footer"};

	if (le64_get(marker) != sectors || le32_get(marker + MARKER_SIZE_AT) != 0 ||
	    le32_get(marker + MARKER_TYPE_AT) != type ||
	    !mem_is_zero(marker + MARKER_TYPE_AT + 4, SECTOR - MARKER_TYPE_AT - 4))
		return err_set(e, EBADMSG, "the %s's marker is damaged", names[type]);
	return 0;
}
