/* SPDX-License-Identifier: Apache-2.0 */
/* The main job: see catalog/import.h. */
#include "catalog/import.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "catalog/ami.h"
#include "catalog/fetch_file.h"
#include "catalog/inject.h"
#include "catalog/remote.h"
#include "catalog/target.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/stop.h"
#include "lib/str.h"

#define COPY_JOURNAL "copy.json"

/* One import on its way. */
struct job {
	struct catalog *catalog;
	struct session session; /* with the image's source */
	const struct import_opts *opts;
	struct catalog_image image;
	struct catalog_image wanted; /* what was asked for, where image is another in its place */
	char *copy_journal;          /* path; NULL: no copy was asked for */
	char *name;
	const struct delivery_type *delivery; /* NULL: as a file */
	struct store_import *import;
	char *disk;     /* path */
	bool partition; /* a bare one, at BOOT_PARTITION_START if it came by a target */
	bool kept;      /* what was fetched is worth keeping */
	struct target *target;
	struct fetch_report report;
	struct boot_report boot;
	bool booted; /* boot is filled */
	struct inject_report inject;
	bool injected;
};

static void job_release(struct job *j)
{
	catalog_image_release(&j->image);
	catalog_image_release(&j->wanted);
	free(j->copy_journal);
	target_free(j->target);
	fetch_report_release(&j->report);
	boot_report_release(&j->boot);
	inject_report_release(&j->inject);
	session_close(&j->session);
	free(j->name);
	free(j->disk);
}
DEFINE_AUTO_STRUCT(struct job, job_release);

static const struct delivery_type *find_delivery(enum delivery_kind kind)
{
	for (size_t i = 0; delivery_types[i]; i++) {
		if (delivery_types[i]->kind == kind)
			return delivery_types[i];
	}
	return NULL;
}

/* ".gz" and its like, the end of a name. */
static bool is_packing(const char *ending)
{
	return strcmp(ending, ".gz") == 0 || strcmp(ending, ".xz") == 0 ||
	       strcmp(ending, ".zst") == 0 || strcmp(ending, ".bz2") == 0;
}

static const char *or_dash(const char *s)
{
	return s ? s : "-";
}

/* A name for the store out of what the image is called: without the ending of its format. */
static int default_name(struct job *j, struct err *e)
{
	const struct catalog_image *im = &j->image;
	const char *from = im->id, *slash;
	size_t n;

	if (store_check_name(from, NULL) == 0 && !name_is_image(from)) {
		j->name = strdup(from);
		return j->name ? 0 : err_nomem(e);
	}
	from = im->name ? im->name : im->id;
	slash = strrchr(from, '/');
	from = slash && slash[1] ? slash + 1 : from;
	n = strlen(from);
	for (const char *dot;
	     name_is_image(from) && (dot = memrchr(from, '.', n)) && dot != from;) {
		n = (size_t)(dot - from);
		if (!is_packing(dot))
			break;
	}
	j->name = strndup(from, MIN(n, (size_t)100));
	for (char *p = j->name; p && *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			*p = '-';
	}
	if (j->name && (*j->name == '.' || *j->name == '-'))
		*j->name = '_';
	return j->name ? 0 : err_nomem(e);
}

/* What the command line says of fetching. */
static void set_up_session(const struct job *j, struct session *s)
{
	s->private_key = j->opts->private_key;
	s->certificate = j->opts->certificate;
	s->require_signature = j->opts->require_signature;
	s->workers = j->opts->workers;
}

/* What belongs to the marketplace is not to be carried away: neither its snapshot nor a copy can be
 * had, and to say so now spares the wait. */
static int refuse_marketplace(const struct catalog_image *im, struct err *e)
{
	if (!im->marketplace &&
	    !(im->owner_alias && strcmp(im->owner_alias, "aws-marketplace") == 0))
		return 0;
	return err_set(
		e, EACCES,
		"image '%s' is of the marketplace (product code %s): its seller's terms let "
		"it run in EC2 alone, and AWS refuses to give out its snapshot, to copy or to "
		"export it; ask the seller for an image of another form",
		im->id, or_dash(im->product_codes));
}

