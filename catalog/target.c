/* SPDX-License-Identifier: Apache-2.0 */
/* The local disk that an import makes: see catalog/target.h. */
#include "catalog/target.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "catalog/planned.h"
#include "catalog/store.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/str.h"

#define JOURNAL_LIMIT 65536
/* Enough to see partition tables and superblocks. */
#define HEAD_SIZE 65536

/* What whoever writes the disk tells this process, which may be another one, and taken over. */
struct told {
	uint8_t partition, finished; /* 0: no */
	char digest[65];             /* "": not known */
};

struct target {
	char *disk, *journal, *origin;
	bool resumable;
	struct image_create_opts opts;
	int fd;
	/* One of them writes, when the head was looked at. */
	struct image_writer *writer;
	struct planned *planned;
	struct image *image;    /* what was planned, and is gone on with */
	struct fetch_run *runs; /* of the plan; NULL: there is none */
	size_t n_runs;
	uint64_t written;  /* of the image, by a plan */
	atomic_bool begun; /* planned can be used by other threads */
	uint8_t *head;     /* HEAD_SIZE bytes; what was not written is zero */
	uint64_t head_len;
	uint64_t size;  /* of the image */
	uint64_t shift; /* where it begins on the disk */
	uint64_t resumed_at;
	bool durable;      /* there is a checkpoint */
	struct told *told; /* shared with a child that writes */
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
	t->told = mmap(NULL, sizeof(*t->told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (t->told == MAP_FAILED)
		t->told = NULL;
	if (!t->disk || !t->journal || !t->origin || !t->head || !t->told)
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
	planned_free(t->planned);
	if (t->image)
		image_close(t->image);
	if (t->fd >= 0)
		close(t->fd);
	if (t->told)
		munmap(t->told, sizeof(*t->told));
	free(t->runs);
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
	return t->told->partition;
}

uint64_t target_resumed_at(const struct target *t)
{
	return t->resumed_at;
}

bool target_can_resume(const struct target *t)
{
	return t->durable;
}

const char *target_digest(const struct target *t)
{
	return *t->told->digest ? t->told->digest : NULL;
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
	jsonw_bool(&w, "partition", t->told->partition);
	if (t->planned || t->image)
		jsonw_u64(&w, "written", t->written);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc < 0 ? rc : fs_write_file(t->journal, text.data, text.len, 0600, e);
}

/* True if there is a journal of the same origin and size; then t->told->partition is set from it, and
 * *ret_written of what was planned, else to UINT64_MAX. */
static bool journal_matches(struct target *t, uint64_t *ret_written)
{
	AUTO(value_free) struct value *root = NULL;
	AUTO_BUF text = BUF_INIT;
	const struct value *origin, *size, *partition, *written;
	const char *s;
	bool is_partition;
	uint64_t n;

	if (fs_read_file(t->journal, JOURNAL_LIMIT, &text, NULL) < 0 ||
	    json_parse(t->journal, text.data, text.len, NULL, &root, NULL) < 0)
		return false;
	origin = value_get(root, "origin");
	size = value_get(root, "size");
	partition = value_get(root, "partition");
	written = value_get(root, "written");
	*ret_written = UINT64_MAX;
	if (written && value_u64(written, 0, t->size, ret_written, NULL) < 0)
		return false;
	if (!origin || !size || !partition || value_string(origin, &s, NULL) < 0 ||
	    strcmp(s, t->origin) != 0 || value_u64(size, 0, UINT64_MAX, &n, NULL) < 0 ||
	    n != t->size || value_bool(partition, &is_partition, NULL) < 0)
		return false;
	t->told->partition = is_partition;
	return true;
}

/* ---- beginning ------------------------------------------------------------------------------ */

/* The tables of what was planned are whole: its data are changed where they lie. */
static bool resume_planned(struct target *t, uint64_t written)
{
	const struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR};

	if (!written || image_open(t->disk, &o, &t->image, NULL) < 0)
		return false;
	t->fd = open(t->disk, O_RDWR | O_CLOEXEC);
	if (t->fd < 0 || image_size(t->image) < t->shift + t->size) {
		image_close(STEAL(t->image));
		if (t->fd >= 0)
			close(steal_fd(&t->fd));
		return false;
	}
	t->written = t->resumed_at = written;
	t->durable = true;
	return true;
}

/* Goes on with the disk of an interrupted fetch; false if that cannot be. */
static bool resume(struct target *t, uint64_t *ret_position)
{
	uint64_t position, written;

	if (!t->resumable || !journal_matches(t, &written))
		return false;
	t->shift = t->told->partition ? BOOT_PARTITION_START : 0;
	if (written != UINT64_MAX) {
		*ret_position = written;
		return resume_planned(t, written);
	}
	t->fd = open(t->disk, O_RDWR | O_CLOEXEC);
	if (t->fd < 0)
		return false;
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
	*ret_position = t->shift = 0;
	(void)unlink(t->journal);
	t->told->partition = false;
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

/* Room for other things than whole clusters is not planned, nor what has no places beforehand. */
static bool can_plan(const struct target *t, const struct fetch_run *runs, size_t n)
{
	if (t->opts.compression || t->opts.cluster_size || t->opts.max_data || t->opts.options)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (runs[i].off % PLANNED_CLUSTER || runs[i].len % PLANNED_CLUSTER)
			return false;
	}
	return true;
}

static int target_ahead(void *ctx, const void *data, size_t len, uint64_t off,
			const uint8_t *sha256, struct err *e)
{
	struct target *t = ctx;
	int rc;

	if (!atomic_load(&t->begun))
		return 0;
	rc = planned_write(t->planned, data, len, off + t->shift, sha256, e);
	return rc < 0 ? rc : 1;
}

static void target_pass(void *ctx, uint64_t end)
{
	struct target *t = ctx;

	t->written = end;
}

static int target_plan(void *ctx, const struct fetch_run *runs, size_t n, struct err *e)
{
	struct target *t = ctx;

	if (!can_plan(t, runs, n))
		return 0;
	t->runs = calloc(n, sizeof(*runs));
	if (!t->runs)
		return err_nomem(e);
	memcpy(t->runs, runs, n * sizeof(*runs));
	t->n_runs = n;
	return 0;
}

static bool is_begun(const struct target *t)
{
	return t->writer || t->planned || t->image;
}

/* Bytes of the image, by whichever writes. */
static int put(struct target *t, const void *data, size_t len, uint64_t off, struct err *e)
{
	int rc;

	if (t->writer)
		return image_writer_write(t->writer, data, len, off + t->shift, e);
	if (t->image)
		rc = image_pwrite(t->image, data, len, off + t->shift, e);
	else
		rc = planned_write(t->planned, data, len, off + t->shift, NULL, e);
	if (rc == 0)
		t->written = off + len;
	return rc;
}

/* The head is complete: decides what this is, starts the disk, and writes the head. */
static int decide(struct target *t, struct err *e)
{
	uint64_t disk_size = t->size;
	int rc;

	t->told->partition = !target_head_is_disk(t->head);
	if (t->told->partition) {
		t->shift = BOOT_PARTITION_START;
		disk_size = boot_disk_size(t->size);
	}
	if (t->runs)
		rc = planned_new(t->fd, t->disk, disk_size, t->runs, t->n_runs, t->shift,
				 &t->planned, e);
	else
		rc = image_create(t->fd, t->disk, "qcow2", disk_size, &t->opts, &t->writer, e);
	if (rc == 0 && t->resumable)
		rc = journal_write(t, e);
	if (rc == 0 && t->head_len)
		rc = put(t, t->head, t->head_len, 0, e);
	atomic_store(&t->begun, rc == 0 && t->planned);
	return rc;
}

static int target_write(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct target *t = ctx;
	const uint8_t *p = data;

	if (!range_within(off, len, t->size))
		return err_set(e, EBADMSG, "data at 0x%llx lies past the image's end",
			       (unsigned long long)off);
	if (!is_begun(t) && off < HEAD_SIZE) {
		size_t n = MIN(len, HEAD_SIZE - off);

		memcpy(t->head + off, p, n);
		t->head_len = off + n;
		p += n;
		len -= n;
		off += n;
	}
	if (!len)
		return 0;
	if (!is_begun(t)) {
		int rc = decide(t, e);

		if (rc < 0)
			return rc;
	}
	return put(t, p, len, off, e);
}

/* The data first: then how far they are. */
static int checkpoint_planned(struct target *t, struct err *e)
{
	int rc = t->image ? image_flush(t->image, e) : 0;

	if (rc == 0 && fdatasync(t->fd) < 0)
		rc = err_errno(e, errno, "writing '%s'", t->disk);
	return rc < 0 ? rc : journal_write(t, e);
}

static int target_checkpoint(void *ctx, struct err *e)
{
	struct target *t = ctx;

	int rc;

	if (!is_begun(t) || !t->resumable)
		return 0;
	rc = t->writer ? image_writer_checkpoint(t->writer, e) : checkpoint_planned(t, e);
	t->durable |= rc == 0;
	return rc;
}

static int finish_disk(struct target *t, struct err *e)
{
	if (t->writer)
		return image_writer_finish(t->writer, e);
	return t->planned ? planned_finish(t->planned, t->told->digest, e)
			  : image_flush(t->image, e);
}

/* In a child, too, which has the descriptor and no files. */
static int target_end_disk(void *ctx, struct err *e)
{
	struct target *t = ctx;
	int rc = is_begun(t) ? 0 : decide(t, e);

	if (rc == 0)
		rc = finish_disk(t, e);
	if (rc == 0 && fsync(t->fd) < 0)
		rc = err_errno(e, errno, "writing '%s'", t->disk);
	t->told->finished = rc == 0;
	return rc;
}

struct fetch_sink target_sink(struct target *t)
{
	return (struct fetch_sink){
		target_begin, target_write, target_checkpoint, target_end_disk, t,
		target_plan,  target_ahead, target_pass};
}

int target_finish(struct target *t, struct err *e)
{
	int rc = t->told->finished ? 0 : target_end_disk(t, e);

	if (t->writer)
		image_writer_free(STEAL(t->writer));
	if (t->image)
		image_close(STEAL(t->image));
	if (close(steal_fd(&t->fd)) < 0 && rc == 0)
		rc = err_errno(e, errno, "writing '%s'", t->disk);
	if (rc == 0 && unlink(t->journal) < 0 && errno != ENOENT)
		rc = err_errno(e, errno, "removing '%s'", t->journal);
	return rc;
}
