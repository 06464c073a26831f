/* SPDX-License-Identifier: Apache-2.0 */
/* An ordered thread pool: see lib/pool.h. */
#include "lib/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

struct task {
	struct task *next; /* in order of submission */
	pool_fn *run;
	void *job;
	bool done;
	int rc;
	struct err err;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;       /* a task waits for a worker, or closing */
	pthread_cond_t done;       /* the oldest task is done */
	struct task *first, *last; /* all that were not taken back; oldest first */
	struct task *unstarted;    /* the oldest that no worker has */
	size_t pending;
	bool closing;
	unsigned n_threads;
	pthread_t *threads;
	unsigned next_worker; /* gives each thread its number */
};

static void *worker_main(void *arg)
{
	struct pool *p = arg;
	unsigned number;

	pthread_mutex_lock(&p->lock);
	number = p->next_worker++;
	for (;;) {
		struct task *t;

		while (!p->unstarted && !p->closing)
			pthread_cond_wait(&p->work, &p->lock);
		if (p->closing)
			break;
		t = p->unstarted;
		p->unstarted = t->next;
		pthread_mutex_unlock(&p->lock);
		t->rc = t->run(t->job, number, &t->err);
		pthread_mutex_lock(&p->lock);
		t->done = true;
		/* The owner waits for the oldest alone. */
		if (t == p->first)
			pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

unsigned pool_default_threads(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		return (unsigned)CPU_COUNT(&set);
	return 1;
}

int pool_new(unsigned n_threads, struct pool **ret, struct err *e)
{
	struct pool *p = calloc(1, sizeof(*p));
	sigset_t all, old;
	int rc = 0;

	if (!n_threads)
		n_threads = pool_default_threads();
	if (!p || !(p->threads = calloc(n_threads, sizeof(*p->threads)))) {
		free(p);
		return err_nomem(e);
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->done, NULL);
	/* Signals go to the thread that waits for them, not to a worker; but for those that a
	 * worker brings upon itself: a sandbox refuses its call, a mapped page is lost. */
	sigfillset(&all);
	sigdelset(&all, SIGSYS);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (rc == 0 && p->n_threads < n_threads) {
		rc = pthread_create(&p->threads[p->n_threads], NULL, worker_main, p);
		if (rc == 0)
			p->n_threads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0) {
		pool_free(p, NULL);
		return err_errno(e, rc, "starting a thread");
	}
	*ret = p;
	return 0;
}

unsigned pool_threads(const struct pool *p)
{
	return p->n_threads;
}

int pool_submit(struct pool *p, pool_fn *run, void *job, struct err *e)
{
	struct task *t = calloc(1, sizeof(*t));

	if (!t)
		return err_nomem(e);
	t->run = run;
	t->job = job;
	pthread_mutex_lock(&p->lock);
	if (p->last)
		p->last->next = t;
	else
		p->first = t;
	p->last = t;
	if (!p->unstarted)
		p->unstarted = t;
	p->pending++;
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

size_t pool_pending(const struct pool *p)
{
	return p->pending; /* changed by the owner's thread alone */
}

/* Takes the oldest task out of the list; the lock is held. */
static struct task *take_first(struct pool *p)
{
	struct task *t = p->first;

	p->first = t->next;
	if (!p->first)
		p->last = NULL;
	p->pending--;
	return t;
}

int pool_next(struct pool *p, void **ret, struct err *e)
{
	struct task *t;
	int rc;

	if (!p->pending)
		return 0;
	pthread_mutex_lock(&p->lock);
	while (!p->first->done)
		pthread_cond_wait(&p->done, &p->lock);
	t = take_first(p);
	pthread_mutex_unlock(&p->lock);
	*ret = t->job;
	rc = t->rc;
	if (rc < 0 && e)
		*e = t->err;
	free(t);
	return rc < 0 ? rc : 1;
}

void pool_free(struct pool *p, void (*drop)(void *job))
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	p->unstarted = NULL;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	while (p->first) {
		struct task *t = take_first(p);

		if (drop)
			drop(t->job);
		free(t);
	}
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p->threads);
	free(p);
}
