/* SPDX-License-Identifier: Apache-2.0 */
/* Images that are delivered as a file: see catalog/fetch_file.h. */
#include "catalog/fetch_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "catalog/fetch_disk.h"
#include "catalog/file_check.h"
#include "catalog/remote.h"
#include "catalog/store.h"
#include "catalog/unpack.h"
#include "catalog/web.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"

#define SOURCE "source"
#define JOURNAL_LIMIT 65536

static bool is_local(const struct catalog_image *im)
{
	return str_has_prefix(im->url, "file://");
}

static bool is_packed_name(const char *url)
{
	static const char *const endings[] = {".gz", ".xz", ".zst", ".bz2"};
	size_t n = (size_t)web_shown(url);

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		size_t m = strlen(endings[i]);

		if (n > m && memcmp(url + n - m, endings[i], m) == 0)
			return true;
	}
	return false;
}

int fetch_file_probe(struct session *s, const struct catalog_image *im, struct remote_file *ret,
		     struct err *e)
{
	return is_local(im) ? 0 : remote_probe(s, im, ret, e);
}

bool fetch_file_streams(const struct catalog_image *im, const struct remote_file *remote)
{
	return !is_local(im) && im->format && strcmp(im->format, "raw") == 0 && remote->ranges &&
	       remote->size && remote->size % 512 == 0 && !is_packed_name(im->url);
}

bool fetch_file_resumable(const struct catalog_image *im, const struct remote_file *remote)
{
	return strcmp(remote->version, " ") > 0 || im->digest || remote->digest;
}

/* ---- straight into the target ---------------------------------------------------------------- */

struct streaming {
	const struct fetch_sink *sink;
	struct file_check check;
	const char *url;
};

static int stream_write(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct streaming *t = ctx;
	int rc = off == 0 ? unpack_check_raw(t->url, data, len, e) : 0;

	if (rc < 0)
		return rc;
	file_check_add(&t->check, data, len);
	return t->sink->write(t->sink->ctx, data, len, off, e);
}

static int stream_checkpoint(void *ctx, struct err *e)
{
	struct streaming *t = ctx;

	return t->sink->checkpoint(t->sink->ctx, e);
}

int fetch_file_stream(struct session *s, const struct catalog_image *im,
		      const struct remote_file *remote, const struct fetch_sink *sink,
		      const struct fetch_before *before, struct fetch_report *report, struct err *e)
{
	struct streaming t = {.sink = sink, .url = im->url};
	const struct remote_sink out = {stream_write, stream_checkpoint, &t};
	uint64_t position = 0, size = 0;
	int rc = sink->begin(sink->ctx, remote->size, &position, e);

	if (rc == 0)
		rc = file_check_start(im, remote, &t.check, e);
	if (rc == 0 && position && t.check.digest)
		rc = before->hash(before->ctx, position, t.check.digest, e);
	if (rc == 0) {
		s->progress = progress_start("fetching", remote->size);
		rc = remote_read(s, remote, position, im->size, FETCH_FILE_MAX, &out, &size, e);
		progress_end(s->progress, rc == 0);
		s->progress = NULL;
	}
	if (rc == 0)
		rc = file_check_end(&t.check, im, report, e);
	file_check_release(&t.check);
	return rc;
}

/* ---- downloading ------------------------------------------------------------------------------ */

struct download {
	const char *dir;
	char *path, *journal;
	const char *url, *version;
	uint64_t size;
	int fd;
	uint64_t done; /* bytes from the beginning that are there */
	bool resumable;
	struct file_check check;
};

static void download_release(struct download *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	free(d->journal);
	file_check_release(&d->check);
}
DEFINE_AUTO_STRUCT(struct download, download_release);

static int journal_write(const struct download *d, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "url", d->url);
	jsonw_string(&w, "version", d->version);
	jsonw_u64(&w, "size", d->size);
	jsonw_u64(&w, "done", d->done);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc < 0 ? rc : fs_write_file(d->journal, text.data, text.len, 0600, e);
}

