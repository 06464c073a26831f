/* SPDX-License-Identifier: Apache-2.0 */
/* The record of an import: see catalog/import_job.h. */
#include <time.h>

#include "catalog/disk_look.h"
#include "catalog/import_job.h"
#include "catalog/web.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/str.h"

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

/* Without what is behind the "?" of an address, which may be a token that somebody was given. */
static int json_image(struct jsonw *w, const struct catalog_image *im, struct err *e)
{
	struct catalog_image shown = *im;
	AUTO_FREE char *url = NULL;

	if (im->url && str_has_prefix(im->url, "http")) {
		shown.url = url = strndup(im->url, (size_t)web_shown(im->url));
		if (!url)
			return err_nomem(e);
	}
	catalog_image_json(w, &shown);
	return 0;
}

/* Where the image came from. */
static int json_source(const struct import_job *j, struct jsonw *w, struct err *e)
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
	rc = json_image(w, &j->image, e);
	if (rc == 0 && j->wanted.id) {
		jsonw_object(w, "in-place-of");
		rc = json_image(w, &j->wanted, e);
		jsonw_close(w);
	}
	jsonw_close(w);
	return rc;
}

static const char *layout(const struct import_job *j)
{
	if (!j->partition)
		return "disk";
	return j->target || j->booted ? "partition at 1 MiB" : "partition";
}

int import_write_record(const struct import_job *j, struct err *e)
{
	struct disk_look disk = {0};
	AUTO_FREE char *path = path_join(store_import_dir(j->import), STORE_RECORD);
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	char now[32];
	time_t t = time(NULL);
	struct tm tm;
	int rc = path ? disk_look(j->disk, &disk, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "name", j->name);
	jsonw_string(&w, "imported", now);
	jsonw_string(&w, "format", "qcow2");
	jsonw_u64(&w, "virtual-size", disk.size);
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