static int look_up(struct job *j, struct catalog *c, struct err *e)
{
	struct catalog_image *im = &j->image;
	int rc = catalog_find(c, j->opts->id, &j->session, im, e);

	if (rc < 0)
		return rc;
	set_up_session(j, &j->session);
	log_info("%s: '%s', %s%s%s%s%s", im->id, or_dash(im->name), or_dash(im->architecture),
		 im->root_device_type ? ", " : "", im->root_device_type ? im->root_device_type : "",
		 im->virtualization ? ", " : "", im->virtualization ? im->virtualization : "");
	if (im->state && strcmp(im->state, "available") != 0 && strcmp(im->state, "active") != 0)
		return err_set(e, EAGAIN, "image '%s' is '%s', not 'available'", im->id, im->state);
	rc = refuse_marketplace(im, e);
	if (rc < 0)
		return rc;
	j->delivery = find_delivery(im->delivery);
	if (!j->delivery && im->delivery != DELIVERY_FILE)
		return err_set(e, ENOTSUP, "image '%s' cannot be fetched: %s", im->id,
			       im->why_not ? im->why_not : "no delivery is known for it");
	return 0;
}

/* Words that change when the bytes of the disk could. */
static int make_origin(const struct job *j, const char *what, const char *version, char **ret,
		       struct err *e)
{
	const struct catalog_image *im = &j->image;
	AUTO_FREE char *endpoint = NULL;
	int rc = 0;

	if (j->session.aws)
		rc = aws_endpoint(j->session.aws, "ec2", NULL, &endpoint, e);
	if (rc < 0)
		return rc;
	*ret = str_format("%s %s %s %s %s %llu cluster=%llu compression=%d/%u",
			  endpoint ? endpoint : "", im->id,
			  j->delivery ? j->delivery->name : "file", what, version,
			  (unsigned long long)im->snapshot_size,
			  (unsigned long long)j->opts->disk.cluster_size,
			  (int)j->opts->disk.compression, j->opts->disk.level);
	return *ret ? 0 : err_nomem(e);
}

/* Ends what went into the target. */
static int finish_target(struct job *j, struct err *e)
{
	if (target_resumed_at(j->target)) {
		char at[16];

		size_to_text(target_resumed_at(j->target), at);
		log_info("went on at %s, where the import before was interrupted", at);
	}
	j->partition = target_is_partition(j->target);
	return target_finish(j->target, e);
}

static int fetch_by_delivery(struct job *j, struct err *e)
{
	const struct catalog_image *im = &j->image;
	AUTO_FREE char *origin = NULL;
	struct fetch_sink sink;
	int rc = make_origin(j, im->delivery == DELIVERY_BUNDLE ? im->location : im->snapshot, "",
			     &origin, e);

	if (rc == 0)
		rc = target_new(store_import_dir(j->import), origin, j->delivery->resumable,
				&j->opts->disk, &j->target, e);
	if (rc < 0)
		return rc;
	sink = target_sink(j->target);
	rc = j->delivery->fetch(&j->session, &j->image, &sink, &j->report, e);
	j->kept = target_can_resume(j->target);
	return rc < 0 ? rc : finish_target(j, e);
}

/* Adds the beginning of the disk, as the import before left it, to a digest. */
static int hash_disk(void *ctx, uint64_t position, struct digest *d, struct err *e)
{
	const struct job *j = ctx;
	const struct image_open_opts o = {.format = "qcow2"};
	AUTO(image_close) struct image *disk = NULL;
	AUTO_FREE char *chunk = malloc(MIB);
	uint64_t shift = target_is_partition(j->target) ? BOOT_PARTITION_START : 0;
	int rc = chunk ? image_open(target_disk(j->target), &o, &disk, e) : err_nomem(e);

	for (uint64_t at = 0; rc == 0 && at < position;) {
		size_t n = MIN(position - at, MIB);

		rc = image_pread(disk, chunk, n, shift + at, e);
		if (rc == 0)
			rc = stop_check(e);
		if (rc == 0)
			digest_add(d, chunk, n);
		at += n;
	}
	return rc;
}

