/* SPDX-License-Identifier: Apache-2.0 */
/* The local disk that an import makes: see catalog/target.h. */
#include "catalog/target.h"

#include <fcntl.h>

#include "catalog/store.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/str.h"

#define JOURNAL_LIMIT 65536
/* Enough to see partition tables and superblocks. */
#define HEAD_SIZE 65536

struct target {
	char *disk, *journal, *origin;
	bool resumable;
	struct image_create_opts opts;
	int fd;
	struct image_writer *writer; /* NULL until the head was looked at */
	uint8_t *head;               /* HEAD_SIZE bytes; what was not written is zero */
	uint64_t head_len;
	uint64_t size;  /* of the image */
	uint64_t shift; /* where it begins on the disk */
	bool partition;
	uint64_t resumed_at;
	bool durable; /* there is a checkpoint */
};

int target_new(const char *dir, const char *origin, bool resumable,
	       const struct image_create_opts *o, struct target **ret, struct err *e)
{
	AUTO(target_free) struct target *t = calloc(1, sizeof(*t));

	if (!t)
		return err_nomem(e);
	t->fd = -1;
	t->resumable = resumable;
	t->opts = *o;
	t->disk = path_join(dir, STORE_DISK);
	t->journal = path_join(dir, STORE_TARGET_JOURNAL);
	t->origin = strdup(origin);
	t->head = calloc(1, HEAD_SIZE);
	if (!t->disk || !t->journal || !t->origin || !t->head)
		return err_nomem(e);
	*ret = STEAL(t);
	return 0;
}

void target_free(struct target *t)
{
	if (!t)
		return;
	if (t->writer)
		image_writer_free(t->writer);
	if (t->fd >= 0)
		close(t->fd);
	free(t->head);
	free(t->disk);
	free(t->journal);
	free(t->origin);
	free(t);
}

const char *target_disk(const struct target *t)
{
	return t->disk;
}

bool target_is_partition(const struct target *t)
{
	return t->partition;
}

uint64_t target_resumed_at(const struct target *t)
{
	return t->resumed_at;
}

bool target_can_resume(const struct target *t)
{
	return t->durable;
}

/* ---- the journal ---------------------------------------------------------------------------- */

static int journal_write(const struct target *t, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "origin", t->origin);
	jsonw_u64(&w, "size", t->size);
	jsonw_bool(&w, "partition", t->partition);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc < 0 ? rc : fs_write_file(t->journal, text.data, text.len, 0600, e);
}

/* True if there is a journal of the same origin and size; then t->partition is set from it. */
static bool journal_matches(struct target *t)
{
	AUTO(value_free) struct value *root = NULL;
	AUTO_BUF text = BUF_INIT;
	const struct value *origin, *size, *partition;
	const char *s;
	uint64_t n;

	if (fs_read_file(t->journal, JOURNAL_LIMIT, &text, NULL) < 0 ||
	    json_parse(t->journal, text.data, text.len, NULL, &root, NULL) < 0)
		return false;
	origin = value_get(root, "origin");
	size = value_get(root, "size");
	partition = value_get(root, "partition");
	return origin && size && partition && value_string(origin, &s, NULL) == 0 &&
	       strcmp(s, t->origin) == 0 && value_u64(size, 0, UINT64_MAX, &n, NULL) == 0 &&
	       n == t->size && value_bool(partition, &t->partition, NULL) == 0;
}

/* ---- beginning ------------------------------------------------------------------------------ */

/* Goes on with the disk of an interrupted fetch; false if that cannot be. */
static bool resume(struct target *t, uint64_t *ret_position)
{
	uint64_t position;

	if (!t->resumable || !journal_matches(t))
		return false;
	t->fd = open(t->disk, O_RDWR | O_CLOEXEC);
	if (t->fd < 0)
		return false;
	t->shift = t->partition ? BOOT_PARTITION_START : 0;
	if (image_writer_resume(t->fd, t->disk, "qcow2", &t->opts, &position, &t->writer, NULL) <
		    0 ||
	    position < t->shift || position - t->shift > t->size) {
		if (t->writer)
			image_writer_free(STEAL(t->writer));
		close(steal_fd(&t->fd));
		return false;
	}
	*ret_position = t->resumed_at = position - t->shift;
	t->durable = true;
	return true;
}

