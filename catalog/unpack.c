/* SPDX-License-Identifier: Apache-2.0 */
/* A compressed file, unpacked in a sandbox by libarchive's filters: see catalog/unpack.h. */
#include "catalog/unpack.h"

#include <archive.h>
#include <archive_entry.h>

#include "catalog/web.h"
#include "lib/fs.h"
#include "lib/stop.h"
#include "lib/worker.h"

#define CHUNK (1u << 20)
#define GRAIN 65536

struct unpacking {
	int from, to;
	const char *name;
	uint64_t limit;
	uint64_t data, max_data; /* of a file: what was no zeros */
	const char *disk;        /* of a raw disk that becomes a QCOW2; else NULL */
	const struct image_create_opts *create;
	struct image_writer *writer;
};

const char *unpack_kind(int fd)
{
	static const struct {
		const char *kind, *magic;
		size_t n;
	} kinds[] = {
		{"gzip", "\x1f\x8b\x08", 3},
		{"xz",
		 "\xfd"
		 "7zXZ\0",
		 6},
		{"zstd", "\x28\xb5\x2f\xfd", 4},
		{"bzip2", "BZh", 3},
	};
	char head[8] = {0};

	if (pread(fd, head, sizeof(head), 0) < (ssize_t)sizeof(head))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (memcmp(head, kinds[i].magic, kinds[i].n) == 0)
			return kinds[i].kind;
	}
	return NULL;
}

int unpack_check_raw(const char *name, const uint8_t *p, size_t len, struct err *e)
{
	static const struct {
		const char *format, *magic;
	} others[] = {{"qcow2", "QFI\xfb"},
		      {"vmdk", "KDMV"},
		      {"vhdx", "vhdxfile"},
		      {"vhd", "conectix"},
		      {"gzip", "\x1f\x8b\x08"},
		      {"xz", "\xfd"
			     "7zXZ"}};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		size_t n = strlen(others[i].magic);

		if (len >= n && memcmp(p, others[i].magic, n) == 0)
			return err_set(e, EBADMSG, "'%.*s' is %s, the catalog says raw",
				       web_shown(name), name, others[i].format);
	}
	return 0;
}

DEFINE_AUTO(struct archive *, archive_read_free);

static int fail(struct archive *a, const struct unpacking *u, struct err *e)
{
	const char *text = archive_error_string(a);

	return err_set(e, archive_errno(a) == ENOMEM ? ENOMEM : EBADMSG, "unpacking '%s': %s",
		       u->name, text ? text : "it is damaged");
}