static int fetch_streaming(struct job *j, const struct remote_file *remote, struct err *e)
{
	const struct fetch_before before = {hash_disk, j};
	AUTO_FREE char *origin = NULL;
	struct fetch_sink sink;
	/* Two halves of an unmarked file could be of two files: but a digest would tell. */
	bool resumable = strcmp(remote->version, " ") > 0 || j->image.digest;
	int rc = make_origin(j, j->image.url, remote->version, &origin, e);

	if (rc == 0)
		rc = target_new(store_import_dir(j->import), origin, resumable, &j->opts->disk,
				&j->target, e);
	if (rc < 0)
		return rc;
	sink = target_sink(j->target);
	rc = fetch_file_stream(&j->session, &j->image, remote, &sink, &before, &j->report, e);
	j->kept = target_can_resume(j->target);
	return rc < 0 ? rc : finish_target(j, e);
}

/* Whether the disk that was made is a file system without a partition table. */
static int look_at_disk(struct job *j, struct err *e)
{
	AUTO(image_close) struct image *disk = NULL;
	const struct image_open_opts o = {.format = "qcow2"};
	uint8_t head[512];
	int rc = image_open(j->disk, &o, &disk, e);

	if (rc == 0 && image_size(disk) < sizeof(head))
		rc = err_set(e, EBADMSG, "'%s' is no disk: it has %llu bytes", j->image.id,
			     (unsigned long long)image_size(disk));
	if (rc == 0)
		rc = image_pread(disk, head, sizeof(head), 0, e);
	if (rc == 0)
		j->partition = !target_head_is_disk(head);
	return rc;
}

static int fetch_file_once(struct job *j, struct err *e)
{
	AUTO(remote_file_release) struct remote_file remote = {0};
	const char *dir = store_import_dir(j->import);
	int rc = fetch_file_probe(&j->session, &j->image, &remote, e);

	if (rc < 0)
		return rc;
	if (fetch_file_streams(&j->image, &remote))
		return fetch_streaming(j, &remote, e);
	rc = fetch_file_convert(&j->session, &j->image, &remote, dir, j->disk, &j->opts->disk,
				&j->report, &j->kept, e);
	return rc < 0 ? rc : look_at_disk(j, e);
}

/* Once more with a new token, if the one that there was has become too old. */
static int fetch_as_file(struct job *j, struct err *e)
{
	int rc = fetch_file_once(j, e);

	if (rc != -EACCES || !j->session.token || !j->kept)
		return rc;
	log_info("%s; asking for a new token", e ? e->msg : "refused");
	explicit_bzero(j->session.token, strlen(j->session.token));
	free(STEAL(j->session.token));
	if (j->target)
		target_free(STEAL(j->target));
	return fetch_file_once(j, e);
}

/* ---- a snapshot that is not ours --------------------------------------------------------------- */

static int use_download(struct job *j, const struct err *why, struct err *e)
{
	AUTO(session_close) struct session s = {0};
	AUTO(catalog_image_release) struct catalog_image im = {0};
	int rc = ami_find_download(j->catalog, j->image.id, &s, &im, e);

	if (rc < 0)
		return rc;
	log_info("%s", why->msg);
	log_info("'%s' is taken in its place: source '%s' tells that it is the same image (%s)",
		 im.url, s.source->name, im.id);
	set_up_session(j, &s);
	session_close(&j->session);
	j->session = s;
	s = (struct session){0};
	j->wanted = j->image;
	j->image = im;
	im = (struct catalog_image){0};
	j->delivery = NULL;
	if (j->target)
		target_free(STEAL(j->target));
	return fetch_as_file(j, e);
}

static int use_copy(struct job *j, struct err *e)
{
	AUTO(catalog_image_release) struct catalog_image copy = {0};
	int rc;

	j->copy_journal = path_join(store_import_dir(j->import), COPY_JOURNAL);
	if (!j->copy_journal)
		return err_nomem(e);
	rc = ami_copy(&j->session, &j->image, j->copy_journal, &copy, e);
	if (rc < 0)
		return rc;
	j->wanted = j->image;
	j->image = copy;
	copy = (struct catalog_image){0};
	if (j->target)
		target_free(STEAL(j->target));
	return fetch_by_delivery(j, e);
}

