/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What writer.c, batch.c and copy.c share: the stream of grains into a writer. A batch of grains is read
 * (when copying), scanned for zeros and encoded on a worker thread, taken in order by the thread that
 * owns the writer, and, where its bytes go into the file as they are, written by a worker.
 */
#ifndef IMGCONV_WRITER_H
#define IMGCONV_WRITER_H

#include <pthread.h>

#include "imgconv/format.h"
#include "lib/pool.h"

#define WRITER_THREADS_MAX 64

struct batch;

struct writer_stream {
	struct pool *pool;     /* NULL until it is needed */
	size_t window;         /* batches under way at most */
	size_t batch_size;     /* bytes of guest data in a batch; a multiple of the grain */
	void **encoders;       /* one a worker, made by it */
	struct batch *free;    /* batches to use again */
	struct batch *filling; /* what image_writer_write adds to, when grains are encoded */
	uint8_t *partial;      /* the grain whose end has not been written yet */
	uint64_t partial_off;
	bool partial_used;
	bool failed; /* an error is for ever */
	bool maps;   /* when copying: the source's own file is mapped, not read */
	pthread_mutex_t write_lock;
	struct digest *digest; /* of the guest's bytes, when copying; may be NULL */
	uint64_t digest_off;   /* how far it is */
	struct progress *progress;
	uint64_t data;     /* bytes that were not zeros, in whole grains */
	uint64_t max_data; /* 0: any */
	bool over_limit;   /* there were more */
};

/* True if plain grains are placed by the format and written by the hub. */
static inline bool writer_places(const struct image_writer *w)
{
	return w->format->place && !w->pipe;
}

/* True if workers write plain grains as soon as they have them. */
static inline bool writer_is_fixed(const struct image_writer *w)
{
	return w->fixed && writer_places(w);
}

/* Makes the pool ready. */
int writer_start_pool(struct image_writer *w, struct err *e);
/* Waits for running jobs and drops all that was not written: after an error. */
void writer_end_pool(struct image_writer *w);
/* Queues the copying of a range, not over batch_size, grain-aligned but at the disk's end. */
int writer_submit_copy(struct image_writer *w, struct image *src, uint64_t off, size_t len,
		       struct err *e);
/* Collects whole grains (or the disk's end) in a batch, which is queued when it is full. */
int writer_submit_data(struct image_writer *w, const uint8_t *data, size_t len, uint64_t off,
		       struct err *e);
/* Queues what is collected. */
int writer_submit_filling(struct image_writer *w, struct err *e);
/* Counts bytes of grains that are not zeros. Errors: EFBIG over the limit. */
int writer_count_data(struct image_writer *w, size_t len, struct err *e);
/* Waits for all batches and writes them. */
int writer_drain(struct image_writer *w, struct err *e);
void writer_free_batches(struct image_writer *w);
/* Adds zeros to the digest up to off. */
int writer_digest_zeros(struct writer_stream *s, uint64_t off, struct err *e);

#endif
