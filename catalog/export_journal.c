/* SPDX-License-Identifier: Apache-2.0 */
/* What an export to EBS sent: see catalog/export_journal.h. */
#include "catalog/export_journal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#include "lib/digest.h"
#include "lib/fs.h"
#include "lib/str.h"

#define MAGIC "acclimate-export 1\n"
/* 64 TiB in blocks of 512 KiB, a line of some 76 bytes each, would be 10 GiB; 16 TiB suffice. */
#define FILE_LIMIT (3u << 30)
#define LINE_MAX_BYTES 96

void export_blocks_release(struct export_blocks *b)
{
	free(b->items);
	*b = (struct export_blocks){0};
}

int export_blocks_add(struct export_blocks *b, uint64_t index, const uint8_t digest[32],
		      struct err *e)
{
	if (b->n == b->cap) {
		size_t cap = b->cap ? 2 * b->cap : 1024;
		struct export_block *grown = reallocarray(b->items, cap, sizeof(*grown));

		if (!grown)
			return err_nomem(e);
		b->items = grown;
		b->cap = cap;
	}
	b->items[b->n].index = index;
	memcpy(b->items[b->n].digest, digest, 32);
	b->n++;
	return 0;
}

/* ---- the text ---------------------------------------------------------------------------------- */

static int put_head(struct buf *out, const char *snapshot, uint64_t block_size, uint64_t volume_gib,
		    struct err *e)
{
	struct jsonw w;

	if (buf_adds(out, MAGIC) < 0)
		return err_nomem(e);
	jsonw_begin(&w, out, false);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "snapshot", snapshot);
	jsonw_u64(&w, "block-size", block_size);
	if (volume_gib)
		jsonw_u64(&w, "volume-size", volume_gib);
	jsonw_close(&w);
	if (jsonw_end(&w, e) < 0 || buf_addc(out, '\n') < 0)
		return err_nomem(e);
	return 0;
}

static int put_block(struct buf *out, const struct export_block *b, struct err *e)
{
	char hex[65];

	hex_encode(b->digest, 32, hex);
	return buf_addf(out, "%llu %s\n", (unsigned long long)b->index, hex) < 0 ? err_nomem(e) : 0;
}

/* The head of a file; *p is behind it then. False: it is none. */
static bool take_head(const char *name, const char **p, char **ret_snapshot,
		      uint64_t *ret_block_size, uint64_t *ret_gib)
{
	AUTO(value_free) struct value *head = NULL;
	const char *line = *p + strlen(MAGIC), *end, *snapshot;
	const struct value *size, *gib;

	if (!str_has_prefix(*p, MAGIC))
		return false;
	end = strchr(line, '\n');
	if (!end || json_parse(name, line, (size_t)(end - line), NULL, &head, NULL) < 0)
		return false;
	snapshot = store_text(head, "snapshot");
	size = value_get(head, "block-size");
	gib = value_get(head, "volume-size");
	if (!snapshot || !size || value_u64(size, 512, 1 << 30, ret_block_size, NULL) < 0 ||
	    (gib && value_u64(gib, 1, 65536, ret_gib, NULL) < 0))
		return false;
	*ret_snapshot = strdup(snapshot);
	*p = end + 1;
	return *ret_snapshot != NULL;
}

/* One line; false: it is not whole, or makes no sense behind the one before. */
static bool take_block(const char **p, struct export_blocks *b)
{
	const char *end = strchr(*p, '\n'), *blank;
	char number[LINE_MAX_BYTES];
	uint8_t digest[32];
	uint64_t index;

	if (!end || end - *p >= LINE_MAX_BYTES)
		return false;
	blank = memchr(*p, ' ', (size_t)(end - *p));
	if (!blank)
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)(blank - *p), *p);
	if (str_to_u64(number, 0, UINT64_MAX / 2, &index, NULL) < 0 ||
	    hex_decode(blank + 1, (size_t)(end - blank - 1), digest, sizeof(digest), NULL) < 0 ||
	    (b->n && index <= b->items[b->n - 1].index) ||
	    export_blocks_add(b, index, digest, NULL) < 0)
		return false;
	*p = end + 1;
	return true;
}

/* ---- the journal ----------------------------------------------------------------------------------- */

