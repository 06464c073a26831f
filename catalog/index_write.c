/* SPDX-License-Identifier: Apache-2.0 */
/* Writing down the images that a source listed: see catalog/index.h. */
#include <ctype.h>
#include <inttypes.h>

#include "catalog/index.h"
#include "lib/fs.h"

#define BATCH (1u << 20)

struct index_writer {
	struct atomic_file file;
	struct buf batch;
	uint64_t images, bytes;
};

int index_writer_new(const char *path, struct index_writer **ret, struct err *e)
{
	AUTO(index_writer_free) struct index_writer *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return err_nomem(e);
	w->file = ATOMIC_FILE_INIT;
	rc = atomic_file_begin(&w->file, path, 0, e);
	if (rc == 0 && buf_adds(&w->batch, INDEX_MAGIC) < 0)
		rc = err_nomem(e);
	if (rc == 0)
		*ret = STEAL(w);
	return rc;
}

void index_writer_free(struct index_writer *w)
{
	if (!w)
		return;
	atomic_file_abort(&w->file);
	buf_release(&w->batch);
	free(w);
}

static int flush(struct index_writer *w, struct err *e)
{
	int rc = fs_write(w->file.fd, w->batch.data, w->batch.len, e);

	w->bytes += w->batch.len;
	buf_clear(&w->batch);
	if (rc == 0 && w->bytes > INDEX_BYTES_MAX)
		rc = err_set(e, EFBIG, "the index of images has more than %llu bytes",
			     (unsigned long long)INDEX_BYTES_MAX);
	return rc;
}

int index_add_escaped(struct buf *b, const char *s)
{
	size_t n = strcspn(s, "\t\n\r\\");

	/* Most need nothing. */
	if (!s[n])
		return buf_add(b, s, n);
	for (; *s; s++) {
		int rc;

		if (*s == '\t')
			rc = buf_adds(b, "\\t");
		else if (*s == '\n')
			rc = buf_adds(b, "\\n");
		else if (*s == '\r')
			rc = buf_adds(b, "\\r");
		else if (*s == '\\')
			rc = buf_adds(b, "\\\\");
		else
			rc = buf_addc(b, *s);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int index_add_searched(struct buf *b, const char *s)
{
	size_t n = strnlen(s, INDEX_SEARCHED_MAX);

	if (buf_reserve(b, n + 1) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		b->data[b->len++] =
			(unsigned char)s[i] < ' ' ? ' ' : (char)tolower((unsigned char)s[i]);
	b->data[b->len++] = ' ';
	b->data[b->len] = '\0';
	return 0;
}

int index_writer_add(struct index_writer *w, const struct catalog_image *im, struct err *e)
{
	struct buf *b = &w->batch;
	unsigned flags = (im->is_public ? 1u : 0) | (im->older ? 2u : 0) |
			 (im->elsewhere ? 4u : 0) | (im->marketplace ? 8u : 0);
	int rc = 0;

	if (!im->id || !*im->id)
		return err_set(e, EBADMSG, "an image without an id");
	if (++w->images > INDEX_IMAGES_MAX)
		return err_set(e, EFBIG, "more than %d images", INDEX_IMAGES_MAX);
	rc = buf_addc(b, '\t');
	if (rc == 0)
		rc = index_add_escaped(b, im->id);
	if (rc == 0)
		rc = buf_addc(b, '\t');
	for (const struct catalog_field *f = catalog_fields; rc == 0 && f->name; f++) {
		const char *text = *catalog_field_of(im, f);

		if (f->searched && text)
			rc = index_add_searched(b, text);
	}
	if (rc == 0)
		rc = buf_addf(b, "\t%d,%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64, (int)im->delivery,
			      flags, im->snapshot_size, im->size, im->virtual_size);
	for (const struct catalog_field *f = catalog_fields; rc == 0 && f->name; f++) {
		const char *text = *catalog_field_of(im, f);

		rc = buf_addc(b, '\t');
		if (rc == 0 && text)
			rc = index_add_escaped(b, text);
	}
	if (rc == 0)
		rc = buf_addc(b, '\n');
	if (rc < 0)
		return err_nomem(e);
	return b->len >= BATCH ? flush(w, e) : 0;
}

int index_writer_commit(struct index_writer *w, struct err *e)
{
	int rc = flush(w, e);

	return rc < 0 ? rc : atomic_file_commit(&w->file, 0600, e);
}