static int open_packed(struct archive *a, const struct unpacking *u, struct err *e)
{
	struct archive_entry *entry;

	if (archive_read_support_filter_gzip(a) < ARCHIVE_WARN ||
	    archive_read_support_filter_xz(a) < ARCHIVE_WARN ||
	    archive_read_support_filter_zstd(a) < ARCHIVE_WARN ||
	    archive_read_support_filter_bzip2(a) < ARCHIVE_WARN ||
	    archive_read_support_format_raw(a) != ARCHIVE_OK ||
	    archive_read_open_fd(a, u->from, CHUNK) != ARCHIVE_OK ||
	    archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return fail(a, u, e);
	return 0;
}

static int too_much(const struct unpacking *u, struct err *e)
{
	return err_set(e, EFBIG,
		       "unpacking '%s': it holds more than its size makes likely (--max-output "
		       "SIZE allows more)",
		       u->name);
}

/* Writes what is not zero. */
static int put_file(struct unpacking *u, const void *data, size_t len, uint64_t off, struct err *e)
{
	const char *p = data;

	while (len) {
		size_t n = MIN(len, (size_t)GRAIN - off % GRAIN);

		if (!mem_is_zero(p, n)) {
			int rc = fs_pwrite(u->to, p, n, off, e);

			if (rc < 0)
				return rc;
			u->data += n;
			if (u->max_data && u->data > u->max_data)
				return too_much(u, e);
		}
		p += n;
		len -= n;
		off += n;
	}
	return 0;
}

/* Calls put for all that is in it, front to back; stops with what that returns but 0. */
static int read_all(struct unpacking *u,
		    int (*put)(struct unpacking *u, const void *data, size_t len, uint64_t off,
			       struct err *e),
		    uint64_t *ret_size, struct err *e)
{
	AUTO(archive_read_free) struct archive *a = archive_read_new();
	int rc;

	*ret_size = 0;
	if (!a)
		return err_nomem(e);
	if (lseek(u->from, 0, SEEK_SET) < 0)
		return err_errno(e, errno, "reading '%s'", u->name);
	rc = open_packed(a, u, e);
	while (rc == 0) {
		const void *data;
		size_t len;
		la_int64_t off;
		int got = archive_read_data_block(a, &data, &len, &off);

		if (got == ARCHIVE_EOF)
			break;
		if (got != ARCHIVE_OK)
			return fail(a, u, e);
		rc = stop_check(e);
		if (rc == 0 && !range_within((uint64_t)off, len, u->limit))
			rc = err_set(e, EFBIG, "unpacking '%s': it has more than %llu bytes",
				     u->name, (unsigned long long)u->limit);
		if (rc == 0)
			rc = put(u, data, len, (uint64_t)off, e);
		*ret_size = (uint64_t)off + len;
	}
	return rc;
}

static int run(void *ctx, struct err *e)
{
	struct unpacking *u = ctx;
	uint64_t size;
	int rc = read_all(u, put_file, &size, e);

	if (rc == 0 && ftruncate(u->to, (off_t)size) < 0)
		rc = err_errno(e, errno, "unpacking '%s'", u->name);
	return rc;
}

/* ---- a raw disk, in one pass ------------------------------------------------------------------- */

static bool is_tar(const uint8_t *p, size_t len)
{
	return len >= 512 && memcmp(p + 257, "ustar", 5) == 0;
}

static int put_disk(struct unpacking *u, const void *data, size_t len, uint64_t off, struct err *e)
{
	int rc = 0;

	if (off == 0 && is_tar(data, len))
		return 1;
	if (off == 0)
		rc = unpack_check_raw(u->name, data, len, e);
	if (rc == 0)
		rc = image_writer_write(u->writer, data, len, off, e);
	return rc;
}

/* How large the disk is, is known at its end. */
static int run_raw(void *ctx, struct err *e)
{
	struct unpacking *u = ctx;
	uint64_t size;
	int rc = image_create(u->to, u->disk, "qcow2", u->limit, u->create, &u->writer, e);

	if (rc == 0)
		rc = read_all(u, put_disk, &size, e);
	if (rc == 0 && !size)
		rc = err_set(e, EBADMSG, "unpacking '%s': it is empty", u->name);
	if (rc == 0)
		rc = image_writer_shorten(u->writer, round_up(size, 512), e);
	if (rc == 0)
		rc = image_writer_finish(u->writer, e);
	if (rc == 0 && fsync(u->to) < 0)
		rc = err_errno(e, errno, "writing '%s'", u->disk);
	if (rc == -EFBIG && u->writer && image_writer_over_limit(u->writer))
		rc = too_much(u, e);
	if (u->writer)
		image_writer_free(u->writer);
	return rc;
}

int unpack(int from, const char *name, int to, uint64_t limit, uint64_t max_data, struct err *e)
{
	struct unpacking u = {
		.from = from, .to = to, .name = name, .limit = limit, .max_data = max_data};
	const struct worker w = {.run = run, .ctx = &u};

	return worker_run(&w, e);
}

int unpack_raw(int from, const char *name, int to, const char *disk,
	       const struct image_create_opts *o, uint64_t limit, struct err *e)
{
	struct unpacking u = {
		.from = from, .to = to, .name = name, .limit = limit, .disk = disk, .create = o};
	const struct worker w = {.run = run_raw, .ctx = &u};

	return worker_run(&w, e);
}