static int exports_path(const struct store *s, const char *name, const char *suffix, char **ret,
			struct err *e)
{
	AUTO_FREE char *dir = path_join(store_path(s), "exports");
	int rc = dir ? fs_mkdir_p(dir, 0755, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	*ret = str_format("%s/%s%s", dir, name, suffix);
	return *ret ? 0 : err_nomem(e);
}

/* What is there; what makes no sense is cut off. */
static int journal_load(struct export_journal *j, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	const char *p;
	uint64_t gib;
	int rc = fs_read_fd(j->fd, j->path, FILE_LIMIT, &text, e);

	if (rc < 0)
		return rc;
	p = buf_str(&text);
	if (!take_head(j->path, &p, &j->snapshot, &j->block_size, &gib))
		return ftruncate(j->fd, 0) < 0 ? err_errno(e, errno, "'%s'", j->path) : 0;
	while (*p && take_block(&p, &j->sent))
		;
	if (ftruncate(j->fd, p - buf_str(&text)) < 0)
		return err_errno(e, errno, "'%s'", j->path);
	return 0;
}

int export_journal_open(const struct store *s, const char *origin, struct export_journal *ret,
			struct err *e)
{
	AUTO(export_journal_close) struct export_journal j = EXPORT_JOURNAL_INIT;
	uint8_t digest[DIGEST_MAX];
	char hex[65];
	int rc;

	digest_of(DIGEST_SHA256, origin, strlen(origin), digest);
	hex_encode(digest, 32, hex);
	rc = exports_path(s, hex, ".journal", &j.path, e);
	if (rc < 0)
		return rc;
	j.fd = open(j.path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (j.fd < 0)
		return err_errno(e, errno, "opening '%s'", j.path);
	if (flock(j.fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, EBUSY, "another process does the same export");
	rc = journal_load(&j, e);
	if (rc < 0)
		return rc;
	*ret = j;
	j = EXPORT_JOURNAL_INIT;
	return 0;
}

void export_journal_drop(struct export_journal *j)
{
	free(j->snapshot);
	j->snapshot = NULL;
	export_blocks_release(&j->sent);
	if (j->path)
		(void)unlink(j->path);
}

int export_journal_begin(struct export_journal *j, const char *snapshot, uint64_t block_size,
			 struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc = put_head(&text, snapshot, block_size, 0, e);

	export_blocks_release(&j->sent);
	free(j->snapshot);
	j->snapshot = strdup(snapshot);
	j->block_size = block_size;
	if (rc == 0 && !j->snapshot)
		rc = err_nomem(e);
	if (rc == 0 && ftruncate(j->fd, 0) < 0)
		rc = err_errno(e, errno, "'%s'", j->path);
	if (rc == 0)
		rc = fs_write(j->fd, text.data, text.len, e);
	return rc < 0 ? err_wrap(e, "writing '%s'", j->path) : 0;
}

int export_journal_add(struct export_journal *j, uint64_t index, const uint8_t digest[32],
		       struct err *e)
{
	struct export_block b = {.index = index};
	AUTO_BUF text = BUF_INIT;
	int rc;

	memcpy(b.digest, digest, 32);
	rc = put_block(&text, &b, e);
	if (rc == 0)
		rc = fs_write(j->fd, text.data, text.len, e);
	return rc < 0 ? err_wrap(e, "writing '%s'", j->path) : 0;
}

void export_journal_close(struct export_journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	free(j->path);
	free(j->snapshot);
	export_blocks_release(&j->sent);
	*j = EXPORT_JOURNAL_INIT;
}

/* ---- what snapshots hold ------------------------------------------------------------------------------ */

int export_blocks_save(const struct store *s, const char *snapshot, uint64_t block_size,
		       uint64_t volume_gib, const struct export_blocks *b, struct err *e)
{
	AUTO_FREE char *path = NULL;
	AUTO_BUF text = BUF_INIT;
	int rc = exports_path(s, snapshot, ".blocks", &path, e);

	if (rc == 0)
		rc = put_head(&text, snapshot, block_size, volume_gib, e);
	for (size_t i = 0; rc == 0 && i < b->n; i++)
		rc = put_block(&text, &b->items[i], e);
	return rc < 0 ? rc : fs_write_file(path, text.data, text.len, 0644, e);
}

int export_blocks_load(const struct store *s, const char *snapshot, uint64_t *ret_block_size,
		       uint64_t *ret_volume_gib, struct export_blocks *ret, struct err *e)
{
	AUTO_FREE char *path = NULL, *name = NULL;
	AUTO_BUF text = BUF_INIT;
	const char *p;
	int rc = exports_path(s, snapshot, ".blocks", &path, e);

	if (rc == 0 && access(path, F_OK) < 0)
		return err_set(e, ENOENT,
			       "what the snapshot '%s' holds is not known here: it was not made "
			       "from this store",
			       snapshot);
	if (rc == 0)
		rc = fs_read_file(path, FILE_LIMIT, &text, e);
	if (rc < 0)
		return rc;
	p = buf_str(&text);
	*ret_volume_gib = 0;
	if (!take_head(path, &p, &name, ret_block_size, ret_volume_gib) || !*ret_volume_gib)
		return err_set(e, EBADMSG, "'%s' is no list of a snapshot's blocks", path);
	while (*p) {
		if (!take_block(&p, ret))
			return err_set(e, EBADMSG, "'%s' is damaged at byte %zu", path,
				       (size_t)(p - buf_str(&text)));
	}
	return 0;
}
