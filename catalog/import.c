/* SPDX-License-Identifier: Apache-2.0 */
/* The main job: see catalog/import.h. */
#include "catalog/import.h"

#include <ctype.h>
#include <sys/stat.h>
#include <time.h>

#include "catalog/bootable.h"
#include "catalog/import_job.h"
#include "catalog/inject.h"
#include "lib/log.h"
#include "lib/stop.h"
#include "lib/str.h"

static void job_release(struct import_job *j)
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
	free(j->parts);
}
DEFINE_AUTO_STRUCT(struct import_job, job_release);

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

/* A name for the store out of what the image is called: without the ending of its format. */
static int default_name(struct import_job *j, struct err *e)
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

/* What the user knows of a file goes before what its catalog or server says. */
static int take_digest(struct import_job *j, struct err *e)
{
	struct catalog_image *im = &j->image;

	if (!j->opts->digest)
		return 0;
	if (im->delivery != DELIVERY_FILE)
		return err_set(e, EINVAL, "image '%s' is no file that has a digest (--digest)",
			       im->id);
	free(im->digest);
	im->digest = strdup(j->opts->digest);
	im->digest_by = "--digest";
	return im->digest ? 0 : err_nomem(e);
}

static int look_up(struct import_job *j, struct catalog *c, struct err *e)
{
	struct catalog_image *im = &j->image;
	int rc = catalog_find(c, j->opts->id, &j->session, im, e);

	if (rc < 0)
		return rc;
	import_set_up(j, &j->session);
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
	return take_digest(j, e);
}

static int make_bootable(struct import_job *j, struct err *e)
{
	/* What came by a target has room for a boot loader before it. */
	int rc = j->target ? bootable_make(j->disk, &j->boot, e)
			   : bootable_wrap(j->disk, &j->opts->disk, &j->boot, e);

	if (rc < 0)
		return err_wrap(e, "'%s' (--no-bootable keeps it as it is)", j->image.id);
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

static int inject(struct import_job *j, struct err *e)
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
static int adapt(struct import_job *j, struct err *e)
{
	int rc = j->partition && j->opts->bootable ? make_bootable(j, e) : 0;

	if (rc == 0 && (j->opts->inject_ctxd || j->opts->n_overlays))
		rc = inject(j, e);
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* Whether what was fetched is worth keeping: the next try can go on, or the cause may pass. */
static bool worth_keeping(const struct import_job *j, int rc)
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

static int run_steps(struct import_job *j, struct err *e)
{
	int rc = import_fetch(j, e);

	if (rc == 0) {
		log_lines(&j->report.warnings, log_warn);
		j->kept = false;
		rc = adapt(j, e);
	}
	if (rc == 0 && !j->booted && !j->injected && j->target && target_digest(j->target))
		store_import_digest(j->import, target_digest(j->target));
	if (rc == 0)
		rc = stop_check(e);
	if (rc == 0)
		rc = import_write_record(j, e);
	return rc;
}

int import_image(struct catalog *c, struct store *store, const struct import_opts *o,
		 char **ret_name, struct err *e)
{
	AUTO(job_release) struct import_job j = {.opts = o, .catalog = c};
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
	if (import_remove_copy(&j) < 0 && rc < 0) {
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
