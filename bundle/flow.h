/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside bundle/: hands buffers from one thread to the next, in order, and takes them back. The
 * number of buffers is fixed, so that memory is bounded and the faster side waits.
 *
 *	producer: b = flow_empty(f); fill b; flow_put(f);  ...  flow_end(f)
 *	consumer: while ((b = flow_next(f))) { use b; flow_done(f); }
 *
 * Either side breaks the flow when it fails; both then get NULL.
 */
#ifndef BUNDLE_FLOW_H
#define BUNDLE_FLOW_H

#include "lib/err.h"

struct flow_buf {
	uint8_t *data; /* cap bytes, owned by the flow; the producer may replace it */
	size_t cap;
	size_t start, len; /* where the bytes that are handed over lie */
};

struct flow;

/* n buffers (2 to FLOW_MAX) of cap bytes. */
#define FLOW_MAX 8
int flow_new(unsigned n, size_t cap, struct flow **ret, struct err *e);
/* No thread uses it any more. */
void flow_free(struct flow *f);
DEFINE_AUTO(struct flow *, flow_free);

/* Waits for an empty buffer; NULL: the flow is broken. */
struct flow_buf *flow_empty(struct flow *f);
/* Hands the buffer of the last flow_empty on. */
void flow_put(struct flow *f);
/* No more buffers come. */
void flow_end(struct flow *f);

/* Waits for a full buffer; NULL: it has ended, or is broken. */
struct flow_buf *flow_next(struct flow *f);
/* Gives the buffer of the last flow_next back. */
void flow_done(struct flow *f);

void flow_break(struct flow *f);
bool flow_broken(struct flow *f);

#endif