static int explain_snapshot(const struct job *j, const struct err *why, const struct err *no_copy,
			    struct err *e)
{
	return err_set(
		e, EACCES,
		"%s. The EBS direct APIs read only snapshots that are one's own or shared with "
		"one's account, not public ones; and %s. What can be done: "
		"import --copy, which copies the AMI to your account for as long as it is "
		"read, if its owner lets it be copied; ask the owner to share snapshot '%s'; "
		"add a source that has the vendor's own download (catalog source add), or give "
		"its address in place of the AMI",
		why->msg, no_copy->msg, j->image.snapshot);
}

/* The snapshot, or what can stand in its place if it is not ours to read. */
static int fetch_snapshot(struct job *j, struct err *e)
{
	struct err why = {0}, no_download = {0};
	int rc = fetch_by_delivery(j, &why);

	if (rc == 0)
		return 0;
	/* A snapshot by its own id is no AMI, and has no twin. */
	if ((rc != -EACCES && rc != -ENOENT) || j->kept || !j->session.source ||
	    strcmp(j->image.id, j->image.snapshot) == 0) {
		if (e)
			*e = why;
		return rc;
	}
	rc = use_download(j, &why, &no_download);
	if (rc != -ENOENT || !j->delivery) {
		if (rc < 0 && e)
			*e = no_download;
		return rc;
	}
	if (!j->opts->copy)
		return explain_snapshot(j, &why, &no_download, e);
	log_info("%s", why.msg);
	return use_copy(j, e);
}

/* Whatever came of it: a copy that was made costs money. */
static int remove_copy(struct job *j)
{
	AUTO_FREE char *journal = path_join(store_import_dir(j->import), COPY_JOURNAL);
	struct err e;
	int rc;

	if (!journal || !j->session.aws || access(journal, F_OK) < 0)
		return 0;
	stop_hold(true);
	rc = ami_remove_copy(&j->session, journal, &e);
	stop_hold(false);
	if (rc < 0)
		log_warn("%s; the same command tries it again", e.msg);
	return rc;
}

static int fetch(struct job *j, struct err *e)
{
	j->disk = path_join(store_import_dir(j->import), STORE_DISK);
	if (!j->disk)
		return err_nomem(e);
	if (!j->delivery)
		return fetch_as_file(j, e);
	return j->image.delivery == DELIVERY_SNAPSHOT ? fetch_snapshot(j, e)
						      : fetch_by_delivery(j, e);
}

/* A bare partition that was converted as it is: a disk around it, in place of it. */
static int wrap_partition(struct job *j, struct err *e)
{
	const struct image_open_opts o = {.format = "qcow2"};
	const struct boot_opts opts = {.firmware = BOOT_BIOS};
	AUTO(image_close) struct image *partition = NULL;
	AUTO(image_close) struct image *disk = NULL;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	AUTO_FREE char *path = str_format("%s.new", j->disk);
	AUTO_FD int fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	int rc;

	if (fd < 0)
		return path ? err_errno(e, errno, "making '%s'", path) : err_nomem(e);
	rc = image_open(j->disk, &o, &partition, e);
	if (rc == 0)
		rc = boot_assemble(partition, &opts, &disk, &j->boot, e);
	if (rc < 0)
		return err_wrap(e, "making '%s' bootable", j->image.id);
	rc = image_create(fd, path, "qcow2", image_size(disk), &j->opts->disk, &w, e);
	if (rc == 0)
		rc = image_copy(disk, w, NULL, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	if (rc == 0 && (fsync(fd) < 0 || rename(path, j->disk) < 0))
		rc = err_errno(e, errno, "writing '%s'", path);
	if (rc < 0)
		return rc;
	j->booted = true;
	return 0;
}

/* Not in a sandbox: the host's grub-mkimage is run on the way. */
static int make_bootable(struct job *j, struct err *e)
{
	const struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR};
	AUTO(image_close) struct image *disk = NULL;
	const struct boot_opts opts = {0};
	int rc = image_open(j->disk, &o, &disk, e);

	if (rc == 0)
		rc = boot_make(disk, &opts, &j->boot, e);
	if (rc < 0)
		return err_wrap(e, "making '%s' bootable", j->image.id);
	j->booted = true;
	return image_flush(disk, e);
}

