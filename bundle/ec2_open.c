/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens an EC2 instance-store bundle in one pass, on three threads with bounded buffers between:
 *
 *	source -> SHA-1 of each part -> AES-128-CBC -> | gunzip -> | SHA-1 of the tar stream,
 *	                                               |           | tar -> sink
 *	               reader                          |  inflate  |   the caller's thread
 *
 * The manifest's digest is that of the whole tar stream, padding included, so the stream is read
 * to its very end. The first error of any thread breaks both flows and is the one reported.
 */
#include <inttypes.h>
#include <pthread.h>

#include "bundle/aes.h"
#include "bundle/bundle.h"
#include "bundle/flow.h"
#include "bundle/gunzip.h"
#include "bundle/parts.h"
#include "bundle/tar.h"
#include "lib/stop.h"

#define PART_BUFFERS 2
#define TAR_BUFFERS 4
#define TAR_CHUNK MIB

struct opener {
	const struct manifest *m;
	struct part_reader parts;
	struct aes *aes;
	struct gunzip *gunzip;
	struct digest *digest;
	struct tar_reader *tar;
	struct flow *plain;  /* decrypted parts: compressed data */
	struct flow *stream; /* pieces of the tar stream */

	pthread_mutex_t lock;
	int rc; /* the first error */
	struct err e;
};

static void fail(struct opener *o, int rc, const struct err *e)
{
	pthread_mutex_lock(&o->lock);
	if (!o->rc) {
		o->rc = rc;
		o->e = *e;
	}
	pthread_mutex_unlock(&o->lock);
	flow_break(o->plain);
	flow_break(o->stream);
}

/* ---- reader ---------------------------------------------------------------------------------- */

static int read_parts(struct opener *o, struct err *e)
{
	struct flow_buf *b;
	int rc;

	for (size_t i = 0; i < o->m->n_parts; i++) {
		b = flow_empty(o->plain);
		if (!b)
			return 0;
		rc = part_read(&o->parts, i, AES_BLOCK, b, e);
		if (rc == 0)
			rc = aes_decrypt(o->aes, b->data, b->len, &b->start, &b->len, e);
		if (rc < 0)
			return rc;
		flow_put(o->plain);
	}
	rc = part_reader_finish(&o->parts, e);
	if (rc < 0)
		return rc;
	b = flow_empty(o->plain);
	if (!b)
		return 0;
	b->start = 0;
	rc = aes_finish(o->aes, b->data, &b->len, e);
	if (rc < 0)
		return rc;
	flow_put(o->plain);
	flow_end(o->plain);
	return 0;
}

static void *reader_thread(void *arg)
{
	struct opener *o = arg;
	struct err e = {0};
	int rc = read_parts(o, &e);

	if (rc < 0)
		fail(o, rc, &e);
	return NULL;
}

/* ---- inflate --------------------------------------------------------------------------------- */

/* Everything that one buffer of compressed data yields. */
static int inflate_buffer(struct opener *o, const struct flow_buf *in, struct err *e)
{
	gunzip_input(o->gunzip, in->data + in->start, in->len);
	for (;;) {
		struct flow_buf *out = flow_empty(o->stream);
		size_t cap;
		int rc;

		if (!out)
			return 0;
		cap = out->cap;
		out->start = 0;
		rc = gunzip_output(o->gunzip, out->data, cap, &out->len, e);
		if (rc < 0)
			return rc;
		cap -= out->len;
		flow_put(o->stream);
		if (cap)
			return 0;
	}
}

static void *inflate_thread(void *arg)
{
	struct opener *o = arg;
	struct err e = {0};
	struct flow_buf *in;
	int rc = 0;

	while (rc == 0 && (in = flow_next(o->plain))) {
		rc = inflate_buffer(o, in, &e);
		flow_done(o->plain);
	}
	if (rc == 0 && !flow_broken(o->plain)) {
		rc = gunzip_finish(o->gunzip, &e);
		if (rc == 0)
			flow_end(o->stream);
	}
	if (rc < 0)
		fail(o, rc, &e);
	return NULL;
}

