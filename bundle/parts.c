/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and proving of parts. Not a byte of a part is used before its SHA-1 was compared with the
 * manifest's, so a part is held whole; a part has at most BUNDLE_PART_LIMIT bytes.
 */
#include <inttypes.h>

#include "bundle/parts.h"
#include "lib/stop.h"

#define USUAL_PART 10485760 /* bytes; all tools make these unless told otherwise */
#define READ_STEP (256 * KIB)

size_t part_buf_size(const struct manifest *m, size_t room)
{
	/* One byte more, so that the end of a part of just that size is seen without growing. */
	return room + (size_t)MIN(m->bundled_size, USUAL_PART) + 1;
}

int part_reader_init(struct part_reader *r, const struct manifest *m, struct part_source *src,
		     struct progress *p, struct err *e)
{
	*r = (struct part_reader){.m = m, .src = src, .progress = p};
	return digest_new(DIGEST_SHA1, &r->digest, e);
}

void part_reader_release(struct part_reader *r)
{
	digest_free(r->digest);
	r->digest = NULL;
}

static int grow(struct flow_buf *b, size_t room, struct err *e)
{
	size_t limit = room + BUNDLE_PART_LIMIT + 1, cap = MIN(2 * b->cap, limit);
	uint8_t *grown;

	if (b->cap >= limit)
		return err_set(e, EFBIG, "part is larger than %d MiB",
			       (int)(BUNDLE_PART_LIMIT / MIB));
	grown = realloc(b->data, cap);
	if (!grown)
		return err_nomem(e);
	b->data = grown;
	b->cap = cap;
	return 0;
}

/* Reads to the part's end; hashes on the way, while the bytes are in the cache. */
static int read_whole(struct part_reader *r, size_t index, size_t room, struct flow_buf *b,
		      struct err *e)
{
	b->start = room;
	b->len = 0;
	for (;;) {
		uint8_t *to = b->data + b->start + b->len;
		size_t len = MIN(b->cap - b->start - b->len, READ_STEP), n = 0;
		int rc = stop_check(e);

		if (rc == 0 && !len) {
			rc = grow(b, room, e);
			if (rc < 0)
				return rc;
			continue;
		}
		if (rc == 0)
			rc = r->src->read(r->src->ctx, index, to, len, &n, e);
		if (rc < 0 || !n)
			return rc;
		digest_add(r->digest, to, n);
		b->len += n;
		r->total += n;
		if (r->total > r->m->bundled_size)
			return err_set(e, EBADMSG,
				       "parts exceed the manifest's bundled size, %" PRIu64
				       " bytes",
				       r->m->bundled_size);
		progress_set(r->progress, r->total);
	}
}

int part_read(struct part_reader *r, size_t index, size_t room, struct flow_buf *b, struct err *e)
{
	const struct manifest_part *part = &r->m->parts[index];
	char hex[2 * DIGEST_MAX + 1];
	int rc = read_whole(r, index, room, b, e);

	if (rc == -ECANCELED)
		return rc;
	if (rc < 0)
		return err_wrap(e, "part %zu '%s'", index, part->filename);
	digest_final_hex(r->digest, hex);
	if (strcmp(hex, part->digest) != 0)
		return err_set(e, EBADMSG,
			       "part %zu '%s': SHA-1 of its %zu bytes is %s, the manifest says %s",
			       index, part->filename, b->len, hex, part->digest);
	return 0;
}

int part_reader_finish(const struct part_reader *r, struct err *e)
{
	if (r->total != r->m->bundled_size)
		return err_set(e, EBADMSG,
			       "parts hold %" PRIu64
			       " bytes, the manifest's bundled size is %" PRIu64,
			       r->total, r->m->bundled_size);
	return 0;
}

int bundle_ec2_check_parts(const struct manifest *m, struct part_source *src, struct progress *p,
			   struct err *e)
{
	AUTO(part_reader_release) struct part_reader r = {0};
	struct flow_buf b = {.cap = part_buf_size(m, 0)};
	int rc = part_reader_init(&r, m, src, p, e);

	b.data = malloc(b.cap);
	if (rc == 0 && !b.data)
		rc = err_nomem(e);
	for (size_t i = 0; rc == 0 && i < m->n_parts; i++)
		rc = part_read(&r, i, 0, &b, e);
	free(b.data);
	return rc < 0 ? rc : part_reader_finish(&r, e);
}
