/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal of an ext3 or ext4 that was not cleanly unmounted, replayed onto the layer of changes
 * (Linux, ext4 disk layout, "Journal (jbd2)"). All numbers are big-endian:
 *
 *	every block:  0 magic 0xc03b3998   4 type   8 sequence
 *	superblock:  12 block size  16 blocks  20 first  24 sequence  28 start  32 errno
 *	             40 incompat  48 UUID  80 checksum type  252 checksum
 *	descriptor:  from 12: tags, each with a UUID of 16 bytes behind it unless flag 2 says no:
 *	             csum_v3: block, flags, block high, checksum, 32 bit each
 *	             else:    block 32, checksum 16, flags 16, block high 32 if 64bit
 *	             flags: 1 escaped  2 same UUID  4 deleted  8 last; then a block of data for each
 *	revoke:      12 bytes used; block numbers of 32 or 64 bit
 *	commit:      16 checksum
 *
 * In three passes over the same blocks: where the log ends, what is revoked, and the copying. What
 * is not done: fast commits, journals on other devices, and the old checksum of whole transactions.
 */
#include <inttypes.h>

#include "imgconv/inject/ext4_priv.h"

#define JOURNAL_BLOCKS_MAX (UINT32_C(1) << 22)
#define REVOKED_MAX (1 << 22)
#define MAGIC 0xc03b3998u
#define HEADER 12
#define SB_LEN 1024
#define TAIL 4 /* checksum at a block's end */

enum {
	BLOCK_DESCRIPTOR = 1,
	BLOCK_COMMIT = 2,
	BLOCK_SUPER_V1 = 3,
	BLOCK_SUPER_V2 = 4,
	BLOCK_REVOKE = 5,
};

#define INCOMPAT_REVOKE 1u
#define INCOMPAT_64BIT 2u
#define INCOMPAT_ASYNC 4u
#define INCOMPAT_CSUM_V2 8u
#define INCOMPAT_CSUM_V3 16u
#define INCOMPAT_KNOWN                                                                             \
	(INCOMPAT_REVOKE | INCOMPAT_64BIT | INCOMPAT_ASYNC | INCOMPAT_CSUM_V2 | INCOMPAT_CSUM_V3)

#define TAG_ESCAPED 1u
#define TAG_SAME_UUID 2u
#define TAG_DELETED 4u
#define TAG_LAST 8u

struct revoked {
	uint64_t block;
	uint32_t sequence;
};

struct journal {
	struct ext4_fs *g;
	struct err *e;
	size_t bs;
	uint64_t fs_blocks;
	blk64_t *map; /* n: where each of its blocks is */
	uint32_t n, first, start, sequence, incompat;
	uint32_t end; /* the sequence after the last whole transaction */
	uint32_t seed;
	bool checksums;
	uint8_t *block; /* a descriptor or the like */
	uint8_t *data;
	struct revoked *revoked;
	size_t n_revoked, cap_revoked;
};

enum pass {
	PASS_SCAN,
	PASS_REVOKE,
	PASS_REPLAY,
};

/* ---- blocks ---------------------------------------------------------------------------------- */

static int journal_read(struct journal *j, uint32_t index, uint8_t *to)
{
	if (!j->map || index >= j->n)
		return err_set(j->e, EBADMSG, "the journal has no block %" PRIu32, index);
	return ext4_io_read(j->g->io, to, j->bs, j->map[index] * j->bs, j->e);
}

/* The log is a ring behind its superblock. */
static uint32_t after(const struct journal *j, uint32_t index)
{
	return index + 1 < j->n ? index + 1 : j->first;
}

static uint32_t checksum(uint32_t seed, const void *data, size_t len)
{
	return ext2fs_crc32c_le(seed, data, len);
}

/* Of a block that has its own checksum at `at`, which counts as zero. */
static bool block_is_sound(const struct journal *j, uint8_t *block, size_t at)
{
	uint32_t stored = be32_get(block + at), computed;

	if (!j->checksums)
		return true;
	be32_put(block + at, 0);
	computed = checksum(j->seed, block, j->bs);
	be32_put(block + at, stored);
	return computed == stored;
}

/* ---- tags ------------------------------------------------------------------------------------ */

