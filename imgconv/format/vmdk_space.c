/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sectors of a file are in use: exact, in 32 MiB of a bitmap and 8 MiB of odd pieces.
 *
 * A bit stands for a unit of 1 to 16 sectors, by the file's size, and is set when all of them are
 * taken. Of a unit that is taken in part, a hash table has the mask. Grains mostly fill units, or
 * their neighbours do soon after, so that there are few such units at a time.
 */
#include "imgconv/format/vmdk.h"

#define BITS_MAX (1ull << 28)
#define SECTORS_MAX (1ull << 32) /* all that grain tables can point to */
#define BLOCK 4096u
#define PARTS_MIN_BITS 10
#define PARTS_MAX_BITS 20 /* the table is never more than half full */

struct vmdk_space {
	unsigned unit_bits; /* sectors of a unit, log2 */
	uint64_t n_sectors;
	uint8_t *map;
	struct vmdk_part {
		uint32_t key;  /* unit + 1; 0: free */
		uint16_t mask; /* of its sectors */
	} * parts;
	uint32_t n_parts, cap_parts; /* cap is 2^cap_bits, or 0 */
	unsigned cap_bits;
	uint64_t multiplier;
	uint16_t *parts_near; /* how many of them there are among BLOCK units */
};

int vmdk_space_new(uint64_t file_size, struct vmdk_space **ret, struct err *e)
{
	struct vmdk_space *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(e);
	s->multiplier = hash_multiplier();
	s->n_sectors = MIN(div_up(file_size, SECTOR), SECTORS_MAX);
	while (s->n_sectors >> s->unit_bits > BITS_MAX)
		s->unit_bits++;
	s->map = calloc(1, (size_t)((s->n_sectors >> s->unit_bits) / 8 + 16));
	s->parts_near = calloc((size_t)((s->n_sectors >> s->unit_bits) / BLOCK + 2),
			       sizeof(*s->parts_near));
	if (!s->map || !s->parts_near) {
		vmdk_space_free(s);
		return err_nomem(e);
	}
	*ret = s;
	return 0;
}

void vmdk_space_free(struct vmdk_space *s)
{
	free(s->map);
	free(s->parts_near);
	free(s->parts);
	free(s);
}

/* ---- units in part --------------------------------------------------------------------------- */

static uint32_t slot_of(const struct vmdk_space *s, uint32_t key)
{
	return (uint32_t)hash_slot(s->multiplier, key, s->cap_bits);
}

/* The slot that has the key, or the free one where it belongs. */
static struct vmdk_part *part_find(const struct vmdk_space *s, uint32_t key)
{
	uint32_t i = slot_of(s, key);

	while (s->parts[i].key && s->parts[i].key != key)
		i = (i + 1) & (s->cap_parts - 1);
	return &s->parts[i];
}

static unsigned part_mask(const struct vmdk_space *s, uint64_t unit)
{
	if (!s->parts_near[unit / BLOCK])
		return 0;
	return part_find(s, (uint32_t)unit + 1)->mask;
}

static int parts_grow(struct vmdk_space *s, struct err *e)
{
	struct vmdk_part *old = s->parts;
	uint32_t n = s->cap_parts;
	unsigned bits = n ? s->cap_bits + 1 : PARTS_MIN_BITS;

	if (bits > PARTS_MAX_BITS)
		return err_set(e, EFBIG,
			       "the file's parts lie too scattered to be told from each other");
	s->parts = calloc((size_t)1 << bits, sizeof(*s->parts));
	if (!s->parts) {
		s->parts = old;
		return err_nomem(e);
	}
	s->cap_parts = 1u << bits;
	s->cap_bits = bits;
	for (uint32_t i = 0; i < n; i++) {
		if (old[i].key)
			*part_find(s, old[i].key) = old[i];
	}
	free(old);
	return 0;
}

/* Those behind it move up, so that each is found without a gap on the way. */
static void part_remove(struct vmdk_space *s, struct vmdk_part *p)
{
	uint32_t hole = (uint32_t)(p - s->parts), wrap = s->cap_parts - 1;

	s->parts_near[(p->key - 1) / BLOCK]--;
	for (uint32_t i = (hole + 1) & wrap; s->parts[i].key; i = (i + 1) & wrap) {
		uint32_t home = slot_of(s, s->parts[i].key);

		if (((i - home) & wrap) >= ((i - hole) & wrap)) {
			s->parts[hole] = s->parts[i];
			hole = i;
		}
	}
	s->parts[hole] = (struct vmdk_part){0};
	s->n_parts--;
}

/* ---- taking ---------------------------------------------------------------------------------- */

