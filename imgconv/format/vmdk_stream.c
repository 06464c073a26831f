/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a stream-optimized VMDK front to back, from a pipe: ours and VMware's, whose tables come
 * behind their grains, and those of QEMU and open-vmdk, whose tables lie in front. Grains must come
 * in the order of the disk.
 */
#include "imgconv/format/vmdk_stream.h"
#include "lib/stop.h"

#define IN_MIN (2 * MIB) /* holds any descriptor behind the header */

/* ---- bytes --------------------------------------------------------------------------------- */

/* Tries to make n bytes be there; *ret says how many are, fewer only at the end. */
static int fill(struct vmdk_stream *s, size_t n, size_t *ret, struct err *e)
{
	if (s->in_len - s->in_at < n && s->in_at) {
		memmove(s->in, s->in + s->in_at, s->in_len - s->in_at);
		s->in_len -= s->in_at;
		s->in_at = 0;
	}
	while (s->in_len - s->in_at < n && !s->eof) {
		ssize_t got = read(s->common.fd, s->in + s->in_len, s->in_cap - s->in_len);
		int rc = stop_check(e);

		if (rc)
			return rc;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(e, errno, "reading");
		s->eof = got == 0;
		s->in_len += (size_t)got;
	}
	*ret = MIN(n, s->in_len - s->in_at);
	return 0;
}

int vmdk_stream_need(struct vmdk_stream *s, size_t n, const uint8_t **ret, struct err *e)
{
	size_t there = 0;
	int rc = fill(s, n, &there, e);

	if (rc)
		return rc;
	if (there < n)
		return err_set(e, EBADMSG, "the stream ends early, after %llu bytes",
			       (unsigned long long)(s->pos + there));
	*ret = s->in + s->in_at;
	return 0;
}

void vmdk_stream_used(struct vmdk_stream *s, size_t n)
{
	s->in_at += n;
	s->pos += n;
}

int vmdk_stream_skip_to(struct vmdk_stream *s, uint64_t offset, struct err *e)
{
	while (s->pos < offset) {
		size_t n = (size_t)MIN(offset - s->pos, (uint64_t)s->in_cap);
		const uint8_t *in = NULL;
		int rc = vmdk_stream_need(s, n, &in, e);

		if (rc)
			return rc;
		vmdk_stream_used(s, n);
	}
	return 0;
}

/* ---- beginning ----------------------------------------------------------------------------- */

void vmdk_stream_close(struct image_stream *is)
{
	struct vmdk_stream *s = (struct vmdk_stream *)is;

	if (s->decoder)
		vmdk_decoder_free(s->decoder);
	free(s->in);
	free(s->grain);
	vmdk_stream_tables_free(s);
}

static int check_header(struct vmdk_stream *s, struct err *e)
{
	const struct vmdk_header *h = &s->h;

	if (!h->compressed)
		return err_set(
			e, ENOTSUP,
			"only the subformat streamOptimized of VMDK can be read from a pipe");
	if (h->overhead > VMDK_SECTORS_MAX || h->overhead < h->descriptor + h->descriptor_size)
		return err_set(e, EBADMSG, "grains at sector %llu would overlap the descriptor",
			       (unsigned long long)h->overhead);
	s->tables_first = h->gd < h->overhead;
	if (s->tables_first &&
	    (h->gd < h->descriptor + h->descriptor_size || h->gd + h->gd_sectors > h->overhead))
		return err_set(e, EBADMSG,
			       "the grain directory at sector %llu overlaps the descriptor or the "
			       "grains",
			       (unsigned long long)h->gd);
	return 0;
}

static int read_header(struct vmdk_stream *s, struct err *e)
{
	const uint8_t *in = NULL;
	int rc = vmdk_stream_need(s, SECTOR, &in, e);

	if (rc)
		return rc;
	if (le32_get(in) != VMDK_MAGIC && vmdk_is_descriptor(in, SECTOR))
		return err_set(e, ENOTSUP,
			       "a VMDK descriptor, which names other files, cannot be read from a "
			       "pipe");
	memcpy(s->raw, in, SECTOR);
	rc = vmdk_header_parse(s->raw, &s->h, e);
	if (rc == 0)
		rc = vmdk_header_check_embedded(&s->h, e);
	if (rc == 0)
		rc = check_header(s, e);
	if (rc == 0)
		vmdk_stream_used(s, SECTOR);
	return rc;
}

