/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenNebula's marketplace: its service, and appliances as YAML.
 *
 *   GET BASE/appliance                    {"appliances": [{"_id", "name", "files": [...]}]}
 *   GET BASE/appliance/ID/download/N      file number N, mostly by a redirect
 *   FILE.yaml, or a folder of them        name, version, images: [{url, checksum: {md5, sha256}}]
 *
 * Appliances of several files (templates, services) are listed file by file where the files are
 * told. An appliance's `size` is that of the disk, not of the file.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "catalog/parse.h"
#include "catalog/web.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/stop.h"
#include "lib/str.h"
#include "lib/yaml.h"

#define DOCUMENT_LIMIT (32 * MIB)
#define FILES_MAX 100
#define FOLDER_FILES_MAX 10000
#define FOLDER_DEPTH 4
/* The service leaves out what an older OpenNebula could not use, and tells others nothing. */
#define USER_AGENT "User-Agent: OpenNebula 6.10.0 CE (Market Driver)"

static const struct value_limits limits = {
	.bytes = DOCUMENT_LIMIT,
	.depth = 32,
	.nodes = 1000000,
};

static const char *text_of(const struct value *map, const char *key)
{
	const struct value *v = value_get(map, key);
	const char *text;

	return v && value_text(v, &text, NULL) == 0 ? text : NULL;
}

/* Seconds since 1970, as a number or as text. */
static int take_time(const struct value *v, char **ret, struct err *e)
{
	const char *text;
	uint64_t seconds;
	time_t t;
	struct tm tm;
	char date[32];

	if (!v || value_text(v, &text, NULL) < 0 ||
	    str_to_u64(text, 1, UINT64_C(253402300799), &seconds, NULL) < 0)
		return 0;
	t = (time_t)seconds;
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	return image_set(ret, date, e);
}

/* The digest of a file, the strongest that is told: beside it or in `checksum`. */
static int take_digest(const struct value *file, struct catalog_image *im, struct err *e)
{
	static const enum digest_kind kinds[] = {DIGEST_SHA512, DIGEST_SHA256, DIGEST_MD5};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *key = digest_name(kinds[i]);
		const char *hex = text_of(value_get(file, "checksum"), key);

		if (!hex)
			hex = text_of(file, key);
		if (!hex || !*hex)
			continue;
		if (digest_text(kinds[i], hex, &im->digest, NULL) < 0)
			return value_err(file, e, EBADMSG, "'%s' is no %s digest", hex, key);
		return 0;
	}
	return 0;
}

static int take_size(const struct value *file, struct catalog_image *im)
{
	const char *text = text_of(file, "size");

	/* What is no number is not told: it only says how large the disk is. */
	if (text)
		(void)str_to_u64(text, 1, INT64_MAX, &im->virtual_size, NULL);
	return 0;
}

static int take_tags(const struct value *app, char **ret, struct err *e)
{
	const struct value *tags = value_get(app, "tags");
	AUTO_BUF words = BUF_INIT;

	value_foreach (tag, tags) {
		const char *text;

		if (value_text(tag, &text, NULL) == 0 &&
		    buf_addf(&words, "%s%s", words.len ? " " : "", text) < 0)
			return err_nomem(e);
	}
	return image_set(ret, buf_str(&words), e);
}

/* What an appliance says of all its files. */
static int take_common(const struct value *app, const struct value *file, struct catalog_image *im,
		       struct err *e)
{
	const char *arch = text_of(app, "os-arch"), *about = text_of(app, "short_description"),
		   *format = text_of(app, "format"), *own = text_of(file, "format");
	int rc = image_set(&im->name, text_of(app, "name"), e);

	format = own ? own : format;
	if (rc == 0)
		rc = image_set(&im->description, about ? about : text_of(app, "description"), e);
	if (rc == 0)
		rc = image_set(&im->version, text_of(app, "version"), e);
	if (rc == 0)
		rc = image_set(&im->owner, text_of(app, "publisher"), e);
	if (rc == 0)
		rc = image_set(&im->os, text_of(app, "os-id"), e);
	if (rc == 0)
		rc = image_set(&im->release, text_of(app, "os-release"), e);
	if (rc == 0)
		rc = image_set(&im->architecture, arch ? arch_name(arch) : NULL, e);
	if (rc == 0 && format && format_by_name(format) == NULL) {
		AUTO_FREE char *name = str_format("x.%s", format);

		rc = name ? image_set(&im->format, format_by_name(name), e) : err_nomem(e);
	}
	if (rc == 0)
		rc = take_time(value_get(app, "creation_time"), &im->creation_date, e);
	if (rc == 0)
		rc = take_tags(app, &im->words, e);
	if (rc == 0)
		rc = take_digest(file, im, e);
	im->is_public = true;
	return rc < 0 ? rc : take_size(file, im);
}

