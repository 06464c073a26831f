/* SPDX-License-Identifier: Apache-2.0 */
/* Images that are delivered as a file: see catalog/fetch_file.h. */
#include "catalog/fetch_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "catalog/parse.h"
#include "catalog/remote.h"
#include "catalog/store.h"
#include "catalog/unpack.h"
#include "catalog/web.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/stop.h"
#include "lib/str.h"

#define SOURCE "source"
#define UNPACKED "source.unpacked"
#define JOURNAL_LIMIT 65536
/* No disk is larger: a bound for what lies about its size. */
#define FILE_MAX (UINT64_C(64) << 40)
#define CHUNK (1u << 20)

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

/* ---- digests -------------------------------------------------------------------------------- */

/* What the catalog says the file has to be; digest NULL: it says nothing. */
struct check {
	struct digest *digest;
	enum digest_kind kind;
	char hex[2 * DIGEST_MAX + 1];
};

static void check_release(struct check *c)
{
	digest_free(c->digest);
}
DEFINE_AUTO_STRUCT(struct check, check_release);

static int check_start(const struct catalog_image *im, struct check *c, struct err *e)
{
	int rc;

	if (!im->digest)
		return 0;
	rc = digest_text_parse(im->digest, &c->kind, c->hex, e);
	return rc < 0 ? rc : digest_new(c->kind, &c->digest, e);
}

static void check_add(struct check *c, const void *data, size_t len)
{
	if (c->digest)
		digest_add(c->digest, data, len);
}

static int check_end(struct check *c, const struct catalog_image *im, struct fetch_report *report,
		     struct err *e)
{
	char hex[2 * DIGEST_MAX + 1];
	int rc;

	if (!c->digest) {
		rc = buf_adds(&report->warnings,
			      "the file was not checked: its catalog tells no digest\n");
		return rc < 0 ? err_nomem(e) : 0;
	}
	digest_final_hex(c->digest, hex);
	if (strcmp(hex, c->hex) != 0)
		return err_set(e, EBADMSG, "'%.*s': its %s is %s, the catalog says %s",
			       web_shown(im->url), im->url, digest_name(c->kind), hex, c->hex);
	rc = buf_addf(&report->verified, "file digest (%s)\n",
		      c->kind == DIGEST_SHA512   ? "SHA-512"
		      : c->kind == DIGEST_SHA256 ? "SHA-256"
						 : "MD5");
	return rc < 0 ? err_nomem(e) : 0;
}

/* Adds the first len bytes of a file. */
static int check_add_file(struct check *c, int fd, uint64_t len, struct err *e)
{
	AUTO_FREE char *chunk = malloc(CHUNK);
	uint64_t at = 0;
	int rc = chunk ? 0 : err_nomem(e);

	while (rc == 0 && at < len && c->digest) {
		size_t n = MIN(len - at, (uint64_t)CHUNK);

		rc = fs_pread(fd, chunk, n, at, e);
		if (rc == 0)
			rc = stop_check(e);
		if (rc == 0)
			check_add(c, chunk, n);
		at += n;
	}
	return rc;
}

/* ---- straight into the target ---------------------------------------------------------------- */

struct streaming {
	const struct fetch_sink *sink;
	struct check check;
	const char *url;
};

/* What says of itself that it is something else is not taken for a raw disk. */
static int check_raw(const struct streaming *t, const uint8_t *p, size_t len, struct err *e)
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
				       web_shown(t->url), t->url, others[i].format);
	}
	return 0;
}

static int stream_write(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct streaming *t = ctx;
	int rc = off == 0 ? check_raw(t, data, len, e) : 0;

	if (rc < 0)
		return rc;
	check_add(&t->check, data, len);
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
		rc = check_start(im, &t.check, e);
	if (rc == 0 && position && t.check.digest)
		rc = before->hash(before->ctx, position, t.check.digest, e);
	if (rc == 0) {
		s->progress = progress_start("fetching", remote->size);
		rc = remote_read(s, remote, position, im->size, FILE_MAX, &out, &size, e);
		progress_end(s->progress, rc == 0);
		s->progress = NULL;
	}
	if (rc == 0)
		rc = check_end(&t.check, im, report, e);
	check_release(&t.check);
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
	struct check check;
};

static void download_release(struct download *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	free(d->journal);
	check_release(&d->check);
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
	check_add(&d->check, data, len);
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
	/* Without a mark of what it is, two halves could be of two files: but a digest would tell. */
	d->resumable = strcmp(remote->version, " ") > 0 || im->digest;
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
		rc = check_start(im, &d->check, e);
	if (rc == 0 && d->done) {
		size_to_text(d->done, text);
		log_info("went on at %s, where the download before was interrupted", text);
		rc = check_add_file(&d->check, d->fd, d->done, e);
	}
	if (rc == 0) {
		s->progress = progress_start("fetching", remote->size);
		rc = remote_read(s, remote, d->done, im->size, FILE_MAX, &out, &size, e);
		progress_end(s->progress, rc == 0);
		s->progress = NULL;
	}
	if (rc == 0)
		rc = check_end(&d->check, im, report, e);
	return rc;
}

/* ---- into a disk ------------------------------------------------------------------------------ */

/* The message of the other program without its name. */
static int strip_program(const char *name, struct err *e)
{
	AUTO_FREE char *prefix = str_format("%s: ", name);
	char *at = e && prefix ? strstr(e->msg, prefix) : NULL;
	int code = e ? e->code : EIO;
	char msg[sizeof(e->msg)];

	if (!at)
		return -code;
	snprintf(msg, sizeof(msg), "%s", at + strlen(prefix));
	return err_set(e, EBADMSG, "%s", msg);
}

