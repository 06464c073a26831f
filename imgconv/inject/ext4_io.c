/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libext2fs io_manager over a range of a struct image, with a copy-on-write layer of changed
 * pages in memory. libext2fs never sees a file name or a descriptor.
 */
#include "imgconv/inject/ext4_io.h"

#include <inttypes.h>

#include <ext2fs/ext2fs.h>

#include "imgconv/pages.h"

#define PAGE PAGE_SIZE /* granularity of the layer; any block size is served from it */

struct ext4_io {
	struct image *im;
	uint64_t start, length;
	struct pages pages; /* by their number in the file system */
	uint64_t budget;
	struct err failure; /* of the last failed call; code 0: none */
};

/* open() of an io_manager is given nothing but a name, so the range comes by this way. */
static _Thread_local struct ext4_io *bound;

int ext4_io_new(struct image *im, uint64_t start, uint64_t length, struct ext4_io **ret,
		struct err *e)
{
	struct ext4_io *io;

	if (!range_within(start, length, image_size(im)))
		return err_set(e, EBADMSG,
			       "file system at 0x%" PRIx64 " reaches past the image's end", start);
	io = calloc(1, sizeof(*io));
	if (!io)
		return err_nomem(e);
	io->im = im;
	io->start = start;
	io->length = length;
	io->budget = UINT64_MAX;
	*ret = io;
	return 0;
}

void ext4_io_free(struct ext4_io *io)
{
	if (!io)
		return;
	if (bound == io)
		bound = NULL;
	pages_release(&io->pages);
	free(io);
}

void ext4_io_budget(struct ext4_io *io, uint64_t blocks)
{
	io->budget = blocks;
}

int ext4_io_take_error(struct ext4_io *io, struct err *e)
{
	int code = io->failure.code;

	if (code && e)
		*e = io->failure;
	io->failure.code = 0;
	return -code;
}

/* ---- the layer --------------------------------------------------------------------------- */

/* Bytes of the page that lie inside the file system. */
static size_t page_len(const struct ext4_io *io, uint64_t index)
{
	return (size_t)MIN((uint64_t)PAGE, io->length - index * PAGE);
}

static int page_read_image(struct ext4_io *io, uint64_t index, uint8_t *data, struct err *e)
{
	size_t len = page_len(io, index);

	memset(data + len, 0, PAGE - len);
	return image_pread(io->im, data, len, io->start + index * PAGE, e);
}

/* The page to change, filled from the image unless all of it is about to be overwritten. */
static int page_get(struct ext4_io *io, uint64_t index, bool fill, struct page **ret, struct err *e)
{
	AUTO_FREE uint8_t *data = NULL;
	int rc = 0;

	*ret = pages_find(&io->pages, index);
	if (*ret)
		return 0;
	if ((io->pages.n + 1) * PAGE > EXT4_IO_LAYER_MAX)
		return err_set(e, EFBIG, "changes of more than %" PRIu64 " MiB at once",
			       EXT4_IO_LAYER_MAX / MIB);
	data = calloc(1, PAGE);
	if (!data)
		return err_nomem(e);
	if (fill)
		rc = page_read_image(io, index, data, e);
	if (rc >= 0)
		rc = pages_add(&io->pages, index, data, ret, e);
	if (rc >= 0)
		(void)STEAL(data);
	return rc;
}

static int check_range(struct ext4_io *io, size_t len, uint64_t off, struct err *e)
{
	if (!range_within(off, len, io->length))
		return err_set(e, EBADMSG,
			       "the file system refers to 0x%" PRIx64
			       ", past its end at 0x%" PRIx64,
			       off, io->length);
	return 0;
}

int ext4_io_read(struct ext4_io *io, void *buf, size_t len, uint64_t off, struct err *e)
{
	uint8_t *to = buf;
	int rc = check_range(io, len, off, e);

	if (rc < 0)
		return rc;
	rc = image_pread(io->im, buf, len, io->start + off, e);
	if (rc < 0 || !io->pages.n)
		return rc;
	while (len) {
		size_t in_page = off % PAGE;
		size_t n = MIN(len, PAGE - in_page);
		struct page *p = pages_find(&io->pages, off / PAGE);

		if (p)
			memcpy(to, p->data + in_page, n);
		to += n;
		off += n;
		len -= n;
	}
	return 0;
}

int ext4_io_write(struct ext4_io *io, const void *buf, size_t len, uint64_t off, struct err *e)
{
	const uint8_t *from = buf;
	int rc = check_range(io, len, off, e);

	if (rc < 0)
		return rc;
	while (len) {
		size_t in_page = off % PAGE;
		size_t n = MIN(len, PAGE - in_page);
		struct page *p = NULL;

		rc = page_get(io, off / PAGE, n < page_len(io, off / PAGE), &p, e);
		if (rc < 0)
			return rc;
		memcpy(p->data + in_page, from, n);
		from += n;
		off += n;
		len -= n;
	}
	return 0;
}