struct tag {
	uint64_t block;
	uint32_t flags, checksum;
};

/* Bytes of a tag, without its UUID. */
static size_t tag_size(const struct journal *j)
{
	size_t size = 8;

	if (j->incompat & INCOMPAT_CSUM_V3)
		return 16;
	if (j->incompat & INCOMPAT_CSUM_V2)
		size += 2;
	if (j->incompat & INCOMPAT_64BIT)
		size += 4;
	return size;
}

static struct tag tag_at(const struct journal *j, const uint8_t *p)
{
	struct tag t = {.block = be32_get(p)};

	if (j->incompat & INCOMPAT_CSUM_V3) {
		t.flags = be32_get(p + 4);
		t.checksum = be32_get(p + 12);
		if (j->incompat & INCOMPAT_64BIT)
			t.block |= (uint64_t)be32_get(p + 8) << 32;
		return t;
	}
	t.checksum = be16_get(p + 4);
	t.flags = be16_get(p + 6);
	if (j->incompat & INCOMPAT_64BIT)
		t.block |= (uint64_t)be32_get(p + 8) << 32;
	return t;
}

static int by_block(const void *a, const void *b)
{
	const struct revoked *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* In that transaction or a later one; the list is sorted. */
static bool is_revoked(const struct journal *j, uint64_t block, uint32_t sequence)
{
	size_t low = 0, high = j->n_revoked;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (j->revoked[mid].block < block)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < j->n_revoked && j->revoked[low].block == block; low++) {
		if ((int32_t)(j->revoked[low].sequence - sequence) >= 0)
			return true;
	}
	return false;
}

/* Copies the journal's block `index` to where the tag says. */
static int replay_block(struct journal *j, uint32_t index, const struct tag *t, uint32_t sequence)
{
	uint8_t number[4];
	uint32_t sum;
	int rc;

	if (t->block >= j->fs_blocks)
		return err_set(j->e, EBADMSG, "journal: block %" PRIu64 " is past the end",
			       t->block);
	if (is_revoked(j, t->block, sequence))
		return 0;
	rc = journal_read(j, index, j->data);
	if (rc < 0)
		return rc;
	be32_put(number, sequence);
	if (j->checksums) {
		sum = checksum(checksum(j->seed, number, sizeof(number)), j->data, j->bs);
		if (!(j->incompat & INCOMPAT_CSUM_V3))
			sum &= 0xffff;
		if (sum != t->checksum)
			return err_set(j->e, EBADMSG,
				       "journal: the checksum of block %" PRIu64 " is wrong",
				       t->block);
	}
	if (t->flags & TAG_ESCAPED)
		be32_put(j->data, MAGIC);
	return ext4_io_write(j->g->io, j->data, j->bs, t->block * j->bs, j->e);
}

/* All tags of the descriptor in j->block; *index moves behind their data. 0: it is not sound. */
static int each_tag(struct journal *j, enum pass pass, uint32_t sequence, uint32_t *index)
{
	size_t size = tag_size(j), room = j->bs - (j->checksums ? TAIL : 0);
	size_t at = HEADER;

	if (!block_is_sound(j, j->block, j->bs - TAIL))
		return 0;
	while (at + size <= room) {
		struct tag t = tag_at(j, j->block + at);
		int rc = 0;

		if (pass == PASS_REPLAY && !(t.flags & TAG_DELETED))
			rc = replay_block(j, *index, &t, sequence);
		if (rc < 0)
			return rc;
		*index = after(j, *index);
		at += size + (t.flags & TAG_SAME_UUID ? 0 : 16);
		if (t.flags & TAG_LAST)
			return 1;
	}
	return 1;
}

/* ---- revocations ----------------------------------------------------------------------------- */

static int add_revoked(struct journal *j, uint64_t block, uint32_t sequence)
{
	if (j->n_revoked == REVOKED_MAX)
		return err_set(j->e, EFBIG, "journal: more than %d revocations", REVOKED_MAX);
	if (j->n_revoked == j->cap_revoked) {
		size_t cap = j->cap_revoked ? j->cap_revoked * 2 : 256;
		struct revoked *list = realloc(j->revoked, cap * sizeof(*list));

		if (!list)
			return err_nomem(j->e);
		j->revoked = list;
		j->cap_revoked = cap;
	}
	j->revoked[j->n_revoked++] = (struct revoked){block, sequence};
	return 0;
}