static int target_begin(void *ctx, uint64_t size, uint64_t *ret_position, struct err *e)
{
	struct target *t = ctx;

	if (!size || size % 512)
		return err_set(e, EBADMSG, "an image of %llu bytes is no whole number of sectors",
			       (unsigned long long)size);
	t->size = size;
	*ret_position = 0;
	if (resume(t, ret_position))
		return 0;
	(void)unlink(t->journal);
	t->partition = false;
	t->fd = open(t->disk, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (t->fd < 0)
		return err_errno(e, errno, "making '%s'", t->disk);
	return 0;
}

/* A partition table: the signature, and entries that can be entries. An ext boot block is empty. */
bool target_head_is_disk(const uint8_t *head)
{
	bool used = false;

	if (head[510] != 0x55 || head[511] != 0xaa)
		return false;
	for (const uint8_t *p = head + 446; p < head + 510; p += 16) {
		if (p[0] != 0 && p[0] != 0x80)
			return false;
		used |= p[4] != 0 && le32_get(p + 12) != 0;
	}
	return used;
}

/* The head is complete: decides what this is, starts the disk, and writes the head. */
static int decide(struct target *t, struct err *e)
{
	uint64_t disk_size = t->size;
	int rc;

	t->partition = !target_head_is_disk(t->head);
	if (t->partition) {
		t->shift = BOOT_PARTITION_START;
		disk_size = boot_disk_size(t->size);
	}
	rc = image_create(t->fd, t->disk, "qcow2", disk_size, &t->opts, &t->writer, e);
	if (rc == 0 && t->resumable)
		rc = journal_write(t, e);
	if (rc == 0 && t->head_len)
		rc = image_writer_write(t->writer, t->head, t->head_len, t->shift, e);
	return rc;
}

static int target_write(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct target *t = ctx;
	const uint8_t *p = data;

	if (!range_within(off, len, t->size))
		return err_set(e, EBADMSG, "data at 0x%llx lies past the image's end",
			       (unsigned long long)off);
	if (!t->writer && off < HEAD_SIZE) {
		size_t n = MIN(len, HEAD_SIZE - off);

		memcpy(t->head + off, p, n);
		t->head_len = off + n;
		p += n;
		len -= n;
		off += n;
	}
	if (!len)
		return 0;
	if (!t->writer) {
		int rc = decide(t, e);

		if (rc < 0)
			return rc;
	}
	return image_writer_write(t->writer, p, len, off + t->shift, e);
}

static int target_checkpoint(void *ctx, struct err *e)
{
	struct target *t = ctx;

	int rc;

	if (!t->writer || !t->resumable)
		return 0;
	rc = image_writer_checkpoint(t->writer, e);
	t->durable |= rc == 0;
	return rc;
}

struct fetch_sink target_sink(struct target *t)
{
	return (struct fetch_sink){target_begin, target_write, target_checkpoint, t};
}

int target_finish(struct target *t, struct err *e)
{
	int rc = t->writer ? 0 : decide(t, e);

	if (rc == 0)
		rc = image_writer_finish(t->writer, e);
	if (rc == 0 && fsync(t->fd) < 0)
		rc = err_errno(e, errno, "writing '%s'", t->disk);
	if (t->writer)
		image_writer_free(STEAL(t->writer));
	if (close(steal_fd(&t->fd)) < 0 && rc == 0)
		rc = err_errno(e, errno, "writing '%s'", t->disk);
	if (rc == 0 && unlink(t->journal) < 0 && errno != ENOENT)
		rc = err_errno(e, errno, "removing '%s'", t->journal);
	return rc;
}
