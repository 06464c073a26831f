/* SPDX-License-Identifier: Apache-2.0 */
/* See catalog/ebs_list.h. */
#include "catalog/ebs_list.h"

#include <stdio.h>

#include "lib/json.h"
#include "lib/str.h"

#define BLOCK_MAX (4 * MIB)
#define TOKEN_MAX 1024
#define LIST_PAGE "10000" /* the most: while a page is awaited nothing is written */
#define PAGES_MAX 100000
#define EMPTY_PAGES_MAX 100

static void page_release(struct ebs_list *l)
{
	for (size_t i = 0; i < l->n_page; i++)
		free(l->page[i].token);
	free(l->page);
	l->page = NULL;
	l->n_page = l->page_at = 0;
}

void ebs_list_init(struct ebs_list *l, struct session *s, const char *snapshot, unsigned timeout_ms)
{
	*l = (struct ebs_list){
		.session = s,
		.snapshot = snapshot,
		.timeout_ms = timeout_ms,
		.last_index = UINT64_MAX,
		.pages = {.most = PAGES_MAX, .most_empty = EMPTY_PAGES_MAX},
	};
}

/* The geometry that each page repeats: must not change, and must fit what was asked for. */
static int take_geometry(struct ebs_list *l, const struct value *root, struct err *e)
{
	uint64_t gib, block;
	const struct value *size = value_get(root, "VolumeSize");
	const struct value *bs = value_get(root, "BlockSize");
	int rc;

	if (!size || !bs)
		return err_set(e, EBADMSG, "the list of blocks tells no VolumeSize or BlockSize");
	rc = value_u64(size, 1, 65536, &gib, e);
	if (rc == 0)
		rc = value_u64(bs, 512, BLOCK_MAX, &block, e);
	if (rc)
		return rc;
	if (!is_pow2(block))
		return value_err(bs, e, EBADMSG, "%llu is not a power of two",
				 (unsigned long long)block);
	if (l->volume_size && (l->block_size != block || l->volume_size != gib * GIB))
		return value_err(root, e, EBADMSG, "the snapshot's size changed between pages");
	/* Other threads read it while later pages come. */
	if (l->volume_size)
		return 0;
	l->block_size = block;
	l->volume_size = gib * GIB;
	return 0;
}

static int take_block(struct ebs_list *l, const struct value *v, struct ebs_block *ret,
		      struct err *e)
{
	const struct value *index = value_get(v, "BlockIndex"), *token = value_get(v, "BlockToken");
	const char *text;
	int rc;

	if (!index || !token)
		return value_err(v, e, EBADMSG, "a block without BlockIndex or BlockToken");
	ANALYZER_KNOWS(l->block_size);
	rc = value_u64(index, 0, l->volume_size / l->block_size - 1, &ret->index, e);
	if (rc == 0)
		rc = value_string(token, &text, e);
	if (rc)
		return rc;
	if (strlen(text) > TOKEN_MAX)
		return value_err(token, e, EFBIG, "a token of more than %d bytes", TOKEN_MAX);
	if (l->last_index != UINT64_MAX && ret->index <= l->last_index)
		return value_err(index, e, EBADMSG, "block %llu is listed behind block %llu",
				 (unsigned long long)ret->index, (unsigned long long)l->last_index);
	l->last_index = ret->index;
	ret->token = strdup(text);
	return ret->token ? 0 : err_nomem(e);
}

static int take_page(struct ebs_list *l, const struct httpc_response *r, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	const struct value *blocks, *next;
	const char *token = NULL;
	int rc = json_parse("ListSnapshotBlocks", r->body.data, r->body.len, NULL, &root, e);

	if (rc == 0)
		rc = take_geometry(l, root, e);
	if (rc)
		return rc;
	blocks = value_get(root, "Blocks");
	if (blocks) {
		rc = value_expect(blocks, VALUE_LIST, e);
		if (rc < 0)
			return rc;
		l->page = calloc(blocks->n_items + 1, sizeof(*l->page));
		if (!l->page)
			return err_nomem(e);
	}
	value_foreach (v, blocks) {
		ANALYZER_KNOWS(l->page);
		rc = take_block(l, v, &l->page[l->n_page], e);
		if (rc < 0)
			return rc;
		l->n_page++;
	}
	free(l->next_token);
	l->next_token = NULL;
	next = value_get(root, "NextToken");
	if (next && next->kind != VALUE_NULL) {
		rc = value_string(next, &token, e);
		if (rc < 0)
			return rc;
	}
	l->last_page = !token || !*token;
	if (!l->last_page && !(l->next_token = strdup(token)))
		return err_nomem(e);
	return l->last_page ? 0 : paging_next(&l->pages, token, l->n_page == 0, e);
}

int ebs_list_page(struct ebs_list *l, struct err *e)
{
	char start[24];
	struct aws_param query[2] = {{"maxResults", LIST_PAGE}};
	AUTO_FREE char *path = str_format("/snapshots/%s/blocks", l->snapshot);
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct aws_request req = {
		.method = HTTPC_GET,
		.service = "ebs",
		.path = path,
		.query = query,
		.n_query = 1,
		.max_body = 8 * MIB,
		.total_timeout_ms = l->timeout_ms,
		.note = session_note,
		.note_opaque = l->session,
	};
	int rc;

	if (!path)
		return err_nomem(e);
	snprintf(start, sizeof(start), "%llu", (unsigned long long)l->next_index);
	if (l->next_token)
		query[req.n_query++] = (struct aws_param){"pageToken", l->next_token};
	else if (l->next_index)
		query[req.n_query++] = (struct aws_param){"startingBlockIndex", start};
	page_release(l);
	rc = aws_send(l->session->aws, l->session->http, &req, &r, NULL, e);
	if (rc == 0)
		rc = take_page(l, &r, e);
	return rc < 0 ? err_wrap(e, "listing the blocks of snapshot '%s'", l->snapshot) : 0;
}

void ebs_list_from(struct ebs_list *l, uint64_t index)
{
	l->next_index = index;
	l->last_index = index - 1;
	free(STEAL(l->next_token));
	l->last_page = index * l->block_size == l->volume_size;
	l->pages.n = 0;
	page_release(l);
}

int ebs_list_next(struct ebs_list *l, struct ebs_block *ret, struct err *e)
{
	while (l->page_at == l->n_page) {
		int rc;

		if (l->last_page)
			return 0;
		rc = ebs_list_page(l, e);
		if (rc < 0)
			return rc;
	}
	*ret = l->page[l->page_at];
	l->page[l->page_at++].token = NULL;
	return 1;
}

void ebs_list_release(struct ebs_list *l)
{
	page_release(l);
	paging_release(&l->pages);
	free(l->next_token);
}
