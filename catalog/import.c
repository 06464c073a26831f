/* SPDX-License-Identifier: Apache-2.0 */
/* The main job: see catalog/import.h. */
#include "catalog/import.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "catalog/target.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/stop.h"
#include "lib/str.h"

/* One import on its way. */
struct job {
	struct session *session;
	const struct import_opts *opts;
	struct catalog_image image;
	const struct delivery_type *delivery;
	struct store_import *import;
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
	target_free(j->target);
	fetch_report_release(&j->report);
	boot_report_release(&j->boot);
	inject_report_release(&j->inject);
}
DEFINE_AUTO_STRUCT(struct job, job_release);

int catalog_find(struct session *s, const char *id, struct catalog_image *ret, struct err *e)
{
	for (size_t i = 0; source_types[i]; i++) {
		if (source_types[i]->owns(id))
			return source_types[i]->find(s, id, ret, e);
	}
	return err_set(e, EINVAL, "'%s' is not the id of an image: it begins with 'ami-'", id);
}

static const struct delivery_type *find_delivery(enum delivery_kind kind)
{
	for (size_t i = 0; delivery_types[i]; i++) {
		if (delivery_types[i]->kind == kind)
			return delivery_types[i];
	}
	return NULL;
}

static const char *or_dash(const char *s)
{
	return s ? s : "-";
}

static int look_up(struct job *j, struct err *e)
{
	struct catalog_image *im = &j->image;
	int rc = catalog_find(j->session, j->opts->id, im, e);

	if (rc < 0)
		return rc;
	log_info("%s: '%s', %s, %s, %s", im->id, or_dash(im->name), or_dash(im->architecture),
		 or_dash(im->root_device_type), or_dash(im->virtualization));
	if (im->state && strcmp(im->state, "available") != 0)
		return err_set(e, EAGAIN, "image '%s' is '%s', not 'available'", im->id, im->state);
	j->delivery = find_delivery(im->delivery);
	if (!j->delivery)
		return err_set(e, ENOTSUP, "image '%s' cannot be fetched: %s", im->id,
			       im->why_not ? im->why_not : "no delivery is known for it");
	return 0;
}

/* Words that change when the bytes of the disk could. */
static char *make_origin(const struct job *j, const char *endpoint)
{
	const struct catalog_image *im = &j->image;

	return str_format("%s %s %s %s %llu cluster=%llu compression=%d/%u", endpoint, im->id,
			  j->delivery->name,
			  im->delivery == DELIVERY_BUNDLE ? im->location : im->snapshot,
			  (unsigned long long)im->snapshot_size,
			  (unsigned long long)j->opts->disk.cluster_size,
			  (int)j->opts->disk.compression, j->opts->disk.level);
}

static int fetch(struct job *j, struct err *e)
{
	AUTO_FREE char *endpoint = NULL, *origin = NULL;
	struct fetch_sink sink;
	int rc = aws_endpoint(j->session->aws, "ec2", NULL, &endpoint, e);

	if (rc < 0)
		return rc;
	origin = make_origin(j, endpoint);
	if (!origin)
		return err_nomem(e);
	rc = target_new(store_import_dir(j->import), origin, j->delivery->resumable, &j->opts->disk,
			&j->target, e);
	if (rc < 0)
		return rc;
	sink = target_sink(j->target);
	rc = j->delivery->fetch(j->session, &j->image, &sink, &j->report, e);
	if (rc < 0)
		return rc;
	if (target_resumed_at(j->target)) {
		char at[16];

		size_to_text(target_resumed_at(j->target), at);
		log_info("went on at %s, where the import before was interrupted", at);
	}
	return target_finish(j->target, e);
}

