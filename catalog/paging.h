/* SPDX-License-Identifier: Apache-2.0 */
/* Lists that come in pages: one that goes round, or never comes to anything, has an end all the same. */
#ifndef CATALOG_PAGING_H
#define CATALOG_PAGING_H

#include "lib/err.h"

struct page_mark {
	unsigned char bytes[16];
};
struct paging {
	unsigned most;       /* pages */
	unsigned most_empty; /* of them, one after the other */
	unsigned empty;
	struct page_mark *seen; /* n of them: what the pages before were asked for by */
	size_t n, cap;
};
void paging_release(struct paging *p);
DEFINE_AUTO_STRUCT(struct paging, paging_release);

/*
 * There is another page, to be asked for by token (a token, an address); empty: the one before had
 * nothing in it. A token may come twice behind an empty page alone. Errors: EPROTO the list goes
 * round, or page after page is empty; EFBIG too many pages.
 */
int paging_next(struct paging *p, const char *token, bool empty, struct err *e);

#endif
