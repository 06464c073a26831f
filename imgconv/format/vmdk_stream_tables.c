/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of a stream-optimized VMDK that is read front to back. Its grains say themselves where
 * they belong; who reads the file back and forth goes by the tables. Both must see the same disk,
 * so that each table is compared with the grains that came, and the directory with the tables.
 *
 * Tables come behind their grains, or all of them in front. Of those that wait for their other side a
 * digest is kept: 20 bytes for 32 MiB of the disk.
 */
#include "imgconv/format/vmdk_stream.h"

#define EXPECTED_MAX (1u << 20)
#define SEEN_MAX (1u << 21)

void vmdk_stream_tables_free(struct vmdk_stream *s)
{
	free(s->expected);
	free(s->seen);
}

/* Room for one more of `size` bytes each. */
static int grow(void **array, size_t n, size_t *cap, size_t size, size_t max, struct err *e)
{
	size_t more = *cap ? *cap * 2 : 64;
	void *grown;

	if (n < *cap)
		return 0;
	if (n >= max)
		return err_set(e, EFBIG,
			       "more than %zu grain tables: the image is too large to be read "
			       "from a pipe",
			       max);
	grown = reallocarray(*array, more, size);
	if (!grown)
		return err_nomem(e);
	*array = grown;
	*cap = more;
	return 0;
}

static void digest_table(const uint8_t table[GT_SIZE], uint8_t out[VMDK_TABLE_DIGEST])
{
	uint8_t whole[DIGEST_MAX];

	digest_of(DIGEST_SHA256, table, GT_SIZE, whole);
	memcpy(out, whole, VMDK_TABLE_DIGEST);
}

static int expect(struct vmdk_stream *s, uint32_t index, const uint8_t table[GT_SIZE],
		  struct err *e)
{
	void *array = s->expected;
	int rc;

	/* All before were met: their room is free. */
	if (!s->tables_first && s->met == s->n_expected)
		s->met = s->n_expected = 0;
	rc = grow(&array, s->n_expected, &s->cap_expected, sizeof(*s->expected), EXPECTED_MAX, e);
	if (rc)
		return rc;
	s->expected = array;
	s->expected[s->n_expected].index = index;
	digest_table(table, s->expected[s->n_expected].digest);
	s->n_expected++;
	return 0;
}

static int meet(struct vmdk_stream *s, const uint8_t table[GT_SIZE], struct err *e)
{
	uint8_t digest[VMDK_TABLE_DIGEST];

	digest_table(table, digest);
	if (s->met == s->n_expected ||
	    memcmp(s->expected[s->met].digest, digest, sizeof(digest)) != 0)
		return err_set(
			e, EBADMSG, "grain table %u does not say where the grains are that came",
			s->met == s->n_expected ? s->table_index : s->expected[s->met].index);
	s->met++;
	return 0;
}

/* The grains of the current table are all there. */
static int close_table(struct vmdk_stream *s, struct err *e)
{
	int rc;

	if (!s->table_used)
		return 0;
	if (!s->tables_first)
		rc = expect(s, s->table_index, s->table, e);
	else if (s->met < s->n_expected && s->expected[s->met].index != s->table_index)
		rc = err_set(e, EBADMSG, "grain table %u lists grains that did not come",
			     s->expected[s->met].index);
	else
		rc = meet(s, s->table, e);
	memset(s->table, 0, GT_SIZE);
	s->table_used = false;
	return rc;
}

int vmdk_stream_add_grain(struct vmdk_stream *s, uint64_t lba, uint64_t sector, struct err *e)
{
	uint64_t grain = lba / s->h.grain;
	uint32_t index = (uint32_t)(grain / GT_ENTRIES);
	int rc = 0;

	if (s->table_used && index != s->table_index)
		rc = close_table(s, e);
	if (rc == 0 && sector > UINT32_MAX)
		rc = err_set(e, EFBIG, "the stream is longer than the 2 TiB of a VMDK file");
	if (rc)
		return rc;
	s->table_index = index;
	s->table_used = true;
	le32_put(s->table + grain % GT_ENTRIES * 4, (uint32_t)sector);
	return 0;
}

/* Entries for zeros and for nothing are the same here. */
static void without_zero_entries(const struct vmdk_stream *s, const uint8_t *in,
				 uint8_t out[GT_SIZE])
{
	memcpy(out, in, GT_SIZE);
	for (size_t i = 0; s->h.flags & FLAG_ZERO_GRAINS && i < GT_SIZE; i += 4) {
		if (le32_get(out + i) == GTE_ZERO)
			le32_put(out + i, 0);
	}
}

/* ---- behind the grains --------------------------------------------------------------------- */

