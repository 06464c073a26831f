/* SPDX-License-Identifier: Apache-2.0 */
/* What `imgconv info` tells of a VMDK image. */
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/format/vmdk.h"

#define EXTENTS_SHOWN 100

static int add_text(struct image_info *info, const char *key, const char *text, struct err *e)
{
	return image_info_add(info, key, IMAGE_FACT_TEXT, 0, text, strlen(text), e);
}

/* What the first sparse extent says: the others are alike, or are refused where they matter. */
static int add_header(const struct vmdk_header *h, struct image_info *info, struct err *e)
{
	int rc = image_info_add(info, "version", IMAGE_FACT_U64, h->version, NULL, 0, e);

	if (rc == 0)
		rc = image_info_add(info, "grain-size", IMAGE_FACT_U64, h->grain * SECTOR, NULL, 0,
				    e);
	if (rc == 0)
		rc = add_text(info, "compression", h->compressed ? "zlib" : "none", e);
	if (rc == 0)
		rc = image_info_add(info, "zeroed-grains", IMAGE_FACT_BOOL,
				    !!(h->flags & FLAG_ZERO_GRAINS), NULL, 0, e);
	if (rc == 0)
		rc = image_info_add(info, "unclean-shutdown", IMAGE_FACT_BOOL, h->unclean, NULL, 0,
				    e);
	return rc;
}

/* Names as data, whether or not they would be opened. */
static int add_extents(const struct vmdk_descriptor *d, struct image_info *info, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < MIN(d->n_lines, (size_t)EXTENTS_SHOWN); i++) {
		const char *name = d->lines[i].file ? d->lines[i].file : "(zeros)";

		rc = image_info_add(info, "extents", IMAGE_FACT_ITEM, 0, name, strlen(name), e);
	}
	if (rc == 0 && d->n_lines > EXTENTS_SHOWN)
		rc = image_info_warn(info, e, "only %d of %zu extents are shown", EXTENTS_SHOWN,
				     d->n_lines);
	return rc;
}

static int add_warnings(const struct vmdk *v, struct image_info *info, struct err *e)
{
	const struct vmdk_header *h = v->n_extents ? &v->extents[0].h : NULL;
	int rc = 0;

	if (v->refusal.code)
		rc = image_info_warn(info, e, "%s", v->refusal.msg);
	for (size_t i = 0; rc == 0 && i < v->n_extents; i++) {
		if (v->extents[i].h.unclean) {
			rc = image_info_warn(info, e,
					     "the image was not closed: its tables may be out of "
					     "date");
			break;
		}
	}
	if (rc == 0 && h && h->grain && h->compressed != (v->d.type == VMDK_STREAM_OPTIMIZED))
		rc = image_info_warn(info, e, "the type is %s, but the grains are%s compressed",
				     v->d.create_type, h->compressed ? "" : " not");
	return rc;
}

/* What the files of the extents have counts as this file's. */
static int add_sizes(const struct vmdk *v, struct image_info *info, struct err *e)
{
	for (size_t i = 0; i < v->n_extents; i++) {
		struct stat st;

		if (!v->extents[i].own_fd)
			continue;
		if (fstat(v->extents[i].fd, &st) < 0)
			return err_errno(e, errno, "extent '%s'", v->extents[i].file);
		info->file_size += (uint64_t)st.st_size;
		info->allocated += (uint64_t)st.st_blocks * 512;
	}
	return 0;
}

int vmdk_info(struct image *im, struct image_info *info, struct err *e)
{
	const struct vmdk *v = to_vmdk(im);
	const struct vmdk_descriptor *d = &v->d;
	char cid[9];
	int rc = add_sizes(v, info, e);

	snprintf(cid, sizeof(cid), "%08x", d->cid);
	if (rc == 0)
		rc = add_text(info, "subformat", d->create_type, e);
	for (size_t i = 0; rc == 0 && i < v->n_extents; i++) {
		if (v->extents[i].kind == VMDK_SPARSE) {
			rc = add_header(&v->extents[i].h, info, e);
			break;
		}
	}
	if (rc == 0)
		rc = add_text(info, "cid", cid, e);
	if (rc == 0 && d->adapter)
		rc = add_text(info, "adapter-type", d->adapter, e);
	if (rc == 0 && d->hwversion)
		rc = add_text(info, "hwversion", d->hwversion, e);
	if (rc == 0 && d->encoding)
		rc = add_text(info, "encoding", d->encoding, e);
	if (rc == 0)
		rc = add_extents(d, info, e);
	return rc < 0 ? rc : add_warnings(v, info, e);
}