static bool bit_get(const uint8_t *map, uint64_t i)
{
	return map[i / 8] >> (i % 8) & 1;
}

static void bit_set(uint8_t *map, uint64_t i)
{
	map[i / 8] |= (uint8_t)(1u << (i % 8));
}

static unsigned full_mask(const struct vmdk_space *s)
{
	return (1u << (1u << s->unit_bits)) - 1;
}

/* Takes the sectors `mask` of a unit: 1 if one of them was taken before. */
static int take_unit(struct vmdk_space *s, uint64_t unit, unsigned mask, struct err *e)
{
	struct vmdk_part *p;
	unsigned before = part_mask(s, unit);
	int rc = 0;

	if (bit_get(s->map, unit) || before & mask)
		return 1;
	mask |= before;
	if (mask == full_mask(s)) {
		bit_set(s->map, unit);
		if (before)
			part_remove(s, part_find(s, (uint32_t)unit + 1));
		return 0;
	}
	if (!before && s->n_parts * 2 >= s->cap_parts)
		rc = parts_grow(s, e);
	if (rc)
		return rc;
	p = part_find(s, (uint32_t)unit + 1);
	s->n_parts += p->key == 0;
	s->parts_near[unit / BLOCK] += p->key == 0;
	*p = (struct vmdk_part){.key = (uint32_t)unit + 1, .mask = (uint16_t)mask};
	return 0;
}

int vmdk_space_take(struct vmdk_space *s, const char *what, uint64_t sector, uint64_t n,
		    struct err *e)
{
	uint64_t end = sector < s->n_sectors ? sector + MIN(n, s->n_sectors - sector) : sector;
	uint64_t in_unit = 1ull << s->unit_bits;
	int rc = 0;

	for (uint64_t at = sector; rc == 0 && at < end;) {
		uint64_t unit = at >> s->unit_bits;
		uint64_t first = at & (in_unit - 1);
		uint64_t count = MIN(in_unit - first, end - at);

		if (count == 1 && in_unit == 1 && unit % 8 == 0 && end - at >= 8 &&
		    !s->map[unit / 8]) {
			s->map[unit / 8] = 0xff;
			at += 8;
			continue;
		}
		rc = take_unit(s, unit, ((1u << count) - 1) << first, e);
		at += count;
	}
	if (rc > 0)
		return err_set(e, EBADMSG, "the %s at sector %llu is in use twice", what,
			       (unsigned long long)sector);
	return rc;
}

int vmdk_space_take_fixed(struct vmdk_space *s, const struct vmdk_extent *x, struct err *e)
{
	const struct vmdk_header *h = &x->h;
	int rc = vmdk_space_take(s, "header", 0, 1, e);

	if (rc == 0 && h->descriptor)
		rc = vmdk_space_take(s, "descriptor", h->descriptor, h->descriptor_size, e);
	if (rc == 0)
		rc = vmdk_space_take(s, "grain directory", h->gd, h->gd_sectors, e);
	if (rc == 0 && h->rgd)
		rc = vmdk_space_take(s, "redundant grain directory", h->rgd, h->gd_sectors, e);
	if (rc == 0 && x->has_footer)
		rc = vmdk_space_take(s, "footer", (x->file_size - TRAILER_SIZE) / SECTOR,
				     TRAILER_SIZE / SECTOR, e);
	return rc;
}

/* ---- what is left ---------------------------------------------------------------------------- */

static bool taken(const struct vmdk_space *s, uint64_t sector)
{
	uint64_t unit = sector >> s->unit_bits;

	return bit_get(s->map, unit) ||
	       part_mask(s, unit) >> (sector & ((1ull << s->unit_bits) - 1)) & 1;
}

/* How far from the sector on all are as it is, as seen at a glance: at least 1. */
static uint64_t alike(const struct vmdk_space *s, uint64_t sector)
{
	uint64_t unit = sector >> s->unit_bits;
	uint64_t word;

	if (sector & ((64ull << s->unit_bits) - 1))
		return 1;
	word = le64_get(s->map + unit / 8);
	if (word == UINT64_MAX || (!word && !s->parts_near[unit / BLOCK]))
		return 64ull << s->unit_bits;
	return 1;
}

bool vmdk_space_next_free(const struct vmdk_space *s, uint64_t *sector, uint64_t *ret_n)
{
	uint64_t at = *sector;

	while (at < s->n_sectors && taken(s, at))
		at += alike(s, at);
	*sector = at;
	while (at < s->n_sectors && !taken(s, at))
		at += alike(s, at);
	at = MIN(at, s->n_sectors);
	*ret_n = at - MIN(*sector, at);
	return *ret_n > 0;
}
