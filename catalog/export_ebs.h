/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the export to EBS: one upload, which its steps share. */
#ifndef CATALOG_EXPORT_EBS_H
#define CATALOG_EXPORT_EBS_H

#include <pthread.h>
#include <stdatomic.h>

#include "catalog/export.h"
#include "catalog/export_journal.h"
#include "lib/pool.h"

struct ebs_worker {
	struct httpc *client;
	uint8_t *block;
};

struct ebs_upload {
	struct session *session;
	struct image *im;
	char *snapshot;
	uint64_t block_size;
	uint64_t volume_gib;
	uint64_t started_ms;         /* when it was started; 0: it was there before */
	struct export_blocks parent; /* what the parent holds */
	struct export_blocks sent;   /* what the new snapshot has of its own */
	struct export_journal journal;
	size_t journal_at; /* what was sent before, not yet come by */
	size_t parent_at;
	struct pool *pool;
	struct ebs_worker *workers; /* one for each of the pool's threads */
	atomic_bool failed;         /* workers need not begin, or wait, any longer */
	pthread_mutex_t lock;
	struct err why; /* of the first block that failed; code 0: none did */
	struct progress *progress;
	struct export_report *report;
};

uint64_t ebs_now_ms(void); /* monotonic */

/* ---- export_ebs_blocks.c ---- */

/* Makes u->pool and a client for each of its threads. */
int ebs_start_workers(struct ebs_upload *u, struct err *e);
/* Ends them; blocks that wait are not sent. */
void ebs_stop_workers(struct ebs_upload *u);
/*
 * Sends every block that is not zero, or that the parent has otherwise, and was not sent before; u->sent,
 * journal and report tell. Errors: of the first block that failed.
 */
int ebs_send_all(struct ebs_upload *u, struct err *e);

/* ---- export_ebs_complete.c ---- */

/* CompleteSnapshot, and the wait for it. Errors: EREMOTEIO it failed; ETIMEDOUT. */
int ebs_complete(struct ebs_upload *u, struct err *e);

#endif
