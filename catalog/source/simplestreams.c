/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simplestreams: the catalogs of Ubuntu, CirrOS, MAAS, LXD and others.
 *
 *   BASE/streams/v1/index.json     "format": "index:1.0", documents by content id
 *   BASE/streams/v1/....json       "format": "products:1.0":
 *     products / PRODUCT / versions / SERIAL / items / ITEM
 *
 * An attribute stands at the item, or above it at version, product or document; the nearest counts.
 * Serials sort as text; the highest is the newest. Of image-downloads, items whose file can hold a
 * disk are listed, with PRODUCT/SERIAL/ITEM as id. Of image-ids, AMIs are, as told of only
 * (catalog_image.elsewhere): their location is the PRODUCT/SERIAL whose download is the same.
 *
 * With a keyring the signed documents (.sjson, OpenPGP clear text) are read and verified by
 * gpgv(1). Not supported: mirrors, local folders.
 */
#include <ctype.h>

#include "catalog/parse.h"
#include "catalog/web.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/stop.h"
#include "lib/str.h"

#define DOCUMENT_LIMIT (64 * MIB)
#define DOCUMENTS_MAX 200
#define GPGV_SECONDS 60

static const struct value_limits limits = {
	.bytes = DOCUMENT_LIMIT,
	.depth = 16,
	.nodes = 4000000,
};

/* ---- documents ------------------------------------------------------------------------------ */

static int check_format(const struct value *root, const char *format, struct err *e)
{
	const struct value *v = value_get(root, "format");
	const char *text;
	int rc = value_expect(root, VALUE_MAP, e);

	if (rc < 0)
		return rc;
	if (!v)
		return value_err(root, e, EBADMSG,
				 "no 'format': this is no simplestreams document");
	rc = value_string(v, &text, e);
	if (rc == 0 && strcmp(text, format) != 0)
		rc = value_err(v, e, ENOTSUP, "'%s', not %s", text, format);
	return rc;
}

/* The text of a member, NULL if there is none or it is no scalar. */
static const char *text_of(const struct value *map, const char *key)
{
	const struct value *v = value_get(map, key);
	const char *text;

	return v && value_text(v, &text, NULL) == 0 ? text : NULL;
}

int simplestreams_index(const char *name, const void *json, size_t len, stream_fn *fn, void *ctx,
			struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	const struct value *index;
	int rc = json_parse(name, json, len, &limits, &root, e);

	if (rc == 0)
		rc = check_format(root, "index:1.0", e);
	if (rc < 0)
		return rc;
	index = value_get(root, "index");
	if (!index)
		return value_err(root, e, EBADMSG, "no 'index'");
	rc = value_expect(index, VALUE_MAP, e);
	if (rc == 0 && index->n_items > DOCUMENTS_MAX)
		rc = value_err(index, e, EFBIG, "more than %d documents", DOCUMENTS_MAX);
	value_foreach (doc, index) {
		const char *type = text_of(doc, "datatype"), *path = text_of(doc, "path");

		if (rc == 0 && type && path)
			rc = fn(ctx, type, path, e);
	}
	return rc;
}

/* ---- products ------------------------------------------------------------------------------- */

enum {
	ITEM,
	VERSION,
	PRODUCT,
	DOCUMENT,
	LEVELS
};

struct reading {
	const struct value *at[LEVELS]; /* where it is, innermost first */
	const char *base;
	bool ids; /* a document of image-ids */
	bool older;
	image_fn *fn;
	void *ctx;
};

/* The nearest attribute of that name. */
static const char *attribute(const struct reading *r, const char *key)
{
	for (int i = 0; i < LEVELS; i++) {
		const char *text = text_of(r->at[i], key);

		if (text)
			return text;
	}
	return NULL;
}

/* The digest of an item, the strongest. */
static int take_digest(const struct reading *r, struct catalog_image *im, struct err *e)
{
	static const enum digest_kind kinds[] = {DIGEST_SHA512, DIGEST_SHA256};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct value *v = value_get(r->at[ITEM], digest_name(kinds[i]));
		const char *hex;

		if (!v)
			continue;
		if (value_string(v, &hex, e) < 0 ||
		    digest_text(kinds[i], hex, &im->digest, NULL) < 0)
			return value_err(v, e, EBADMSG, "this is no %s digest",
					 digest_name(kinds[i]));
		return 0;
	}
	return 0;
}

/* "20240423" or "20240423.1" is the day on which it was made. */
static int take_date(const char *serial, struct catalog_image *im, struct err *e)
{
	if (strspn(serial, "0123456789") < 8)
		return 0;
	im->creation_date = str_format("%.4s-%.2s-%.2s", serial, serial + 4, serial + 6);
	return im->creation_date ? 0 : err_nomem(e);
}

