/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading VMDK: from offsets of the disk to places in files, grain tables through a small cache,
 * compressed grains through decoders of which each reading thread has one.
 */
#include "imgconv/format/vmdk.h"
#include "lib/fs.h"

/* Compressed grains that lie behind each other are read at once, this much at most. */
#define READ_AHEAD (512 * KIB)
/* An extent of data is no longer than that, so that its copying can begin soon. */
#define EXTENT_MAX (256 * MIB)

/* ---- finding ------------------------------------------------------------------------------- */

int vmdk_classify(const struct vmdk_extent *x, uint32_t entry, struct vmdk_run *ret, struct err *e)
{
	uint64_t off = (uint64_t)entry * SECTOR;

	*ret = (struct vmdk_run){.state = VMDK_UNALLOCATED};
	if (!entry)
		return 0;
	if (entry == GTE_ZERO && x->h.flags & FLAG_ZERO_GRAINS) {
		ret->state = VMDK_ZEROS;
		return 0;
	}
	if (off >= x->file_size)
		return err_set(e, EBADMSG, "the grain at sector %u lies past the end of the file",
			       entry);
	ret->state = x->h.compressed ? VMDK_DEFLATED : VMDK_DATA;
	ret->host = off;
	return vmdk_check_host_range(x, "grain", off, x->h.compressed ? SECTOR : x->grain_size, e);
}

/*
 * A run of entries of the table from `first` on: of one state, and of data in one piece of the
 * file. max is how many at most. list (may be NULL) gets the entries.
 */
static int map_table(const struct vmdk_extent *x, const uint8_t *table, uint32_t first,
		     uint32_t max, struct vmdk_run *ret, uint32_t *list, struct err *e)
{
	uint32_t n = 0;

	*ret = (struct vmdk_run){.state = VMDK_UNALLOCATED};
	/* Most tables of a sparse disk are empty, though there. */
	if (first == 0 && max == GT_ENTRIES && mem_is_zero(table, GT_SIZE)) {
		ret->length = GT_ENTRIES * x->grain_size;
		return 0;
	}
	max = MIN(max, GT_ENTRIES - first);
	for (; n < max; n++) {
		uint32_t entry = le32_get(table + (first + n) * 4);
		struct vmdk_run next;
		int rc = vmdk_classify(x, entry, &next, e);

		if (rc < 0)
			return err_wrap(e, "grain table's entry %u", first + n);
		if (n == 0)
			*ret = next;
		else if (next.state != ret->state ||
			 (next.state == VMDK_DATA && next.host != ret->host + ret->length))
			break;
		ret->length += x->grain_size;
		if (list)
			list[n] = entry;
	}
	return 0;
}

int vmdk_map(struct vmdk *v, const struct vmdk_extent *x, uint64_t at, uint64_t max,
	     struct vmdk_run *ret, uint32_t *list, struct err *e)
{
	uint32_t i = (uint32_t)(at / x->gt_covers);
	uint32_t first = (uint32_t)(at % x->gt_covers / x->grain_size);
	uint64_t skip = at % x->grain_size;
	const uint8_t *table = NULL;
	uint64_t gt = 0;
	int rc = vmdk_gt_offset(x, i, &gt, e);

	*ret = (struct vmdk_run){.state = VMDK_UNALLOCATED};
	if (rc < 0)
		return vmdk_extent_wrap(x, e);
	if (!gt) {
		while (i < x->h.n_gd && !x->gd[i])
			i++;
		ret->length = MIN(i * x->gt_covers, x->length) - at;
		return 0;
	}
	pthread_mutex_lock(&v->lock);
	rc = vmdk_cache_get(&v->tables, x, gt, &table, e);
	if (rc == 0)
		rc = map_table(x, table, first, (uint32_t)MIN(max, (uint64_t)GT_ENTRIES), ret, list,
			       e);
	pthread_mutex_unlock(&v->lock);
	if (rc < 0) {
		err_wrap(e, "grain directory's entry %u", i);
		return vmdk_extent_wrap(x, e);
	}
	ret->length = MIN(ret->length - skip, x->length - at);
	if (ret->state == VMDK_DATA)
		ret->host += skip;
	return 0;
}

