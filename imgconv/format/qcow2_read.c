/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading QCOW2: from guest's offsets to places in the file, L2 tables through a small cache,
 * compressed clusters through decoders of which each reading thread has one.
 */
#include "imgconv/format/qcow2.h"
#include "lib/fs.h"

/* Compressed clusters that lie near each other are read at once, this much at most. */
#define READ_SPAN MIB

/* ---- finding ------------------------------------------------------------------------------- */

static int bad_entry(const char *what, uint64_t entry, const char *why, struct err *e)
{
	return err_set(e, EBADMSG, "%s entry 0x%016llx: %s", what, (unsigned long long)entry, why);
}

int qcow2_l2_offset(const struct qcow2 *q, uint64_t i, uint64_t *ret, struct err *e)
{
	uint64_t entry = q->l1[i];
	uint64_t off = entry & ENTRY_OFFSET_MASK;

	*ret = 0;
	if (entry & L1_RESERVED)
		return bad_entry("L1", entry, "reserved bits are set", e);
	if (!off)
		return 0;
	if (off % q->cluster_size)
		return bad_entry("L1", entry, "the L2 table is not aligned", e);
	if (off >= q->file_end)
		return bad_entry("L1", entry, "the L2 table lies past the end of the file", e);
	*ret = off;
	return qcow2_check_host_range(q, "L2 table", off, q->cluster_size, e);
}

static int classify_compressed(const struct qcow2 *q, uint64_t entry, struct qcow2_run *ret,
			       struct err *e)
{
	unsigned x = 62 - (q->cluster_bits - 8);
	uint64_t off = entry & ((1ull << x) - 1);
	uint64_t sectors = (entry & (ENTRY_COMPRESSED - 1)) >> x;

	if (entry & ENTRY_COPIED)
		return bad_entry("L2", entry, "a compressed cluster has the copied flag", e);
	if (off >= q->file_end)
		return bad_entry("L2", entry, "the data lie past the end of the file", e);
	ret->kind = QCOW2_COMPRESSED;
	ret->host = off;
	ret->host_len = MIN((sectors + 1) * 512 - off % 512, q->file_end - off);
	return qcow2_check_host_range(q, "compressed cluster", off, ret->host_len, e);
}

int qcow2_classify(const struct qcow2 *q, const uint8_t *at, unsigned sub, struct qcow2_run *ret,
		   struct err *e)
{
	uint64_t entry = be64_get(at);
	uint64_t off = entry & ENTRY_OFFSET_MASK;
	bool zero = q->version >= 3 && !q->extended_l2 && entry & ENTRY_ZERO;
	bool data = off != 0;

	*ret = (struct qcow2_run){.kind = QCOW2_UNALLOCATED};
	if (entry & ENTRY_COMPRESSED)
		return classify_compressed(q, entry, ret, e);
	if (entry & L2_RESERVED || (entry & ENTRY_ZERO && !zero))
		return bad_entry("L2", entry, "reserved bits are set", e);
	if (off % q->cluster_size)
		return bad_entry("L2", entry, "the cluster is not aligned", e);
	if (q->extended_l2) {
		uint64_t bitmap = be64_get(at + 8);

		data = bitmap >> sub & 1;
		zero = bitmap >> (32 + sub) & 1;
		if (data && zero)
			return bad_entry("L2", entry, "a subcluster is both data and zeros", e);
		if (data && !off)
			return bad_entry("L2", entry, "a subcluster of data has no cluster", e);
	}
	if (zero)
		ret->kind = QCOW2_ZEROS;
	else if (data)
		ret->kind = QCOW2_DATA;
	else
		return 0;
	if (off)
		ret->host = off + sub * q->unit_size;
	if (ret->kind == QCOW2_DATA && off >= q->file_end)
		return bad_entry("L2", entry, "the cluster lies past the end of the file", e);
	if (!off)
		return 0;
	return qcow2_check_host_range(q, "cluster", off, q->cluster_size, e);
}

