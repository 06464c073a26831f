/* SPDX-License-Identifier: Apache-2.0 */
/* VMDK: opening and closing; the table of what vmdk_*.c do. The format is told in vmdk.h. */
#include "imgconv/format/vmdk.h"
#include "imgconv/format/vmdk_write.h"
#include "lib/fs.h"

static bool vmdk_probe(const struct image_head *head)
{
	if (head->len >= 4 && le32_get(head->data) == VMDK_MAGIC)
		return true;
	return vmdk_is_descriptor(head->data, head->len);
}

/* An extent with its descriptor inside: the whole image is this file. */
static int open_embedded(struct vmdk *v, const uint8_t raw[SECTOR], struct err *e)
{
	struct image *im = &v->common;
	AUTO_FREE char *text = NULL;
	struct vmdk_extent *x;
	struct vmdk_header h;
	size_t len;
	int rc = vmdk_header_parse(raw, &h, e);

	if (rc == 0)
		rc = vmdk_header_check_embedded(&h, e);
	if (rc)
		return rc;
	len = (size_t)h.descriptor_size * SECTOR;
	text = malloc(len);
	if (!text)
		return err_nomem(e);
	rc = image_file_read(im, text, len, h.descriptor * SECTOR, e);
	if (rc == 0)
		rc = vmdk_descriptor_parse(text, len, true, &v->d, e);
	if (rc == 0)
		rc = vmdk_header_match(&h, &v->d, e);
	if (rc)
		return rc;
	v->refusal = v->d.refusal;
	x = v->extents = calloc(1, sizeof(*v->extents));
	if (!x)
		return err_nomem(e);
	v->n_extents = 1;
	im->size = h.capacity * SECTOR;
	*x = (struct vmdk_extent){.kind = VMDK_SPARSE,
				  .fd = im->fd,
				  .within = im,
				  .file = v->d.lines[0].file,
				  .length = im->size,
				  .file_size = im->file_size};
	return vmdk_extent_open_sparse(v, x, raw, e);
}

/* "'a', 'b' and 7 more" */
static void list_files(const struct vmdk_descriptor *d, struct buf *out)
{
	size_t shown = 0, more = 0;

	for (size_t i = 0; i < d->n_lines; i++) {
		if (!d->lines[i].file)
			continue;
		if (shown < 4)
			buf_addf(out, "%s'%s'", shown++ ? ", " : "", d->lines[i].file);
		else
			more++;
	}
	if (more)
		buf_addf(out, " and %zu more", more);
}

/* A file that is nothing but a descriptor. */
static int open_descriptor(struct vmdk *v, struct err *e)
{
	struct image *im = &v->common;
	size_t len = (size_t)MIN(im->file_size, (uint64_t)VMDK_DESCRIPTOR_MAX + 1);
	AUTO_FREE char *text = malloc(len ? len : 1);
	AUTO_BUF names = BUF_INIT;
	struct err why;
	int rc;

	if (!text)
		return err_nomem(e);
	if (len > VMDK_DESCRIPTOR_MAX)
		return err_set(e, EFBIG, "a descriptor of more than %u bytes is over the limit",
			       VMDK_DESCRIPTOR_MAX);
	rc = image_file_read(im, text, len, 0, e);
	if (rc == 0 && !vmdk_is_descriptor((const uint8_t *)text, len))
		rc = err_set(e, EBADMSG, "not a VMDK image: neither header nor descriptor");
	if (rc == 0)
		rc = vmdk_descriptor_parse(text, len, false, &v->d, e);
	if (rc)
		return rc;
	v->refusal = v->d.refusal;
	im->size = v->d.sectors * SECTOR;
	if (v->refusal.code)
		return 0;
	if (im->flags & IMAGE_ALLOW_EXTENTS)
		return vmdk_open_files(v, e);
	list_files(&v->d, &names);
	err_set(&why, EACCES, "the image's data lie in other files (%s), which are not allowed",
		buf_str(&names));
	vmdk_refuse(&v->refusal, &why);
	return 0;
}

static int vmdk_open(const struct image_source *src, struct image **ret, struct err *e)
{
	AUTO(image_discard) struct image *im = NULL;
	struct vmdk *v = calloc(1, sizeof(*v));
	uint8_t raw[SECTOR] = {0};
	int rc;

	if (!v)
		return err_nomem(e);
	im = &v->common;
	pthread_mutex_init(&v->lock, NULL);
	rc = image_init(im, &image_format_vmdk, src, e);
	if (rc == 0)
		rc = image_file_read(im, raw, (size_t)MIN(im->file_size, (uint64_t)SECTOR), 0, e);
	if (rc)
		return rc;
	if (le32_get(raw) != VMDK_MAGIC)
		rc = open_descriptor(v, e);
	else if (im->file_size < SECTOR)
		rc = err_set(e, EBADMSG, "the file ends inside of the header");
	else
		rc = open_embedded(v, raw, e);
	if (rc == 0 && v->refusal.code && !(im->flags & IMAGE_INSPECT))
		rc = err_set(e, v->refusal.code, "%s", v->refusal.msg);
	if (rc)
		return rc;
	*ret = STEAL(im);
	return 0;
}

static void vmdk_close(struct image *im)
{
	struct vmdk *v = to_vmdk(im);

	vmdk_claims_free(v->claims);
	vmdk_readers_free(v);
	vmdk_cache_release(&v->tables);
	vmdk_extents_free(v);
	vmdk_descriptor_release(&v->d);
	pthread_mutex_destroy(&v->lock);
}

const struct image_format image_format_vmdk = {
	.name = "vmdk",
	.summary = "VMware's disks: sparse, split, flat, stream-optimized",
	.max_size = VMDK_SIZE_MAX,
	.takes = FORMAT_TAKES_ZLIB | FORMAT_TAKES_COMPANIONS,
	.options = vmdk_options,
	.probe = vmdk_probe,
	.open = vmdk_open,
	.pread = vmdk_pread,
	.next_extent = vmdk_next_extent,
	.claim = vmdk_claim,
	.info = vmdk_info,
	.check = vmdk_check,
	.close = vmdk_close,
	.create = vmdk_create,
	.why_no_pipe = vmdk_why_no_pipe,
	.place = vmdk_place,
	.encoder_new = vmdk_writer_encoder_new,
	.encode = vmdk_writer_encode,
	.encoder_free = vmdk_encoder_free,
	.write_encoded = vmdk_write_encoded,
	.finish = vmdk_finish,
	.full_size = vmdk_full_size,
	.free = vmdk_writer_free,
	.stream_open = vmdk_stream_open,
	.stream_next = vmdk_stream_next,
	.stream_close = vmdk_stream_close,
};
