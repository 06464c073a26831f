/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host makes for its guests. A signature costs a millisecond: it is made once for an
 * instance, and kept with it.
 */
#include "metadata-server/host.h"

#include <time.h>

#include "lib/log.h"

struct signatures {
	struct buf v[IMDS_CERTIFICATE]; /* by enum imds_made */
};

static void signatures_free(void *kept)
{
	struct signatures *s = kept;

	for (size_t i = 0; i < ARRAY_SIZE(s->v); i++)
		buf_release(&s->v[i]);
	free(s);
}

static int sign(struct host *h, enum imds_made what, struct instance *in,
		struct http_slice document, struct buf *out, struct err *e)
{
	struct signatures *s = in->kept;
	struct buf *b;
	int rc = 0;

	if (what == IMDS_CERTIFICATE)
		return signer_make(h->signer, what, document, out, e);
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return err_nomem(e);
		in->kept = s;
		in->free_kept = signatures_free;
	}
	b = &s->v[what];
	if (!b->len)
		rc = signer_make(h->signer, what, document, b, e);
	if (rc)
		buf_clear(b);
	return rc ? rc : buf_add(out, b->data, b->len) ? err_nomem(e) : 0;
}

static int make(void *arg, enum imds_made what, const struct instance *in,
		struct http_slice document, bool timed_out, struct buf *out, uint64_t *wait_key,
		struct err *e)
{
	struct host *h = arg;
	uint64_t expires;
	int rc;

	/* what is kept belongs to the one thread that answers */
	if (what != IMDS_CREDENTIALS)
		return sign(h, what, (struct instance *)in, document, out, e);
	if (h->credentials)
		return credentials_make(h->credentials, in, (uint64_t)time(NULL), timed_out, out,
					wait_key, e);
	rc = credentials_run(in, (uint64_t)time(NULL), out, &expires, e);
	if (rc)
		log_err("%s", e->msg);
	return rc;
}

void host_make(struct host *h, struct imds_host *ret)
{
	*ret = (struct imds_host){
		.can = TREE_NEEDS_PROCESS | (h->signer ? TREE_NEEDS_SIGNER : 0),
		.arg = h,
		.make = make,
	};
}

void host_release(struct host *h)
{
	if (h->signer)
		signer_free(h->signer);
	if (h->credentials)
		credentials_free(h->credentials);
	*h = (struct host){0};
}
