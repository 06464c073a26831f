/* SPDX-License-Identifier: Apache-2.0 */
/* The disk of an import, by whatever way it can be had: see catalog/import_job.h. */
#include "catalog/ami.h"
#include "catalog/disk_look.h"
#include "catalog/fetch_file.h"
#include "catalog/import_job.h"
#include "catalog/remote.h"
#include "catalog/web.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/stop.h"
#include "lib/str.h"

void import_set_up(const struct import_job *j, struct session *s)
{
	s->private_key = j->opts->private_key;
	s->certificate = j->opts->certificate;
	s->require_signature = j->opts->require_signature;
	s->workers = j->opts->workers;
}

/* Words that change when the bytes of the disk could. */
static int make_origin(const struct import_job *j, const char *what, const char *version,
		       char **ret, struct err *e)
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
static int finish_target(struct import_job *j, struct err *e)
{
	if (target_resumed_at(j->target)) {
		char at[16];

		size_to_text(target_resumed_at(j->target), at);
		log_info("went on at %s, where the import before was interrupted", at);
	}
	j->partition = target_is_partition(j->target);
	return target_finish(j->target, e);
}

static int fetch_by_delivery(struct import_job *j, struct err *e)
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
	j->session.keep = j->parts;
	rc = j->delivery->fetch(&j->session, &j->image, &sink, &j->report, e);
	j->kept = target_can_resume(j->target) || j->report.kept;
	return rc < 0 ? rc : finish_target(j, e);
}

/* Adds the beginning of the disk, as the import before left it, to a digest. */
static int hash_disk(void *ctx, uint64_t position, struct digest *d, struct err *e)
{
	const struct import_job *j = ctx;
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

static int fetch_streaming(struct import_job *j, const struct remote_file *remote, struct err *e)
{
	const struct fetch_before before = {hash_disk, j};
	AUTO_FREE char *origin = NULL;
	struct fetch_sink sink;
	bool resumable = fetch_file_resumable(&j->image, remote);
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
static int look_at_disk(struct import_job *j, struct err *e)
{
	struct disk_look seen = {0};
	int rc = disk_look(j->disk, &seen, e);

	if (rc < 0)
		return err_wrap(e, "looking at '%s'", j->image.id);
	j->partition = !seen.is_disk;
	return 0;
}

static int fetch_file_once(struct import_job *j, struct err *e)
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
static int fetch_as_file(struct import_job *j, struct err *e)
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

static int use_download(struct import_job *j, const struct err *why, struct err *e)
{
	AUTO(session_close) struct session s = {0};
	AUTO(catalog_image_release) struct catalog_image im = {0};
	int rc = ami_find_download(j->catalog, j->image.id, &s, &im, e);

	if (rc < 0)
		return rc;
	log_info("%s", why->msg);
	log_info("'%.*s' is taken in its place: source '%s' tells that it is the same image (%s)",
		 web_shown(im.url), im.url, s.source->name, im.id);
	import_set_up(j, &s);
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

static int use_copy(struct import_job *j, struct err *e)
{
	AUTO(catalog_image_release) struct catalog_image copy = {0};
	int rc;

	j->copy_journal = path_join(store_import_dir(j->import), STORE_COPY_JOURNAL);
	if (!j->copy_journal)
		return err_nomem(e);
	rc = ami_copy(&j->session, &j->image, j->copy_journal, &copy, e);
	if (rc == 0 && copy.delivery != DELIVERY_SNAPSHOT)
		rc = err_set(e, EBADMSG, "the copy '%s' of '%s' tells no snapshot", copy.id,
			     j->image.id);
	if (rc < 0)
		return rc;
	j->wanted = j->image;
	j->image = copy;
	copy = (struct catalog_image){0};
	if (j->target)
		target_free(STEAL(j->target));
	return fetch_by_delivery(j, e);
}

static int explain_snapshot(const struct import_job *j, const struct err *why,
			    const struct err *no_copy, struct err *e)
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
static int fetch_snapshot(struct import_job *j, struct err *e)
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
int import_remove_copy(struct import_job *j)
{
	AUTO_FREE char *journal = path_join(store_import_dir(j->import), STORE_COPY_JOURNAL);
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

int import_fetch(struct import_job *j, struct err *e)
{
	j->disk = path_join(store_import_dir(j->import), STORE_DISK);
	j->parts = path_join(store_import_dir(j->import), STORE_PARTS);
	if (!j->disk || !j->parts)
		return err_nomem(e);
	if (!j->delivery)
		return fetch_as_file(j, e);
	return j->image.delivery == DELIVERY_SNAPSHOT ? fetch_snapshot(j, e)
						      : fetch_by_delivery(j, e);
}