/* Sets url and the delivery; what is no address of the web cannot be fetched. */
static int take_url(const char *base, const char *ref, struct catalog_image *im, struct err *e)
{
	struct err why;

	if (web_join(base, ref, &im->url, &why) < 0) {
		im->why_not = str_format("its address '%s' is none of the web", ref);
		return im->why_not ? 0 : err_nomem(e);
	}
	im->delivery = DELIVERY_FILE;
	return 0;
}

/* Names of files are all there is that could tell more. */
static int guess(struct catalog_image *im, struct err *e)
{
	struct catalog_image told = {0};
	int rc = im->name ? guess_by_name(im->name, &told, e) : 0;

	if (rc == 0 && !im->architecture)
		im->architecture = STEAL(told.architecture);
	catalog_image_release(&told);
	return rc;
}

/* ---- the service ------------------------------------------------------------------------------ */

static int take_service_file(const struct value *app, const char *id, const struct value *file,
			     size_t n, size_t count, const char *base, image_fn *fn, void *ctx,
			     struct err *e)
{
	AUTO(catalog_image_release) struct catalog_image im = {0};
	AUTO_FREE char *ref = NULL;
	AUTO_BUF quoted = BUF_INIT;
	int rc;

	if (httpc_percent_encode(id, strlen(id), false, &quoted) < 0)
		return err_nomem(e);
	ref = str_format("appliance/%s/download/%zu", buf_str(&quoted), n);
	im.id = count == 1 ? strdup(id) : str_format("%s/%zu", id, n);
	if (!ref || !im.id)
		return err_nomem(e);
	rc = take_common(app, file, &im, e);
	if (rc == 0)
		rc = guess(&im, e);
	if (rc == 0)
		rc = take_url(base, ref, &im, e);
	return rc < 0 ? rc : fn(ctx, &im);
}

static int take_appliance(const struct value *app, const char *base, image_fn *fn, void *ctx,
			  struct err *e)
{
	const struct value *files = value_get(app, "files"), *id_value = value_get(app, "_id");
	const char *id = text_of(id_value, "$oid"), *type = text_of(app, "type");
	size_t n = 0, count = files ? files->n_items : 0;
	int rc = 0;

	if (!id && id_value)
		(void)value_text(id_value, &id, NULL);
	if (!id || !*id || (type && strcmp(type, "IMAGE") != 0 && !files))
		return 0;
	if (files && files->kind != VALUE_LIST)
		return value_err(files, e, EBADMSG, "files are a list");
	if (count > FILES_MAX)
		return value_err(files, e, EFBIG, "more than %d files", FILES_MAX);
	value_foreach (file, files) {
		if (rc != 0)
			break;
		rc = take_service_file(app, id, file, n++, count, base, fn, ctx, e);
	}
	return rc;
}

int opennebula_json(const char *name, const void *json, size_t len, const char *base, image_fn *fn,
		    void *ctx, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	const struct value *list;
	int rc = json_parse(name, json, len, &limits, &root, e);

	if (rc < 0)
		return rc;
	list = value_get(root, "appliances");
	if (!list)
		return value_err(root, e, EBADMSG, "no 'appliances': this is no marketplace");
	rc = value_expect(list, VALUE_LIST, e);
	value_foreach (app, list) {
		if (rc != 0)
			break;
		rc = value_expect(app, VALUE_MAP, e);
		if (rc == 0)
			rc = take_appliance(app, base, fn, ctx, e);
	}
	return rc;
}

/* ---- YAML --------------------------------------------------------------------------------------- */