static int read_revoked(struct journal *j, uint32_t sequence)
{
	size_t entry = j->incompat & INCOMPAT_64BIT ? 8 : 4;
	size_t used = be32_get(j->block + HEADER), room = j->bs - (j->checksums ? TAIL : 0);

	if (!block_is_sound(j, j->block, j->bs - TAIL) || used > room)
		return err_set(j->e, EBADMSG, "journal: a block of revocations is damaged");
	for (size_t at = HEADER + 4; at + entry <= used; at += entry) {
		uint64_t block = entry == 8 ? be64_get(j->block + at) : be32_get(j->block + at);
		int rc = add_revoked(j, block, sequence);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- passes ---------------------------------------------------------------------------------- */

/* One block that is not data. 0: the log ends here. */
static int do_block(struct journal *j, enum pass pass, uint32_t *sequence, uint32_t *index)
{
	int rc;

	switch (be32_get(j->block + 4)) {
	case BLOCK_DESCRIPTOR:
		return each_tag(j, pass, *sequence, index);
	case BLOCK_COMMIT:
		if (!block_is_sound(j, j->block, 16))
			return 0;
		++*sequence;
		return 1;
	case BLOCK_REVOKE:
		rc = pass == PASS_REVOKE ? read_revoked(j, *sequence) : 0;
		return rc < 0 ? rc : 1;
	default:
		return 0;
	}
}

static int do_pass(struct journal *j, enum pass pass)
{
	uint32_t index = j->start, sequence = j->sequence;

	/* Each block is seen once at most, however the log is made. */
	for (uint32_t seen = 0; seen < j->n; seen++) {
		uint32_t before = index;
		int rc;

		if (pass != PASS_SCAN && sequence == j->end)
			return 0;
		rc = journal_read(j, index, j->block);
		if (rc < 0)
			return rc;
		if (be32_get(j->block) != MAGIC || be32_get(j->block + 8) != sequence)
			break;
		index = after(j, index);
		rc = do_block(j, pass, &sequence, &index);
		if (rc < 0)
			return rc;
		if (!rc)
			break;
		/* What its tags took counts, too. */
		seen += index > before ? index - before - 1 : j->n - before + index - j->first - 1;
	}
	if (pass == PASS_SCAN)
		j->end = sequence;
	return pass != PASS_SCAN && sequence != j->end
		       ? err_set(j->e, EBADMSG, "journal: it changed while it was read")
		       : 0;
}

/* ---- superblocks ----------------------------------------------------------------------------- */

static int read_super(struct journal *j)
{
	uint32_t type, unknown, errors;
	uint8_t sb[SB_LEN];
	int rc = journal_read(j, 0, j->block);

	if (rc < 0)
		return rc;
	memcpy(sb, j->block, SB_LEN);
	type = be32_get(sb + 4);
	if (be32_get(sb) != MAGIC || (type != BLOCK_SUPER_V1 && type != BLOCK_SUPER_V2))
		return err_set(j->e, EBADMSG, "journal: no superblock");
	j->incompat = type == BLOCK_SUPER_V2 ? be32_get(sb + 40) : 0;
	unknown = j->incompat & ~INCOMPAT_KNOWN;
	if (unknown)
		return err_set(j->e, ENOTSUP,
			       "journal: unknown features 0x%" PRIx32
			       " (fast commits, perhaps): run e2fsck -fp on the file system",
			       unknown);
	if (type == BLOCK_SUPER_V2 && (be32_get(sb + 36) & 1))
		return err_set(j->e, ENOTSUP,
			       "journal: checksums of the old kind: run e2fsck -fp on the file "
			       "system");
	errors = be32_get(sb + 32);
	if (errors)
		return err_set(j->e, EUCLEAN,
			       "the journal has noted an error (%" PRIu32
			       "): run e2fsck -f on the file system",
			       errors);
	if (be32_get(sb + 12) != j->bs || be32_get(sb + 16) > j->n || be32_get(sb + 16) < 4)
		return err_set(j->e, EBADMSG, "journal: its superblock gives the wrong size");
	j->n = be32_get(sb + 16);
	j->first = be32_get(sb + 20);
	j->sequence = be32_get(sb + 24);
	j->start = be32_get(sb + 28);
	if (!j->first || j->first >= j->n || j->start >= j->n || (j->start && j->start < j->first))
		return err_set(j->e, EBADMSG, "journal: its superblock points outside of it");
	j->checksums = j->incompat & (INCOMPAT_CSUM_V2 | INCOMPAT_CSUM_V3);
	j->seed = checksum(~0u, sb + 48, 16);
	if (j->checksums) {
		be32_put(sb + 252, 0);
		if (checksum(~0u, sb, SB_LEN) != be32_get(j->block + 252))
			return err_set(j->e, EBADMSG,
				       "journal: its superblock's checksum is wrong");
	}
	return 0;
}

/* There is nothing to replay any more. */
static int empty_journal(struct journal *j)
{
	int rc = journal_read(j, 0, j->block);

	if (rc < 0)
		return rc;
	be32_put(j->block + 24, j->end + 1);
	be32_put(j->block + 28, 0);
	if (j->checksums) {
		be32_put(j->block + 252, 0);
		be32_put(j->block + 252, checksum(~0u, j->block, SB_LEN));
	}
	return ext4_io_write(j->g->io, j->block, j->bs, j->map[0] * j->bs, j->e);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Where the journal's blocks are; the file system is open, read only. */
static int map_journal(struct journal *j)
{
	ext2_filsys fs = j->g->fs;
	ext2_ino_t ino = fs->super->s_journal_inum;
	struct ext2_inode inode;
	uint64_t blocks;
	errcode_t err;

	if (!ino || ino > fs->super->s_inodes_count)
		return err_set(j->e, ENOTSUP, "the journal is not in the file system itself");
	err = ext2fs_read_inode(fs, ino, &inode);
	if (err)
		return ext4_error(j->g, err, j->e, "the journal's inode");
	blocks = EXT2_I_SIZE(&inode) / j->bs;
	if (!LINUX_S_ISREG(inode.i_mode) || blocks < 4 || blocks > JOURNAL_BLOCKS_MAX)
		return err_set(j->e, EBADMSG, "the journal's inode is damaged");
	j->n = (uint32_t)blocks;
	j->map = calloc(blocks, sizeof(*j->map));
	if (!j->map)
		return err_nomem(j->e);
	for (uint32_t i = 0; i < j->n; i++) {
		int flags = 0;

		err = ext2fs_bmap2(fs, ino, &inode, NULL, 0, i, &flags, &j->map[i]);
		if (err)
			return ext4_error(j->g, err, j->e, "block %" PRIu32 " of the journal", i);
		if (!j->map[i] || j->map[i] >= j->fs_blocks)
			return err_set(j->e, EBADMSG, "the journal has a hole");
	}
	return 0;
}

static int replay(struct journal *j)
{
	int rc = map_journal(j);

	if (rc >= 0)
		rc = read_super(j);
	if (rc < 0)
		return rc;
	j->end = j->sequence;
	for (unsigned pass = PASS_SCAN; j->start && pass <= PASS_REPLAY && rc >= 0; pass++) {
		rc = do_pass(j, (enum pass)pass);
		if (pass == PASS_REVOKE && j->n_revoked)
			qsort(j->revoked, j->n_revoked, sizeof(*j->revoked), by_block);
	}
	return rc < 0 ? rc : empty_journal(j);
}

int ext4_journal_replay(struct ext4_fs *g, struct err *e)
{
	struct journal j = {.g = g, .e = e, .bs = g->fs->blocksize};
	int rc;

	j.fs_blocks = ext2fs_blocks_count(g->fs->super);
	j.block = malloc(j.bs);
	j.data = malloc(j.bs);
	ext4_io_budget(g->io, UINT64_C(8) * JOURNAL_BLOCKS_MAX);
	rc = j.block && j.data ? replay(&j) : err_nomem(e);
	free(j.map);
	free(j.block);
	free(j.data);
	free(j.revoked);
	return rc;
}