static void tell_boot(const struct job *j)
{
	log_info("made bootable: kernel '%s', initrd '%s' (from %s)", j->boot.kernel,
		 or_dash(j->boot.initrd), j->boot.source);
}

static int add_overlay(struct overlay *ov, const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(e, errno, "the overlay '%s'", path);
	return S_ISDIR(st.st_mode) ? overlay_add_tree(ov, path, e) : overlay_add_tar(ov, path, e);
}

static size_t count_lines(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->data[i] == '\n';
	return n;
}

static int inject(struct job *j, struct err *e)
{
	AUTO(overlay_free) struct overlay *ov = NULL;
	const struct inject_opts opts = {.now = (int64_t)time(NULL)};
	int rc = overlay_new(&ov, e);

	for (size_t i = 0; rc == 0 && i < j->opts->n_overlays; i++)
		rc = add_overlay(ov, j->opts->overlays[i], e);
	if (rc == 0 && j->opts->inject_ctxd)
		rc = overlay_add_ctxd(ov, e);
	if (rc == 0)
		rc = inject_confined(j->disk, ov, &opts, &j->inject, e);
	if (rc < 0)
		return err_wrap(e, "injecting into '%s'", j->image.id);
	j->injected = true;
	log_info("injected into %s (%s): %zu changes", or_dash(j->inject.distro),
		 or_dash(j->inject.init), count_lines(&j->inject.changes));
	return 0;
}

/* What is changed on the disk after it was written: at home there are boot loaders and ctxd. */
static int adapt(struct job *j, struct err *e)
{
	bool boot = j->partition && j->opts->bootable;
	int rc = 0;

	if (boot)
		rc = j->target ? make_bootable(j, e) : wrap_partition(j, e);
	if (rc == 0 && j->booted)
		tell_boot(j);
	if (rc == 0 && (j->opts->inject_ctxd || j->opts->n_overlays))
		rc = inject(j, e);
	return rc;
}

/* ---- the record ----------------------------------------------------------------------------- */

/* One string of the array for each line. */
static void json_lines(struct jsonw *w, const char *key, const struct buf *lines)
{
	const char *p = buf_str(lines);

	jsonw_array(w, key);
	while (*p) {
		const char *end = strchr(p, '\n');
		size_t n = end ? (size_t)(end - p) : strlen(p);

		jsonw_string_n(w, NULL, p, n);
		p += n + (end != NULL);
	}
	jsonw_close(w);
}

static void json_boot(struct jsonw *w, const struct boot_report *b)
{
	jsonw_object(w, "made-bootable");
	jsonw_string(w, "kernel", b->kernel);
	jsonw_string(w, "initrd", b->initrd);
	jsonw_string(w, "cmdline", b->cmdline);
	jsonw_string(w, "found-in", b->source);
	jsonw_close(w);
}

static void json_inject(struct jsonw *w, const struct inject_report *r)
{
	jsonw_object(w, "injected");
	jsonw_string(w, "distribution", r->distro);
	jsonw_string(w, "init", r->init);
	json_lines(w, "changes", &r->changes);
	jsonw_close(w);
}

/* Where the image came from. */
static int json_source(const struct job *j, struct jsonw *w, struct err *e)
{
	const struct session *s = &j->session;
	AUTO_FREE char *endpoint = NULL;
	int rc = s->aws ? aws_endpoint(s->aws, "ec2", NULL, &endpoint, e) : 0;

	if (rc < 0)
		return rc;
	jsonw_object(w, "source");
	jsonw_string(w, "type", s->source ? s->source->type->name : "file");
	if (s->source)
		jsonw_string(w, "catalog", s->source->name);
	if (endpoint)
		jsonw_string(w, "endpoint", endpoint);
	if (s->aws && aws_region(s->aws))
		jsonw_string(w, "region", aws_region(s->aws));
	jsonw_string(w, "delivery", j->delivery ? j->delivery->name : "file");
	catalog_image_json(w, &j->image);
	if (j->wanted.id) {
		jsonw_object(w, "in-place-of");
		catalog_image_json(w, &j->wanted);
		jsonw_close(w);
	}
	jsonw_close(w);
	return 0;
}

