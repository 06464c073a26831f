/* SPDX-License-Identifier: Apache-2.0 */
/* See catalog/planned.h. */
#include "catalog/planned.h"

#include <sys/stat.h>

#include "catalog/pieces.h"
#include "lib/fs.h"

/* Neighbouring bytes of the disk that are neighbours in the file, too. */
struct place {
	uint64_t off, file, len;
};

struct planned {
	int fd;
	char *name;
	struct place *places; /* ascending, on the disk and in the file */
	size_t n, room;
	uint64_t size;        /* of the file */
	struct piece *pieces; /* of the file */
};

void planned_free(struct planned *p)
{
	if (!p)
		return;
	free(p->pieces);
	free(p->places);
	free(p->name);
	free(p);
}

/* ---- the plan --------------------------------------------------------------------------------- */

static int add_place(void *ctx, uint64_t off, uint64_t file, uint64_t len, struct err *e)
{
	struct planned *p = ctx;
	struct place *last = p->n ? &p->places[p->n - 1] : NULL;

	if (last && last->off + last->len == off && last->file + last->len == file) {
		last->len += len;
		return 0;
	}
	if (last && last->file + last->len > file)
		return err_set(e, EINVAL, "places of the file do not ascend");
	if (p->n == p->room) {
		size_t room = p->room ? 2 * p->room : 64;
		struct place *more = reallocarray(p->places, room, sizeof(*more));

		if (!more)
			return err_nomem(e);
		p->places = more;
		p->room = room;
	}
	ANALYZER_KNOWS(p->places);
	p->places[p->n++] = (struct place){off, file, len};
	return 0;
}

static int make_pieces(struct planned *p, struct err *e)
{
	struct stat st;

	if (fstat(p->fd, &st) < 0)
		return err_errno(e, errno, "'%s'", p->name);
	p->size = (uint64_t)st.st_size;
	p->pieces = calloc(div_up(p->size, PIECE_SIZE), sizeof(*p->pieces));
	return p->pieces ? 0 : err_nomem(e);
}

int planned_new(int fd, const char *name, uint64_t size, const struct fetch_run *runs, size_t n,
		uint64_t shift, struct planned **ret, struct err *e)
{
	AUTO(planned_free) struct planned *p = calloc(1, sizeof(*p));
	AUTO(image_writer_free) struct image_writer *w = NULL;
	const struct image_create_opts o = {.cluster_size = PLANNED_CLUSTER};
	int rc;

	if (!p || !(p->name = strdup(name)))
		return err_nomem(e);
	p->fd = fd;
	rc = image_create(fd, name, "qcow2", size, &o, &w, e);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = image_writer_reserve(w, shift + runs[i].off, runs[i].len, PIECE_SIZE,
					  add_place, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	if (rc == 0)
		rc = make_pieces(p, e);
	if (rc == 0)
		*ret = STEAL(p);
	return rc;
}

/* ---- data -------------------------------------------------------------------------------------- */

/* Bytes of data from `at` on that are of one kind: clusters of zeros, or others. */
static size_t run_of(const uint8_t *data, size_t len, size_t at, bool *ret_zero)
{
	size_t end = at;
	bool zero = false;

	while (end < len) {
		size_t n = MIN(len - end, (size_t)PLANNED_CLUSTER);
		bool is_zero = mem_is_zero(data + end, n);

		if (end > at && is_zero != zero)
			break;
		zero = is_zero;
		end += n;
	}
	*ret_zero = zero;
	return end - at;
}

/* Bytes of one place. */
static int write_place(struct planned *p, const uint8_t *data, size_t len, uint64_t file,
		       struct err *e)
{
	for (size_t at = 0; at < len;) {
		bool zero;
		size_t n = run_of(data, len, at, &zero);
		int rc = zero ? 0 : fs_pwrite(p->fd, data + at, n, file + at, e);

		if (rc < 0)
			return err_wrap(e, "writing '%s'", p->name);
		at += n;
	}
	return 0;
}

/* What was written as one piece of the file and whose digest is known is not read for it. */
static void know_piece(struct planned *p, size_t len, uint64_t file, const uint8_t *sha256)
{
	struct piece *piece = &p->pieces[file / PIECE_SIZE];

	if (!sha256 || len != PIECE_SIZE || file % PIECE_SIZE)
		return;
	memcpy(piece->digest, sha256, sizeof(piece->digest));
	piece->known = true;
}

/* The first place that ends behind off; p->n: none does. */
static size_t find_place(const struct planned *p, uint64_t off)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (p->places[mid].off + p->places[mid].len <= off)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int planned_write(struct planned *p, const void *bytes, size_t len, uint64_t off,
		  const uint8_t *sha256, struct err *e)
{
	const uint8_t *data = bytes;
	size_t whole = len;
	int rc = 0;

	for (size_t i = find_place(p, off); rc == 0 && len; i++) {
		const struct place *x = i < p->n ? &p->places[i] : NULL;
		size_t before = !x             ? len
				: x->off > off ? (size_t)MIN(x->off - off, (uint64_t)len)
					       : 0;
		uint64_t file;
		size_t n;

		if (!mem_is_zero(data, before))
			return err_set(e, EINVAL, "'%s': data at 0x%llx, where none were to come",
				       p->name, (unsigned long long)off);
		data += before;
		off += before;
		len -= before;
		if (!len)
			break;
		n = (size_t)MIN(x->off + x->len - off, (uint64_t)len);
		file = x->file + (off - x->off);
		rc = write_place(p, data, n, file, e);
		if (rc == 0 && n == whole)
			know_piece(p, n, file, sha256);
		data += n;
		off += n;
		len -= n;
	}
	return rc;
}

int planned_finish(struct planned *p, char ret[65], struct err *e)
{
	int rc = pieces_digest(p->fd, p->size, p->pieces, NULL, ret, e);

	return rc < 0 ? err_wrap(e, "digesting '%s'", p->name) : 0;
}
