/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk that `imgconv bootable` makes, as an image that can only be read: so one pass of the
 * copying engine writes it in any format, into a file or a pipe.
 */
#include "imgconv/disk/assemble.h"

#include "imgconv/format.h"

struct disk {
	struct image common;
	struct image *partition;
	struct disk_pieces pieces;
};

void disk_pieces_release(struct disk_pieces *p)
{
	for (size_t i = 0; i < p->n_pieces; i++)
		buf_release(&p->piece[i].data);
	*p = (struct disk_pieces){0};
}

static struct disk *to_disk(struct image *im)
{
	return (struct disk *)im;
}

/* What lies at off: a piece, the partition, or nothing, and up to where. */
struct place {
	const struct disk_piece *piece; /* NULL: none */
	bool is_partition;
	uint64_t end;
};

static struct place place_at(const struct disk *d, uint64_t off)
{
	uint64_t start = d->pieces.partition_start, end = start + image_size(d->partition);
	struct place p = {.end = d->common.size};

	if (off >= start && off < end)
		return (struct place){.is_partition = true, .end = end};
	if (off < start)
		p.end = start;
	for (size_t i = 0; i < d->pieces.n_pieces; i++) {
		const struct disk_piece *x = &d->pieces.piece[i];

		if (off >= x->start && off < x->start + x->data.len)
			return (struct place){.piece = x, .end = x->start + x->data.len};
		if (off < x->start)
			p.end = MIN(p.end, x->start);
	}
	return p;
}

static int disk_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct disk *d = to_disk(im);
	uint8_t *to = buf;
	int rc = 0;

	while (len && rc >= 0) {
		struct place p = place_at(d, off);
		size_t n = (size_t)MIN((uint64_t)len, p.end - off);

		if (p.is_partition)
			rc = image_pread(d->partition, to, n, off - d->pieces.partition_start, e);
		else if (p.piece)
			memcpy(to, p.piece->data.data + (off - p.piece->start), n);
		else
			memset(to, 0, n);
		to += n;
		off += n;
		len -= n;
	}
	return rc;
}

static int disk_next_extent(struct image *im, uint64_t off, struct extent *ret, struct err *e)
{
	struct disk *d = to_disk(im);
	struct place p = place_at(d, off);

	if (p.is_partition) {
		int rc = image_next_extent(d->partition, off - d->pieces.partition_start, ret, e);

		ret->start = off;
		return rc;
	}
	*ret = (struct extent){
		.start = off, .length = p.end - off, .kind = p.piece ? EXTENT_DATA : EXTENT_HOLE};
	return 0;
}

/* The partition's image may be one that refers twice to the same bytes. */
static int disk_claim(struct image *im, uint64_t off, uint64_t len, struct err *e)
{
	struct disk *d = to_disk(im);
	struct place p = place_at(d, off);

	if (!p.is_partition || !d->partition->format->claim)
		return 0;
	return d->partition->format->claim(d->partition, off - d->pieces.partition_start,
					   MIN(len, p.end - off), e);
}

static int disk_flush(struct image *im, struct err *e)
{
	(void)im;
	(void)e;
	return 0;
}

static void disk_close(struct image *im)
{
	disk_pieces_release(&to_disk(im)->pieces);
}

/* Not a format of files: it is not in the list of formats. */
static const struct image_format assembled = {
	.name = "assembled",
	.summary = "a disk put together in memory",
	.pread = disk_pread,
	.next_extent = disk_next_extent,
	.claim = disk_claim,
	.flush = disk_flush,
	.close = disk_close,
};

static int check_pieces(const struct disk_pieces *p, uint64_t partition_size, struct err *e)
{
	uint64_t end = 0;

	if (!range_within(p->partition_start, partition_size, p->size))
		return err_set(e, EINVAL, "the partition does not fit the disk");
	for (size_t i = 0; i < p->n_pieces; i++) {
		const struct disk_piece *x = &p->piece[i];

		if (x->start < end || !range_within(x->start, x->data.len, p->size) ||
		    (x->start < p->partition_start + partition_size &&
		     p->partition_start < x->start + x->data.len))
			return err_set(e, EINVAL, "piece %zu overlaps another one", i);
		end = x->start + x->data.len;
	}
	return 0;
}

int disk_assemble(struct image *partition, struct disk_pieces *pieces, struct image **ret,
		  struct err *e)
{
	struct disk *d;
	int rc = check_pieces(pieces, image_size(partition), e);

	if (rc < 0)
		return rc;
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_nomem(e);
	d->common.format = &assembled;
	d->common.fd = -1;
	d->common.size = pieces->size;
	d->common.name = strdup(image_name(partition));
	if (!d->common.name) {
		free(d);
		return err_nomem(e);
	}
	d->partition = partition;
	d->pieces = *pieces;
	*pieces = (struct disk_pieces){0};
	*ret = &d->common;
	return 0;
}