static const char *layout(const struct job *j)
{
	if (!j->partition)
		return "disk";
	return j->target || j->booted ? "partition at 1 MiB" : "partition";
}

static int write_record(const struct job *j, struct err *e)
{
	AUTO(image_close) struct image *disk = NULL;
	AUTO_FREE char *path = path_join(store_import_dir(j->import), STORE_RECORD);
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	char now[32];
	time_t t = time(NULL);
	struct tm tm;
	int rc = path ? image_open(j->disk, NULL, &disk, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "name", j->name);
	jsonw_string(&w, "imported", now);
	jsonw_string(&w, "format", image_format_name(disk));
	jsonw_u64(&w, "virtual-size", image_size(disk));
	rc = json_source(j, &w, e);
	if (rc < 0)
		return rc;
	json_lines(&w, "verified", &j->report.verified);
	json_lines(&w, "warnings", &j->report.warnings);
	jsonw_string(&w, "layout", layout(j));
	if (j->booted)
		json_boot(&w, &j->boot);
	if (j->injected)
		json_inject(&w, &j->inject);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc < 0 ? rc : fs_write_file(path, text.data, text.len, 0644, e);
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* Whether what was fetched is worth keeping: the next try can go on, or the cause may pass. */
static bool worth_keeping(const struct job *j, int rc)
{
	static const int passing[] = {ECANCELED, ETIMEDOUT, ECONNRESET,  ECONNREFUSED, EHOSTUNREACH,
				      EAGAIN,    EBUSY,     EKEYEXPIRED, EACCES,       EIO};

	if (!j->kept)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(passing); i++) {
		if (rc == -passing[i])
			return true;
	}
	return false;
}

static void log_lines(const struct buf *lines, void (*log)(const char *fmt, ...))
{
	const char *p = buf_str(lines);

	while (*p) {
		const char *end = strchr(p, '\n');
		size_t n = end ? (size_t)(end - p) : strlen(p);

		log("%.*s", (int)n, p);
		p += n + (end != NULL);
	}
}

static int run_steps(struct job *j, struct err *e)
{
	int rc = fetch(j, e);

	if (rc == 0) {
		log_lines(&j->report.warnings, log_warn);
		j->kept = false;
		rc = adapt(j, e);
	}
	if (rc == 0)
		rc = stop_check(e);
	if (rc == 0)
		rc = write_record(j, e);
	return rc;
}

int import_image(struct catalog *c, struct store *store, const struct import_opts *o,
		 char **ret_name, struct err *e)
{
	AUTO(job_release) struct job j = {.opts = o, .catalog = c};
	int rc = o->name ? store_check_name(o->name, e) : 0;

	if (rc == 0)
		rc = look_up(&j, c, e);
	if (rc == 0 && o->name && !(j.name = strdup(o->name)))
		rc = err_nomem(e);
	if (rc == 0 && !o->name)
		rc = default_name(&j, e);
	if (rc == 0)
		rc = store_import_begin(store, j.name, &j.import, e);
	if (rc)
		return rc;
	rc = run_steps(&j, e);
	/* What was read of a copy is of no use when that is gone. */
	if (j.copy_journal)
		j.kept = false;
	if (remove_copy(&j) < 0 && rc < 0) {
		/* With the journal it is found again. */
		store_import_close(j.import);
		return rc;
	}
	if (rc < 0 && worth_keeping(&j, rc)) {
		store_import_close(j.import);
		log_info("what was fetched is kept: the same command goes on from there");
	} else if (rc < 0) {
		store_import_discard(j.import);
	} else {
		rc = store_import_commit(j.import, e);
	}
	if (rc == 0)
		*ret_name = STEAL(j.name);
	return rc;
}
