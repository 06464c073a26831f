/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Google Compute Engine imports: disk.raw, of whole GiB, in an old-GNU tar archive (sparse or
 * not), compressed by gzip. After "Manually import boot disks" of its documentation, which says
 * `tar --format=oldgnu -Sczf disk.tar.gz disk.raw`.
 *
 *	file -> gunzip -> | tar -> image writer
 *	     a thread     | the other one
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "bundle/flow.h"
#include "bundle/gunzip.h"
#include "bundle/open.h"
#include "bundle/tar.h"
#include "bundle/tar_header.h"
#include "bundle/tgz.h"
#include "lib/json.h"
#include "lib/stop.h"
#include "lib/str.h"

#define MEMBER "disk.raw"
#define SIZE_MAX_GCE (UINT64_C(64) << 40) /* the largest disk there is */
#define STEP (256 * KIB)
#define TAR_BUFFERS 4
#define TAR_CHUNK MIB

/* ---- making ---------------------------------------------------------------------------------- */

static int write_file(void *ctx, const void *data, size_t len, struct err *e)
{
	return fs_write(*(int *)ctx, data, len, e);
}

static int run(struct make *m, struct err *e)
{
	const struct make_disk *disk = &m->disks[0];
	uint64_t size = make_disk_size(disk);
	AUTO_FD int fd = -1;
	struct tgz t = {.name = MEMBER,
			.size = round_up(size, GIB),
			.dense = m->a->dense,
			.one_member = true,
			.threads = m->a->threads,
			.write = write_file,
			.ctx = &fd};
	struct progress *p;
	int rc;

	if (size > SIZE_MAX_GCE)
		return err_set(e, EFBIG, "'%s' is larger than 64 TiB", m->a->images[0]);
	rc = make_file(make_output_name(m), &fd, e);
	if (rc < 0)
		return rc;
	p = progress_start("packing", size);
	rc = disk->im ? tgz_write(disk->im, &t, p, e) : tgz_write_stream(disk->stream, &t, p, e);
	progress_end(p, rc == 0);
	return rc;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* The first bytes of what is compressed; false: that cannot be told. */
static bool first_block(const uint8_t *data, size_t len, uint8_t block[TAR_BLOCK])
{
	AUTO(gunzip_free) struct gunzip *g = NULL;
	size_t n = 0;

	if (len < 18 || memcmp(data, "\x1f\x8b\x08", 3) != 0 || gunzip_new(&g, NULL) < 0)
		return false;
	gunzip_input(g, data, len);
	return gunzip_output(g, block, TAR_BLOCK, &n, NULL) == 0 && n == TAR_BLOCK;
}

static bool is_member(const char *name)
{
	return !strcmp(name, MEMBER) || !strcmp(name, "./" MEMBER);
}

static bool probe(const struct bundle_head *h)
{
	uint8_t block[TAR_BLOCK] = {0};
	struct tar_header header;

	if (!first_block(h->data, h->len, block) || block[99])
		return false;
	if (tar_header_parse(block, &header, NULL) < 0)
		return false;
	/* PAX tells the name in a header of its own; who makes these has to be lucky. */
	return is_member((char *)block) || header.type == 'x' || header.type == 'g';
}

struct unpack {
	struct opening *o;
	bool sink;
	struct gunzip *gunzip;
	struct tar_reader *tar;
	struct flow *stream;
	struct progress *progress;
	/* Of the file in the archive. */
	uint64_t size;
	int fd;
	struct image_writer *w;

	pthread_mutex_t lock;
	int rc; /* the first error */
	struct err e;
};

static void fail(struct unpack *u, int rc, const struct err *e)
{
	pthread_mutex_lock(&u->lock);
	if (!u->rc) {
		u->rc = rc;
		u->e = *e;
	}
	pthread_mutex_unlock(&u->lock);
	flow_break(u->stream);
}

/* All that one piece of compressed data yields. */
static int inflate_piece(struct unpack *u, const uint8_t *data, size_t len, struct err *e)
{
	gunzip_input(u->gunzip, data, len);
	for (;;) {
		struct flow_buf *out = flow_empty(u->stream);
		bool full;
		int rc;

		if (!out)
			return 0;
		out->start = 0;
		rc = gunzip_output(u->gunzip, out->data, out->cap, &out->len, e);
		if (rc < 0)
			return rc;
		full = out->len == out->cap;
		flow_put(u->stream);
		if (!full)
			return 0;
	}
}

static int inflate(struct unpack *u, struct err *e)
{
	AUTO_FREE uint8_t *buf = malloc(STEP);
	int rc = buf ? 0 : err_nomem(e);

	for (uint64_t at = 0; rc == 0 && at < u->o->file_size && !flow_broken(u->stream);) {
		size_t n = (size_t)MIN(u->o->file_size - at, STEP);

		rc = fs_pread(u->o->fd, buf, n, at, e);
		if (rc == 0)
			rc = inflate_piece(u, buf, n, e);
		at += n;
		progress_set(u->progress, at);
	}
	if (rc == 0 && !flow_broken(u->stream))
		rc = gunzip_finish(u->gunzip, e);
	if (rc == 0)
		flow_end(u->stream);
	return rc;
}

static void *inflate_thread(void *arg)
{
	struct unpack *u = arg;
	struct err e = {0};
	int rc = inflate(u, &e);

	if (rc < 0)
		fail(u, rc, &e);
	return NULL;
}

static int begin(void *ctx, uint64_t size, struct err *e)
{
	struct unpack *u = ctx;

	if (!size || size > SIZE_MAX_GCE)
		return err_set(e, EBADMSG, "a disk of %" PRIu64 " bytes", size);
	u->size = size;
	return u->sink ? open_writer(u->o, "disk", size, &u->w, &u->fd, e) : 0;
}

static int write_image(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct unpack *u = ctx;

	return u->w ? image_writer_write(u->w, data, len, off, e) : 0;
}

static int untar(struct unpack *u, struct err *e)
{
	struct flow_buf *b;

	while ((b = flow_next(u->stream))) {
		int rc = stop_check(e);

		if (rc == 0)
			rc = tar_reader_feed(u->tar, b->data, b->len, e);
		flow_done(u->stream);
		if (rc < 0)
			return open_explain(u->o, u->w, rc, e);
	}
	if (flow_broken(u->stream))
		return 0; /* the one who broke it has said why */
	if (tar_reader_finish(u->tar, e) < 0)
		return -EBADMSG;
	return u->w ? image_writer_finish(u->w, e) : 0;
}

static int run_both(struct unpack *u, struct err *e)
{
	pthread_t inflater;
	struct err mine = {0};
	int rc = pthread_create(&inflater, NULL, inflate_thread, u);

	if (rc)
		return err_errno(e, rc, "starting a thread");
	rc = untar(u, &mine);
	if (rc < 0)
		fail(u, rc, &mine);
	pthread_join(inflater, NULL);
	if (u->rc < 0 && e)
		*e = u->e;
	return u->rc;
}

static int unpack(struct opening *o, bool sink, uint64_t *ret_size, struct err *e)
{
	struct unpack u = {.o = o, .sink = sink, .fd = -1};
	const struct bundle_sink to = {.write = write_image, .ctx = &u, .begin = begin};
	int rc = gunzip_new(&u.gunzip, e);

	pthread_mutex_init(&u.lock, NULL);
	if (rc == 0)
		rc = tar_reader_new(TAR_SIZE_ANY, &to, &u.tar, e);
	if (rc == 0)
		rc = flow_new(TAR_BUFFERS, TAR_CHUNK, &u.stream, e);
	if (rc == 0) {
		u.progress = progress_start(sink ? "opening" : "verifying", o->file_size);
		rc = run_both(&u, e);
		progress_end(u.progress, rc == 0);
	}
	if (u.w)
		image_writer_free(u.w);
	if (u.fd >= 0)
		close(u.fd);
	flow_free(u.stream);
	tar_reader_free(u.tar);
	gunzip_free(u.gunzip);
	pthread_mutex_destroy(&u.lock);
	*ret_size = u.size;
	return rc < 0 ? err_wrap(e, "'%s'", o->a->input) : 0;
}

static int open_disk(struct opening *o, struct err *e)
{
	uint64_t size;

	return unpack(o, true, &size, e);
}

static int read_header(struct opening *o, uint8_t block[TAR_BLOCK], struct tar_header *ret,
		       struct err *e)
{
	uint8_t head[BUNDLE_HEAD];
	size_t n = (size_t)MIN(o->file_size, (uint64_t)sizeof(head));
	int rc = fs_pread(o->fd, head, n, 0, e);

	if (rc < 0)
		return rc;
	if (!first_block(head, n, block))
		return err_set(e, EBADMSG, "'%s' cannot be unpacked", o->a->input);
	return tar_header_parse(block, ret, e);
}

static int verify(struct opening *o, struct err *e)
{
	uint8_t block[TAR_BLOCK];
	struct tar_header h;
	uint64_t size = 0;
	int rc = read_header(o, block, &h, e);

	if (rc == 0 && strcmp((char *)block, MEMBER) != 0)
		rc = err_set(e, EBADMSG, "'%s': the file is not called '%s'", o->a->input, MEMBER);
	if (rc == 0 && !h.gnu)
		rc = err_set(e, EBADMSG, "'%s': the archive is not of the old GNU format",
			     o->a->input);
	if (rc == 0)
		rc = unpack(o, false, &size, e);
	if (rc == 0 && size % GIB)
		rc = err_set(e, EBADMSG, "'%s': the disk's %" PRIu64 " bytes are no whole GiB",
			     o->a->input, size);
	if (rc == 0)
		printf("archive:   whole, checksum right\ndisk:      %" PRIu64 " bytes\n", size);
	return rc;
}

/* What the header says, without unpacking the rest. */
static int info(struct opening *o, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	AUTO(tar_map_release) struct tar_map map = {0};
	uint8_t block[TAR_BLOCK];
	struct tar_header h = {0};
	struct jsonw w;
	bool sparse, more;
	uint64_t size;
	int rc = read_header(o, block, &h, e);

	sparse = rc == 0 && h.type == 'S';
	size = h.size;
	if (sparse)
		rc = tar_sparse_header(block, &map, &size, &more, e);
	if (rc < 0)
		return rc;
	if (o->a->show != CLI_JSON) {
		printf("%-15s%s\n%-15s%" PRIu64 " bytes\n%-15s%s\n", "format:", "gce",
		       "size:", size, "sparse:", sparse ? "yes" : "no");
		return 0;
	}
	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "format", "gce");
	jsonw_u64(&w, "size", size);
	jsonw_bool(&w, "sparse", sparse);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fputs(buf_str(&out), stdout);
	return rc;
}

const struct bundle_format bundle_format_gce = {
	.name = "gce",
	.summary = "Google: disk.raw of whole GiB in a compressed tar archive",
	.most_images = 1,
	.run = run,
	.probe = probe,
	.open = open_disk,
	.verify = verify,
	.info = info,
};
