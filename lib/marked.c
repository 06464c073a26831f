/* SPDX-License-Identifier: Apache-2.0 */
/* Files of ctxd's own, and blocks in others': see lib/marked.h. */
#include "lib/marked.h"

#include "lib/str.h"

#define BLOCK_BEGIN "# ctxd: begin; changes up to the line 'ctxd: end' are lost\n"
#define BLOCK_END "# ctxd: end"

bool marked_is_own(const struct buf *content)
{
	return str_has_prefix(buf_str(content), MARKED_OWN);
}

/* The line that ends a block, behind its line feed; an editor may have taken the last one of the file. */
static const char *find_end(const char *from)
{
	const char *to = from;

	while ((to = strstr(to, "\n" BLOCK_END))) {
		to++;
		if (to[strlen(BLOCK_END)] == '\n' || !to[strlen(BLOCK_END)])
			return to;
	}
	return NULL;
}

/* Finds the block: [*begin, *end) with its marked lines. A block without an end is its first line. */
static bool find_block(const struct buf *b, size_t *begin, size_t *end)
{
	const char *text = buf_str(b), *from = text, *to;

	for (;; from++) {
		from = strstr(from, BLOCK_BEGIN);
		if (!from)
			return false;
		if (from == text || from[-1] == '\n')
			break;
	}
	to = find_end(from);
	*begin = (size_t)(from - text);
	if (!to)
		*end = *begin + strlen(BLOCK_BEGIN);
	else
		*end = (size_t)(to - text) + strlen(BLOCK_END) + (to[strlen(BLOCK_END)] == '\n');
	return true;
}

int marked_with_block(const struct buf *old, const char *text, bool first, struct buf *new)
{
	size_t begin = first ? 0 : old->len, end = begin;
	bool found = find_block(old, &begin, &end);
	int rc = begin ? buf_add(new, old->data, begin) : 0;

	if (rc == 0 && *text) {
		if (!found && new->len &&new->data[new->len - 1] != '\n')
			rc = buf_addc(new, '\n');
		if (rc == 0)
			rc = buf_addf(new, "%s%s%s\n", BLOCK_BEGIN, text, BLOCK_END);
	}
	return rc < 0 || end == old->len ? rc : buf_add(new, old->data + end, old->len - end);
}
