/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NoCloud by HTTP: its documents below /nocloud/, for guests that are told
 * "ds=nocloud;s=http://169.254.169.254/nocloud/" by their firmware or kernel command line. No
 * tokens are asked for: such guests have none. extra and cluster are on images alone.
 */
#include "context/answer.h"
#include "context/dialect/nocloud.h"
#include "lib/str.h"

int answer_nocloud(struct answer *a, const char *path)
{
	AUTO(tree_free) struct tree *docs = NULL;
	struct http_slice leaf = {0};
	int kind, rc;

	if (!answer_is_get(a))
		return answer_refuse_method(a, "GET, HEAD");
	rc = tree_new(&docs, a->e);
	rc = rc ? rc : nocloud_write_docs(a->in->context, docs, false, a->e);
	rc = rc ? rc : tree_seal(docs, a->e);
	if (rc)
		return rc;
	kind = tree_lookup(docs, TREE_DATE, path, &leaf, &a->res->body);
	if (kind < 0)
		return err_nomem(a->e);
	if (kind == TREE_LEAF)
		return answer_bytes(a,
				    str_has_suffix(path, "r-data") ? "application/octet-stream"
								   : "text/yaml",
				    leaf.p, leaf.len);
	return kind == TREE_DIRECTORY ? answer_bytes(a, "text/plain", "", 0)
				      : answer_refuse(a, 404, NULL);
}
