/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of a tar archive with one member, fed in pieces of any size.
 *
 *   archive:  { x, g, L or K header, its data }*   header   [map blocks]   data   zeros
 *
 * Read: ustar, old GNU and PAX; plain files and sparse ones (old-GNU type S, GNU.sparse 0.0, 0.1
 * and 1.0). The member's name is never looked at: what it is called is not ours to follow. Refused:
 * every other type of member, a second member, anything but zeros after the file. What comes is
 * bounded all along by the size that the file must have, so that a small bundle cannot unfold
 * without end.
 */
#include <inttypes.h>

#include "bundle/tar.h"
#include "bundle/tar_header.h"

#define EXT_LIMIT (4u << 20)     /* bytes of one PAX or long-name header */
#define EXT_COUNT 16             /* such headers before the member */
#define TRAILER_LIMIT (1u << 20) /* zeros after the file: a record of GNU tar -b 2048 */

enum state {
	STATE_HEADER,  /* collecting a header block */
	STATE_EXT,     /* collecting the data of an x, g, L or K header */
	STATE_MAP_GNU, /* collecting a block of an old-GNU sparse map */
	STATE_MAP_PAX, /* collecting a block of a GNU.sparse 1.0 map */
	STATE_DATA,
	STATE_TRAILER,
};

struct tar_reader {
	struct bundle_sink sink; /* write == NULL: none */
	uint64_t size;           /* that the file must have */
	uint64_t pos;            /* bytes of the archive taken */
	uint64_t skip;           /* padding bytes to pass over before the state goes on */
	enum state state;

	uint8_t block[TAR_BLOCK]; /* being collected */
	size_t filled;

	char ext_type;
	unsigned n_ext;
	uint64_t ext_left;
	struct buf ext;
	struct pax_attrs pax;

	uint64_t stored; /* bytes of the member in the archive, without map */
	struct tar_map map;
	size_t extent; /* index of the one that is being filled */
	uint64_t done; /* bytes of it */
	uint64_t trailer;

	/* GNU.sparse 1.0: lines of decimal numbers, the count of pairs first. */
	char digits[20];
	size_t n_digits;
	uint64_t n_numbers; /* read so far */
	uint64_t n_pairs;
	uint64_t start; /* first number of the pair */
};

int tar_reader_new(uint64_t size, const struct bundle_sink *sink, struct tar_reader **ret,
		   struct err *e)
{
	struct tar_reader *t = calloc(1, sizeof(*t));

	if (!t)
		return err_nomem(e);
	t->size = size;
	if (sink)
		t->sink = *sink;
	*ret = t;
	return 0;
}

void tar_reader_free(struct tar_reader *t)
{
	if (!t)
		return;
	buf_release(&t->ext);
	pax_attrs_release(&t->pax);
	tar_map_release(&t->map);
	free(t);
}

/* Goes to the next extent that has bytes; behind the last one the trailer begins. */
static void skip_empty_extents(struct tar_reader *t)
{
	while (t->extent < t->map.n && !t->map.extents[t->extent].length)
		t->extent++;
	t->state = t->extent < t->map.n ? STATE_DATA : STATE_TRAILER;
}

/* The map is complete: from here the file's bytes come. */
static int begin_data(struct tar_reader *t, struct err *e)
{
	int rc = tar_map_check(&t->map, t->size, t->stored, e);

	if (rc == 0 && t->sink.begin)
		rc = t->sink.begin(t->sink.ctx, t->size, e);
	if (rc == 0)
		skip_empty_extents(t);
	return rc;
}

static int check_size(struct tar_reader *t, uint64_t size, struct err *e)
{
	if (t->size == TAR_SIZE_ANY && size <= INT64_MAX)
		t->size = size;
	if (size != t->size)
		return err_set(e, EBADMSG, "file has %" PRIu64 " bytes, not %" PRIu64, size,
			       t->size);
	return 0;
}

static int begin_old_gnu_sparse(struct tar_reader *t, const struct tar_header *h, struct err *e)
{
	uint64_t real_size;
	bool extended;
	int rc;

	if (!h->gnu)
		return err_set(e, EBADMSG, "a sparse member needs a GNU header");
	rc = tar_sparse_header(t->block, &t->map, &real_size, &extended, e);
	if (rc == 0)
		rc = check_size(t, real_size, e);
	if (rc < 0)
		return rc;
	t->stored = h->size;
	if (!extended)
		return begin_data(t, e);
	t->state = STATE_MAP_GNU;
	return 0;
}

