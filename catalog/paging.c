/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a list comes to an end: see catalog/paging.h. */
#include "catalog/paging.h"

#include "lib/digest.h"

void paging_release(struct paging *p)
{
	free(p->seen);
	*p = (struct paging){0};
}

static bool was_seen(const struct paging *p, const struct page_mark *mark)
{
	for (size_t i = 0; i < p->n; i++) {
		if (memcmp(&p->seen[i], mark, sizeof(*mark)) == 0)
			return true;
	}
	return false;
}

static int remember(struct paging *p, const struct page_mark *mark, struct err *e)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 16;
		struct page_mark *grown = reallocarray(p->seen, cap, sizeof(*grown));

		if (!grown)
			return err_nomem(e);
		p->seen = grown;
		p->cap = cap;
	}
	p->seen[p->n++] = *mark;
	return 0;
}

int paging_next(struct paging *p, const char *token, bool empty, struct err *e)
{
	uint8_t raw[DIGEST_MAX];
	struct page_mark mark;

	p->empty = empty ? p->empty + 1 : 0;
	if (p->empty > p->most_empty)
		return err_set(e, EPROTO, "page after page is empty");
	if (p->n + 1 >= p->most)
		return err_set(e, EFBIG, "more than %u pages", p->most);
	digest_of(DIGEST_SHA256, token, strlen(token), raw);
	memcpy(mark.bytes, raw, sizeof(mark.bytes));
	if (!empty && was_seen(p, &mark))
		return err_set(e, EPROTO,
			       "its pages go round: one that was there before comes again");
	return remember(p, &mark, e);
}