static int flat_extent(const struct vmdk_extent *x, uint64_t at, struct extent *ret, struct err *e)
{
	uint64_t start = ret->start;
	int rc =
		image_fd_extent(x->fd, x->file_size, x->offset + at, x->offset + x->length, ret, e);

	ret->start = start;
	return rc < 0 ? vmdk_extent_wrap(x, e) : 0;
}

static enum extent_kind extent_kind(enum vmdk_state s)
{
	switch (s) {
	case VMDK_UNALLOCATED:
		return EXTENT_HOLE;
	case VMDK_ZEROS:
		return EXTENT_ZERO;
	case VMDK_DATA:
	case VMDK_DEFLATED:
		break;
	}
	return EXTENT_DATA;
}

int vmdk_next_extent(struct image *im, uint64_t off, struct extent *ret, struct err *e)
{
	struct vmdk *v = to_vmdk(im);
	const struct vmdk_extent *x;
	uint64_t at;

	if (v->refusal.code)
		return err_set(e, v->refusal.code, "%s", v->refusal.msg);
	x = vmdk_extent_at(v, off);
	at = off - x->start;
	*ret = (struct extent){.start = off, .kind = EXTENT_DATA};
	if (x->kind == VMDK_FLAT)
		return flat_extent(x, at, ret, e);
	if (x->kind == VMDK_ZERO) {
		ret->kind = EXTENT_ZERO;
		ret->length = x->length - at;
		return 0;
	}
	while (at < x->length && (ret->kind != EXTENT_DATA || ret->length < EXTENT_MAX)) {
		struct vmdk_run run;
		int rc = vmdk_map(v, x, at, GT_ENTRIES, &run, NULL, e);

		if (rc)
			return rc;
		if (!ret->length)
			ret->kind = extent_kind(run.state);
		else if (ret->kind != extent_kind(run.state))
			break;
		ret->length += run.length;
		at += run.length;
	}
	return 0;
}

/* ---- reading ------------------------------------------------------------------------------- */

struct vmdk_reader {
	struct vmdk_reader *next;
	struct vmdk_decoder *decoder;
	uint8_t *grain; /* one decoded */
	size_t grain_cap;
	uint8_t *in; /* a piece of a file, of one read only */
	size_t in_cap;
	uint64_t in_off;
	size_t in_len;
	uint32_t list[GT_ENTRIES]; /* sectors of grains that follow each other on the disk */
	size_t n_list;
};

static void reader_free(struct vmdk_reader *r)
{
	if (r->decoder)
		vmdk_decoder_free(r->decoder);
	free(r->grain);
	free(r->in);
	free(r);
}

void vmdk_readers_free(struct vmdk *v)
{
	while (v->readers) {
		struct vmdk_reader *r = v->readers;

		v->readers = r->next;
		reader_free(r);
	}
}

static int reader_new(const struct vmdk *v, struct vmdk_reader **ret, struct err *e)
{
	struct vmdk_reader *r = calloc(1, sizeof(*r));
	int rc = r ? vmdk_decoder_new(&r->decoder, e) : err_nomem(e);

	if (rc == 0) {
		for (size_t i = 0; i < v->n_extents; i++)
			r->grain_cap = MAX(r->grain_cap, (size_t)v->extents[i].grain_size);
		r->in_cap = MAX((size_t)READ_AHEAD, GRAIN_HEADER + 2 * r->grain_cap);
		r->in = malloc(r->in_cap);
		r->grain = malloc(r->grain_cap);
		if (!r->in || !r->grain)
			rc = err_nomem(e);
	}
	if (rc < 0 && r)
		reader_free(r);
	else
		*ret = r;
	return rc;
}