/* ---- the caller's thread --------------------------------------------------------------------- */

static int check_digest(struct opener *o, struct err *e)
{
	char hex[2 * DIGEST_MAX + 1];

	digest_final_hex(o->digest, hex);
	if (strcmp(hex, o->m->digest) != 0)
		return err_set(e, EBADMSG, "SHA-1 of the tar stream is %s, the manifest says %s",
			       hex, o->m->digest);
	return 0;
}

static int untar(struct opener *o, struct err *e)
{
	struct flow_buf *b;

	while ((b = flow_next(o->stream))) {
		int rc = stop_check(e);

		if (rc == 0) {
			digest_add(o->digest, b->data, b->len);
			rc = tar_reader_feed(o->tar, b->data, b->len, e);
		}
		flow_done(o->stream);
		if (rc < 0)
			return rc;
	}
	if (flow_broken(o->stream))
		return 0; /* the one who broke it has said why */
	if (tar_reader_finish(o->tar, e) < 0)
		return -EBADMSG;
	return check_digest(o, e);
}

/* Both other threads run to their end before this returns. */
static int run(struct opener *o)
{
	pthread_t reader, inflater;
	struct err e = {0};
	int rc = pthread_create(&reader, NULL, reader_thread, o);

	if (rc) {
		fail(o, err_errno(&e, rc, "starting a thread"), &e);
		return o->rc;
	}
	rc = pthread_create(&inflater, NULL, inflate_thread, o);
	if (rc) {
		fail(o, err_errno(&e, rc, "starting a thread"), &e);
	} else {
		rc = untar(o, &e);
		if (rc < 0)
			fail(o, rc, &e);
		pthread_join(inflater, NULL);
	}
	pthread_join(reader, NULL);
	return o->rc;
}

static int prepare(struct opener *o, const struct bundle_secret *secret, struct part_source *src,
		   const struct bundle_sink *sink, struct progress *p, struct err *e)
{
	int rc = part_reader_init(&o->parts, o->m, src, p, e);

	if (rc == 0)
		rc = aes_new(secret, &o->aes, e);
	if (rc == 0)
		rc = gunzip_new(&o->gunzip, e);
	if (rc == 0)
		rc = digest_new(DIGEST_SHA1, &o->digest, e);
	if (rc == 0)
		rc = tar_reader_new(o->m->size, sink, &o->tar, e);
	if (rc == 0)
		rc = flow_new(PART_BUFFERS, part_buf_size(o->m, AES_BLOCK), &o->plain, e);
	if (rc == 0)
		rc = flow_new(TAR_BUFFERS, TAR_CHUNK, &o->stream, e);
	return rc;
}

int bundle_ec2_open(const struct manifest *m, const struct bundle_secret *secret,
		    struct part_source *src, const struct bundle_sink *sink, struct progress *p,
		    struct err *e)
{
	struct opener o = {.m = m};
	int rc;

	if (m->bundled_size % AES_BLOCK)
		return err_set(e, EBADMSG,
			       "manifest's bundled size, %" PRIu64
			       " bytes, is not whole AES blocks",
			       m->bundled_size);
	pthread_mutex_init(&o.lock, NULL);
	rc = prepare(&o, secret, src, sink, p, e);
	if (rc == 0) {
		rc = run(&o);
		if (rc < 0 && e)
			*e = o.e;
	}
	flow_free(o.stream);
	flow_free(o.plain);
	tar_reader_free(o.tar);
	digest_free(o.digest);
	gunzip_free(o.gunzip);
	aes_free(o.aes);
	part_reader_release(&o.parts);
	pthread_mutex_destroy(&o.lock);
	return rc;
}

static int write_image(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct bundle_writer *bw = ctx;
	uint64_t at;

	if (!u64_add(bw->dst_offset, off, &at))
		return err_set(e, EINVAL, "offset 0x%" PRIx64 " is too large", bw->dst_offset);
	return image_writer_write(bw->w, data, len, at, e);
}

struct bundle_sink bundle_sink_to_writer(struct bundle_writer *bw)
{
	return (struct bundle_sink){.write = write_image, .ctx = bw};
}