int ext4_io_commit(struct ext4_io *io, struct err *e)
{
	return pages_write_back(&io->pages, io->im, io->start, io->length, e);
}

/* ---- the io_manager ------------------------------------------------------------------------ */

static errcode_t mgr_open(const char *name, int flags, io_channel *ret);

/* A failure's text is kept for ext4_io_take_error; libext2fs carries the errno alone. */
static errcode_t keep(struct ext4_io *io, int rc)
{
	return rc < 0 ? (errcode_t)io->failure.code : 0;
}

static errcode_t mgr_close(io_channel ch)
{
	if (--ch->refcount > 0)
		return 0;
	free(ch->name);
	free(ch);
	return 0;
}

static errcode_t mgr_set_blksize(io_channel ch, int size)
{
	ch->block_size = size;
	return 0;
}

/* Bytes and offset of `count` blocks (a negative count is in bytes), charged to the budget. */
static int span(io_channel ch, unsigned long long block, int count, size_t *len, uint64_t *off)
{
	struct ext4_io *io = ch->private_data;
	uint64_t blocks = count < 0 ? 1 : (uint64_t)count;

	*len = count < 0 ? (size_t) - (int64_t)count : (size_t)count * (size_t)ch->block_size;
	if (!u64_mul(block, (uint64_t)ch->block_size, off))
		return err_set(&io->failure, EBADMSG, "the file system refers to block %llu",
			       block);
	if (blocks > io->budget)
		return err_set(&io->failure, EBADMSG,
			       "the file system's structures run in a circle or are far too large");
	io->budget -= blocks;
	return 0;
}

static errcode_t mgr_read64(io_channel ch, unsigned long long block, int count, void *data)
{
	struct ext4_io *io = ch->private_data;
	size_t len;
	uint64_t off;
	int rc = span(ch, block, count, &len, &off);

	if (rc >= 0)
		rc = ext4_io_read(io, data, len, off, &io->failure);
	return keep(io, rc);
}

static errcode_t mgr_write64(io_channel ch, unsigned long long block, int count, const void *data)
{
	struct ext4_io *io = ch->private_data;
	size_t len;
	uint64_t off;
	int rc = span(ch, block, count, &len, &off);

	if (rc >= 0)
		rc = ext4_io_write(io, data, len, off, &io->failure);
	return keep(io, rc);
}

static errcode_t mgr_read(io_channel ch, unsigned long block, int count, void *data)
{
	return mgr_read64(ch, block, count, data);
}

static errcode_t mgr_write(io_channel ch, unsigned long block, int count, const void *data)
{
	return mgr_write64(ch, block, count, data);
}

static errcode_t mgr_write_byte(io_channel ch, unsigned long offset, int count, const void *data)
{
	struct ext4_io *io = ch->private_data;

	return count < 0 ? EINVAL
			 : keep(io, ext4_io_write(io, data, (size_t)count, offset, &io->failure));
}

static errcode_t mgr_zeroout(io_channel ch, unsigned long long block, unsigned long long count)
{
	AUTO_FREE char *zeros = calloc(1, (size_t)ch->block_size);
	errcode_t rc = 0;

	if (!zeros)
		return ENOMEM;
	for (unsigned long long i = 0; i < count && !rc; i++)
		rc = mgr_write64(ch, block + i, 1, zeros);
	return rc;
}

static errcode_t mgr_flush(io_channel ch)
{
	(void)ch;
	return 0;
}

/* libext2fs compares magics and may keep a pointer to its manager: it lives for ever. */
static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "image layer",
	.open = mgr_open,
	.close = mgr_close,
	.set_blksize = mgr_set_blksize,
	.read_blk = mgr_read,
	.write_blk = mgr_write,
	.flush = mgr_flush,
	.write_byte = mgr_write_byte,
	.read_blk64 = mgr_read64,
	.write_blk64 = mgr_write64,
	.zeroout = mgr_zeroout,
};

static errcode_t mgr_open(const char *name, int flags, io_channel *ret)
{
	io_channel ch;

	(void)flags;
	if (!bound)
		return EINVAL;
	ch = calloc(1, sizeof(*ch));
	if (!ch)
		return ENOMEM;
	ch->name = strdup(name);
	if (!ch->name) {
		free(ch);
		return ENOMEM;
	}
	ch->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	ch->manager = &manager;
	ch->block_size = 1024;
	ch->refcount = 1;
	ch->private_data = bound;
	*ret = ch;
	return 0;
}

struct struct_io_manager *ext4_io_bind(struct ext4_io *io)
{
	bound = io;
	return &manager;
}
