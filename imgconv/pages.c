/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of pages: see pages.h. */
#include "imgconv/pages.h"

#define SLOTS_MIN 256

static struct page *slot_of(struct page *slots, size_t n, uint64_t index)
{
	size_t i = (size_t)((index * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (n - 1);

	while (slots[i].data && slots[i].index != index)
		i = (i + 1) & (n - 1);
	return &slots[i];
}

struct page *pages_find(const struct pages *p, uint64_t index)
{
	struct page *x;

	if (!p->n)
		return NULL;
	x = slot_of(p->slots, p->n_slots, index);
	return x->data ? x : NULL;
}

static int grow(struct pages *p, struct err *e)
{
	size_t n = p->n_slots ? p->n_slots * 2 : SLOTS_MIN;
	struct page *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return err_nomem(e);
	for (size_t i = 0; i < p->n_slots; i++) {
		if (p->slots[i].data)
			*slot_of(slots, n, p->slots[i].index) = p->slots[i];
	}
	free(p->slots);
	p->slots = slots;
	p->n_slots = n;
	return 0;
}

int pages_add(struct pages *p, uint64_t index, uint8_t *data, struct page **ret, struct err *e)
{
	if ((p->n + 1) * 4 > p->n_slots * 3) {
		int rc = grow(p, e);

		if (rc < 0)
			return rc;
	}
	*ret = slot_of(p->slots, p->n_slots, index);
	**ret = (struct page){.index = index, .data = data};
	p->n++;
	return 0;
}

static int by_index(const void *a, const void *b)
{
	const struct page *pa = *(struct page *const *)a, *pb = *(struct page *const *)b;

	return pa->index < pb->index ? -1 : pa->index > pb->index;
}

int pages_sorted(const struct pages *p, struct page ***ret, struct err *e)
{
	struct page **list = calloc(p->n + 1, sizeof(struct page *));
	size_t n = 0;

	if (!list)
		return err_nomem(e);
	for (size_t i = 0; i < p->n_slots; i++) {
		if (p->slots[i].data)
			list[n++] = &p->slots[i];
	}
	qsort(list, n, sizeof(*list), by_index);
	*ret = list;
	return 0;
}

void pages_release(struct pages *p)
{
	for (size_t i = 0; i < p->n_slots; i++) {
		free(p->slots[i].data);
		free(p->slots[i].before);
	}
	free(p->slots);
	*p = (struct pages){0};
}