static int read_descriptor(struct vmdk_stream *s, struct err *e)
{
	AUTO(vmdk_descriptor_release) struct vmdk_descriptor d = {0};
	size_t len = (size_t)s->h.descriptor_size * SECTOR;
	const uint8_t *in = NULL;
	int rc = vmdk_stream_need(s, len, &in, e);

	if (rc == 0)
		rc = vmdk_descriptor_parse((const char *)in, len, true, &d, e);
	if (rc == 0)
		rc = vmdk_header_match(&s->h, &d, e);
	if (rc == 0 && d.refusal.code)
		rc = err_set(e, d.refusal.code, "%s", d.refusal.msg);
	if (rc == 0)
		vmdk_stream_used(s, len);
	return rc;
}

/* Room for what the header's grains can be. */
static int make_room(struct vmdk_stream *s, struct err *e)
{
	size_t grain = (size_t)s->h.grain * SECTOR;
	size_t cap = MAX((size_t)IN_MIN, (size_t)round_up(GRAIN_HEADER + 2 * grain, SECTOR));
	uint8_t *in = realloc(s->in, cap);

	if (!in)
		return err_nomem(e);
	s->in = in;
	s->in_cap = cap;
	s->grain = malloc(grain);
	return s->grain ? vmdk_decoder_new(&s->decoder, e) : err_nomem(e);
}

int vmdk_stream_open(int fd, const char *name, uint64_t size, struct image_stream **ret,
		     struct err *e)
{
	AUTO(image_stream_discard) struct image_stream *is = NULL;
	struct vmdk_stream *s = calloc(1, sizeof(*s));
	int rc;

	(void)size;
	if (!s)
		return err_nomem(e);
	is = &s->common;
	rc = image_stream_init(is, &image_format_vmdk, fd, name, e);
	if (rc)
		return rc;
	s->in_cap = IN_MIN;
	s->in = malloc(s->in_cap);
	if (!s->in)
		return err_nomem(e);
	rc = read_header(s, e);
	if (rc == 0)
		rc = make_room(s, e);
	if (rc == 0)
		rc = read_descriptor(s, e);
	if (rc == 0 && s->tables_first)
		rc = vmdk_stream_read_front(s, e);
	if (rc == 0)
		rc = vmdk_stream_skip_to(s, s->h.overhead * SECTOR, e);
	if (rc)
		return rc;
	is->size = s->h.capacity * SECTOR;
	*ret = STEAL(is);
	return 0;
}

/* ---- markers ------------------------------------------------------------------------------- */

static int take_footer(struct vmdk_stream *s, struct err *e)
{
	const uint8_t *in = NULL;
	uint64_t gd = 0;
	int rc = vmdk_stream_need(s, SECTOR, &in, e);

	if (rc == 0)
		rc = vmdk_footer_check(s->raw, in, &gd, e);
	if (rc == 0 && (!s->gd || gd != s->gd))
		rc = err_set(e, EBADMSG,
			     "the footer's grain directory at sector %llu is not where it came",
			     (unsigned long long)gd);
	if (rc)
		return rc;
	s->has_footer = true;
	vmdk_stream_used(s, SECTOR);
	return 0;
}

/* Nothing follows; but QEMU leaves the file as long as if the last grain were not compressed. */
static int expect_end(struct vmdk_stream *s, struct err *e)
{
	size_t there = 0;
	int rc;

	do {
		rc = fill(s, SECTOR, &there, e);
		if (rc == 0 && there && (!s->tables_first || !mem_is_zero(s->in + s->in_at, there)))
			rc = err_set(e, EBADMSG, "there is more behind the end of the stream");
		vmdk_stream_used(s, there);
	} while (rc == 0 && there);
	return rc;
}

/* All that was promised was there, and nothing follows. */
static int take_end(struct vmdk_stream *s, struct err *e)
{
	int rc;

	if (s->tables_first) {
		rc = vmdk_stream_close_tables(s, e);
	} else {
		bool right = s->h.gd == GD_AT_END ? s->has_footer : s->h.gd == s->gd;

		rc = right && s->gd ? 0
				    : err_set(e, EBADMSG,
					      "the stream ends without its grain directory or "
					      "footer");
	}
	if (rc == 0)
		rc = expect_end(s, e);
	s->done = rc == 0;
	return rc;
}

