/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk of an OVF package. What can be read front to back (stream-optimized VMDK, as all exporters
 * write them) goes through a pipe and is hashed on the way:
 *
 *	file of the package -> SHA-1/SHA-256 [-> gunzip] -> | pipe -> image_stream_copy
 *	                    a thread                        |
 *
 * What cannot (QCOW2, other VMDKs) is read where it lies, in the archive or the folder, once its
 * digest is known to be right; if it is gzip'ed, it is unpacked into a file without a name first.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>

#include "bundle/gunzip.h"
#include "bundle/ova.h"
#include "lib/stop.h"

#define STEP (256 * KIB)

/* A file of the package on its way to a descriptor. */
struct feed {
	const struct ova_file *from;
	const struct ova_digest *want; /* NULL: there is none to compare with */
	int to;                        /* -1: nowhere */
	bool is_gzip;
	uint64_t limit; /* bytes that may come out */
	uint64_t written;
	bool reader_gone;
	int rc;
	struct err e;
};

static int feed_write(struct feed *f, const void *data, size_t len, struct err *e)
{
	int rc;

	if (f->to < 0 || f->reader_gone || !len)
		return 0;
	f->written += len;
	if (f->written > f->limit)
		return err_set(e, EFBIG, "it unfolds to more than %" PRIu64 " bytes", f->limit);
	rc = fs_write(f->to, data, len, e);
	/* Who reads has said why; the digest is computed all the same. */
	if (rc == -EPIPE) {
		f->reader_gone = true;
		return 0;
	}
	return rc;
}

static int feed_gunzip(struct feed *f, struct gunzip *g, const void *data, size_t len,
		       struct err *e)
{
	AUTO_FREE uint8_t *out = malloc(STEP);
	size_t n = 0;
	int rc;

	if (!out)
		return err_nomem(e);
	gunzip_input(g, data, len);
	do {
		rc = gunzip_output(g, out, STEP, &n, e);
		if (rc == 0)
			rc = feed_write(f, out, n, e);
	} while (rc == 0 && n == STEP);
	return rc;
}

static int feed_all(struct feed *f, struct digest *d, struct gunzip *g, struct err *e)
{
	AUTO_FREE uint8_t *buf = malloc(STEP);
	int rc = buf ? 0 : err_nomem(e);

	for (uint64_t at = 0; rc == 0 && at < f->from->size;) {
		size_t n = (size_t)MIN(f->from->size - at, STEP);

		rc = fs_pread(f->from->fd, buf, n, f->from->offset + at, e);
		if (rc == 0)
			rc = stop_check(e);
		if (rc < 0)
			return rc;
		if (d)
			digest_add(d, buf, n);
		rc = g ? feed_gunzip(f, g, buf, n, e) : feed_write(f, buf, n, e);
		at += n;
	}
	return rc == 0 && g ? gunzip_finish(g, e) : rc;
}

static int feed_run(struct feed *f, struct err *e)
{
	AUTO(digest_free) struct digest *d = NULL;
	AUTO(gunzip_free) struct gunzip *g = NULL;
	char hex[2 * DIGEST_MAX + 1];
	int rc = f->want ? digest_new(f->want->kind, &d, e) : 0;

	if (rc == 0 && f->is_gzip)
		rc = gunzip_new(&g, e);
	if (rc == 0)
		rc = feed_all(f, d, g, e);
	if (rc < 0 || !d)
		return rc;
	digest_final_hex(d, hex);
	if (strcmp(hex, f->want->hex) != 0)
		return err_set(e, EBADMSG, "%s is %s, the manifest says %s",
			       digest_name(f->want->kind), hex, f->want->hex);
	return 0;
}

static void *feed_thread(void *arg)
{
	struct feed *f = arg;

	f->rc = feed_run(f, &f->e);
	close(f->to);
	return NULL;
}

/* ---- the disk --------------------------------------------------------------------------------- */

struct disk {
	struct ova *a;
	const struct ovf_disk *d;
	struct ova_file file;
	struct feed feed;
	bool sink;
	uint64_t size;
};

