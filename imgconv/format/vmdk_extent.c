/* SPDX-License-Identifier: Apache-2.0 */
/* The extents of a VMDK image: opening their files, reading their grain directories. */
#include <sys/stat.h>

#include "imgconv/format/vmdk.h"
#include "lib/fs.h"

int vmdk_extent_read(const struct vmdk_extent *x, void *buf, size_t len, uint64_t off,
		     struct err *e)
{
	return x->within ? image_file_read(x->within, buf, len, off, e)
			 : fs_pread(x->fd, buf, len, off, e);
}

void vmdk_extents_free(struct vmdk *v)
{
	for (size_t i = 0; i < v->n_extents; i++) {
		struct vmdk_extent *x = &v->extents[i];

		free(x->gd);
		if (x->own_fd)
			close(x->fd);
	}
	free(v->extents);
}

struct vmdk_extent *vmdk_extent_at(const struct vmdk *v, uint64_t off)
{
	size_t low = 0, high = v->n_extents;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (v->extents[middle].start <= off)
			low = middle;
		else
			high = middle;
	}
	return &v->extents[low];
}

int vmdk_extent_wrap(const struct vmdk_extent *x, struct err *e)
{
	if (x->own_fd)
		return err_wrap(e, "extent '%s'", x->file);
	return e ? -e->code : -EIO;
}

/* ---- places -------------------------------------------------------------------------------- */

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a_len && b_len && a < b + b_len && b < a + a_len;
}

int vmdk_check_host_range(const struct vmdk_extent *x, const char *what, uint64_t off, uint64_t len,
			  struct err *e)
{
	const struct vmdk_header *h = &x->h;
	const char *with = NULL;

	if (off < SECTOR)
		with = "header";
	else if (h->descriptor &&
		 overlap(off, len, h->descriptor * SECTOR, h->descriptor_size * SECTOR))
		with = "descriptor";
	else if (h->gd && overlap(off, len, h->gd * SECTOR, h->gd_sectors * SECTOR))
		with = "grain directory";
	else if (h->rgd && overlap(off, len, h->rgd * SECTOR, h->gd_sectors * SECTOR))
		with = "redundant grain directory";
	else if (x->has_footer && overlap(off, len, x->file_size - TRAILER_SIZE, TRAILER_SIZE))
		with = "footer";
	if (!with)
		return 0;
	return err_set(e, EBADMSG, "the %s at sector %llu overlaps the %s", what,
		       (unsigned long long)(off / SECTOR), with);
}

static int check_in_file(const struct vmdk_extent *x, const char *what, uint64_t sector,
			 uint64_t bytes, struct err *e)
{
	if (sector <= x->file_size / SECTOR && range_within(sector * SECTOR, bytes, x->file_size))
		return 0;
	return err_set(e, EBADMSG, "the %s at sector %llu reaches past the end of the file", what,
		       (unsigned long long)sector);
}

/* Header, descriptor and directories lie in the file and apart from each other. */
static int check_places(struct vmdk_extent *x, struct err *e)
{
	struct vmdk_header *h = &x->h;
	uint64_t gd = h->gd, rgd = h->rgd;
	int rc = 0;

	if (h->descriptor)
		rc = check_in_file(x, "descriptor", h->descriptor, h->descriptor_size * SECTOR, e);
	if (rc == 0)
		rc = check_in_file(x, "grain directory", gd, (uint64_t)h->n_gd * 4, e);
	if (rc == 0 && rgd)
		rc = check_in_file(x, "redundant grain directory", rgd, (uint64_t)h->n_gd * 4, e);
	if (rc)
		return rc;
	/* Each of them against what is placed before it. */
	h->gd = h->rgd = 0;
	rc = vmdk_check_host_range(x, "grain directory", gd * SECTOR, h->gd_sectors * SECTOR, e);
	h->gd = gd;
	if (rc == 0 && rgd)
		rc = vmdk_check_host_range(x, "redundant grain directory", rgd * SECTOR,
					   h->gd_sectors * SECTOR, e);
	h->rgd = rgd;
	return rc;
}

int vmdk_gt_offset(const struct vmdk_extent *x, uint32_t i, uint64_t *ret, struct err *e)
{
	uint64_t sector = x->gd[i];
	int rc;

	*ret = 0;
	if (!sector)
		return 0;
	rc = check_in_file(x, "grain table", sector, GT_SIZE, e);
	if (rc == 0)
		rc = vmdk_check_host_range(x, "grain table", sector * SECTOR, GT_SIZE, e);
	if (rc < 0)
		return err_wrap(e, "grain directory's entry %u", i);
	*ret = sector * SECTOR;
	return 0;
}

/* ---- sparse extents ------------------------------------------------------------------------ */

/* The footer says where the grain directory is. It is the last but one sector. */
static int read_footer(struct vmdk_extent *x, const uint8_t raw[SECTOR], struct err *e)
{
	uint8_t end[TRAILER_SIZE];
	int rc;

	if (x->file_size % SECTOR || x->file_size < SECTOR + TRAILER_SIZE)
		return err_set(e, EBADMSG, "the file is cut off: it does not end with a footer");
	rc = vmdk_extent_read(x, end, sizeof(end), x->file_size - sizeof(end), e);
	if (rc == 0)
		rc = vmdk_marker_check(end, MARKER_FOOTER, 1, e);
	if (rc == 0)
		rc = vmdk_footer_check(raw, end + SECTOR, &x->h.gd, e);
	if (rc == 0)
		rc = vmdk_marker_check(end + 2 * SECTOR, MARKER_END, 0, e);
	x->has_footer = true;
	return rc;
}