/* True if `next` goes on where `run`, which is `run->length` long, ends. */
static bool continues(const struct qcow2_run *run, const struct qcow2_run *next, bool extents)
{
	if (extents) {
		bool a = run->kind == QCOW2_DATA || run->kind == QCOW2_COMPRESSED;
		bool b = next->kind == QCOW2_DATA || next->kind == QCOW2_COMPRESSED;

		return a == b && (a || run->kind == next->kind);
	}
	if (run->kind != next->kind || run->kind == QCOW2_COMPRESSED)
		return false;
	return run->kind != QCOW2_DATA || next->host == run->host + run->length;
}

/* A run within one L2 table, from the guest's offset off. */
static int map_table(struct qcow2 *q, const uint8_t *table, uint64_t off, bool extents,
		     struct qcow2_run *ret, struct err *e)
{
	unsigned subs = q->extended_l2 ? 32 : 1;
	uint64_t unit = off / q->unit_size;
	uint64_t index = unit / subs % q->l2_entries * subs + unit % subs;
	uint64_t end = q->l2_entries * subs;
	uint64_t left = div_up(q->common.size - unit * q->unit_size, q->unit_size);
	uint64_t skip;

	end = MIN(end, index + left);
	for (uint64_t i = index; i < end;) {
		struct qcow2_run next;
		int rc = qcow2_classify(q, table + i / subs * q->entry_size, (unsigned)(i % subs),
					&next, e);

		if (rc < 0)
			return err_wrap(e, "cluster of the disk at 0x%llx",
					(unsigned long long)((unit + i - index) * q->unit_size));
		if (i > index && !continues(ret, &next, extents))
			break;
		if (i == index)
			*ret = next;
		/* A compressed cluster is one thing, whatever the subclusters. */
		if (next.kind == QCOW2_COMPRESSED) {
			ret->length += (subs - i % subs) * q->unit_size;
			i += subs - i % subs;
		} else {
			ret->length += q->unit_size;
			i++;
		}
	}
	skip = off % q->unit_size;
	ret->length -= skip;
	if (ret->host && ret->kind != QCOW2_COMPRESSED)
		ret->host += skip;
	return 0;
}

int qcow2_map(struct qcow2 *q, uint64_t off, bool extents, struct qcow2_run *ret, struct err *e)
{
	uint64_t covers = q->cluster_size * q->l2_entries;
	uint64_t i = off / covers;
	struct qcow2_slot *s;
	uint64_t l2;
	int rc;

	*ret = (struct qcow2_run){.kind = QCOW2_UNALLOCATED};
	rc = qcow2_l2_offset(q, i, &l2, e);
	if (rc)
		return rc;
	if (!l2) {
		while (i < q->l1_used && !q->l1[i])
			i++;
		/* An entry of nothing but flags is as good as none. */
		i = MAX(i, off / covers + 1);
		ret->length = i == q->l1_used ? q->common.size - off : i * covers - off;
		return 0;
	}
	pthread_mutex_lock(&q->lock);
	rc = qcow2_cache_get(&q->l2, &q->common, l2, false, &s, e);
	if (rc == 0)
		rc = map_table(q, s->data, off, extents, ret, e);
	pthread_mutex_unlock(&q->lock);
	return rc;
}

/* Plain data in a file with holes: where the file has nothing the disk has zeros. */
static int look_for_hole(struct qcow2 *q, uint64_t off, struct extent *ret, struct err *e)
{
	struct qcow2_run run;
	struct extent x;
	int rc = qcow2_map(q, off, false, &run, e);

	if (rc < 0 || run.kind != QCOW2_DATA)
		return rc;
	rc = image_file_extent(&q->common, run.host, run.host + run.length, &x, e);
	if (rc)
		return rc;
	ret->length = MIN(x.length, run.length);
	if (x.kind == EXTENT_HOLE)
		ret->kind = EXTENT_ZERO;
	return 0;
}