static int make_bootable(struct job *j, struct image *disk, struct err *e)
{
	const struct boot_opts opts = {0};
	int rc = boot_make(disk, &opts, &j->boot, e);

	if (rc < 0)
		return err_wrap(e, "making '%s' bootable", j->image.id);
	j->booted = true;
	log_info("made bootable: kernel '%s', initrd '%s' (from %s)", j->boot.kernel,
		 or_dash(j->boot.initrd), j->boot.source);
	return 0;
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

static int inject(struct job *j, struct image *disk, struct err *e)
{
	AUTO(overlay_free) struct overlay *ov = NULL;
	const struct inject_opts opts = {.now = (int64_t)time(NULL)};
	int rc = overlay_new(&ov, e);

	for (size_t i = 0; rc == 0 && i < j->opts->n_overlays; i++)
		rc = add_overlay(ov, j->opts->overlays[i], e);
	if (rc == 0 && j->opts->inject_ctxd)
		rc = overlay_add_ctxd(ov, e);
	if (rc == 0)
		rc = inject_apply(disk, ov, &opts, &j->inject, e);
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
	const struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR};
	AUTO(image_close) struct image *disk = NULL;
	bool boot = target_is_partition(j->target) && j->opts->bootable;
	bool change = j->opts->inject_ctxd || j->opts->n_overlays;
	int rc = 0;

	if (!boot && !change)
		return 0;
	rc = image_open(target_disk(j->target), &o, &disk, e);
	if (rc == 0 && boot)
		rc = make_bootable(j, disk, e);
	if (rc == 0 && change)
		rc = inject(j, disk, e);
	if (rc == 0)
		rc = image_flush(disk, e);
	return rc;
}

/* ---- the record ----------------------------------------------------------------------------- */

void catalog_image_json(struct jsonw *w, const struct catalog_image *im)
{
	const struct {
		const char *key, *value;
	} texts[] = {
		{"id", im->id},
		{"name", im->name},
		{"description", im->description},
		{"state", im->state},
		{"owner", im->owner},
		{"owner-alias", im->owner_alias},
		{"architecture", im->architecture},
		{"root-device-type", im->root_device_type},
		{"root-device-name", im->root_device_name},
		{"virtualization", im->virtualization},
		{"boot-mode", im->boot_mode},
		{"platform", im->platform},
		{"location", im->location},
		{"snapshot", im->snapshot},
		{"creation-date", im->creation_date},
		{"kernel-id", im->kernel_id},
		{"ramdisk-id", im->ramdisk_id},
		{"product-codes", im->product_codes},
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (texts[i].value)
			jsonw_string(w, texts[i].key, texts[i].value);
	}
	jsonw_bool(w, "public", im->is_public);
}

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

static int write_record(const struct job *j, const char *name, struct err *e)
{
	AUTO(image_close) struct image *disk = NULL;
	AUTO_FREE char *path = path_join(store_import_dir(j->import), STORE_RECORD);
	AUTO_FREE char *endpoint = NULL;
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	char now[32];
	time_t t = time(NULL);
	struct tm tm;
	int rc = path ? image_open(target_disk(j->target), NULL, &disk, e) : err_nomem(e);

	if (rc == 0)
		rc = aws_endpoint(j->session->aws, "ec2", NULL, &endpoint, e);
	if (rc < 0)
		return rc;
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "name", name);
	jsonw_string(&w, "imported", now);
	jsonw_string(&w, "format", image_format_name(disk));
	jsonw_u64(&w, "virtual-size", image_size(disk));
	jsonw_object(&w, "source");
	jsonw_string(&w, "type", "ec2");
	jsonw_string(&w, "endpoint", endpoint);
	jsonw_string(&w, "region", aws_region(j->session->aws));
	jsonw_string(&w, "delivery", j->delivery->name);
	catalog_image_json(&w, &j->image);
	jsonw_close(&w);
	json_lines(&w, "verified", &j->report.verified);
	json_lines(&w, "warnings", &j->report.warnings);
	jsonw_string(&w, "layout", !target_is_partition(j->target) ? "disk" : "partition at 1 MiB");
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

	if (!j->target || !target_can_resume(j->target))
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

static int run_steps(struct job *j, const char *name, struct err *e)
{
	int rc = fetch(j, e);

	if (rc == 0) {
		log_lines(&j->report.warnings, log_warn);
		rc = adapt(j, e);
	}
	if (rc == 0)
		rc = stop_check(e);
	if (rc == 0)
		rc = write_record(j, name, e);
	return rc;
}

int import_image(struct session *s, struct store *store, const struct import_opts *o, struct err *e)
{
	AUTO(job_release) struct job j = {.session = s, .opts = o};
	const char *name = o->name ? o->name : o->id;
	int rc = store_check_name(name, e);

	if (rc == 0)
		rc = look_up(&j, e);
	if (rc == 0)
		rc = store_import_begin(store, name, &j.import, e);
	if (rc)
		return rc;
	rc = run_steps(&j, name, e);
	if (rc < 0 && worth_keeping(&j, rc)) {
		store_import_close(j.import);
		log_info("what was fetched is kept: the same command goes on from there");
	} else if (rc < 0) {
		store_import_discard(j.import);
	} else {
		rc = store_import_commit(j.import, e);
	}
	return rc;
}
