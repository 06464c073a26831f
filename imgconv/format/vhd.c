/* SPDX-License-Identifier: Apache-2.0 */
/* VHD: opening and closing; the table of what vhd_*.c do. The format is told in vhd.h. */
#include "imgconv/format/vhd.h"

/* The parent that the user named; what the image itself says of where it lies is of no account. */
static int open_parent(struct vhd *v, const char *path, struct err *e)
{
	struct image_open_opts o = {.format = "vhd"};
	const struct vhd *parent;
	char wanted[IMAGE_UUID_TEXT], there[IMAGE_UUID_TEXT];
	int rc;

	if (v->type != VHD_DIFFERENCING && path)
		return err_set(e, ENOTSUP, "it is not a differencing image: it has no parent");
	if (v->type != VHD_DIFFERENCING || v->refusal.code)
		return 0;
	if (!path) {
		image_uuid_text(v->header + HEADER_PARENT_UUID, wanted);
		err_set(&v->refusal, EACCES,
			"it is a differencing image: it needs its parent, of UUID %s, which is "
			"only read if it is named",
			wanted);
		return 0;
	}
	rc = image_open(path, &o, &v->parent, e);
	if (rc < 0)
		return err_wrap(e, "parent");
	parent = to_vhd(v->parent);
	if (memcmp(parent->footer + FOOTER_UUID, v->header + HEADER_PARENT_UUID, IMAGE_UUID_SIZE) ==
	    0)
		return 0;
	image_uuid_text(v->header + HEADER_PARENT_UUID, wanted);
	image_uuid_text(parent->footer + FOOTER_UUID, there);
	return err_set(e, EBADMSG, "'%s' is not its parent: the UUID is %s, not %s", path, there,
		       wanted);
}

static int vhd_open(const struct image_source *src, struct image **ret, struct err *e)
{
	AUTO(image_discard) struct image *im = NULL;
	struct vhd *v = calloc(1, sizeof(*v));
	int rc;

	if (!v)
		return err_nomem(e);
	im = &v->common;
	rc = image_init(im, &image_format_vhd, src, e);
	if (rc == 0)
		rc = vhd_read_header(v, e);
	if (rc == 0)
		rc = open_parent(v, src->parent, e);
	if (rc)
		return rc;
	if (v->refusal.code && !(im->flags & IMAGE_INSPECT))
		return err_set(e, v->refusal.code, "%s", v->refusal.msg);
	v->window = malloc(VHD_WINDOW * sizeof(*v->window));
	if (!v->window)
		return err_nomem(e);
	*ret = STEAL(im);
	return 0;
}

static void vhd_close(struct image *im)
{
	struct vhd *v = to_vhd(im);

	if (v->parent)
		image_close(v->parent);
	image_check_release(&v->faults);
	vhd_claims_free(v->claims);
	free(v->window);
}

const struct image_format image_format_vhd = {
	.name = "vhd",
	.has_parent = true,
	.summary = "Microsoft's Virtual Hard Disk, dynamic and fixed",
	.max_size = VHD_MAX_FIXED_SIZE,
	.options = vhd_options,
	.probe = vhd_probe,
	.open = vhd_open,
	.pread = vhd_pread,
	.next_extent = vhd_next_extent,
	.claim = vhd_claim,
	.info = vhd_info,
	.check = vhd_check,
	.close = vhd_close,
	.padded_size = vhd_padded_size,
	.create = vhd_create,
	.why_no_pipe = vhd_why_no_pipe,
	.place = vhd_place,
	.write = vhd_write,
	.finish = vhd_finish,
	.full_size = vhd_full_size,
	.free = vhd_writer_free,
};
