/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the store is whole: see catalog/store.h. What parses an image does so in a sandbox. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "catalog/store_private.h"
#include "imgconv/confine.h"
#include "lib/fs.h"
#include "lib/stop.h"
#include "lib/str.h"

/* Disks that were looked at in this run: several images may have the same. */
struct seen {
	char **files; /* n_files */
	size_t n_files;
};

struct look {
	struct store *store;
	bool quick;
	store_finding_fn *tell;
	void *ctx;
	const char *image; /* that is being looked at */
	struct seen seen;
};

static void look_release(struct look *l)
{
	for (size_t i = 0; i < l->seen.n_files; i++)
		free(l->seen.files[i]);
	free(l->seen.files);
}
DEFINE_AUTO_STRUCT(struct look, look_release);

static void PRINTF_LIKE(3, 4) say(const struct look *l, bool fault, const char *fmt, ...)
{
	AUTO_BUF text = BUF_INIT;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = buf_vaddf(&text, fmt, ap);
	va_end(ap);
	l->tell(l->ctx, fault, l->image, rc < 0 ? "out of memory" : buf_str(&text));
}

static int first_time(struct look *l, const char *file, bool *ret, struct err *e)
{
	char **grown;

	*ret = false;
	for (size_t i = 0; i < l->seen.n_files; i++) {
		if (strcmp(l->seen.files[i], file) == 0)
			return 0;
	}
	grown = reallocarray(l->seen.files, l->seen.n_files + 1, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	l->seen.files = grown;
	grown[l->seen.n_files] = strdup(file);
	if (!grown[l->seen.n_files])
		return err_nomem(e);
	l->seen.n_files++;
	*ret = true;
	return 0;
}

/* ---- the structure of a QCOW2 -------------------------------------------------------------------- */

struct structure {
	const char *path;
	uint64_t n_errors;
	char text[512]; /* of the first error */
	char base[128]; /* "" none */
};

static void take_base(struct structure *s, const struct image_info *info)
{
	for (size_t i = 0; i < info->n_facts; i++) {
		if (strcmp(info->facts[i].key, "backing-file") == 0)
			snprintf(s->base, sizeof(s->base), "%s", info->facts[i].text);
	}
}

static int check_structure(void *ctx, struct err *e)
{
	const struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_INSPECT};
	struct structure *s = ctx;
	AUTO(image_close) struct image *im = NULL;
	AUTO(image_info_release) struct image_info info = {0};
	AUTO(image_check_release) struct image_check check = {0};
	int rc = image_open(s->path, &o, &im, e);

	if (rc == 0)
		rc = image_info_read(im, &info, e);
	if (rc == 0)
		rc = image_check_read(im, &check, NULL, e);
	if (rc < 0)
		return rc;
	take_base(s, &info);
	s->n_errors = check.n_errors;
	for (size_t i = 0; i < check.n_findings && !s->text[0]; i++) {
		if (check.findings[i].kind == IMAGE_FINDING_ERROR)
			snprintf(s->text, sizeof(s->text), "%s", check.findings[i].text);
	}
	return 0;
}

/* ---- disks ------------------------------------------------------------------------------------------ */

static int look_at_digest(const struct look *l, const char *path, const char *file, struct err *e)
{
	char named[STORE_DIGEST_TEXT], found[STORE_DIGEST_TEXT];
	int rc;

	if (l->quick)
		return 0;
	store_digest_text(file, named);
	rc = store_digest_again(path, file, found, e);
	if (rc == 0 && strcmp(found, named) != 0)
		say(l, true, "the disk '%s' has the digest %s", path, found);
	return rc;
}