static const char *compression_name(const struct image_create_opts *o)
{
	return o->compression == IMAGE_COMPRESS_ZSTD ? "compression=zstd" : "compression=zlib";
}

/* Runs a program of ours that makes the disk; its one line is the error. */
static int run_tool(const char *name, const char *const *args, struct err *e)
{
	AUTO_FREE char *program = NULL;
	const char *argv[20];
	size_t n = 1;
	int rc = fs_sibling_program(name, &program, e);

	if (rc < 0)
		return rc;
	argv[0] = program;
	for (; args[n - 1] && n < ARRAY_SIZE(argv) - 1; n++)
		argv[n] = args[n - 1];
	argv[n] = NULL;
	rc = proc_run(argv, NULL, 0, NULL, 0, 0, e);
	return rc < 0 && rc != -ECANCELED ? strip_program(name, e) : rc;
}

/* An image file: by imgconv, which reads it in a sandbox. */
static int convert(const char *from, const char *format, const char *disk,
		   const struct image_create_opts *o, struct err *e)
{
	bool vhdx = format && strcmp(format, "vhdx") == 0;
	const char *args[16];
	size_t n = 0;

	args[n++] = "convert";
	args[n++] = "-q";
	args[n++] = "--force";
	if (vhdx) {
		/* As long as it takes. */
		args[n++] = "--via-qemu";
		args[n++] = "--timeout";
		args[n++] = "0";
	} else if (format) {
		args[n++] = "-f";
		args[n++] = format;
	}
	if (o->compression != IMAGE_COMPRESS_NONE) {
		args[n++] = "-o";
		args[n++] = compression_name(o);
	}
	args[n++] = "-O";
	args[n++] = "qcow2";
	args[n++] = from;
	args[n++] = disk;
	args[n] = NULL;
	return run_tool("imgconv", args, e);
}

/* An archive with a disk in it (OVA, ...): by bundle. */
static int open_archive(const char *from, const char *disk, const struct image_create_opts *o,
			struct err *e)
{
	const char *args[16];
	size_t n = 0;

	args[n++] = "open";
	args[n++] = "-q";
	args[n++] = "--force";
	args[n++] = "-O";
	args[n++] = "qcow2";
	if (o->compression != IMAGE_COMPRESS_NONE)
		args[n++] = "-c";
	args[n++] = from;
	args[n++] = disk;
	args[n] = NULL;
	return run_tool("bundle", args, e);
}

/* A tar archive, by the magic of its first member. */
static bool is_archive(const char *path)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char magic[5];

	return fd >= 0 && pread(fd, magic, sizeof(magic), 257) == (ssize_t)sizeof(magic) &&
	       memcmp(magic, "ustar", sizeof(magic)) == 0;
}

/* The unpacked file beside it, if the file is packed; then *ret is its path. */
static int unpack_beside(const char *path, const char *dir, char **ret, struct err *e)
{
	AUTO_FD int from = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	AUTO_FD int to = -1;
	AUTO_FREE char *unpacked = NULL;
	const char *kind;
	struct stat st;
	int rc;

	if (from < 0 || fstat(from, &st) < 0)
		return err_errno(e, errno, "opening '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "'%s' is no regular file", path);
	kind = unpack_kind(from);
	if (!kind)
		return 0;
	unpacked = path_join(dir, UNPACKED);
	if (!unpacked)
		return err_nomem(e);
	to = open(unpacked, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to < 0)
		return err_errno(e, errno, "making '%s'", unpacked);
	log_info("unpacking (%s)", kind);
	rc = unpack(from, path, to, FILE_MAX, e);
	if (rc == 0)
		*ret = STEAL(unpacked);
	return rc;
}

static int verify_local(const struct catalog_image *im, const char *path,
			struct fetch_report *report, struct err *e)
{
	AUTO(check_release) struct check c = {0};
	AUTO_FD int fd = -1;
	struct stat st;
	int rc = check_start(im, &c, e);

	if (rc < 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "opening '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "'%s' is no regular file", path);
	rc = check_add_file(&c, fd, (uint64_t)st.st_size, e);
	/* A file that the user names has no catalog that could tell anything. */
	if (rc == 0 && im->digest)
		rc = check_end(&c, im, report, e);
	return rc;
}

/* What lies at path as a QCOW2 at disk. *ret_unpacked: a file that was made for that, or NULL. */
static int make_disk(const struct catalog_image *im, const char *path, const char *dir,
		     const char *disk, const struct image_create_opts *o, char **ret_unpacked,
		     struct err *e)
{
	int rc = 0;

	log_info("making a disk of '%s'", im->id);
	if (!is_archive(path))
		rc = unpack_beside(path, dir, ret_unpacked, e);
	/* Of a packed archive, bundle wants the whole: it knows how that has to be packed. */
	if (rc == 0 && is_archive(*ret_unpacked ? *ret_unpacked : path))
		return open_archive(path, disk, o, e);
	return rc < 0 ? rc : convert(*ret_unpacked ? *ret_unpacked : path, im->format, disk, o, e);
}

int fetch_file_convert(struct session *s, const struct catalog_image *im,
		       const struct remote_file *remote, const char *dir, const char *disk,
		       const struct image_create_opts *o, struct fetch_report *report,
		       bool *ret_kept, struct err *e)
{
	AUTO(download_release) struct download d = {.dir = dir, .fd = -1};
	AUTO_FREE char *unpacked = NULL;
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
		rc = make_disk(im, path, dir, disk, o, &unpacked, e);
	if (rc < 0)
		return rc;
	if (unpacked)
		(void)unlink(unpacked);
	if (d.path)
		(void)unlink(d.path);
	if (d.journal)
		(void)unlink(d.journal);
	return 0;
}