/* How much of the same file an interrupted download left; 0: nothing that can be used. */
static uint64_t journal_done(const struct download *d)
{
	AUTO(value_free) struct value *root = NULL;
	AUTO_BUF text = BUF_INIT;
	const struct value *url, *version, *size, *done;
	const char *a, *b;
	uint64_t n, there;
	struct stat st;

	if (fs_read_file(d->journal, JOURNAL_LIMIT, &text, NULL) < 0 ||
	    json_parse(d->journal, text.data, text.len, NULL, &root, NULL) < 0 ||
	    fstat(d->fd, &st) < 0)
		return 0;
	url = value_get(root, "url");
	version = value_get(root, "version");
	size = value_get(root, "size");
	done = value_get(root, "done");
	if (!url || !version || !size || !done || value_string(url, &a, NULL) < 0 ||
	    value_string(version, &b, NULL) < 0 || value_u64(size, 0, INT64_MAX, &n, NULL) < 0 ||
	    value_u64(done, 0, INT64_MAX, &there, NULL) < 0)
		return 0;
	if (strcmp(a, d->url) != 0 || strcmp(b, d->version) != 0 || n != d->size ||
	    there > (uint64_t)st.st_size || (n && there > n))
		return 0;
	return there;
}

static int download_write(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct download *d = ctx;
	int rc = fs_pwrite(d->fd, data, len, off, e);

	if (rc < 0)
		return err_wrap(e, "writing '%s'", d->path);
	file_check_add(&d->check, data, len);
	d->done = off + len;
	return 0;
}

static int download_checkpoint(void *ctx, struct err *e)
{
	struct download *d = ctx;

	if (!d->resumable)
		return 0;
	if (fdatasync(d->fd) < 0)
		return err_errno(e, errno, "writing '%s'", d->path);
	return journal_write(d, e);
}

static int download_open(struct download *d, const struct catalog_image *im,
			 const struct remote_file *remote, struct err *e)
{
	d->path = path_join(d->dir, SOURCE);
	d->journal = path_join(d->dir, STORE_FILE_JOURNAL);
	if (!d->path || !d->journal)
		return err_nomem(e);
	d->url = im->url;
	d->version = remote->version;
	d->size = remote->size;
	d->resumable = fetch_file_resumable(im, remote);
	d->fd = open(d->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->fd < 0)
		return err_errno(e, errno, "making '%s'", d->path);
	d->done = d->resumable ? journal_done(d) : 0;
	if (ftruncate(d->fd, (off_t)d->done) < 0)
		return err_errno(e, errno, "'%s'", d->path);
	return 0;
}

static int download(struct session *s, const struct catalog_image *im,
		    const struct remote_file *remote, struct download *d,
		    struct fetch_report *report, struct err *e)
{
	const struct remote_sink out = {download_write, download_checkpoint, d};
	uint64_t size = 0;
	char text[16];
	int rc = download_open(d, im, remote, e);

	if (rc == 0)
		rc = file_check_start(im, remote, &d->check, e);
	if (rc == 0 && d->done) {
		size_to_text(d->done, text);
		log_info("went on at %s, where the download before was interrupted", text);
		rc = file_check_add_file(&d->check, d->fd, d->done, e);
	}
	if (rc == 0) {
		s->progress = progress_start("fetching", remote->size);
		rc = remote_read(s, remote, d->done, im->size, FETCH_FILE_MAX, &out, &size, e);
		progress_end(s->progress, rc == 0);
		s->progress = NULL;
	}
	if (rc == 0)
		rc = file_check_end(&d->check, im, report, e);
	return rc;
}

/* ---- into a disk ---------------------------------------------------------------------------- */

static int verify_local(const struct catalog_image *im, const char *path,
			struct fetch_report *report, struct err *e)
{
	AUTO(file_check_release) struct file_check c = {0};
	AUTO_FD int fd = -1;
	struct stat st;
	int rc = file_check_start(im, &(struct remote_file){0}, &c, e);

	if (rc < 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "opening '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "'%s' is no regular file", path);
	rc = file_check_add_file(&c, fd, (uint64_t)st.st_size, e);
	/* A file that the user names has no catalog that could tell anything. */
	if (rc == 0 && im->digest)
		rc = file_check_end(&c, im, report, e);
	return rc;
}

int fetch_file_convert(struct session *s, const struct catalog_image *im,
		       const struct remote_file *remote, const char *dir, const char *disk,
		       const struct image_create_opts *o, struct fetch_report *report,
		       bool *ret_kept, struct err *e)
{
	AUTO(download_release) struct download d = {.dir = dir, .fd = -1};
	const char *path;
	int rc;

	if (is_local(im)) {
		path = im->url + strlen("file://");
		rc = verify_local(im, path, report, e);
	} else {
		rc = download(s, im, remote, &d, report, e);
		path = d.path;
		*ret_kept = d.resumable && d.done && rc != -EBADMSG;
	}
	if (rc == 0)
		rc = fetch_disk_make(im, path, dir, disk, o, e);
	if (rc < 0)
		return rc;
	if (d.path)
		(void)unlink(d.path);
	if (d.journal)
		(void)unlink(d.journal);
	return 0;
}