/* A file of disks/ and, one after the other, its bases. */
static int look_at_disk(struct look *l, const char *file, struct err *e)
{
	AUTO_FREE char *next = strdup(file);
	int rc = next ? 0 : err_nomem(e);

	while (rc == 0) {
		AUTO_FREE char *path = path_join(l->store->disks, next);
		struct structure s = {.path = path};
		const struct confine_file given = {.path = path};
		const struct confine c = {.files = &given,
					  .n_files = 1,
					  .run = check_structure,
					  .ctx = &s,
					  .result = &s,
					  .result_len = sizeof(s)};
		struct err why;
		bool first;

		rc = path ? first_time(l, next, &first, e) : err_nomem(e);
		if (rc == 0)
			rc = stop_check(e);
		if (rc < 0 || !first)
			return rc;
		if (access(path, R_OK) < 0) {
			say(l, true, "the disk '%s' is missing", path);
			return 0;
		}
		if (store_is_fixed(next))
			rc = look_at_digest(l, path, next, e);
		if (rc < 0)
			return rc;
		if (confine_run(&c, &why) < 0) {
			say(l, true, "%s", why.msg);
			return 0;
		}
		s.text[sizeof(s.text) - 1] = s.base[sizeof(s.base) - 1] = '\0';
		if (s.n_errors)
			say(l, true, "the disk '%s' has %llu errors in its structure: %s", path,
			    (unsigned long long)s.n_errors, s.text);
		if (!s.base[0])
			return 0;
		if (!store_is_fixed(s.base)) {
			say(l, true, "the disk '%s' has the base '%s', which is none of the store",
			    path, s.base);
			return 0;
		}
		free(next);
		next = strdup(s.base);
		rc = next ? 0 : err_nomem(e);
	}
	return rc;
}

/* ---- images ------------------------------------------------------------------------------------------ */

static void look_at_record(const struct look *l, unsigned n_disks)
{
	AUTO(value_free) struct value *record = NULL;
	struct err why;
	const char *name;

	if (store_record(l->store, l->image, &record, &why) < 0) {
		say(l, true, "%s", why.msg);
		return;
	}
	name = store_text(record, "name");
	if (name && strcmp(name, l->image) != 0)
		say(l, true, "its record is of '%s'", name);
	for (unsigned n = 0; n < n_disks; n++) {
		AUTO(store_disk_release) struct store_disk d = {0};
		char path[32];
		const char *file;

		snprintf(path, sizeof(path), "disks/%u/file", n);
		file = store_text(record, path);
		if (file && store_is_fixed(file) &&
		    store_find_disk(l->store, l->image, n, &d, NULL) == 0 &&
		    d.kind == STORE_DISK_FIXED && strcmp(d.file, file) != 0)
			say(l, true, "its record names the disk '%s', its link '%s'", file, d.file);
	}
}

static int look_at_image(struct look *l, struct err *e)
{
	struct err why;
	unsigned n_disks = 0;
	int rc = store_count_disks(l->store, l->image, &n_disks, &why);

	if (rc == -ENOENT || rc == -ENOMEM)
		return err_set(e, -rc, "%s", why.msg);
	if (rc < 0)
		say(l, true, "%s", why.msg);
	look_at_record(l, n_disks);
	rc = 0;
	for (unsigned n = 0; rc == 0 && n < n_disks; n++) {
		AUTO(store_disk_release) struct store_disk d = {0};

		if (store_find_disk(l->store, l->image, n, &d, &why) < 0)
			say(l, true, "%s", why.msg);
		else if (d.kind == STORE_DISK_OLD)
			say(l, false, "its disk is from an older store, and has no digest yet");
		else
			rc = look_at_disk(l, d.file, e);
	}
	return rc;
}

static int look_at_one(void *ctx, const char *name, struct err *e)
{
	struct look *l = ctx;

	l->image = name;
	if (store_check_name(name, NULL) < 0) {
		say(l, false, "not a name of an image");
		return 0;
	}
	return look_at_image(l, e);
}

static void tell_garbage(void *ctx, const char *text)
{
	const struct look *l = ctx;

	say(l, false, "not needed (catalog gc removes it): %s", text);
}

int store_verify(struct store *s, const char *name, bool quick, store_finding_fn *tell, void *ctx,
		 struct err *e)
{
	AUTO(look_release)
	struct look l = {.store = s, .quick = quick, .tell = tell, .ctx = ctx, .image = name};
	struct store_garbage garbage;
	struct err why;
	int rc;

	if (name)
		return look_at_image(&l, e);
	rc = store_each(s->images, look_at_one, &l, e);
	l.image = NULL;
	if (rc == 0 && store_gc(s, STORE_GC_DRY_RUN, tell_garbage, &l, &garbage, &why) < 0)
		say(&l, true, "%s", why.msg);
	return rc;
}
