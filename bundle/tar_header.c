/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tar header blocks, as GNU tar, Python's tarfile and Go's archive/tar write them into bundles.
 * After POSIX.1-2017 pax "ustar Interchange Format" and "pax Header Block", and the GNU tar 1.34
 * manual, "Basic Tar Format" and "Storing Sparse Files".
 *
 *   offset size  ustar and old GNU           offset size  old GNU, type S
 *        0  100  name                           386   96  4 map entries
 *      124   12  size: stored bytes             482    1  not 0: map blocks follow
 *      148    8  checksum                       483   12  real size
 *      156    1  type
 *      257    8  "ustar\0" "00" (POSIX)       map block: 21 entries, then at 504 one byte
 *                "ustar  \0" (GNU)            entry: offset 12, length 12; an empty one ends the
 * map
 *
 * Numbers are octal text, or base-256 where the first byte has its top bit set.
 * Not supported: headers without magic (before 1988), negative numbers, Solaris and star types.
 */
#include <inttypes.h>

#include "bundle/tar_header.h"

enum {
	TAR_SIZE = 124,
	TAR_CHECKSUM = 148,
	TAR_TYPE = 156,
	TAR_MAGIC = 257,
	TAR_MAP = 386,
	TAR_EXTENDED = 482,
	TAR_REAL_SIZE = 483,
	TAR_MAP_ENTRIES = 4,
	TAR_EXT_ENTRIES = 21,
	TAR_EXT_EXTENDED = 504,
	TAR_NUMBER = 12, /* width of sizes and offsets */
	TAR_CHECKSUM_LEN = 8,
};

int tar_map_add(struct tar_map *m, uint64_t start, uint64_t length, struct err *e)
{
	if (m->n >= TAR_MAP_LIMIT)
		return err_set(e, EFBIG, "sparse map has more than %" PRIu32 " entries",
			       TAR_MAP_LIMIT);
	if (m->n == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 64;
		struct tar_extent *grown = realloc(m->extents, cap * sizeof(*grown));

		if (!grown)
			return err_nomem(e);
		m->extents = grown;
		m->cap = cap;
	}
	m->extents[m->n++] = (struct tar_extent){.start = start, .length = length};
	return 0;
}

void tar_map_release(struct tar_map *m)
{
	free(m->extents);
	*m = (struct tar_map){0};
}

int tar_map_check(const struct tar_map *m, uint64_t size, uint64_t stored, struct err *e)
{
	uint64_t end = 0, sum = 0;
	bool ragged = false;

	for (size_t i = 0; i < m->n; i++) {
		const struct tar_extent *x = &m->extents[i];

		if (x->start < end)
			return err_set(e, EBADMSG,
				       "sparse map entry %zu at 0x%" PRIx64
				       " begins before the end of the one before it",
				       i, x->start);
		if (!range_within(x->start, x->length, size))
			return err_set(e, EBADMSG,
				       "sparse map entry %zu (0x%" PRIx64 " + %" PRIu64
				       " bytes) exceeds the file's %" PRIu64 " bytes",
				       i, x->start, x->length, size);
		if (x->length && ragged)
			return err_set(e, EBADMSG,
				       "sparse map entry %zu follows one that is not whole blocks",
				       i);
		ragged = ragged || x->length % TAR_BLOCK;
		end = x->start + x->length;
		sum += x->length; /* at most size: extents do not overlap */
	}
	if (sum != stored)
		return err_set(e, EBADMSG,
			       "sparse map describes %" PRIu64 " bytes, the header says %" PRIu64,
			       sum, stored);
	return 0;
}

static int parse_base256(const uint8_t *p, size_t len, uint64_t *ret)
{
	uint64_t v = p[0] & 0x7f;

	for (size_t i = 1; i < len; i++) {
		if (v >> 55) /* the result stays below 2^63 */
			return -1;
		v = v << 8 | p[i];
	}
	*ret = v;
	return 0;
}

