/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of grains on their way into a writer. A batch goes through the thread pool up to twice.
 * First it is read (when copying), scanned for zeros and encoded; it comes back in order, and what
 * was encoded is handed to the format, what was not is given its place in the file. Then, if there
 * is any of the latter, it is written there: at once, or by a worker if a digest is computed, too.
 */
#include "imgconv/writer.h"
#include "lib/fs.h"
#include "lib/mapped.h"
#include "lib/stop.h"

/* What became of a grain in a batch; other values: the length of its encoded form. */
#define GRAIN_ZERO 0u
#define GRAIN_PLAIN UINT32_MAX

struct batch {
	struct batch *next; /* in the list of free ones */
	struct image_writer *w;
	struct image *src; /* read by the worker; NULL: `in` is filled */
	uint64_t off;
	size_t len;
	const uint8_t *data; /* the bytes: `in`, or `mapped` */
	uint8_t *in;         /* batch_size bytes */
	void *mapped;        /* the source's file at off; NULL: it is read */
	size_t mapped_len;
	uint8_t *out;      /* encoded grains, encoded_max apart; NULL if w does not encode */
	uint32_t *results; /* one a grain */
	bool placed;       /* the second time in the pool: `writes` is what to do */
	struct batch_write {
		struct image_place place;
		size_t at; /* in `data` */
	} * writes;        /* as many as there are grains, at most */
	size_t n_writes;
};

static void batch_unmap(struct batch *b)
{
	if (b->mapped)
		mapped_put(b->mapped, b->mapped_len);
	b->mapped = NULL;
	b->data = b->in;
}

static void batch_free(struct batch *b)
{
	if (!b)
		return;
	batch_unmap(b);
	free(b->in);
	free(b->out);
	free(b->results);
	free(b->writes);
	free(b);
}

static void batch_drop(void *job)
{
	batch_free(job);
}

static int batch_get(struct image_writer *w, struct batch **ret, struct err *e)
{
	struct writer_stream *s = w->stream;
	struct batch *b = s->free;

	if (b) {
		s->free = b->next;
	} else {
		size_t grains = s->batch_size / w->grain;

		b = calloc(1, sizeof(*b));
		if (!b)
			return err_nomem(e);
		b->w = w;
		b->data = b->in = malloc(s->batch_size);
		b->out = w->encodes ? malloc(grains * w->encoded_max) : NULL;
		b->results = calloc(grains, sizeof(*b->results));
		b->writes = calloc(grains, sizeof(*b->writes));
		if (!b->in || !b->results || !b->writes || (w->encodes && !b->out)) {
			batch_free(b);
			return err_nomem(e);
		}
	}
	b->src = NULL;
	b->len = 0;
	b->placed = false;
	b->n_writes = 0;
	*ret = b;
	return 0;
}

/* What it has mapped stays until a worker needs the batch again: this thread has the most to do. */
static void batch_put(struct writer_stream *s, struct batch *b)
{
	b->next = s->free;
	s->free = b;
}

/* Bytes of the grain at `at` in the batch: all but the disk's last are whole. */
static size_t grain_len(const struct batch *b, size_t at)
{
	return MIN((size_t)b->w->grain, b->len - at);
}

/* On a worker, and where a page of the mapped source is lost: then this says why. */
static int batch_read(struct batch *b, struct err *e)
{
	batch_unmap(b);
	return image_pread(b->src, b->in, b->len, b->off, e);
}

/*
 * One at a time: most file systems let one writer into a file, and those who want to be the next
 * one spin, which takes the processor from the threads that read.
 */
static int write_placed(struct batch *b, size_t at, const struct image_place *place, struct err *e)
{
	struct writer_stream *s = b->w->stream;
	int rc;

	pthread_mutex_lock(&s->write_lock);
	rc = fs_pwrite(place->fd, b->data + at, place->len, place->off, e);
	pthread_mutex_unlock(&s->write_lock);
	if (rc == -EFAULT && b->mapped) {
		rc = batch_read(b, e);
		return rc < 0 ? rc : write_placed(b, at, place, e);
	}
	return rc < 0 ? err_wrap(e, "writing '%s'", b->w->name) : 0;
}