static int read_gd(struct vmdk_extent *x, struct err *e)
{
	size_t n = x->h.n_gd;
	int rc;

	x->gd = calloc(n, sizeof(*x->gd));
	if (!x->gd)
		return err_nomem(e);
	rc = vmdk_extent_read(x, x->gd, n * sizeof(*x->gd), x->h.gd * SECTOR, e);
	for (size_t i = 0; i < n; i++)
		x->gd[i] = le32_get(&x->gd[i]);
	return rc;
}

int vmdk_extent_open_sparse(struct vmdk *v, struct vmdk_extent *x, const uint8_t raw[SECTOR],
			    struct err *e)
{
	struct err why = {0};
	int rc = vmdk_header_parse(raw, &x->h, e);

	if (rc)
		return rc;
	if (x->h.capacity * SECTOR != x->length)
		return err_set(e, EBADMSG,
			       "the header's capacity is %llu sectors, the descriptor's %llu",
			       (unsigned long long)x->h.capacity,
			       (unsigned long long)(x->length / SECTOR));
	x->grain_size = x->h.grain * SECTOR;
	x->gt_covers = x->grain_size * GT_ENTRIES;
	if (x->h.gd == GD_AT_END) {
		/* Without a good footer there is something to look at, but no data. */
		rc = read_footer(x, raw, &why);
		if (rc == -EBADMSG) {
			vmdk_extent_wrap(x, &why);
			vmdk_refuse(&v->refusal, &why);
			return 0;
		}
		if (rc)
			return err_set(e, why.code, "%s", why.msg);
	}
	rc = check_places(x, e);
	return rc < 0 ? rc : read_gd(x, e);
}

/* ---- files --------------------------------------------------------------------------------- */

static int open_flat(struct vmdk_extent *x, const struct vmdk_line *line, struct err *e)
{
	x->offset = line->offset * SECTOR;
	if (!range_within(x->offset, x->length, x->file_size))
		return err_set(e, EBADMSG,
			       "the file has %llu bytes, the descriptor wants %llu of them from "
			       "%llu on",
			       (unsigned long long)x->file_size, (unsigned long long)x->length,
			       (unsigned long long)x->offset);
	return 0;
}

static int open_file(struct vmdk *v, struct vmdk_extent *x, const struct vmdk_line *line,
		     struct err *e)
{
	uint8_t raw[SECTOR];
	struct stat st;
	int rc = image_open_beneath(&v->common, line->file, strlen(line->file), &x->fd, e);

	if (rc < 0)
		return err_wrap(e, "extent '%s'", line->file);
	x->own_fd = true;
	if (fstat(x->fd, &st) < 0)
		return err_errno(e, errno, "extent '%s'", line->file);
	x->file_size = (uint64_t)st.st_size;
	x->dev = st.st_dev;
	x->ino = st.st_ino;
	if (x->kind == VMDK_FLAT) {
		rc = open_flat(x, line, e);
	} else {
		rc = vmdk_extent_read(x, raw, sizeof(raw), 0, e);
		if (rc == 0)
			rc = vmdk_extent_open_sparse(v, x, raw, e);
	}
	return rc < 0 ? vmdk_extent_wrap(x, e) : 0;
}

static int compare_files(const void *a, const void *b)
{
	const struct vmdk_extent *x = *(struct vmdk_extent *const *)a;
	const struct vmdk_extent *y = *(struct vmdk_extent *const *)b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* No part of a file is meant twice. */
static int check_files(struct vmdk *v, struct err *e)
{
	AUTO_FREE struct vmdk_extent **sorted = calloc(v->n_extents + 1, sizeof(*sorted));
	struct stat own;
	size_t n = 0;

	if (!sorted)
		return err_nomem(e);
	if (fstat(v->common.fd, &own) < 0)
		return err_errno(e, errno, "fstat");
	for (size_t i = 0; i < v->n_extents; i++) {
		struct vmdk_extent *x = &v->extents[i];

		if (!x->own_fd)
			continue;
		if (x->dev == own.st_dev && x->ino == own.st_ino)
			return err_set(e, EBADMSG, "the descriptor names itself as an extent");
		sorted[n++] = x;
	}
	qsort(sorted, n, sizeof(*sorted), compare_files);
	for (size_t i = 1; i < n; i++) {
		const struct vmdk_extent *x = sorted[i - 1], *y = sorted[i];

		if (x->dev == y->dev && x->ino == y->ino &&
		    (x->kind != VMDK_FLAT || y->kind != VMDK_FLAT ||
		     overlap(x->offset, x->length, y->offset, y->length)))
			return err_set(e, EBADMSG, "the extent '%s' is in use twice", y->file);
	}
	return 0;
}

int vmdk_open_files(struct vmdk *v, struct err *e)
{
	uint64_t start = 0, tables = 0;

	v->extents = calloc(v->d.n_lines, sizeof(*v->extents));
	if (!v->extents)
		return err_nomem(e);
	for (size_t i = 0; i < v->d.n_lines; i++) {
		const struct vmdk_line *line = &v->d.lines[i];
		struct vmdk_extent *x = &v->extents[v->n_extents++];
		int rc = 0;

		*x = (struct vmdk_extent){.kind = line->kind,
					  .fd = -1,
					  .file = line->file,
					  .start = start,
					  .length = line->sectors * SECTOR};
		if (x->kind != VMDK_ZERO)
			rc = open_file(v, x, line, e);
		if (rc)
			return rc;
		start += x->length;
		tables += x->h.n_gd;
		if (tables > VMDK_GD_MAX)
			return err_set(e, EFBIG,
				       "the grain directories of all extents are over the limit "
				       "of %u entries",
				       VMDK_GD_MAX);
	}
	return check_files(v, e);
}