static int begin_pax_sparse(struct tar_reader *t, struct err *e)
{
	struct pax_attrs *a = &t->pax;
	int rc;

	if (!a->has_real_size)
		return err_set(e, EBADMSG, "a GNU.sparse member without its real size");
	rc = check_size(t, a->real_size, e);
	if (rc < 0)
		return rc;
	if (a->has_version && (a->major || a->minor > 1)) {
		if (a->major != 1 || a->minor)
			return err_set(e, ENOTSUP, "GNU.sparse version %" PRIu64 ".%" PRIu64,
				       a->major, a->minor);
		t->state = STATE_MAP_PAX;
		return 0;
	}
	if (!a->has_map)
		return err_set(e, EBADMSG, "a GNU.sparse member without a map");
	t->map = a->map;
	a->map = (struct tar_map){0};
	return begin_data(t, e);
}

static int begin_member(struct tar_reader *t, const struct tar_header *h, struct err *e)
{
	const struct pax_attrs *a = &t->pax;
	int rc;

	if (h->type == 'S')
		return begin_old_gnu_sparse(t, h, e);
	t->stored = h->size;
	if (a->has_map || a->has_version || a->has_real_size)
		return begin_pax_sparse(t, e);
	rc = check_size(t, h->size, e);
	if (rc == 0)
		rc = tar_map_add(&t->map, 0, h->size, e);
	return rc < 0 ? rc : begin_data(t, e);
}

static int on_header(struct tar_reader *t, struct err *e)
{
	struct tar_header h;
	int rc;

	if (mem_is_zero(t->block, TAR_BLOCK))
		return err_set(e, EBADMSG, "archive ends without a file");
	rc = tar_header_parse(t->block, &h, e);
	if (rc < 0)
		return rc;
	switch (h.type) {
	case '0':
	case 'S':
		if (t->pax.has_size)
			h.size = t->pax.size;
		return begin_member(t, &h, e);
	case 'x':
	case 'g':
	case 'L':
	case 'K':
		if (h.size > EXT_LIMIT)
			return err_set(e, EFBIG, "header of type '%c' has %" PRIu64 " bytes",
				       h.type, h.size);
		if (++t->n_ext > EXT_COUNT)
			return err_set(e, EFBIG, "more than %d headers before the file", EXT_COUNT);
		t->ext_type = h.type;
		t->ext_left = h.size;
		t->state = STATE_EXT;
		return 0;
	default:
		return err_set(e, EBADMSG, "member of type '%c' is no regular file", h.type);
	}
}

static int end_ext(struct tar_reader *t, size_t size, struct err *e)
{
	int rc = 0;

	if (t->ext_type == 'x' || t->ext_type == 'g')
		rc = pax_parse(buf_str(&t->ext), t->ext.len, &t->pax, e);
	t->skip = round_up(size, TAR_BLOCK) - size;
	buf_release(&t->ext);
	t->state = STATE_HEADER;
	return rc;
}

static int take_ext(struct tar_reader *t, const uint8_t *p, size_t len, size_t *ret, struct err *e)
{
	size_t n = (size_t)MIN(t->ext_left, len);

	/* Long names are collected like the rest: they are as short, and it is one path. */
	if (n && buf_add(&t->ext, p, n) < 0)
		return err_nomem(e);
	t->ext_left -= n;
	*ret = n;
	return t->ext_left ? 0 : end_ext(t, t->ext.len, e);
}

/* A line of a GNU.sparse 1.0 map has ended. */
static int map_number(struct tar_reader *t, struct err *e)
{
	uint64_t v;
	int rc = tar_decimal(t->digits, t->n_digits, &v, e);

	if (rc < 0)
		return err_wrap(e, "sparse map");
	t->n_digits = 0;
	t->n_numbers++;
	if (t->n_numbers == 1) {
		if (v > TAR_MAP_LIMIT)
			return err_set(e, EFBIG, "sparse map of %" PRIu64 " entries", v);
		t->n_pairs = v;
	} else if (t->n_numbers % 2 == 0) {
		t->start = v;
	} else {
		return tar_map_add(&t->map, t->start, v, e);
	}
	return 0;
}

