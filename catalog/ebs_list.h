/* SPDX-License-Identifier: Apache-2.0 */
/* The list of a snapshot's blocks, page by page: ListSnapshotBlocks of the EBS direct APIs. */
#ifndef CATALOG_EBS_LIST_H
#define CATALOG_EBS_LIST_H

#include "catalog/paging.h"
#include "catalog/source.h"

struct ebs_block {
	uint64_t index;
	char *token;
};

struct ebs_list {
	struct session *session;
	const char *snapshot;
	unsigned timeout_ms;              /* of one request */
	uint64_t volume_size, block_size; /* bytes, as the first page tells them; 0 before */
	/* The page that is being worked off, and how to get the next one. */
	struct ebs_block *page;
	size_t n_page, page_at;
	uint64_t next_index; /* the list begins there */
	char *next_token;
	bool last_page;
	struct paging pages;
	uint64_t last_index; /* listed last; UINT64_MAX: none yet */
};

void ebs_list_init(struct ebs_list *l, struct session *s, const char *snapshot,
		   unsigned timeout_ms);
/* Reads the next page; it may be empty and still not be the last one. Errors: EBADMSG, EPROTO, EFBIG; as
 * aws_send. */
int ebs_list_page(struct ebs_list *l, struct err *e);
/* Lists anew from that block on; the first page was read. */
void ebs_list_from(struct ebs_list *l, uint64_t index);
/* The next block: 1, and its token is the caller's; 0: there is none. Errors: as ebs_list_page. */
int ebs_list_next(struct ebs_list *l, struct ebs_block *ret, struct err *e);
void ebs_list_release(struct ebs_list *l);
DEFINE_AUTO_STRUCT(struct ebs_list, ebs_list_release);

#endif