static int parse_octal(const uint8_t *p, size_t len, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0, digits = 0;

	while (i < len && p[i] == ' ')
		i++;
	for (; i < len && p[i] >= '0' && p[i] <= '7'; i++, digits++)
		v = v << 3 | (uint64_t)(p[i] - '0'); /* 12 digits: 36 bits */
	if (!digits)
		return -1;
	for (; i < len; i++) {
		if (p[i] != ' ' && p[i] != '\0')
			return -1;
	}
	*ret = v;
	return 0;
}

static int number(const uint8_t *block, size_t offset, const char *what, uint64_t *ret,
		  struct err *e)
{
	const uint8_t *p = block + offset;
	int rc = p[0] & 0x80 ? parse_base256(p, TAR_NUMBER, ret) : parse_octal(p, TAR_NUMBER, ret);

	if (rc < 0)
		return err_set(e, EBADMSG, "%s at byte %zu of the header is no valid number", what,
			       offset);
	return 0;
}

static bool checksum_matches(const uint8_t *block)
{
	uint64_t want, sum = 0;

	if (parse_octal(block + TAR_CHECKSUM, TAR_CHECKSUM_LEN, &want) < 0)
		return false;
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= TAR_CHECKSUM && i < TAR_CHECKSUM + TAR_CHECKSUM_LEN ? ' ' : block[i];
	return sum == want;
}

int tar_header_parse(const uint8_t *block, struct tar_header *ret, struct err *e)
{
	struct tar_header h = {0};

	h.gnu = !memcmp(block + TAR_MAGIC, "ustar  \0", 8);
	if (!h.gnu && memcmp(block + TAR_MAGIC,
			     "ustar\0"
			     "00",
			     8) != 0)
		return err_set(e, EBADMSG, "no tar header (magic is missing)");
	if (!checksum_matches(block))
		return err_set(e, EBADMSG, "header checksum is wrong");
	if (number(block, TAR_SIZE, "size", &h.size, e) < 0)
		return -EBADMSG;
	h.type = (char)block[TAR_TYPE];
	/* NUL is the old way, 7 a contiguous file: POSIX says to take both as regular. */
	if (h.type == '\0' || h.type == '7')
		h.type = '0';
	*ret = h;
	return 0;
}

/* Adds the entries at `offset`; *ret_ended: an empty one said that no more come. */
static int map_entries(const uint8_t *block, size_t offset, unsigned n, struct tar_map *m,
		       bool *ret_ended, struct err *e)
{
	*ret_ended = false;
	for (unsigned i = 0; i < n; i++, offset += (size_t)2 * TAR_NUMBER) {
		uint64_t start = 0, length = 0;
		int rc;

		if (block[offset + TAR_NUMBER] == '\0') {
			*ret_ended = true;
			return 0;
		}
		rc = number(block, offset, "sparse offset", &start, e);
		if (rc == 0)
			rc = number(block, offset + TAR_NUMBER, "sparse length", &length, e);
		if (rc == 0)
			rc = tar_map_add(m, start, length, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int map_block(const uint8_t *block, size_t offset, unsigned n, size_t extended_at,
		     struct tar_map *m, bool *ret_extended, struct err *e)
{
	bool ended;
	int rc = map_entries(block, offset, n, m, &ended, e);

	if (rc < 0)
		return rc;
	*ret_extended = block[extended_at] != 0;
	if (ended && *ret_extended)
		return err_set(e, EBADMSG, "sparse map goes on after its end");
	return 0;
}

int tar_sparse_header(const uint8_t *block, struct tar_map *m, uint64_t *ret_size,
		      bool *ret_extended, struct err *e)
{
	int rc = number(block, TAR_REAL_SIZE, "real size", ret_size, e);

	if (rc < 0)
		return rc;
	return map_block(block, TAR_MAP, TAR_MAP_ENTRIES, TAR_EXTENDED, m, ret_extended, e);
}

int tar_sparse_extension(const uint8_t *block, struct tar_map *m, bool *ret_extended, struct err *e)
{
	return map_block(block, 0, TAR_EXT_ENTRIES, TAR_EXT_EXTENDED, m, ret_extended, e);
}
