/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grain tables in memory. Tables of neighbouring parts of the disk mostly lie behind each other, so
 * that a piece of the file that begins with one is read at once.
 */
#include "imgconv/format/vmdk.h"
#include "lib/fs.h"

void vmdk_cache_release(struct vmdk_cache *c)
{
	for (size_t i = 0; i < VMDK_CACHE_SLOTS; i++)
		free(c->slots[i].data);
	*c = (struct vmdk_cache){0};
}

static bool holds(const struct vmdk_slot *s, const struct vmdk_extent *x, uint64_t offset)
{
	/* An offset below the slot's wraps around, far over its length. */
	return s->len && s->fd == x->fd && range_within(offset - s->offset, GT_SIZE, s->len);
}

int vmdk_cache_get(struct vmdk_cache *c, const struct vmdk_extent *x, uint64_t offset,
		   const uint8_t **ret, struct err *e)
{
	struct vmdk_slot *s = &c->slots[0];
	int rc;

	for (size_t i = 0; i < VMDK_CACHE_SLOTS; i++) {
		struct vmdk_slot *other = &c->slots[i];

		if (holds(other, x, offset)) {
			s = other;
			break;
		}
		if (other->used < s->used)
			s = other;
	}
	if (!holds(s, x, offset)) {
		size_t len = (size_t)MIN(VMDK_CACHE_PIECE, x->file_size - offset);

		s->len = 0;
		if (!s->data && !(s->data = malloc(VMDK_CACHE_PIECE)))
			return err_nomem(e);
		rc = vmdk_extent_read(x, s->data, len, offset, e);
		if (rc)
			return rc;
		s->fd = x->fd;
		s->offset = offset;
		s->len = len;
	}
	s->used = ++c->clock;
	*ret = s->data + (offset - s->offset);
	return 0;
}
