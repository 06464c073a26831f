/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bucket of S3, or what lies below a prefix in it, by ListObjectsV2: image files, and EC2 bundles
 * by their manifests (*.manifest.xml). An image's id is its key, or s3://BUCKET/KEY.
 */
#include "lib/s3.h"
#include "catalog/paging.h"
#include "catalog/parse.h"
#include "lib/str.h"

#define PAGE_LIMIT (8 * MIB)
#define PAGES_MAX 10000
#define TOKEN_MAX 4096

static bool s3_owns(const char *id)
{
	return s3_url_is(id);
}

static const char *base_name(const char *key)
{
	const char *slash = strrchr(key, '/');

	return slash ? slash + 1 : key;
}

static bool is_manifest(const char *key)
{
	return str_has_suffix(key, ".manifest.xml");
}

/* What there is at bucket and key, whose key is not empty. */
static int fill(const char *bucket, const char *key, struct catalog_image *im, struct err *e)
{
	const char *name = base_name(key);
	int rc = image_set(&im->bucket, bucket, e);

	if (rc == 0)
		rc = image_set(&im->key, key, e);
	if (rc == 0)
		rc = image_set(&im->name, name, e);
	if (rc == 0)
		rc = guess_by_name(name, im, e);
	if (rc < 0)
		return rc;
	if (is_manifest(key)) {
		im->delivery = DELIVERY_BUNDLE;
		im->location = str_format("%s/%s", bucket, key);
		return im->location ? 0 : err_nomem(e);
	}
	im->delivery = DELIVERY_FILE;
	im->url = str_format("s3://%s/%s", bucket, key);
	rc = im->url ? image_set(&im->format, format_by_name(name), e) : err_nomem(e);
	return rc;
}

/* ---- listing -------------------------------------------------------------------------------- */

static int take_object(const struct xml_node *node, const char *bucket, image_fn *fn, void *ctx,
		       struct err *e)
{
	AUTO(catalog_image_release) struct catalog_image im = {0};
	const char *key;
	int rc = xml_need_text(node, "Key", &key, e);

	if (rc < 0)
		return rc;
	if (!is_manifest(key) && !name_is_image(base_name(key)))
		return 0;
	rc = fill(bucket, key, &im, e);
	if (rc == 0)
		rc = image_set(&im.id, key, e);
	if (rc == 0)
		rc = image_set(&im.creation_date, xml_child_text(node, "LastModified", NULL), e);
	if (rc == 0)
		rc = xml_need_u64(node, "Size", 0, INT64_MAX, &im.size, e);
	if (rc == 0 && is_manifest(key))
		im.size = 0; /* the manifest's alone */
	return rc < 0 ? rc : fn(ctx, &im);
}

int s3_objects(const char *name, const void *xml, size_t len, const char *bucket, image_fn *fn,
	       void *ctx, char **ret_next, struct err *e)
{
	AUTO(xml_free) struct xml_node *root = NULL;
	const char *token;
	int rc = xml_parse(name, xml, len, NULL, &root, e);

	if (rc < 0)
		return rc;
	for (const struct xml_node *c = xml_child(root, "Contents"); c && rc == 0;
	     c = xml_next(c, "Contents"))
		rc = take_object(c, bucket, fn, ctx, e);
	if (rc != 0 || strcmp(xml_child_text(root, "IsTruncated", "false"), "true") != 0)
		return rc;
	rc = xml_need_text(root, "NextContinuationToken", &token, e);
	if (rc == 0 && (!*token || strlen(token) > TOKEN_MAX))
		rc = xml_err(root, e, EBADMSG, "it has a next page, but no token for that");
	return rc < 0 ? rc : image_set(ret_next, token, e);
}

static int list_page(struct session *s, const char *token, struct httpc_response *r, struct err *e)
{
	struct aws_param query[4] = {{"list-type", "2"}, {"max-keys", "1000"}};
	struct aws_request req = {
		.method = HTTPC_GET,
		.service = "s3",
		.bucket = s->source->bucket,
		.path = "/",
		.query = query,
		.n_query = 2,
		.max_body = PAGE_LIMIT,
		.note = session_note,
		.note_opaque = s,
	};

	if (s->source->prefix)
		query[req.n_query++] = (struct aws_param){"prefix", s->source->prefix};
	if (token)
		query[req.n_query++] = (struct aws_param){"continuation-token", token};
	return aws_send(s->aws, s->http, &req, r, NULL, e);
}

static int s3_list(struct session *s, const struct list_filter *f, image_fn *fn, void *ctx,
		   struct err *e)
{
	const char *bucket = s->source->bucket;
	AUTO(paging_release) struct paging pages = {.most = PAGES_MAX};
	AUTO_FREE char *token = NULL;

	(void)f;
	if (!bucket)
		return err_set(e, EINVAL, "the source names no bucket");
	for (;;) {
		AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
		AUTO_FREE char *next = NULL;
		int rc = list_page(s, token, &r, e);

		if (rc == 0)
			rc = s3_objects("ListObjectsV2", r.body.data, r.body.len, bucket, fn, ctx,
					&next, e);
		if (rc < 0)
			return err_wrap(e, "listing 's3://%s/%s'", bucket,
					s->source->prefix ? s->source->prefix : "");
		if (rc != 0 || !next)
			return rc;
		rc = paging_next(&pages, next, false, e);
		if (rc < 0)
			return err_wrap(e, "listing 's3://%s'", bucket);
		free(token);
		token = STEAL(next);
	}
}

/* By its key, or by the whole address. What there is, the fetch finds out. */
static int s3_find(struct session *s, const char *id, struct catalog_image *ret, struct err *e)
{
	AUTO(catalog_image_release) struct catalog_image im = {0};
	AUTO(s3_url_release) struct s3_url url = {0};
	int rc;

	if (!s3_url_is(id) && !s->source->bucket)
		return err_set(e, EINVAL, "the source names no bucket");
	rc = s3_url_is(id) ? s3_url_parse(id, &url, e) : 0;
	if (rc < 0)
		return rc;
	if (url.key && !*url.key)
		return err_set(e, EINVAL, "'%s' is a bucket, no object in it", id);
	rc = fill(url.bucket ? url.bucket : s->source->bucket, url.key ? url.key : id, &im, e);
	if (rc == 0)
		rc = image_set(&im.id, id, e);
	if (rc < 0)
		return rc;
	*ret = im;
	im = (struct catalog_image){0};
	return 0;
}

const struct source_type source_s3 = {
	.name = "s3",
	.summary = "image files and EC2 bundles in a bucket of S3",
	.keys = "bucket prefix region endpoint-url profile",
	.aws = true,
	.owns = s3_owns,
	.find = s3_find,
	.list = s3_list,
};