static int reader_get(struct vmdk *v, struct vmdk_reader **ret, struct err *e)
{
	struct vmdk_reader *r;
	int rc = 0;

	pthread_mutex_lock(&v->lock);
	r = v->readers;
	if (r)
		v->readers = r->next;
	pthread_mutex_unlock(&v->lock);
	if (!r)
		rc = reader_new(v, &r, e);
	if (rc)
		return rc;
	r->in_len = 0;
	*ret = r;
	return 0;
}

static void reader_put(struct vmdk *v, struct vmdk_reader *r)
{
	pthread_mutex_lock(&v->lock);
	r->next = v->readers;
	v->readers = r;
	pthread_mutex_unlock(&v->lock);
}

int vmdk_grain_header(const struct vmdk_extent *x, const uint8_t *in, uint64_t host, uint64_t lba,
		      uint32_t *ret_len, struct err *e)
{
	uint64_t there = le64_get(in);
	uint32_t len = le32_get(in + MARKER_SIZE_AT);

	if (!len)
		return err_set(e, EBADMSG, "there is a marker, not a grain");
	if (there != lba)
		return err_set(e, EBADMSG,
			       "the grain says it is for sector %llu of the disk, not %llu",
			       (unsigned long long)there, (unsigned long long)lba);
	if (len > 2 * x->grain_size)
		return err_set(
			e, EBADMSG,
			"the compressed grain has %u bytes, more than twice those of a grain", len);
	if (!range_within(host + GRAIN_HEADER, len, x->file_size))
		return err_set(e, EBADMSG, "the compressed grain reaches past the end of the file");
	*ret_len = len;
	return 0;
}

/* Makes [host, host + len) be in r->in; `want` is up to where reading on is of use. */
static int reader_fill(const struct vmdk_extent *x, struct vmdk_reader *r, uint64_t host,
		       uint64_t len, uint64_t want, const uint8_t **ret, struct err *e)
{
	uint64_t n;
	int rc;

	/* A start below in_off wraps around, far over in_len. */
	if (!range_within(host - r->in_off, len, r->in_len)) {
		n = MIN(MAX(want, host + len), x->file_size) - host;
		n = MIN(n, (uint64_t)r->in_cap);
		r->in_len = 0;
		if (n < len)
			return err_set(e, EBADMSG,
				       "the compressed grain reaches past the end of the file");
		rc = vmdk_extent_read(x, r->in, (size_t)n, host, e);
		if (rc)
			return rc;
		r->in_off = host;
		r->in_len = (size_t)n;
	}
	*ret = r->in + (host - r->in_off);
	return 0;
}

/* Up to where the file is worth reading for the grains i .. n - 1 of the list, at once. */
static uint64_t worth_reading(const struct vmdk_extent *x, const struct vmdk_reader *r, size_t i,
			      size_t n)
{
	uint64_t first = r->list[i];
	uint64_t end = first;

	for (; i < n && r->list[i] >= end; i++) {
		if ((r->list[i] - first) * SECTOR > READ_AHEAD)
			return end * SECTOR;
		end = r->list[i];
	}
	/* The grain behind the last one, if it is known, says where that ends. */
	if (i == n && n < r->n_list && r->list[n] > end)
		return MIN((uint64_t)r->list[n], end + 2 * x->h.grain + 1) * SECTOR;
	return end * SECTOR + GRAIN_HEADER + x->grain_size;
}

/* One compressed grain, i of the list, which begins `at` bytes into the extent. */
static int read_grain(const struct vmdk_extent *x, struct vmdk_reader *r, size_t i, size_t n,
		      uint64_t at, void *out, struct err *e)
{
	uint64_t host = (uint64_t)r->list[i] * SECTOR;
	const uint8_t *in = NULL;
	uint32_t len = 0;
	int rc = reader_fill(x, r, host, GRAIN_HEADER, worth_reading(x, r, i, n), &in, e);

	if (rc == 0)
		rc = vmdk_grain_header(x, in, host, at / SECTOR, &len, e);
	if (rc == 0)
		rc = reader_fill(x, r, host, GRAIN_HEADER + len, worth_reading(x, r, i, n), &in, e);
	if (rc == 0)
		rc = vmdk_decode(r->decoder, in + GRAIN_HEADER, len, out, (size_t)x->grain_size,
				 (size_t)MIN(x->grain_size, x->length - at), e);
	if (rc < 0) {
		err_wrap(e, "at sector %u", r->list[i]);
		return vmdk_extent_wrap(x, e);
	}
	return 0;
}