static int check_capacity(const struct disk *k, struct err *e)
{
	if (k->d->capacity && k->size != k->d->capacity)
		return err_set(e, EBADMSG,
			       "the disk has %" PRIu64 " bytes, the descriptor says %" PRIu64,
			       k->size, k->d->capacity);
	return 0;
}

/* The name of the image that is made of it, where there are several: without a suffix. */
static char *output_name(const struct disk *k)
{
	const char *name = k->d->file ? k->d->file->href : k->d->id;
	const char *dot = k->d->file ? strrchr(name, '.') : NULL;

	return strndup(name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
}

static int begin_image(struct disk *k, struct image_writer **ret, int *ret_fd, struct err *e)
{
	AUTO_FREE char *name = output_name(k);

	return name ? open_writer(k->a->o, name, k->size, ret, ret_fd, e) : err_nomem(e);
}

static int copy_stream(struct disk *k, int fd, struct err *e)
{
	AUTO(image_stream_free) struct image_stream *s = NULL;
	AUTO_FD int out = -1;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct progress *p;
	int rc = image_stream_open(fd, k->d->file->href, "vmdk", 0, &s, e);

	if (rc < 0)
		return rc;
	k->size = image_stream_size(s);
	rc = check_capacity(k, e);
	if (rc == 0 && k->sink)
		rc = begin_image(k, &w, &out, e);
	if (rc < 0)
		return rc;
	p = progress_start(k->sink ? "opening" : "verifying", k->size);
	rc = image_stream_copy(s, w, NULL, p, e);
	if (rc == 0 && w)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return open_explain(k->a->o, w, rc, e);
}

static int read_stream(struct disk *k, struct err *e)
{
	pthread_t thread;
	int ends[2];
	int rc;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(e, errno, "making a pipe");
	k->feed.to = ends[1];
	rc = pthread_create(&thread, NULL, feed_thread, &k->feed);
	if (rc) {
		close(ends[0]);
		close(ends[1]);
		return err_errno(e, rc, "starting a thread");
	}
	rc = copy_stream(k, ends[0], e);
	close(ends[0]);
	pthread_join(thread, NULL);
	/* A file that is not the right one explains whatever else was wrong with it. */
	if (k->feed.rc < 0 && rc != -ECANCELED) {
		if (e)
			*e = k->feed.e;
		return k->feed.rc;
	}
	return rc;
}

/* scratch: the file's bytes, unpacked; -1: they are read where they lie. */
static int open_image(const struct disk *k, int scratch, struct image **ret, struct err *e)
{
	const char *name = k->d->file->href;
	AUTO_FD int own = dup(scratch >= 0 ? scratch : k->file.fd);
	int rc;

	if (own < 0)
		return err_errno(e, errno, "dup");
	if (scratch >= 0)
		rc = image_open_fd(own, name, NULL, ret, e);
	else
		rc = image_open_part(own, k->file.offset, k->file.size, name, NULL, ret, e);
	if (rc == 0)
		(void)steal_fd(&own);
	return rc;
}

static int check_image(struct image *im, struct err *e)
{
	AUTO(image_check_release) struct image_check c = {0};
	int rc;

	/* Of raw bytes there is nothing to be checked. */
	if (!strcmp(image_format_name(im), "raw"))
		return 0;
	rc = image_check_read(im, &c, NULL, e);
	for (size_t i = 0; rc == 0 && i < c.n_findings; i++) {
		if (c.findings[i].kind == IMAGE_FINDING_ERROR)
			rc = err_set(e, EBADMSG, "%s", c.findings[i].text);
	}
	return rc;
}

static int copy_image(struct disk *k, int scratch, struct err *e)
{
	AUTO(image_close) struct image *im = NULL;
	AUTO_FD int out = -1;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct progress *p;
	int rc = open_image(k, scratch, &im, e);

	if (rc < 0)
		return rc;
	k->size = image_size(im);
	rc = check_capacity(k, e);
	if (rc < 0)
		return rc;
	if (!k->sink)
		return check_image(im, e);
	rc = begin_image(k, &w, &out, e);
	if (rc < 0)
		return rc;
	p = progress_start("opening", k->size);
	rc = image_copy(im, w, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return open_explain(k->a->o, w, rc, e);
}

/* An image that is read back and forth. */
static int read_image(struct disk *k, bool *ret_looked_into, struct err *e)
{
	AUTO_FD int scratch = -1;
	int rc = 0;

	*ret_looked_into = !k->feed.is_gzip || k->sink;
	if (k->feed.is_gzip && k->sink)
		rc = open_scratch(&scratch, e);
	k->feed.to = scratch;
	if (rc == 0)
		rc = feed_run(&k->feed, e);
	if (rc == 0 && *ret_looked_into)
		rc = copy_image(k, scratch, e);
	return rc;
}

/* The first bytes of what is compressed; what cannot be unpacked is no concern of this. */
static int unpack_head(const void *data, size_t len, uint8_t *head, size_t cap, struct err *e)
{
	AUTO(gunzip_free) struct gunzip *g = NULL;
	size_t n = 0;
	int rc = gunzip_new(&g, e);

	if (rc < 0)
		return rc;
	gunzip_input(g, data, len);
	(void)gunzip_output(g, head, cap, &n, NULL);
	return 0;
}

/*
 * A stream-optimized VMDK tells so at its beginning, whatever the descriptor calls it; see
 * imgconv/format/vmdk.h.
 */
static int looks_streamed(const struct disk *k, bool *ret, struct err *e)
{
	uint8_t file[4096] = {0}, unpacked[512] = {0};
	const uint8_t *head = k->d->file->is_gzip ? unpacked : file;
	size_t n = (size_t)MIN(k->file.size, (uint64_t)sizeof(file));
	int rc = fs_pread(k->file.fd, file, n, k->file.offset, e);

	if (rc == 0 && k->d->file->is_gzip)
		rc = unpack_head(file, n, unpacked, sizeof(unpacked), e);
	*ret = !memcmp(head, "KDMV", 4) && le16_get(head + 77) == 1;
	return rc;
}

static int make_empty(struct disk *k, struct err *e)
{
	AUTO_FD int out = -1;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	int rc;

	if (!k->d->capacity)
		return err_set(e, ENOTSUP, "an empty disk of no known size");
	k->size = k->d->capacity;
	if (!k->sink)
		return 0;
	rc = begin_image(k, &w, &out, e);
	return rc < 0 ? rc : image_writer_finish(w, e);
}

static int read_file(struct disk *k, bool *ret_looked_into, struct err *e)
{
	const struct ovf_file *f = k->d->file;
	bool streamed = false;
	int rc = ova_open_file(k->a, f->href, &k->file, e);

	if (rc == 0)
		rc = looks_streamed(k, &streamed, e);
	if (rc < 0)
		return rc;
	k->feed = (struct feed){
		.from = &k->file,
		.want = ova_digest_of(k->a, f->href),
		.to = -1,
		.is_gzip = f->is_gzip,
		/* An image is at most a little larger than its disk. */
		.limit = f->is_gzip && k->d->capacity
				 ? k->d->capacity + k->d->capacity / 64 + 64 * MIB
				 : MAX(k->file.size, k->a->o->create.max_data),
	};
	*ret_looked_into = true;
	rc = streamed ? read_stream(k, e) : read_image(k, ret_looked_into, e);
	ova_close_file(&k->file);
	return rc < 0 ? err_wrap(e, "'%s': '%s'", k->a->o->a->input, f->href) : 0;
}

int ova_read_disk(struct ova *a, const struct ovf_disk *d, bool sink, uint64_t *ret_size,
		  bool *ret_looked_into, struct err *e)
{
	struct disk k = {.a = a, .d = d, .file = {.fd = -1}, .sink = sink};
	int rc;

	*ret_looked_into = true;
	if (d->has_parent)
		return err_set(e, ENOTSUP, "disk '%s' holds only the changes to another one",
			       d->id);
	rc = d->file ? read_file(&k, ret_looked_into, e) : make_empty(&k, e);
	*ret_size = k.size;
	return rc;
}
