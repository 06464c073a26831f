/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of a QCOW2 image in memory: a bounded cache with write-back. */
#include "imgconv/format/qcow2.h"
#include "lib/fs.h"

#define CACHE_BUDGET (4 * MIB)
#define CACHE_MIN_SLOTS 4

void qcow2_cache_init(struct qcow2_cache *c, size_t table_size)
{
	c->table_size = table_size;
	c->n_slots = (unsigned)MIN(MAX(CACHE_BUDGET / table_size, (uint64_t)CACHE_MIN_SLOTS),
				   (uint64_t)QCOW2_CACHE_SLOTS);
}

void qcow2_cache_release(struct qcow2_cache *c)
{
	for (size_t i = 0; i < QCOW2_CACHE_SLOTS; i++)
		free(c->slots[i].data);
	*c = (struct qcow2_cache){0};
}

/* The slot to use for a new table: an empty one, else the clean one that was used longest ago. */
static struct qcow2_slot *victim(struct qcow2_cache *c)
{
	struct qcow2_slot *best = NULL;

	for (unsigned i = 0; i < c->n_slots; i++) {
		struct qcow2_slot *s = &c->slots[i];

		if (!s->dirty && (!best || s->used < best->used))
			best = s;
	}
	return best;
}

int qcow2_table_load(const struct image *im, uint8_t *data, size_t len, uint64_t offset,
		     struct err *e)
{
	size_t there = 0;
	int rc = image_file_read_some(im, data, len, offset, &there, e);

	if (rc < 0)
		return err_wrap(e, "a table");
	memset(data + there, 0, len - there);
	return 0;
}

int qcow2_cache_get(struct qcow2_cache *c, const struct image *im, uint64_t offset, bool fresh,
		    struct qcow2_slot **ret, struct err *e)
{
	struct qcow2_slot *s = NULL;
	int rc = 0;

	for (unsigned i = 0; i < c->n_slots && !s; i++) {
		if (c->slots[i].offset == offset)
			s = &c->slots[i];
	}
	if (!s) {
		s = victim(c);
		if (!s)
			return err_set(e, EBUSY, "all tables in memory are changed");
		s->offset = 0;
		if (!s->data && !(s->data = malloc(c->table_size)))
			return err_nomem(e);
		if (!fresh)
			rc = qcow2_table_load(im, s->data, c->table_size, offset, e);
		if (rc)
			return rc;
		s->offset = offset;
	}
	if (fresh)
		memset(s->data, 0, c->table_size);
	s->used = ++c->clock;
	*ret = s;
	return 0;
}

void qcow2_cache_dirty(struct qcow2_cache *c, struct qcow2_slot *s)
{
	if (!s->dirty)
		c->n_dirty++;
	s->dirty = true;
}

void qcow2_cache_drop(struct qcow2_cache *c, uint64_t offset)
{
	for (unsigned i = 0; i < c->n_slots; i++) {
		struct qcow2_slot *s = &c->slots[i];

		if (s->offset != offset)
			continue;
		c->n_dirty -= s->dirty;
		s->dirty = false;
		s->offset = 0;
	}
}

int qcow2_cache_write(struct qcow2_cache *c, int fd, struct err *e)
{
	for (unsigned i = 0; i < c->n_slots && c->n_dirty; i++) {
		struct qcow2_slot *s = &c->slots[i];
		int rc;

		if (!s->dirty)
			continue;
		rc = fs_pwrite(fd, s->data, c->table_size, s->offset, e);
		if (rc)
			return rc;
		s->dirty = false;
		c->n_dirty--;
	}
	return 0;
}