/* Reads len bytes of the grains in the list, from `at` in the extent, which is in the first one. */
static int read_deflated(const struct vmdk_extent *x, struct vmdk_reader *r, uint64_t at,
			 uint8_t *buf, size_t len, struct err *e)
{
	size_t skip = (size_t)(at % x->grain_size);
	size_t n = (size_t)div_up(skip + len, x->grain_size);

	at -= skip;
	for (size_t i = 0; i < n; i++) {
		size_t part = MIN(len, (size_t)x->grain_size - skip);
		bool whole = part == x->grain_size;
		int rc = read_grain(x, r, i, n, at, whole ? buf : r->grain, e);

		if (rc)
			return rc;
		if (!whole)
			memcpy(buf, r->grain + skip, part);
		skip = 0;
		buf += part;
		len -= part;
		at += x->grain_size;
	}
	return 0;
}

/* The file may end inside of its last grain; the rest of it is zero. */
static int read_data(const struct vmdk_extent *x, void *buf, size_t len, uint64_t host,
		     struct err *e)
{
	size_t there = (size_t)MIN((uint64_t)len, x->file_size - MIN(host, x->file_size));
	int rc;

	memset((uint8_t *)buf + there, 0, len - there);
	rc = vmdk_extent_read(x, buf, there, host, e);
	return rc < 0 ? vmdk_extent_wrap(x, e) : 0;
}

/* Some of the bytes that begin `at` in a sparse extent; *ret_n says how many. */
static int read_sparse(struct vmdk *v, const struct vmdk_extent *x, struct vmdk_reader **r,
		       uint64_t at, uint8_t *buf, size_t len, size_t *ret_n, struct err *e)
{
	/* One more than is needed: it shows where the last one ends. */
	uint64_t max = div_up(at % x->grain_size + len, x->grain_size) + 1;
	struct vmdk_run run = {0};
	int rc = 0;

	if (x->h.compressed && !*r)
		rc = reader_get(v, r, e);
	if (rc == 0)
		rc = vmdk_map(v, x, at, max, &run, x->h.compressed ? (*r)->list : NULL, e);
	if (rc)
		return rc;
	len = (size_t)MIN((uint64_t)len, run.length);
	*ret_n = len;
	if (run.state == VMDK_DATA)
		return read_data(x, buf, len, run.host, e);
	if (run.state == VMDK_DEFLATED && *r) {
		(*r)->n_list = (size_t)div_up(at % x->grain_size + run.length, x->grain_size);
		return read_deflated(x, *r, at, buf, len, e);
	}
	memset(buf, 0, len);
	return 0;
}

int vmdk_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct vmdk *v = to_vmdk(im);
	struct vmdk_reader *r = NULL;
	uint8_t *out = buf;
	int rc = 0;

	if (v->refusal.code)
		return err_set(e, v->refusal.code, "%s", v->refusal.msg);
	while (rc == 0 && len) {
		const struct vmdk_extent *x = vmdk_extent_at(v, off);
		uint64_t at = off - x->start;
		size_t n = (size_t)MIN((uint64_t)len, x->length - at);

		if (x->kind == VMDK_SPARSE) {
			rc = read_sparse(v, x, &r, at, out, n, &n, e);
		} else if (x->kind == VMDK_FLAT) {
			rc = vmdk_extent_read(x, out, n, x->offset + at, e);
			if (rc < 0)
				rc = vmdk_extent_wrap(x, e);
		} else {
			memset(out, 0, n);
		}
		out += n;
		off += n;
		len -= n;
	}
	if (r)
		reader_put(v, r);
	return rc;
}
