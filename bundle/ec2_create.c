/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the parts of an EC2 instance-store bundle in one pass:
 *
 *	image -> tar -> gzip (bundle/tgz.h) -> AES-128-CBC -> SHA-1 of each part -> sink
 *	          \-> SHA-1 of the tar stream
 *
 * The parts are cut after the encryption, which knows nothing of them.
 */
#include <inttypes.h>

#include "bundle/aes.h"
#include "bundle/tgz.h"

#define PART_SIZE 10485760 /* bytes: what all tools make */
#define STEP (256 * KIB)   /* bytes that are encrypted and hashed while they are in the cache */

struct maker {
	struct manifest *m;
	enum bundle_style style;
	struct part_sink *sink;
	uint64_t part_size;
	struct aes *aes;
	struct digest *digest; /* of the part that is open */
	uint64_t in_part;      /* bytes of it; part m->n_parts - 1 */
	bool open;
	size_t cap; /* of m->parts */
	uint8_t buf[STEP + AES_BLOCK];
};

static int begin_part(struct maker *k, struct err *e)
{
	struct manifest *m = k->m;

	if (m->n_parts == k->cap) {
		size_t cap = k->cap ? 2 * k->cap : 64;
		struct manifest_part *grown = reallocarray(m->parts, cap, sizeof(*grown));

		if (!grown)
			return err_nomem(e);
		m->parts = grown;
		k->cap = cap;
	}
	m->parts[m->n_parts++] = (struct manifest_part){0};
	k->in_part = 0;
	k->open = true;
	return 0;
}

static int end_part(struct maker *k, struct err *e)
{
	struct manifest_part *part = &k->m->parts[k->m->n_parts - 1];
	char hex[2 * DIGEST_MAX + 1];

	digest_final_hex(k->digest, hex);
	memcpy(part->digest, hex, sizeof(part->digest));
	k->m->bundled_size += k->in_part;
	k->open = false;
	if (!k->sink->end)
		return 0;
	return k->sink->end(k->sink->ctx, k->m->n_parts - 1, k->in_part, part->digest, e);
}

static int put_encrypted(struct maker *k, const uint8_t *data, size_t len, struct err *e)
{
	while (len) {
		int rc = k->open ? 0 : begin_part(k, e);
		size_t n;

		if (rc < 0)
			return rc;
		n = (size_t)MIN((uint64_t)len, k->part_size - k->in_part);
		digest_add(k->digest, data, n);
		rc = k->sink->write(k->sink->ctx, k->m->n_parts - 1, data, n, e);
		k->in_part += n;
		if (rc == 0 && k->in_part == k->part_size)
			rc = end_part(k, e);
		if (rc < 0)
			return rc;
		data += n;
		len -= n;
	}
	return 0;
}

/* struct tgz.write */
static int put_compressed(void *ctx, const void *data, size_t len, struct err *e)
{
	struct maker *k = ctx;
	const uint8_t *p = data;

	while (len) {
		size_t step = MIN(len, (size_t)STEP), n = 0;
		int rc = aes_encrypt(k->aes, p, step, k->buf, &n, e);

		if (rc == 0)
			rc = put_encrypted(k, k->buf, n, e);
		if (rc < 0)
			return rc;
		p += step;
		len -= step;
	}
	return 0;
}

static int finish(struct maker *k, struct err *e)
{
	int rc = aes_encrypt_finish(k->aes, k->buf, e);

	if (rc == 0)
		rc = put_encrypted(k, k->buf, AES_BLOCK, e);
	return rc == 0 && k->open ? end_part(k, e) : rc;
}

/* The amount of them is known at last. */
static int name_parts(struct maker *k, struct err *e)
{
	struct manifest *m = k->m;

	for (size_t i = 0; i < m->n_parts; i++) {
		m->parts[i].filename = bundle_part_name(k->style, m->name, i, m->n_parts);
		if (!m->parts[i].filename)
			return err_nomem(e);
	}
	return 0;
}

static int make(struct maker *k, struct image *im, const struct bundle_ec2_opts *o,
		struct progress *p, struct err *e)
{
	AUTO(digest_free) struct digest *whole = NULL;
	char hex[2 * DIGEST_MAX + 1];
	struct tgz t = {.name = k->m->name,
			.size = o->stream ? image_stream_size(o->stream) : image_size(im),
			.dense = o->dense,
			.one_member = o->one_member,
			.threads = o->threads,
			.write = put_compressed,
			.ctx = k};
	int rc = digest_new(DIGEST_SHA1, &whole, e);

	if (rc < 0)
		return rc;
	t.digest = whole;
	rc = o->stream ? tgz_write_stream(o->stream, &t, p, e) : tgz_write(im, &t, p, e);
	if (rc == 0)
		rc = finish(k, e);
	if (rc == 0)
		rc = name_parts(k, e);
	if (rc < 0)
		return rc;
	digest_final_hex(whole, hex);
	memcpy(k->m->digest, hex, sizeof(k->m->digest));
	k->m->size = t.size;
	return 0;
}

static int check(const struct manifest *m, const struct maker *k, struct err *e)
{
	if (m->n_parts)
		return err_set(e, EINVAL, "the manifest has parts already");
	if (k->part_size < AES_BLOCK || k->part_size > BUNDLE_PART_LIMIT)
		return err_set(e, EINVAL, "parts have %d to %" PRIu64 " bytes, not %" PRIu64,
			       AES_BLOCK, BUNDLE_PART_LIMIT, k->part_size);
	return 0;
}

int bundle_ec2_create(struct image *im, const struct bundle_ec2_opts *o, enum bundle_style style,
		      const struct bundle_secret *secret, struct part_sink *sink,
		      struct manifest *m, struct progress *p, struct err *e)
{
	static const struct bundle_ec2_opts defaults = {0};
	AUTO_FREE struct maker *k = calloc(1, sizeof(*k));
	int rc;

	if (!k)
		return err_nomem(e);
	o = o ? o : &defaults;
	k->m = m;
	k->style = style;
	k->sink = sink;
	k->part_size = o->part_size ? o->part_size : PART_SIZE;
	rc = check(m, k, e);
	if (rc == 0)
		rc = aes_new_encrypt(secret, &k->aes, e);
	if (rc == 0)
		rc = digest_new(DIGEST_SHA1, &k->digest, e);
	if (rc == 0)
		rc = make(k, im, o, p, e);
	aes_free(k->aes);
	digest_free(k->digest);
	return rc;
}
