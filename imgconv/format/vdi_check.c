/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VDI: whether blocks of the file are used twice, which would make little data much, and what else
 * is wrong. One bit a block of the file.
 */
#include "imgconv/format/vdi.h"
#include "lib/progress.h"
#include "lib/stop.h"

/* 32 MiB: a file of 256 TiB with blocks of 1 MiB. */
#define CLAIMS_MAX (1ull << 28)

struct vdi_claims {
	uint64_t n;    /* whole blocks of the file */
	uint8_t *used; /* a bit each */
	uint64_t next; /* block of the disk up to which all are claimed */
};

void vdi_claims_free(struct vdi_claims *c)
{
	if (!c)
		return;
	free(c->used);
	free(c);
}

static int claims_new(const struct vdi *v, struct vdi_claims **ret, struct err *e)
{
	uint64_t data = v->common.file_size - MIN(v->data_offset, v->common.file_size);
	uint64_t n = data / v->block_size;
	struct vdi_claims *c;

	if (n > CLAIMS_MAX)
		return err_set(e, EFBIG, "the file of %llu bytes has too many blocks of %u bytes",
			       (unsigned long long)v->common.file_size, v->block_size);
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_nomem(e);
	c->n = n;
	c->used = calloc(1, (size_t)n / 8 + 1);
	if (!c->used) {
		free(c);
		return err_nomem(e);
	}
	*ret = c;
	return 0;
}

static bool is_used(const struct vdi_claims *c, uint64_t i)
{
	return c->used[i / 8] >> (i % 8) & 1;
}

/* False if it was before. The entry lies in the file. */
static bool use(struct vdi_claims *c, uint32_t entry)
{
	if (is_used(c, entry))
		return false;
	c->used[entry / 8] |= (uint8_t)(1u << (entry % 8));
	return true;
}

static int claim_block(struct vdi *v, uint32_t block, uint32_t entry, struct err *e)
{
	if (!vdi_has_data(entry) || !vdi_entry_fits(v, entry) || use(v->claims, entry))
		return 0;
	return err_set(e, EBADMSG, "block %u at 0x%llx is in use twice", block,
		       (unsigned long long)vdi_host(v, entry));
}

int vdi_claim(struct image *im, uint64_t off, uint64_t len, struct err *e)
{
	struct vdi *v = to_vdi(im);
	uint64_t end = MIN(div_up(off + len, v->block_size), (uint64_t)v->n_blocks);
	int rc = 0;

	if (off == 0 || !v->claims) {
		vdi_claims_free(STEAL(v->claims));
		rc = claims_new(v, &v->claims, e);
	}
	while (rc == 0 && v->claims->next < end) {
		uint32_t block = (uint32_t)v->claims->next, n = 0;
		const uint32_t *entries = NULL;

		rc = vdi_entries(v, block, &n, &entries, e);
		n = (uint32_t)MIN((uint64_t)n, end - block);
		for (uint32_t i = 0; rc == 0 && i < n; i++)
			rc = claim_block(v, block + i, entries[i], e);
		v->claims->next += n;
	}
	return rc;
}

/* ---- check ---------------------------------------------------------------------------------- */

static int check_block(const struct vdi *v, struct vdi_claims *claims, uint32_t block,
		       uint32_t entry, struct image_check *c, struct err *e)
{
	uint64_t host = vdi_host(v, entry);
	const char *why = NULL;

	if (!vdi_entry_fits(v, entry))
		why = "reaches past the end of the file";
	else if (!use(claims, entry))
		why = "is in use twice";
	if (why)
		return image_check_add(c, IMAGE_FINDING_ERROR, v->map_offset + (uint64_t)block * 4,
				       0, e, "block %u at 0x%llx %s", block,
				       (unsigned long long)host, why);
	if (block >= v->n_blocks)
		return image_check_add(c, IMAGE_FINDING_LEAK, host, v->block_size, e,
				       "block %u is behind the disk's end", block);
	return 0;
}

static int check_blocks(struct vdi *v, struct vdi_claims *claims, struct image_check *c,
			struct progress *p, struct err *e)
{
	uint32_t said = le32_get(v->header + VDI_ALLOCATED);
	uint32_t allocated = 0;
	int rc = 0;

	for (uint32_t block = 0, n = 0; rc == 0 && block < v->n_entries; block += n) {
		const uint32_t *entries = NULL;

		rc = stop_check(e);
		if (rc == 0)
			rc = vdi_entries(v, block, &n, &entries, e);
		for (uint32_t i = 0; rc == 0 && i < n; i++) {
			if (!vdi_has_data(entries[i]))
				continue;
			allocated++;
			rc = check_block(v, claims, block + i, entries[i], c, e);
		}
		progress_set(p, MIN((uint64_t)block * v->block_size, v->common.size));
	}
	if (rc < 0 || allocated == said)
		return rc;
	return image_check_add(c, IMAGE_FINDING_ERROR, VDI_ALLOCATED, 0, e,
			       "the header says %u blocks are in the file, the map has %u", said,
			       allocated);
}

/* Runs of blocks of the file that nothing uses, and what is behind the last one. */
static int check_leaks(const struct vdi *v, const struct vdi_claims *claims, struct image_check *c,
		       struct err *e)
{
	uint64_t end = v->data_offset + claims->n * v->block_size;
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < claims->n; i++) {
		uint64_t first = i;

		while (i < claims->n && !is_used(claims, i))
			i++;
		if (i > first)
			rc = image_check_add(
				c, IMAGE_FINDING_LEAK, v->data_offset + first * v->block_size,
				(i - first) * v->block_size, e,
				"%llu bytes at 0x%llx are used by no block",
				(unsigned long long)((i - first) * v->block_size),
				(unsigned long long)(v->data_offset + first * v->block_size));
	}
	if (rc == 0 && v->common.file_size > end)
		rc = image_check_add(c, IMAGE_FINDING_LEAK, end, v->common.file_size - end, e,
				     "%llu bytes at the end of the file are no whole block",
				     (unsigned long long)(v->common.file_size - end));
	return rc;
}

int vdi_check(struct image *im, struct image_check *c, struct progress *p, struct err *e)
{
	struct vdi *v = to_vdi(im);
	struct vdi_claims *claims = NULL;
	int rc;

	/* Of what is laid out in a way that we do not know nothing can be said. */
	if (le32_get(v->header + VDI_BLOCK_EXTRA))
		return err_set(e, v->refusal.code, "%s", v->refusal.msg);
	rc = claims_new(v, &claims, e);
	if (rc == 0)
		rc = check_blocks(v, claims, c, p, e);
	if (rc == 0)
		rc = check_leaks(v, claims, c, e);
	vdi_claims_free(claims);
	return rc;
}
