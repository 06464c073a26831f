/* SPDX-License-Identifier: Apache-2.0 */
/* lib/xml: every element's bytes are where it says. */
#include "lib/xml.h"

static void check(const struct xml_node *n, const char *data, size_t limit)
{
	size_t at = n->start;

	if (n->start >= n->end || n->end > limit || data[n->start] != '<' ||
	    data[n->end - 1] != '>' || strlen(n->text) != n->text_len)
		abort();
	for (const struct xml_node *c = n->first; c; c = c->next) {
		if (c->parent != n || c->start <= at || c->end >= n->end)
			abort();
		at = c->end - 1;
		check(c, data, limit);
	}
	for (size_t i = 0; i < n->n_attrs; i++) {
		if (!xml_attr(n, n->attrs[i].name))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct xml_limits limits = {.bytes = 1u << 20, .depth = 30, .nodes = 10000};
	AUTO(xml_free) struct xml_node *root = NULL;
	struct err e;

	if (xml_parse("fuzz", data, size, &limits, &root, &e) == 0)
		check(root, (const char *)data, size);
	return 0;
}
