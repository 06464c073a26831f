/* SPDX-License-Identifier: Apache-2.0 */
/* A layer of changed pages over an image: see layer.h. */
#include "imgconv/layer.h"

#include "imgconv/format.h"
#include "imgconv/pages.h"

struct layer {
	struct image common;
	struct image *below;
	struct pages pages;
	struct page **sorted; /* once it is sealed */
};

static struct layer *to_layer(struct image *im)
{
	return (struct layer *)im;
}

static int layer_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct layer *l = to_layer(im);
	uint8_t *to = buf;
	int rc = image_pread(l->below, buf, len, off, e);

	while (rc == 0 && len && l->pages.n) {
		size_t in_page = off % PAGE_SIZE, n = MIN(len, PAGE_SIZE - in_page);
		struct page *p = pages_find(&l->pages, off / PAGE_SIZE);

		if (p)
			memcpy(to, p->data + in_page, n);
		to += n;
		off += n;
		len -= n;
	}
	return rc;
}

static int page_of(struct layer *l, uint64_t index, struct page **ret, struct err *e)
{
	uint64_t start = index * PAGE_SIZE;
	AUTO_FREE uint8_t *data = NULL;
	int rc;

	*ret = pages_find(&l->pages, index);
	if (*ret)
		return 0;
	if ((l->pages.n + 1) * PAGE_SIZE > IMAGE_LAYER_MAX)
		return err_set(e, EFBIG, "changes of more than %llu MiB at once",
			       (unsigned long long)(IMAGE_LAYER_MAX / MIB));
	data = calloc(1, PAGE_SIZE);
	if (!data)
		return err_nomem(e);
	rc = image_pread(l->below, data, (size_t)MIN((uint64_t)PAGE_SIZE, l->common.size - start),
			 start, e);
	if (rc == 0)
		rc = pages_add(&l->pages, index, data, ret, e);
	if (rc == 0)
		(void)STEAL(data);
	return rc;
}

static int layer_pwrite(struct image *im, const void *buf, size_t len, uint64_t off, struct err *e)
{
	struct layer *l = to_layer(im);
	const uint8_t *from = buf;
	int rc = 0;

	while (rc == 0 && len) {
		size_t in_page = off % PAGE_SIZE, n = MIN(len, PAGE_SIZE - in_page);
		struct page *p = NULL;

		rc = page_of(l, off / PAGE_SIZE, &p, e);
		if (rc == 0)
			memcpy(p->data + in_page, from, n);
		from += n;
		off += n;
		len -= n;
	}
	return rc;
}

/* The first changed page at `index` or behind it; pages.n: there is none. */
static size_t first_from(const struct layer *l, uint64_t index)
{
	size_t low = 0, high = l->pages.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->sorted[mid]->index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int layer_next_extent(struct image *im, uint64_t off, struct extent *ret, struct err *e)
{
	struct layer *l = to_layer(im);
	uint64_t index = off / PAGE_SIZE;
	size_t i;
	int rc;

	if (!l->sorted)
		return err_set(e, EINVAL, "the layer is still written to");
	i = first_from(l, index);
	if (i < l->pages.n && l->sorted[i]->index == index) {
		while (i < l->pages.n && l->sorted[i]->index == index) {
			i++;
			index++;
		}
		*ret = (struct extent){
			.start = off, .length = index * PAGE_SIZE - off, .kind = EXTENT_DATA};
		return 0;
	}
	rc = image_next_extent(l->below, off, ret, e);
	if (rc == 0 && i < l->pages.n)
		ret->length = MIN(ret->length, l->sorted[i]->index * PAGE_SIZE - off);
	return rc;
}

/* The image below may refer twice to the same bytes. */
static int layer_claim(struct image *im, uint64_t off, uint64_t len, struct err *e)
{
	struct image *below = to_layer(im)->below;

	return below->format->claim ? below->format->claim(below, off, len, e) : 0;
}

static int layer_flush(struct image *im, struct err *e)
{
	(void)im;
	(void)e;
	return 0;
}

static void layer_close(struct image *im)
{
	struct layer *l = to_layer(im);

	pages_release(&l->pages);
	free(l->sorted);
}

/* Not a format of files: it is not in the list of formats. */
static const struct image_format layered = {
	.name = "layer",
	.summary = "changes in memory over an image",
	.pread = layer_pread,
	.pwrite = layer_pwrite,
	.next_extent = layer_next_extent,
	.claim = layer_claim,
	.flush = layer_flush,
	.close = layer_close,
};

int image_layer_new(struct image *below, struct image **ret, struct err *e)
{
	struct layer *l = calloc(1, sizeof(*l));

	if (!l)
		return err_nomem(e);
	l->common.format = &layered;
	l->common.fd = -1;
	l->common.size = image_size(below);
	l->common.flags = IMAGE_RDWR;
	l->common.name = strdup(image_name(below));
	if (!l->common.name) {
		free(l);
		return err_nomem(e);
	}
	l->below = below;
	*ret = &l->common;
	return 0;
}

int image_layer_seal(struct image *im, struct err *e)
{
	struct layer *l = to_layer(im);
	int rc = pages_sorted(&l->pages, &l->sorted, e);

	im->flags &= ~(unsigned)IMAGE_RDWR;
	return rc;
}

int image_layer_commit(struct image *im, struct err *e)
{
	struct layer *l = to_layer(im);

	return pages_write_back(&l->pages, l->below, 0, l->common.size, e);
}
