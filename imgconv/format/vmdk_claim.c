/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refuses VMDK images that use the same sectors of a file twice: a directory whose entries all name
 * one grain table, or a table whose entries all name one grain, are terabytes out of nothing.
 *
 * Exact for tables and grains of both kinds. Of compressed grains the headers are read, which the
 * readers will need soon after.
 */
#include <fcntl.h>

#include "imgconv/format/vmdk.h"
#include "lib/fs.h"

/* Compressed grains that are soon to be read are asked for in pieces of this size. */
#define ADVISED (8 * MIB)

struct vmdk_claims {
	struct vmdk_space *space; /* of the extent that is walked over */
	const struct vmdk_extent *extent;
	uint32_t tables;  /* entries of the directory whose tables are claimed */
	uint64_t next;    /* offset in the extent up to which all is claimed */
	uint64_t advised; /* offset in the file */
};

void vmdk_claims_free(struct vmdk_claims *c)
{
	if (!c)
		return;
	if (c->space)
		vmdk_space_free(c->space);
	free(c);
}

/* The claims of the extent: those of the one before are not needed any more. */
static int enter_extent(struct vmdk *v, const struct vmdk_extent *x, struct err *e)
{
	struct vmdk_claims *c = v->claims;
	int rc;

	if (c && c->extent == x)
		return 0;
	vmdk_claims_free(c);
	c = v->claims = calloc(1, sizeof(*c));
	if (!c)
		return err_nomem(e);
	c->extent = x;
	rc = vmdk_space_new(x->file_size, &c->space, e);
	return rc < 0 ? rc : vmdk_space_take_fixed(c->space, x, e);
}

/* The grain tables for all before `end`. */
static int claim_tables(struct vmdk_claims *c, uint64_t end, struct err *e)
{
	const struct vmdk_extent *x = c->extent;
	uint64_t n = MIN(div_up(end, x->gt_covers), (uint64_t)x->h.n_gd);

	for (; c->tables < n; c->tables++) {
		uint64_t gt = 0;
		int rc = vmdk_gt_offset(x, c->tables, &gt, e);

		if (rc == 0 && gt)
			rc = vmdk_space_take(c->space, "grain table", gt / SECTOR, GT_SECTORS, e);
		if (rc)
			return rc;
	}
	return 0;
}

static void advise(struct vmdk_claims *c, uint64_t host)
{
	const struct vmdk_extent *x = c->extent;

	if (range_within(host - c->advised, ADVISED / 2, ADVISED) && c->advised)
		return;
	(void)posix_fadvise(x->fd, (off_t)((x->within ? x->within->base : 0) + host), ADVISED,
			    POSIX_FADV_WILLNEED);
	c->advised = host;
}

static int claim_deflated(struct vmdk_claims *c, const uint32_t *list, size_t n, struct err *e)
{
	const struct vmdk_extent *x = c->extent;

	for (size_t i = 0; i < n; i++) {
		uint64_t host = (uint64_t)list[i] * SECTOR;
		uint64_t lba = c->next / SECTOR + i * x->h.grain;
		uint8_t header[GRAIN_HEADER];
		uint32_t len = 0;
		int rc;

		advise(c, host);
		rc = vmdk_extent_read(x, header, sizeof(header), host, e);
		if (rc == 0)
			rc = vmdk_grain_header(x, header, host, lba, &len, e);
		if (rc < 0)
			return err_wrap(e, "at sector %u", list[i]);
		rc = vmdk_space_take(c->space, "compressed grain", list[i],
				     div_up(GRAIN_HEADER + (uint64_t)len, SECTOR), e);
		if (rc)
			return rc;
	}
	return 0;
}

static int claim_sparse(struct vmdk *v, const struct vmdk_extent *x, uint64_t end, struct err *e)
{
	struct vmdk_claims *c;
	uint32_t list[GT_ENTRIES];
	int rc = enter_extent(v, x, e);

	if (rc)
		return rc;
	c = v->claims;
	rc = claim_tables(c, end, e);
	/* Each grain once, though an extent may begin or end inside of one. */
	while (rc == 0 && c->next < end) {
		struct vmdk_run run;
		uint64_t n;

		rc = vmdk_map(v, x, c->next, div_up(end - c->next, x->grain_size), &run, list, e);
		if (rc)
			return rc;
		n = div_up(run.length, x->grain_size);
		if (run.state == VMDK_DATA)
			rc = vmdk_space_take(c->space, "grain", run.host / SECTOR, n * x->h.grain,
					     e);
		else if (run.state == VMDK_DEFLATED)
			rc = claim_deflated(c, list, (size_t)n, e);
		c->next += n * x->grain_size;
	}
	return rc;
}

int vmdk_claim(struct image *im, uint64_t off, uint64_t len, struct err *e)
{
	struct vmdk *v = to_vmdk(im);
	uint64_t end = off + len;
	int rc = 0;

	if (off == 0) {
		vmdk_claims_free(v->claims);
		v->claims = NULL;
	}
	while (rc == 0 && off < end) {
		const struct vmdk_extent *x = vmdk_extent_at(v, off);
		uint64_t stop = MIN(end, x->start + x->length);

		if (x->kind == VMDK_SPARSE) {
			rc = claim_sparse(v, x, stop - x->start, e);
			if (rc < 0)
				return vmdk_extent_wrap(x, e);
		}
		off = stop;
	}
	return rc;
}