static int take_marker(struct vmdk_stream *s, struct err *e)
{
	static const struct {
		uint32_t type;
		int (*take)(struct vmdk_stream *s, struct err *e);
	} behind[] = {
		{MARKER_GT, vmdk_stream_take_table},
		{MARKER_GD, vmdk_stream_take_directory},
		{MARKER_FOOTER, take_footer},
	};
	const uint8_t *in = NULL;
	uint64_t sectors;
	uint32_t type;
	int rc = vmdk_stream_need(s, SECTOR, &in, e);

	if (rc)
		return rc;
	type = le32_get(in + MARKER_TYPE_AT);
	sectors = type == MARKER_GT   ? GT_SECTORS
		  : type == MARKER_GD ? s->h.gd_sectors
				      : type == MARKER_FOOTER;
	if (type > MARKER_FOOTER)
		return err_set(e, ENOTSUP, "markers of type %u are not supported", type);
	rc = vmdk_marker_check(in, type, sectors, e);
	if (rc)
		return rc;
	vmdk_stream_used(s, SECTOR);
	if (type == MARKER_END)
		return take_end(s, e);
	if (s->tables_first || (s->gd && type != MARKER_FOOTER))
		return err_set(e, EBADMSG, "there is a table where none belongs");
	return behind[type - 1].take(s, e);
}

/* ---- grains -------------------------------------------------------------------------------- */

static int check_place(const struct vmdk_stream *s, uint64_t lba, uint32_t len, struct err *e)
{
	if (s->gd)
		return err_set(e, EBADMSG, "a grain follows the grain directory");
	if (lba % s->h.grain || lba >= s->h.capacity)
		return err_set(e, EBADMSG, "there is no grain at sector %llu of the disk",
			       (unsigned long long)lba);
	if (lba < s->next_lba)
		return err_set(e, ENOTSUP,
			       "the grain for sector %llu of the disk comes late: an image whose "
			       "grains are not in order cannot be read from a pipe",
			       (unsigned long long)lba);
	if (len > 2 * s->h.grain * SECTOR)
		return err_set(
			e, EBADMSG,
			"the compressed grain has %u bytes, more than twice those of a grain", len);
	return 0;
}

static int take_grain(struct vmdk_stream *s, uint64_t lba, uint32_t len, struct err *e)
{
	size_t grain = (size_t)s->h.grain * SECTOR;
	size_t padded = (size_t)round_up(GRAIN_HEADER + (uint64_t)len, SECTOR);
	uint64_t rest = (s->h.capacity - lba) * SECTOR;
	const uint8_t *in = NULL;
	size_t there = 0;
	int rc = vmdk_stream_need(s, GRAIN_HEADER + len, &in, e);

	if (rc == 0)
		rc = vmdk_decode(s->decoder, in + GRAIN_HEADER, len, s->grain, grain,
				 (size_t)MIN((uint64_t)grain, rest), e);
	if (rc == 0)
		rc = vmdk_stream_add_grain(s, lba, s->pos / SECTOR, e);
	if (rc == 0)
		rc = fill(s, padded, &there, e);
	if (rc == 0 && there < padded && !s->tables_first)
		rc = err_set(e, EBADMSG, "the stream ends early, after %llu bytes",
			     (unsigned long long)(s->pos + there));
	vmdk_stream_used(s, there);
	return rc;
}

int vmdk_stream_next(struct image_stream *is, uint64_t *ret_off, const uint8_t **ret_data,
		     size_t *ret_len, struct err *e)
{
	struct vmdk_stream *s = (struct vmdk_stream *)is;

	while (!s->done) {
		const uint8_t *in = NULL;
		size_t there = 0;
		uint64_t at = s->pos, lba;
		uint32_t len;
		int rc = fill(s, GRAIN_HEADER, &there, e);

		/* Where the tables lie in front, there may be no end marker. */
		if (rc == 0 && !there && s->tables_first)
			return take_end(s, e);
		if (rc == 0)
			rc = vmdk_stream_need(s, GRAIN_HEADER, &in, e);
		if (rc)
			return rc;
		lba = le64_get(in);
		len = le32_get(in + MARKER_SIZE_AT);
		if (!len) {
			rc = take_marker(s, e);
		} else {
			rc = check_place(s, lba, len, e);
			if (rc == 0)
				rc = take_grain(s, lba, len, e);
		}
		if (rc < 0)
			return err_wrap(e, "sector %llu of the stream",
					(unsigned long long)(at / SECTOR));
		if (!len)
			continue;
		s->next_lba = lba + s->h.grain;
		*ret_off = lba * SECTOR;
		*ret_data = s->grain;
		*ret_len = (size_t)MIN(s->h.grain, s->h.capacity - lba) * SECTOR;
		return 1;
	}
	return 0;
}
