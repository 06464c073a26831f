/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar archive as an overlay: numeric owners, modes, extended attributes (PAX SCHILY.xattr).
 * Uncompressed, gzip, bzip2, xz and zstd, all without another program. Devices, fifos and sockets
 * are refused; a hard link becomes a copy of the file that it names, which must come before it.
 */
#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include "imgconv/inject/overlay.h"
#include "lib/fs.h"
#include "lib/str.h"

#define ARCHIVE_PIECE (64 * KIB)

DEFINE_AUTO(struct archive *, archive_read_free);

static int archive_err(struct archive *a, const char *tar, struct err *e)
{
	const char *text = archive_error_string(a);

	return err_set(e, EBADMSG, "'%s': %s", tar, text ? text : "not a readable tar archive");
}

/* Absolute in the guest, whether or not the archive says "/", "./" or nothing in front. */
static char *guest_path(const char *name)
{
	return name && *name ? str_format("/%s", name) : NULL;
}

static int read_data(struct archive *a, const char *tar, size_t room, struct buf *out,
		     struct err *e)
{
	AUTO_FREE char *piece = malloc(ARCHIVE_PIECE);

	if (!piece)
		return err_nomem(e);
	for (;;) {
		la_ssize_t n = archive_read_data(a, piece, ARCHIVE_PIECE);

		if (n < 0)
			return archive_err(a, tar, e);
		if (n == 0)
			return 0;
		if ((size_t)n > room - out->len)
			return err_set(e, EFBIG, "'%s': more than %llu MiB of files", tar,
				       (unsigned long long)(OVERLAY_BYTES_MAX / MIB));
		if (buf_add(out, piece, (size_t)n) < 0)
			return err_nomem(e);
	}
}

/* A sparse file's hole at its end is not among its data. */
static int pad_data(struct archive_entry *x, const char *tar, size_t room, struct buf *data,
		    struct err *e)
{
	uint64_t size = archive_entry_size_is_set(x) ? (uint64_t)archive_entry_size(x) : 0;

	if (size <= data->len)
		return 0;
	if (size > room)
		return err_set(e, EFBIG, "'%s': more than %llu MiB of files", tar,
			       (unsigned long long)(OVERLAY_BYTES_MAX / MIB));
	if (buf_reserve(data, size - data->len) < 0)
		return err_nomem(e);
	memset(data->data + data->len, 0, size - data->len + 1);
	data->len = size;
	return 0;
}

static int add_xattrs(struct overlay *o, struct archive_entry *x, struct err *e)
{
	const char *key;
	const void *value;
	size_t len;
	int rc = 0;

	archive_entry_xattr_reset(x);
	while (rc >= 0 && archive_entry_xattr_next(x, &key, &value, &len) == ARCHIVE_OK)
		rc = overlay_add_xattr(o, key, value, len, e);
	return rc;
}

static int add_hard_link(struct overlay *o, const char *path, const char *name, struct err *e)
{
	AUTO_FREE char *target = guest_path(name);
	const struct overlay_entry *x = target ? overlay_find(o, target) : NULL;

	if (!x || x->kind != OVERLAY_FILE)
		return err_set(e, ENOTSUP,
			       "'%s': a hard link to '%s', which does not come before it", path,
			       name);
	return overlay_add(o, OVERLAY_FILE, path, x->data, x->len, &x->attr, e);
}

static int add_entry(struct overlay *o, struct archive *a, struct archive_entry *x, const char *tar,
		     struct err *e)
{
	AUTO_FREE char *path = guest_path(archive_entry_pathname(x));
	struct overlay_attr attr = {.mode = archive_entry_perm(x)};
	la_int64_t uid = archive_entry_uid(x), gid = archive_entry_gid(x);
	AUTO_BUF data = BUF_INIT;
	const char *target;
	int rc;

	if (!path)
		return err_set(e, EBADMSG, "'%s': an entry without a name", tar);
	if (uid < 0 || uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX)
		return err_set(e, EBADMSG, "'%s': owner out of range", path);
	attr.uid = (uint32_t)uid;
	attr.gid = (uint32_t)gid;
	if (archive_entry_hardlink(x))
		return add_hard_link(o, path, archive_entry_hardlink(x), e);
	switch (archive_entry_filetype(x)) {
	case AE_IFREG:
		rc = read_data(a, tar, OVERLAY_BYTES_MAX - o->bytes, &data, e);
		if (rc >= 0)
			rc = pad_data(x, tar, OVERLAY_BYTES_MAX - o->bytes, &data, e);
		if (rc >= 0)
			rc = overlay_add_file(o, path, data.data, data.len, &attr, e);
		break;
	case AE_IFDIR:
		rc = overlay_add_dir(o, path, &attr, e);
		break;
	case AE_IFLNK:
		target = archive_entry_symlink(x);
		rc = target ? overlay_add_symlink(o, path, target, e)
			    : err_set(e, EBADMSG, "'%s': a link without a target", path);
		break;
	default:
		return err_set(e, EINVAL, "'%s' is neither file, folder nor link", path);
	}
	return rc < 0 ? rc : add_xattrs(o, x, e);
}

static int read_entries(struct overlay *o, struct archive *a, const char *tar, struct err *e)
{
	struct archive_entry *x;
	int rc;

	while ((rc = archive_read_next_header(a, &x)) != ARCHIVE_EOF) {
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return archive_err(a, tar, e);
		rc = add_entry(o, a, x, tar, e);
		if (rc < 0)
			return err_wrap(e, "'%s'", tar);
	}
	return 0;
}

int overlay_add_tar(struct overlay *o, const char *tar_path, struct err *e)
{
	AUTO(archive_read_free) struct archive *a = archive_read_new();

	if (!a)
		return err_nomem(e);
	if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
	    archive_read_support_filter_bzip2(a) != ARCHIVE_OK ||
	    archive_read_support_filter_xz(a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(a) != ARCHIVE_OK)
		return archive_err(a, tar_path, e);
	if (archive_read_open_filename(a, tar_path, ARCHIVE_PIECE) != ARCHIVE_OK)
		return archive_err(a, tar_path, e);
	return read_entries(o, a, tar_path, e);
}