static int on_pax_map_block(struct tar_reader *t, struct err *e)
{
	if (t->stored < TAR_BLOCK)
		return err_set(e, EBADMSG, "sparse map is longer than the member");
	t->stored -= TAR_BLOCK;
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		int rc = 0;

		if (t->block[i] == '\n')
			rc = map_number(t, e);
		else if (t->n_digits == sizeof(t->digits))
			rc = err_set(e, EBADMSG, "sparse map: a number is too long");
		else
			t->digits[t->n_digits++] = (char)t->block[i];
		if (rc < 0)
			return rc;
		/* The rest of the block is padding. */
		if (t->n_numbers && t->n_numbers == 1 + 2 * t->n_pairs)
			return begin_data(t, e);
	}
	return 0;
}

static int on_gnu_map_block(struct tar_reader *t, struct err *e)
{
	bool extended;
	int rc = tar_sparse_extension(t->block, &t->map, &extended, e);

	if (rc < 0)
		return rc;
	return extended ? 0 : begin_data(t, e);
}

static int take_block(struct tar_reader *t, const uint8_t *p, size_t len, size_t *ret,
		      struct err *e)
{
	size_t n = MIN(TAR_BLOCK - t->filled, len);

	memcpy(t->block + t->filled, p, n);
	t->filled += n;
	*ret = n;
	if (t->filled < TAR_BLOCK)
		return 0;
	t->filled = 0;
	if (t->state == STATE_HEADER)
		return on_header(t, e);
	return t->state == STATE_MAP_GNU ? on_gnu_map_block(t, e) : on_pax_map_block(t, e);
}

static int take_data(struct tar_reader *t, const uint8_t *p, size_t len, size_t *ret, struct err *e)
{
	const struct tar_extent *x = &t->map.extents[t->extent];
	size_t n = (size_t)MIN(x->length - t->done, len);
	int rc = 0;

	if (t->sink.write)
		rc = t->sink.write(t->sink.ctx, p, n, x->start + t->done, e);
	if (rc < 0)
		return rc;
	*ret = n;
	t->done += n;
	if (t->done == x->length) {
		t->skip = round_up(t->done, TAR_BLOCK) - t->done;
		t->done = 0;
		t->extent++;
		skip_empty_extents(t);
	}
	return 0;
}

static int take_trailer(struct tar_reader *t, const uint8_t *p, size_t len, size_t *ret,
			struct err *e)
{
	if (!mem_is_zero(p, len))
		return err_set(e, EBADMSG,
			       "more than zeros follow the file: a second member, or garbage");
	t->trailer += len;
	if (t->trailer > TRAILER_LIMIT)
		return err_set(e, EFBIG, "more than %u zeros follow the file", TRAILER_LIMIT);
	*ret = len;
	return 0;
}

/* Takes some of the bytes, at least one unless it fails; the sink's errors are marked as such. */
static int take(struct tar_reader *t, const uint8_t *p, size_t len, size_t *ret, struct err *e)
{
	if (t->skip) {
		*ret = (size_t)MIN(t->skip, len);
		t->skip -= *ret;
		return 0;
	}
	switch (t->state) {
	case STATE_EXT:
		return take_ext(t, p, len, ret, e);
	case STATE_DATA:
		return take_data(t, p, len, ret, e);
	case STATE_TRAILER:
		return take_trailer(t, p, len, ret, e);
	default:
		return take_block(t, p, len, ret, e);
	}
}

int tar_reader_feed(struct tar_reader *t, const void *data, size_t len, struct err *e)
{
	const uint8_t *p = data;

	while (len) {
		enum state state = t->state;
		size_t used = 0;
		int rc = take(t, p, len, &used, e);

		/* Errors of the sink are about the output, not about the archive. */
		if (rc < 0)
			return state == STATE_DATA ? rc : err_wrap(e, "tar at 0x%" PRIx64, t->pos);
		p += used;
		len -= used;
		t->pos += used;
	}
	return 0;
}

int tar_reader_finish(struct tar_reader *t, struct err *e)
{
	const char *where;

	if (t->state == STATE_TRAILER && !t->skip && t->pos % TAR_BLOCK == 0)
		return 0;
	if (t->state == STATE_TRAILER)
		where = "in the padding behind the file";
	else if (t->state == STATE_DATA)
		where = "in the file's data";
	else
		where = "before the file's data";
	return err_set(e, EBADMSG, "tar ends at 0x%" PRIx64 ", %s", t->pos, where);
}
