/* SPDX-License-Identifier: Apache-2.0 */
/* VDI: opening and closing; the table of what vdi_*.c do. The format is told in vdi.h. */
#include "imgconv/format/vdi.h"

static int vdi_open(const struct image_source *src, struct image **ret, struct err *e)
{
	AUTO(image_discard) struct image *im = NULL;
	struct vdi *v = calloc(1, sizeof(*v));
	int rc;

	if (!v)
		return err_nomem(e);
	im = &v->common;
	rc = image_init(im, &image_format_vdi, src, e);
	if (rc == 0)
		rc = vdi_read_header(v, e);
	if (rc)
		return rc;
	if (v->refusal.code && !(im->flags & IMAGE_INSPECT))
		return err_set(e, v->refusal.code, "%s", v->refusal.msg);
	v->window = malloc(VDI_WINDOW * sizeof(*v->window));
	if (!v->window)
		return err_nomem(e);
	*ret = STEAL(im);
	return 0;
}

static void vdi_close(struct image *im)
{
	struct vdi *v = to_vdi(im);

	vdi_claims_free(v->claims);
	free(v->window);
}

const struct image_format image_format_vdi = {
	.name = "vdi",
	.summary = "VirtualBox's disk image, dynamic and static",
	.max_size = VDI_MAX_BLOCKS * MIB,
	.options = vdi_options,
	.probe = vdi_probe,
	.open = vdi_open,
	.pread = vdi_pread,
	.next_extent = vdi_next_extent,
	.claim = vdi_claim,
	.info = vdi_info,
	.check = vdi_check,
	.close = vdi_close,
	.create = vdi_create,
	.place = vdi_place,
	.finish = vdi_finish,
	.full_size = vdi_full_size,
	.free = vdi_writer_free,
};