/* What products of both kinds say. */
static int take_common(const struct reading *r, struct catalog_image *im, struct err *e)
{
	const char *arch = attribute(r, "arch"), *codename = attribute(r, "release_codename"),
		   *release = attribute(r, "version"), *label = attribute(r, "label"),
		   *title = attribute(r, "release_title");
	int rc = image_set(&im->architecture, arch ? arch_name(arch) : NULL, e);

	if (rc == 0)
		rc = image_set(&im->os, attribute(r, "os"), e);
	if (rc == 0)
		rc = image_set(&im->release, release ? release : attribute(r, "release"), e);
	if (rc == 0)
		rc = image_set(&im->version, r->at[VERSION]->key, e);
	if (rc == 0)
		rc = image_set(&im->name, attribute(r, "pubname"), e);
	if (rc == 0)
		rc = take_date(r->at[VERSION]->key, im, e);
	if (rc < 0)
		return rc;
	im->is_public = true;
	im->older = r->older;
	im->description = str_format("%s%s%s%s", title ? title : "", title && label ? ", " : "",
				     label ? label : "", "");
	im->words = str_format("%s %s %s", codename ? codename : "",
			       attribute(r, "aliases") ? attribute(r, "aliases") : "",
			       attribute(r, "release") ? attribute(r, "release") : "");
	return im->description && im->words ? 0 : err_nomem(e);
}

static int take_download(const struct reading *r, struct err *e)
{
	AUTO(catalog_image_release) struct catalog_image im = {.delivery = DELIVERY_FILE};
	const struct value *item = r->at[ITEM], *size = value_get(item, "size");
	const char *path = text_of(item, "path"), *ftype = text_of(item, "ftype"), *file;
	int rc;

	if (!path)
		return 0;
	file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	if (!name_is_image(file))
		return 0;
	rc = take_common(r, &im, e);
	if (rc == 0)
		rc = take_digest(r, &im, e);
	if (rc == 0 && size)
		rc = value_u64(size, 1, INT64_MAX, &im.size, e);
	if (rc == 0 && web_join(r->base, path, &im.url, e) < 0)
		rc = value_err(item, e, EBADMSG, "its path '%s' leads nowhere", path);
	if (rc == 0 && !im.name)
		rc = image_set(&im.name, file, e);
	if (rc == 0)
		rc = image_set(&im.format,
			       format_by_name(ftype && format_by_name(ftype) ? ftype : file), e);
	if (rc < 0)
		return rc;
	im.id = str_format("%s/%s/%s", r->at[PRODUCT]->key, r->at[VERSION]->key, item->key);
	return im.id ? r->fn(r->ctx, &im) : err_nomem(e);
}

static int take_ami(const struct reading *r, struct err *e)
{
	AUTO(catalog_image_release) struct catalog_image im = {.elsewhere = true};
	const char *id = text_of(r->at[ITEM], "id"), *region = attribute(r, "crsn");
	int rc;

	if (!id || !str_has_prefix(id, "ami-"))
		return 0;
	rc = take_common(r, &im, e);
	if (rc == 0)
		rc = image_set(&im.id, id, e);
	if (rc == 0)
		rc = image_set(&im.region, region ? region : attribute(r, "region"), e);
	if (rc == 0)
		rc = image_set(&im.root_device_type, attribute(r, "root_store"), e);
	if (rc == 0)
		rc = image_set(&im.virtualization, attribute(r, "virt"), e);
	if (rc < 0)
		return rc;
	im.location = str_format("%s/%s", r->at[PRODUCT]->key, r->at[VERSION]->key);
	return im.location ? r->fn(r->ctx, &im) : err_nomem(e);
}

static int take_version(struct reading *r, struct err *e)
{
	const struct value *items = value_get(r->at[VERSION], "items");
	int rc = items ? value_expect(items, VALUE_MAP, e) : 0;

	value_foreach (item, items) {
		if (rc != 0)
			break;
		r->at[ITEM] = item;
		rc = value_expect(item, VALUE_MAP, e);
		if (rc == 0)
			rc = r->ids ? take_ami(r, e) : take_download(r, e);
	}
	return rc;
}

static int take_product(struct reading *r, struct err *e)
{
	const struct value *versions = value_get(r->at[PRODUCT], "versions");
	const char *newest = "";
	int rc = versions ? value_expect(versions, VALUE_MAP, e) : 0;

	value_foreach (v, versions) {
		if (rc == 0 && strcmp(v->key, newest) > 0)
			newest = v->key;
	}
	value_foreach (v, versions) {
		if (rc != 0)
			break;
		r->at[VERSION] = v;
		r->older = strcmp(v->key, newest) != 0;
		rc = value_expect(v, VALUE_MAP, e);
		if (rc == 0)
			rc = take_version(r, e);
	}
	return rc;
}

