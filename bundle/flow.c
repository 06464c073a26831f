/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of buffers between two threads. */
#include <pthread.h>

#include "bundle/flow.h"

struct flow {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct flow_buf bufs[FLOW_MAX];
	unsigned n;
	uint64_t put, done; /* buffers handed on and given back since the start */
	bool ended, broken;
};

int flow_new(unsigned n, size_t cap, struct flow **ret, struct err *e)
{
	AUTO(flow_free) struct flow *f = calloc(1, sizeof(*f));

	if (!f)
		return err_nomem(e);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	f->n = n;
	for (unsigned i = 0; i < n; i++) {
		f->bufs[i].data = malloc(cap);
		f->bufs[i].cap = cap;
		if (!f->bufs[i].data)
			return err_nomem(e);
	}
	*ret = STEAL(f);
	return 0;
}

void flow_free(struct flow *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->n; i++)
		free(f->bufs[i].data);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

struct flow_buf *flow_empty(struct flow *f)
{
	struct flow_buf *b;

	pthread_mutex_lock(&f->lock);
	while (!f->broken && f->put - f->done == f->n)
		pthread_cond_wait(&f->changed, &f->lock);
	b = f->broken ? NULL : &f->bufs[f->put % f->n];
	pthread_mutex_unlock(&f->lock);
	return b;
}

void flow_put(struct flow *f)
{
	pthread_mutex_lock(&f->lock);
	f->put++;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

void flow_end(struct flow *f)
{
	pthread_mutex_lock(&f->lock);
	f->ended = true;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

struct flow_buf *flow_next(struct flow *f)
{
	struct flow_buf *b;

	pthread_mutex_lock(&f->lock);
	while (!f->broken && !f->ended && f->put == f->done)
		pthread_cond_wait(&f->changed, &f->lock);
	b = f->broken || f->put == f->done ? NULL : &f->bufs[f->done % f->n];
	pthread_mutex_unlock(&f->lock);
	return b;
}

void flow_done(struct flow *f)
{
	pthread_mutex_lock(&f->lock);
	f->done++;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

void flow_break(struct flow *f)
{
	pthread_mutex_lock(&f->lock);
	f->broken = true;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

bool flow_broken(struct flow *f)
{
	bool broken;

	pthread_mutex_lock(&f->lock);
	broken = f->broken;
	pthread_mutex_unlock(&f->lock);
	return broken;
}