int vmdk_stream_take_table(struct vmdk_stream *s, struct err *e)
{
	uint64_t sector = s->pos / SECTOR;
	struct vmdk_seen seen = {.sector = (uint32_t)sector, .index = VMDK_TABLE_EMPTY};
	uint8_t table[GT_SIZE];
	const uint8_t *in = NULL;
	void *array = s->seen;
	int rc = close_table(s, e);

	if (rc == 0)
		rc = vmdk_stream_need(s, GT_SIZE, &in, e);
	if (rc == 0 && sector > UINT32_MAX)
		rc = err_set(e, EFBIG, "the stream is longer than the 2 TiB of a VMDK file");
	if (rc == 0)
		rc = grow(&array, s->n_seen, &s->cap_seen, sizeof(*s->seen), SEEN_MAX, e);
	if (rc)
		return rc;
	s->seen = array;
	without_zero_entries(s, in, table);
	if (!mem_is_zero(table, GT_SIZE)) {
		rc = meet(s, table, e);
		if (rc)
			return rc;
		seen.index = s->expected[s->met - 1].index;
	}
	s->seen[s->n_seen++] = seen;
	vmdk_stream_used(s, GT_SIZE);
	return 0;
}

int vmdk_stream_close_tables(struct vmdk_stream *s, struct err *e)
{
	int rc = close_table(s, e);

	if (rc == 0 && s->met < s->n_expected)
		rc = err_set(e, EBADMSG,
			     s->tables_first ? "grain table %u lists grains that did not come"
					     : "grain table %u is missing",
			     s->expected[s->met].index);
	return rc;
}

/* Entry i of the directory; *at is how far the tables are that were seen. */
static int check_entry(const struct vmdk_stream *s, uint32_t i, uint32_t entry, size_t *at,
		       struct err *e)
{
	if (!entry)
		return 0;
	while (*at < s->n_seen && s->seen[*at].index == VMDK_TABLE_EMPTY &&
	       s->seen[*at].sector < entry)
		(*at)++;
	if (*at == s->n_seen || s->seen[*at].sector != entry ||
	    (s->seen[*at].index != i && s->seen[*at].index != VMDK_TABLE_EMPTY))
		return err_set(e, EBADMSG,
			       "the grain directory's entry %u is not where its grain table is", i);
	(*at)++;
	return 0;
}

int vmdk_stream_take_directory(struct vmdk_stream *s, struct err *e)
{
	uint64_t sector = s->pos / SECTOR;
	size_t at = 0;
	int rc = vmdk_stream_close_tables(s, e);

	for (uint32_t i = 0; rc == 0 && i < s->h.n_gd; i += SECTOR / 4) {
		const uint8_t *in = NULL;

		rc = vmdk_stream_need(s, SECTOR, &in, e);
		for (uint32_t j = 0; rc == 0 && j < SECTOR / 4 && i + j < s->h.n_gd; j++)
			rc = check_entry(s, i + j, le32_get(in + (size_t)j * 4), &at, e);
		if (rc == 0)
			vmdk_stream_used(s, SECTOR);
	}
	while (rc == 0 && at < s->n_seen && s->seen[at].index == VMDK_TABLE_EMPTY)
		at++;
	if (rc == 0 && at < s->n_seen)
		rc = err_set(e, EBADMSG, "the grain directory does not name grain table %u",
			     s->seen[at].index);
	s->gd = sector;
	return rc;
}

/* ---- in front ------------------------------------------------------------------------------ */

static int read_directory(struct vmdk_stream *s, uint32_t *gd, struct err *e)
{
	int rc = vmdk_stream_skip_to(s, s->h.gd * SECTOR, e);

	for (uint32_t i = 0; rc == 0 && i < s->h.n_gd; i += SECTOR / 4) {
		const uint8_t *in = NULL;

		rc = vmdk_stream_need(s, SECTOR, &in, e);
		for (uint32_t j = 0; rc == 0 && j < SECTOR / 4 && i + j < s->h.n_gd; j++)
			gd[i + j] = le32_get(in + (size_t)j * 4);
		if (rc == 0)
			vmdk_stream_used(s, SECTOR);
	}
	return rc;
}

int vmdk_stream_read_front(struct vmdk_stream *s, struct err *e)
{
	AUTO_FREE uint32_t *gd = calloc(s->h.n_gd, sizeof(*gd));
	uint8_t table[GT_SIZE];
	int rc = gd ? read_directory(s, gd, e) : err_nomem(e);

	for (uint32_t i = 0; rc == 0 && i < s->h.n_gd; i++) {
		const uint8_t *in = NULL;

		if (!gd[i])
			continue;
		if ((uint64_t)gd[i] * SECTOR < s->pos)
			return err_set(e, ENOTSUP,
				       "the grain tables are not in order: the image cannot be "
				       "read from a pipe");
		if (gd[i] + (uint64_t)GT_SECTORS > s->h.overhead)
			return err_set(e, EBADMSG,
				       "grain table %u at sector %u is not in front of the grains",
				       i, gd[i]);
		rc = vmdk_stream_skip_to(s, (uint64_t)gd[i] * SECTOR, e);
		if (rc == 0)
			rc = vmdk_stream_need(s, GT_SIZE, &in, e);
		if (rc)
			return rc;
		without_zero_entries(s, in, table);
		if (!mem_is_zero(table, GT_SIZE))
			rc = expect(s, i, table, e);
		vmdk_stream_used(s, GT_SIZE);
	}
	return rc;
}
