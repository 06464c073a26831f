/* SPDX-License-Identifier: Apache-2.0 */
/* A compressed file, unpacked in a sandbox by libarchive's filters: see catalog/unpack.h. */
#include "catalog/unpack.h"

#include <archive.h>
#include <archive_entry.h>

#include "lib/fs.h"
#include "lib/stop.h"
#include "lib/worker.h"

#define CHUNK (1u << 20)
#define GRAIN 65536

struct unpacking {
	int from, to;
	const char *name;
	uint64_t limit;
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

/* Writes what is not zero. */
static int write_sparse(int fd, const char *p, size_t len, uint64_t off, struct err *e)
{
	while (len) {
		size_t n = MIN(len, (size_t)GRAIN - off % GRAIN);
		int rc = mem_is_zero(p, n) ? 0 : fs_pwrite(fd, p, n, off, e);

		if (rc < 0)
			return rc;
		p += n;
		len -= n;
		off += n;
	}
	return 0;
}

static int run(void *ctx, struct err *e)
{
	const struct unpacking *u = ctx;
	AUTO(archive_read_free) struct archive *a = archive_read_new();
	uint64_t size = 0;
	int rc;

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
			rc = write_sparse(u->to, data, len, (uint64_t)off, e);
		size = (uint64_t)off + len;
	}
	if (rc == 0 && ftruncate(u->to, (off_t)size) < 0)
		rc = err_errno(e, errno, "unpacking '%s'", u->name);
	return rc;
}

int unpack(int from, const char *name, int to, uint64_t limit, struct err *e)
{
	struct unpacking u = {from, to, name, limit};
	const struct worker w = {.run = run, .ctx = &u};

	return worker_run(&w, e);
}