int qcow2_next_extent(struct image *im, uint64_t off, struct extent *ret, struct err *e)
{
	struct qcow2 *q = to_qcow2(im);
	struct qcow2_run run;
	int rc = q->refusal.code ? err_set(e, q->refusal.code, "%s", q->refusal.msg)
				 : qcow2_map(q, off, true, &run, e);

	if (rc)
		return rc;
	*ret = (struct extent){.start = off, .length = run.length, .kind = EXTENT_DATA};
	if (run.kind == QCOW2_ZEROS)
		ret->kind = EXTENT_ZERO;
	if (q->file_has_holes && (run.kind == QCOW2_DATA || run.kind == QCOW2_COMPRESSED))
		return look_for_hole(q, off, ret, e);
	if (run.kind != QCOW2_UNALLOCATED)
		return 0;
	ret->kind = EXTENT_HOLE;
	if (!q->backing || off >= image_size(q->backing))
		return 0;
	/* What is missing here is what the backing file has. */
	rc = image_next_extent(q->backing, off, ret, e);
	ret->length = MIN(ret->length, run.length);
	return rc;
}

/* ---- reading ------------------------------------------------------------------------------- */

struct qcow2_reader {
	struct qcow2_reader *next;
	struct qcow2_decoder *decoder;
	uint8_t *cluster; /* one decoded */
	uint8_t *in;      /* a piece of the file, of one image_pread only */
	size_t in_cap;
	uint64_t in_off;
	size_t in_len;
};

static void reader_free(struct qcow2_reader *r)
{
	if (r->decoder)
		qcow2_decoder_free(r->decoder);
	free(r->cluster);
	free(r->in);
	free(r);
}

void qcow2_readers_free(struct qcow2 *q)
{
	while (q->readers) {
		struct qcow2_reader *r = q->readers;

		q->readers = r->next;
		reader_free(r);
	}
}

static int reader_get(struct qcow2 *q, struct qcow2_reader **ret, struct err *e)
{
	struct qcow2_reader *r;
	int rc;

	pthread_mutex_lock(&q->lock);
	r = q->readers;
	if (r)
		q->readers = r->next;
	pthread_mutex_unlock(&q->lock);
	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return err_nomem(e);
		/* The length field of an entry reaches to twice the cluster. */
		r->in_cap = (size_t)MAX(READ_SPAN, 2 * q->cluster_size);
		r->in = malloc(r->in_cap);
		r->cluster = malloc((size_t)q->cluster_size);
		if (!r->in || !r->cluster)
			rc = err_nomem(e);
		else
			rc = qcow2_decoder_new(q->compression, &r->decoder, e);
		if (rc < 0) {
			reader_free(r);
			return rc;
		}
	}
	r->in_len = 0;
	*ret = r;
	return 0;
}

static void reader_put(struct qcow2 *q, struct qcow2_reader *r)
{
	pthread_mutex_lock(&q->lock);
	r->next = q->readers;
	q->readers = r;
	pthread_mutex_unlock(&q->lock);
}

/*
 * The piece of the file to read for the run at off and for those behind it, up to `end` of the disk,
 * that lie near it: programs that compress on several threads store clusters in the order in which
 * they are ready.
 */
static int find_span(struct qcow2 *q, const struct qcow2_run *run, uint64_t off, uint64_t end,
		     uint64_t *ret_first, uint64_t *ret_end, struct err *e)
{
	uint64_t first = run->host, last = run->host + run->host_len, used = run->host_len;
	struct qcow2_run next;

	*ret_first = first;
	*ret_end = last;
	for (off += run->length; off < end; off += next.length) {
		int rc = qcow2_map(q, off, false, &next, e);

		if (rc)
			return rc;
		if (next.kind != QCOW2_COMPRESSED)
			continue;
		first = MIN(first, next.host);
		last = MAX(last, next.host + next.host_len);
		used += next.host_len;
		if (last - first > READ_SPAN)
			return 0;
		/* Not what lies between by chance. */
		if (last - first <= 2 * used) {
			*ret_first = first;
			*ret_end = last;
		}
	}
	return 0;
}

