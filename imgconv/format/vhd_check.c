/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VHD: whether blocks overlap, which would make little data much, and what else is wrong.
 *
 * Blocks have one length. So the file is cut into cells of that length: two blocks that begin in
 * the same cell overlap, and a block that begins in the next one overlaps if it begins too soon.
 * One number a cell is all that has to be kept.
 */
#include "imgconv/format/vhd.h"
#include "lib/progress.h"
#include "lib/stop.h"

/* 16 MiB: a file of 2 TiB with blocks of 512 KiB, the least that Virtual PC made. */
#define CELLS_MAX (1u << 22)
/* Gaps below this are there so that data begin at a page. */
#define GAP_MIN 4096u

struct vhd_claims {
	uint64_t n_cells;
	uint32_t *cells; /* first sector of the block that begins in it; 0: none */
	uint64_t next;   /* block up to which all are claimed */
};

void vhd_claims_free(struct vhd_claims *c)
{
	if (!c)
		return;
	free(c->cells);
	free(c);
}

static int claims_new(struct vhd *v, struct vhd_claims **ret, struct err *e)
{
	struct vhd_claims *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(e);
	c->n_cells = div_up(v->data_end, vhd_block_bytes(v));
	if (c->n_cells > CELLS_MAX) {
		free(c);
		return err_set(e, EFBIG,
			       "the file of %llu bytes is too large for blocks of %u bytes",
			       (unsigned long long)v->common.file_size, v->block_size);
	}
	c->cells = calloc((size_t)c->n_cells, sizeof(*c->cells));
	if (!c->cells) {
		free(c);
		return err_nomem(e);
	}
	*ret = c;
	return 0;
}

/* Takes the room of a block; false if some of it is taken already. The entry is a sound one. */
static bool take_room(const struct vhd *v, struct vhd_claims *c, uint32_t entry)
{
	uint64_t sectors = vhd_block_bytes(v) / VHD_SECTOR;
	uint64_t i = entry / sectors;
	uint32_t next = i + 1 < c->n_cells ? c->cells[i + 1] : 0;
	uint32_t before = i ? c->cells[i - 1] : 0;

	if (c->cells[i] || (before && entry - before < sectors) || (next && next - entry < sectors))
		return false;
	c->cells[i] = entry;
	return true;
}

static int claim_block(struct vhd *v, uint32_t block, uint32_t entry, struct err *e)
{
	if (entry == VHD_ABSENT || vhd_entry_fault(v, entry) || take_room(v, v->claims, entry))
		return 0;
	return err_set(e, EBADMSG, "block %u at 0x%llx overlaps another block", block,
		       (unsigned long long)entry * VHD_SECTOR);
}

int vhd_claim(struct image *im, uint64_t off, uint64_t len, struct err *e)
{
	struct vhd *v = to_vhd(im);
	uint64_t end;
	int rc = 0;

	/* The hub does not walk over a parent: it is claimed along with this one. */
	if (v->parent && off < image_size(v->parent))
		rc = vhd_claim(v->parent, off, MIN(len, image_size(v->parent) - off), e);
	if (rc < 0 || v->type == VHD_FIXED)
		return rc;
	if (off == 0 || !v->claims) {
		vhd_claims_free(STEAL(v->claims));
		rc = claims_new(v, &v->claims, e);
	}
	end = MIN(div_up(off + len, v->block_size), (uint64_t)v->n_blocks);
	while (rc == 0 && v->claims->next < end) {
		uint32_t block = (uint32_t)v->claims->next, n = 0;
		const uint32_t *entries = NULL;

		rc = vhd_entries(v, block, &n, &entries, e);
		n = (uint32_t)MIN((uint64_t)n, end - block);
		for (uint32_t i = 0; rc == 0 && i < n; i++)
			rc = claim_block(v, block + i, entries[i], e);
		v->claims->next += n;
	}
	return rc;
}

/* ---- check ---------------------------------------------------------------------------------- */

static int check_block(const struct vhd *v, struct vhd_claims *claims, uint32_t block,
		       uint32_t entry, struct image_check *c, struct err *e)
{
	uint64_t off = (uint64_t)entry * VHD_SECTOR;
	const char *why = vhd_entry_fault(v, entry);

	if (!why && !take_room(v, claims, entry))
		why = "overlaps another block";
	if (why)
		return image_check_add(c, IMAGE_FINDING_ERROR, v->bat_offset + (uint64_t)block * 4,
				       0, e, "block %u at 0x%llx %s", block,
				       (unsigned long long)off, why);
	if (block >= v->n_blocks)
		return image_check_add(c, IMAGE_FINDING_LEAK, off, vhd_block_bytes(v), e,
				       "block %u is behind the disk's end", block);
	return 0;
}

static int check_blocks(struct vhd *v, struct vhd_claims *claims, struct image_check *c,
			struct progress *p, struct err *e)
{
	int rc = 0;

	for (uint32_t block = 0, n = 0; rc == 0 && block < v->n_entries; block += n) {
		const uint32_t *entries = NULL;

		rc = stop_check(e);
		if (rc == 0)
			rc = vhd_entries(v, block, &n, &entries, e);
		for (uint32_t i = 0; rc == 0 && i < n; i++) {
			if (entries[i] != VHD_ABSENT)
				rc = check_block(v, claims, block + i, entries[i], c, e);
		}
		progress_set(p, MIN((uint64_t)block * v->block_size, v->common.size));
	}
	return rc;
}

static int check_gap(uint64_t from, uint64_t to, struct image_check *c, struct err *e)
{
	if (to < from + GAP_MIN)
		return 0;
	return image_check_add(c, IMAGE_FINDING_LEAK, from, to - from, e,
			       "%llu bytes at 0x%llx belong to no block",
			       (unsigned long long)(to - from), (unsigned long long)from);
}

/*
 * Space between blocks, and behind the last one. Before the first one other programs keep what
 * the format does not know: parent locators, maps of their own.
 */
static int check_gaps(const struct vhd *v, const struct vhd_claims *claims, struct image_check *c,
		      struct err *e)
{
	uint64_t end = 0;
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < claims->n_cells; i++) {
		uint64_t off = (uint64_t)claims->cells[i] * VHD_SECTOR;

		if (!off)
			continue;
		if (end)
			rc = check_gap(end, off, c, e);
		end = off + vhd_block_bytes(v);
	}
	return rc == 0 && end ? check_gap(end, v->data_end, c, e) : rc;
}

int vhd_check(struct image *im, struct image_check *c, struct progress *p, struct err *e)
{
	struct vhd *v = to_vhd(im);
	struct vhd_claims *claims = NULL;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < v->faults.n_findings; i++)
		rc = image_check_add(c, v->faults.findings[i].kind, v->faults.findings[i].offset, 0,
				     e, "%s", v->faults.findings[i].text);
	if (rc < 0 || v->type == VHD_FIXED || v->tables_unknown)
		return rc;
	rc = claims_new(v, &claims, e);
	if (rc == 0)
		rc = check_blocks(v, claims, c, p, e);
	/* Where blocks overlap, what is between them means nothing. */
	if (rc == 0 && v->type == VHD_DYNAMIC && !c->n_errors)
		rc = check_gaps(v, claims, c, e);
	vhd_claims_free(claims);
	return rc;
}