/* On a worker the second time, or on the writer's own thread. */
static int batch_write_placed(struct batch *b, struct err *e)
{
	for (size_t i = 0; i < b->n_writes; i++) {
		const struct batch_write *x = &b->writes[i];
		int rc = write_placed(b, x->at, &x->place, e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Where the run of plain grains that begins at `at` ends. */
static size_t plain_end(const struct batch *b, size_t at)
{
	while (at < b->len && b->results[at / b->w->grain] == GRAIN_PLAIN)
		at += grain_len(b, at);
	return at;
}

/* On a worker: all plain grains at once, where their places are known beforehand. */
static int batch_write_fixed(struct batch *b, struct err *e)
{
	size_t at = 0;

	while (at < b->len) {
		size_t end = plain_end(b, at);

		while (at < end) {
			struct image_place place = {0};
			int rc = b->w->format->place(b->w, b->off + at, end - at, &place, e);

			if (rc < 0)
				return err_wrap(e, "writing '%s'", b->w->name);
			rc = write_placed(b, at, &place, e);
			if (rc < 0)
				return rc;
			at += place.len;
		}
		if (at < b->len)
			at += grain_len(b, at);
	}
	return 0;
}

/* Which grains are zeros. */
static void batch_scan(void *batch)
{
	struct batch *b = batch;

	for (size_t at = 0, i = 0; at < b->len; at += b->w->grain, i++)
		b->results[i] =
			mem_is_zero(b->data + at, grain_len(b, at)) ? GRAIN_ZERO : GRAIN_PLAIN;
}

/* The bytes, and which grains of them are zeros. */
static int batch_look(struct batch *b, struct err *e)
{
	struct image_writer *w = b->w;
	int rc = 0;

	batch_unmap(b);
	if (b->src && w->stream->maps)
		b->mapped = image_file_map(b->src, b->off, b->len);
	if (b->mapped) {
		b->mapped_len = b->len;
		b->data = b->mapped;
		if (mapped_read(b->mapped, b->len, batch_scan, b))
			return 0;
	}
	if (b->src)
		rc = batch_read(b, e);
	if (rc < 0)
		return rc;
	if (b->len % w->grain)
		memset(b->in + b->len, 0, w->grain - b->len % w->grain);
	batch_scan(b);
	return 0;
}

/* Encodes what is no zeros; the results say what became of it. */
static int batch_encode(struct batch *b, void **encoder, struct err *e)
{
	struct image_writer *w = b->w;

	for (size_t at = 0, i = 0; at < b->len; at += w->grain, i++) {
		int rc = 0;

		if (b->results[i] == GRAIN_ZERO)
			continue;
		if (!*encoder)
			rc = w->format->encoder_new(w, encoder, e);
		if (rc < 0)
			return rc;
		b->results[i] = (uint32_t)w->format->encode(
			w, *encoder, b->data + at, grain_len(b, at), b->out + i * w->encoded_max);
		if (!b->results[i])
			b->results[i] = GRAIN_PLAIN;
	}
	return 0;
}

/* On a worker. */
static int batch_run(void *job, unsigned worker, struct err *e)
{
	struct batch *b = job;
	struct image_writer *w = b->w;
	int rc;

	if (b->placed)
		return batch_write_placed(b, e);
	rc = batch_look(b, e);
	if (rc == 0 && w->encodes)
		rc = batch_encode(b, &w->stream->encoders[worker], e);
	if (rc == 0 && writer_is_fixed(w))
		rc = batch_write_fixed(b, e);
	return rc;
}

int writer_count_data(struct image_writer *w, size_t len, struct err *e)
{
	struct writer_stream *s = w->stream;

	s->data += len;
	if (!s->max_data || s->data <= s->max_data)
		return 0;
	s->over_limit = true;
	return err_set(e, EFBIG, "the data are over the limit of %llu bytes",
		       (unsigned long long)s->max_data);
}

/* Asks the format where a run of grains goes, and notes it for the worker. */
static int batch_place(struct batch *b, size_t at, size_t len, struct err *e)
{
	struct image_writer *w = b->w;

	ANALYZER_KNOWS(b->writes);
	while (len) {
		struct batch_write *last = b->n_writes ? &b->writes[b->n_writes - 1] : NULL;
		struct image_place place = {0};
		int rc = w->format->place(w, b->off + at, len, &place, e);

		if (rc < 0)
			return rc;
		if (last && last->place.fd == place.fd &&
		    last->place.off + last->place.len == place.off &&
		    last->at + last->place.len == at)
			last->place.len += place.len;
		else
			b->writes[b->n_writes++] = (struct batch_write){.place = place, .at = at};
		at += place.len;
		len -= place.len;
	}
	return 0;
}

/* What becomes of a batch that comes back the first time. */
static int batch_take(struct batch *b, struct err *e)
{
	struct image_writer *w = b->w;
	size_t at = 0;

	while (at < b->len) {
		size_t i = at / w->grain;
		uint32_t result = b->results[i];
		size_t end = at + grain_len(b, at);
		int rc = 0;

		if (result == GRAIN_PLAIN)
			end = plain_end(b, end);
		if (result != GRAIN_ZERO)
			rc = writer_count_data(w, end - at, e);
		if (rc == 0 && result == GRAIN_PLAIN && writer_is_fixed(w))
			; /* the worker has written it */
		else if (rc == 0 && result == GRAIN_PLAIN && writer_places(w))
			rc = batch_place(b, at, end - at, e);
		else if (rc == 0 && result == GRAIN_PLAIN)
			rc = w->format->write(w, b->data + at, end - at, b->off + at, e);
		else if (rc == 0 && result != GRAIN_ZERO)
			rc = w->format->write_encoded(w, b->out + i * w->encoded_max, result,
						      b->off + at, e);
		if (rc < 0)
			return err_wrap(e, "writing '%s'", w->name);
		at = end;
	}
	return 0;
}

int writer_digest_zeros(struct writer_stream *s, uint64_t off, struct err *e)
{
	uint64_t n = off - s->digest_off;

	s->digest_off = off;
	return image_digest_zeros(s->digest, n, e);
}

/* A batch has been read, scanned and encoded. */
static int first_time(struct image_writer *w, struct batch *b, struct err *e)
{
	struct writer_stream *s = w->stream;
	int rc = stop_check(e);

	if (rc == 0)
		rc = batch_take(b, e);
	if (rc < 0)
		return rc;
	if (s->digest) {
		rc = writer_digest_zeros(s, b->off, e);
		digest_add(s->digest, b->data, b->len);
		s->digest_off += b->len;
	}
	progress_set(s->progress, b->off + b->len);
	return rc;
}

/* Waits for the oldest batch; takes what was made of it, or gives it to the pool again. */
static int take_oldest(struct image_writer *w, struct err *e)
{
	struct writer_stream *s = w->stream;
	void *job = NULL;
	struct batch *b;
	int rc = pool_next(s->pool, &job, e);

	b = job;
	if (!b)
		return rc;
	if (rc > 0)
		rc = b->placed ? 0 : first_time(w, b, e);
	/*
	 * Writing it here, while the workers read, is less work than handing it over once more;
	 * but a digest is enough work for this thread.
	 */
	if (rc == 0 && !b->placed && b->n_writes && !s->digest) {
		rc = batch_write_placed(b, e);
	} else if (rc == 0 && !b->placed && b->n_writes) {
		b->placed = true;
		rc = pool_submit(s->pool, batch_run, b, e);
		if (rc == 0)
			return 0;
	}
	batch_put(s, b);
	return rc;
}

int writer_drain(struct image_writer *w, struct err *e)
{
	int rc = 0;

	while (rc == 0 && w->stream->pool && pool_pending(w->stream->pool))
		rc = take_oldest(w, e);
	return rc;
}

int writer_start_pool(struct image_writer *w, struct err *e)
{
	struct writer_stream *s = w->stream;
	int rc;

	if (s->pool)
		return 0;
	rc = pool_new(MIN(w->threads, (unsigned)WRITER_THREADS_MAX), &s->pool, e);
	if (rc < 0)
		return rc;
	s->encoders = calloc(pool_threads(s->pool), sizeof(*s->encoders));
	return s->encoders ? 0 : err_nomem(e);
}

void writer_end_pool(struct image_writer *w)
{
	struct writer_stream *s = w->stream;
	unsigned n = s->pool ? pool_threads(s->pool) : 0;

	if (s->pool)
		pool_free(s->pool, batch_drop);
	s->pool = NULL;
	for (unsigned i = 0; s->encoders && i < n; i++) {
		if (s->encoders[i])
			w->format->encoder_free(s->encoders[i]);
	}
	free(s->encoders);
	s->encoders = NULL;
}

static int submit(struct image_writer *w, struct batch *b, struct err *e)
{
	struct writer_stream *s = w->stream;
	int rc = writer_start_pool(w, e);

	while (rc == 0 && pool_pending(s->pool) >= s->window)
		rc = take_oldest(w, e);
	if (rc == 0)
		rc = pool_submit(s->pool, batch_run, b, e);
	if (rc < 0)
		batch_put(s, b);
	return rc;
}

int writer_submit_copy(struct image_writer *w, struct image *src, uint64_t off, size_t len,
		       struct err *e)
{
	struct batch *b;
	int rc = batch_get(w, &b, e);

	if (rc < 0)
		return rc;
	b->src = src;
	b->off = off;
	b->len = len;
	return submit(w, b, e);
}

int writer_submit_filling(struct image_writer *w, struct err *e)
{
	struct batch *b = STEAL(w->stream->filling);

	return b ? submit(w, b, e) : 0;
}

int writer_submit_data(struct image_writer *w, const uint8_t *data, size_t len, uint64_t off,
		       struct err *e)
{
	struct writer_stream *s = w->stream;
	int rc = 0;

	if (s->filling && s->filling->off + s->filling->len != off)
		rc = writer_submit_filling(w, e);
	while (rc == 0 && len) {
		size_t n;

		if (!s->filling) {
			rc = batch_get(w, &s->filling, e);
			if (rc < 0)
				return rc;
			s->filling->off = off;
		}
		n = MIN(len, s->batch_size - s->filling->len);
		memcpy(s->filling->in + s->filling->len, data, n);
		s->filling->len += n;
		data += n;
		off += n;
		len -= n;
		if (s->filling->len == s->batch_size)
			rc = writer_submit_filling(w, e);
	}
	return rc;
}

void writer_free_batches(struct image_writer *w)
{
	struct writer_stream *s = w->stream;

	batch_free(s->filling);
	while (s->free) {
		struct batch *b = s->free;

		s->free = b->next;
		batch_free(b);
	}
}