int simplestreams_products(const char *name, const void *json, size_t len, const char *base,
			   image_fn *fn, void *ctx, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	struct reading r = {.base = base, .fn = fn, .ctx = ctx};
	const struct value *products;
	const char *type;
	int rc = json_parse(name, json, len, &limits, &root, e);

	if (rc == 0)
		rc = check_format(root, "products:1.0", e);
	if (rc < 0)
		return rc;
	products = value_get(root, "products");
	if (!products)
		return value_err(root, e, EBADMSG, "no 'products'");
	rc = value_expect(products, VALUE_MAP, e);
	type = text_of(root, "datatype");
	r.ids = type && strcmp(type, "image-ids") == 0;
	r.at[DOCUMENT] = root;
	value_foreach (product, products) {
		if (rc != 0)
			break;
		r.at[PRODUCT] = product;
		rc = value_expect(product, VALUE_MAP, e);
		if (rc == 0)
			rc = take_product(&r, e);
	}
	return rc;
}

/* ---- fetching ------------------------------------------------------------------------------- */

struct stream {
	struct session *session;
	char *base;
	image_fn *fn;
	void *ctx;
	unsigned documents;
};

/* Takes the signed text out of text, if it is signed by a key of the keyring. */
static int verify(const char *keyring, const char *url, struct buf *text, struct err *e)
{
	const char *const argv[] = {"gpgv", "--keyring", keyring, "--output", "-", "-", NULL};
	AUTO_BUF plain = BUF_INIT;
	int rc;

	if (*keyring != '/')
		return err_set(e, EINVAL, "the keyring '%s' is no absolute path", keyring);
	rc = proc_run(argv, text->data, text->len, &plain, DOCUMENT_LIMIT, GPGV_SECONDS, e);
	if (rc == -ENOENT)
		return err_set(e, ENOENT, "gpgv is not installed: '%s' cannot be verified", url);
	if (rc < 0)
		return err_wrap(e, "'%s': its signature does not verify", url);
	buf_release(text);
	*text = plain;
	plain = BUF_INIT;
	return 0;
}

static int fetch(struct stream *t, const char *path, struct buf *ret, char **ret_url, struct err *e)
{
	const char *keyring = t->session->source->keyring;
	int rc = web_join(t->base, path, ret_url, e);

	if (rc == 0)
		rc = stop_check(e);
	if (rc == 0)
		rc = web_document(t->session, *ret_url, NULL, DOCUMENT_LIMIT, ret, e);
	if (rc == 0 && keyring)
		rc = verify(keyring, *ret_url, ret, e);
	return rc;
}

static int take_stream(void *ctx, const char *datatype, const char *path, struct err *e)
{
	struct stream *t = ctx;
	AUTO_BUF text = BUF_INIT;
	AUTO_FREE char *url = NULL;
	bool ids = strcmp(datatype, "image-ids") == 0;
	int rc;

	/* Of the clouds whose ids are told we only know what to do with those of AWS. */
	if (ids && !strstr(path, "aws"))
		return 0;
	if (!ids && strcmp(datatype, "image-downloads") != 0)
		return 0;
	rc = fetch(t, path, &text, &url, e);
	if (rc < 0)
		return rc;
	return simplestreams_products(url, text.data, text.len, t->base, t->fn, t->ctx, e);
}

static int simplestreams_list(struct session *s, const struct list_filter *f, image_fn *fn,
			      void *ctx, struct err *e)
{
	const char *url = s->source->url, *streams = strstr(url, "streams/v1/");
	size_t n = streams ? (size_t)(streams - url) : strlen(url);
	struct stream t = {.session = s, .fn = fn, .ctx = ctx};
	AUTO_FREE char *base = str_format("%.*s%s", (int)n, url, n && url[n - 1] == '/' ? "" : "/");
	AUTO_FREE char *index_url = NULL;
	AUTO_BUF index = BUF_INIT;
	int rc;

	(void)f;
	if (!base)
		return err_nomem(e);
	t.base = base;
	rc = fetch(&t, s->source->keyring ? "streams/v1/index.sjson" : "streams/v1/index.json",
		   &index, &index_url, e);
	if (rc == 0)
		rc = simplestreams_index(index_url, index.data, index.len, take_stream, &t, e);
	return rc;
}

const struct source_type source_simplestreams = {
	.name = "simplestreams",
	.summary = "simplestreams, as Ubuntu and CirrOS publish them",
	.keys = "!url keyring",
	.max_age_s = 6 * 3600,
	.list = simplestreams_list,
};