/* Makes the run's bytes be in r->in, and those of others behind it, up to `end` of the disk. */
static int reader_fill(struct qcow2 *q, struct qcow2_reader *r, const struct qcow2_run *run,
		       uint64_t off, uint64_t end, const uint8_t **ret, struct err *e)
{
	uint64_t first, last;
	int rc;

	/* A start below in_off wraps around, far over in_len. */
	if (!range_within(run->host - r->in_off, run->host_len, r->in_len)) {
		rc = find_span(q, run, off, end, &first, &last, e);
		r->in_len = 0;
		if (rc == 0)
			rc = image_file_read(&q->common, r->in, (size_t)(last - first), first, e);
		if (rc)
			return rc;
		r->in_off = first;
		r->in_len = (size_t)(last - first);
	}
	*ret = r->in + (run->host - r->in_off);
	return 0;
}

/* Reads len bytes at off, which lie in one compressed cluster; `left` bytes from there are wanted. */
static int read_compressed(struct qcow2 *q, struct qcow2_reader *r, const struct qcow2_run *run,
			   uint8_t *buf, size_t len, size_t left, uint64_t off, struct err *e)
{
	size_t skip = (size_t)(off % q->cluster_size);
	size_t cluster_size = (size_t)q->cluster_size;
	bool whole = len == cluster_size;
	const uint8_t *in = NULL;
	int rc = reader_fill(q, r, run, off, off + left, &in, e);

	if (rc == 0)
		rc = qcow2_decode(r->decoder, in, (size_t)run->host_len, whole ? buf : r->cluster,
				  cluster_size, e);
	if (rc < 0)
		return err_wrap(e, "at 0x%llx", (unsigned long long)run->host);
	if (!whole)
		memcpy(buf, r->cluster + skip, len);
	return 0;
}

/* The file may end inside of its last cluster; the rest of it is zero. */
static int read_data(struct qcow2 *q, void *buf, size_t len, uint64_t host, struct err *e)
{
	size_t there = (size_t)MIN((uint64_t)len, q->file_end - MIN(host, q->file_end));

	memset((uint8_t *)buf + there, 0, len - there);
	return image_file_read(&q->common, buf, there, host, e);
}

static int read_backing(struct qcow2 *q, void *buf, size_t len, uint64_t off, struct err *e)
{
	uint64_t end = q->backing ? image_size(q->backing) : 0;
	size_t there = (size_t)MIN((uint64_t)len, end - MIN(off, end));

	memset((uint8_t *)buf + there, 0, len - there);
	return there ? image_pread(q->backing, buf, there, off, e) : 0;
}

static int read_run(struct qcow2 *q, struct qcow2_reader **r, const struct qcow2_run *run,
		    uint8_t *buf, size_t len, size_t left, uint64_t off, struct err *e)
{
	int rc = 0;

	switch (run->kind) {
	case QCOW2_UNALLOCATED:
		return read_backing(q, buf, len, off, e);
	case QCOW2_ZEROS:
		memset(buf, 0, len);
		return 0;
	case QCOW2_DATA:
		return read_data(q, buf, len, run->host, e);
	case QCOW2_COMPRESSED:
		if (!*r)
			rc = reader_get(q, r, e);
		if (rc)
			return rc;
		return read_compressed(q, *r, run, buf, len, left, off, e);
	}
	return 0;
}

int qcow2_pread(struct image *im, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct qcow2 *q = to_qcow2(im);
	struct qcow2_reader *r = NULL;
	uint8_t *at = buf;
	int rc = 0;

	if (q->refusal.code)
		return err_set(e, q->refusal.code, "%s", q->refusal.msg);
	while (rc == 0 && len) {
		struct qcow2_run run;
		size_t n;

		rc = qcow2_map(q, off, false, &run, e);
		if (rc < 0)
			break;
		n = (size_t)MIN((uint64_t)len, run.length);
		rc = read_run(q, &r, &run, at, n, len, off, e);
		at += n;
		off += n;
		len -= n;
	}
	if (r)
		reader_put(q, r);
	return rc;
}