int opennebula_yaml(const char *name, const void *yaml, size_t len, const char *id, image_fn *fn,
		    void *ctx, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	const struct value *images;
	size_t n = 0, count;
	int rc = yaml_parse(name, yaml, len, &limits, &root, e);

	if (rc == 0)
		rc = value_expect(root, VALUE_MAP, e);
	if (rc < 0)
		return rc;
	images = value_get(root, "images");
	count = images ? images->n_items : 0;
	if (images && images->kind != VALUE_LIST)
		return value_err(images, e, EBADMSG, "images are a list");
	if (count > FILES_MAX)
		return value_err(images, e, EFBIG, "more than %d images", FILES_MAX);
	value_foreach (file, images) {
		AUTO(catalog_image_release) struct catalog_image im = {0};
		const char *url = text_of(file, "url");

		if (rc != 0)
			break;
		if (!url)
			continue;
		im.id = count == 1 ? strdup(id) : str_format("%s/%zu", id, n);
		n++;
		rc = im.id ? take_common(root, file, &im, e) : err_nomem(e);
		if (rc == 0)
			rc = guess(&im, e);
		if (rc == 0)
			rc = take_url("http://invalid./", url, &im, e);
		if (rc == 0 && im.url && str_has_prefix(im.url, "http://invalid./"))
			rc = value_err(file, e, EBADMSG, "its address '%s' is not whole", url);
		if (rc == 0)
			rc = fn(ctx, &im);
	}
	return rc;
}

static bool is_yaml(const char *name)
{
	return str_has_suffix(name, ".yaml") || str_has_suffix(name, ".yml");
}

struct folder {
	image_fn *fn;
	void *ctx;
	unsigned files;
};

static int take_yaml_file(struct folder *f, const char *path, const char *name, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_FREE char *id = strndup(name, (size_t)(strrchr(name, '.') - name));
	int rc = id ? fs_read_file(path, DOCUMENT_LIMIT, &text, e) : err_nomem(e);

	if (rc == 0 && ++f->files > FOLDER_FILES_MAX)
		rc = err_set(e, EFBIG, "more than %d files", FOLDER_FILES_MAX);
	return rc < 0 ? rc : opennebula_yaml(path, text.data, text.len, id, f->fn, f->ctx, e);
}

static int walk(struct folder *f, const char *dir, unsigned depth, struct err *e)
{
	struct dirent **list = NULL;
	int n = scandir(dir, &list, NULL, alphasort), rc = 0;

	if (n < 0)
		return err_errno(e, errno, "reading '%s'", dir);
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		AUTO_FREE char *path = path_join(dir, name);
		struct stat st;

		if (!path)
			rc = err_nomem(e);
		if (rc == 0)
			rc = stop_check(e);
		if (rc == 0 && *name != '.' && lstat(path, &st) == 0) {
			if (S_ISDIR(st.st_mode) && depth)
				rc = walk(f, path, depth - 1, e);
			else if (S_ISREG(st.st_mode) && is_yaml(name))
				rc = take_yaml_file(f, path, name, e);
		}
		free(list[i]);
	}
	free(list);
	return rc;
}

/* ---- the source ----------------------------------------------------------------------------------- */

static int opennebula_list(struct session *s, const struct list_filter *filter, image_fn *fn,
			   void *ctx, struct err *e)
{
	const char *url = s->source->url;
	size_t n = strlen(url);
	AUTO_FREE char *base = NULL, *list = NULL;
	AUTO_BUF text = BUF_INIT;
	int rc;

	(void)filter;
	if (!str_has_prefix(url, "http://") && !str_has_prefix(url, "https://")) {
		struct folder f = {.fn = fn, .ctx = ctx};

		url += str_has_prefix(url, "file://") ? strlen("file://") : 0;
		if (*url != '/')
			return err_set(e, EINVAL,
				       "'%s' is neither a web address nor an absolute path", url);
		return walk(&f, url, FOLDER_DEPTH, e);
	}
	if (is_yaml(url)) {
		const char *name = strrchr(url, '/') + 1;
		AUTO_FREE char *id = strndup(name, (size_t)(strrchr(name, '.') - name));

		rc = id ? web_document(s, url, NULL, DOCUMENT_LIMIT, &text, e) : err_nomem(e);
		return rc < 0 ? rc : opennebula_yaml(url, text.data, text.len, id, fn, ctx, e);
	}
	base = str_format("%s%s", url, url[n - 1] == '/' ? "" : "/");
	list = base ? str_format("%sappliance", base) : NULL;
	if (!list)
		return err_nomem(e);
	rc = web_document(s, list, USER_AGENT, DOCUMENT_LIMIT, &text, e);
	return rc < 0 ? rc : opennebula_json(list, text.data, text.len, base, fn, ctx, e);
}

const struct source_type source_opennebula = {
	.name = "opennebula",
	.summary = "OpenNebula's marketplace, or its appliances as YAML",
	.keys = "!url",
	.max_age_s = 6 * 3600,
	.list = opennebula_list,
};
