/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenStack's image service, Glance v2, with a token, one of Keystone v3, or none.
 *
 *   POST AUTH/v3/auth/tokens          X-Subject-Token; in the body the catalog of endpoints
 *   GET  GLANCE/v2/images?limit=N     {"images": [...], "next": "/v2/images?marker=..."}
 *   GET  GLANCE/v2/images/ID/file     the data; as long as os_hash_value says
 *
 * What the configuration does not say comes from the environment that OpenStack's own client reads:
 * OS_TOKEN, OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME, OS_USER_DOMAIN_NAME,
 * OS_PROJECT_DOMAIN_NAME, OS_REGION_NAME, OS_IMAGE_ENDPOINT_OVERRIDE. Keystone's v2, federation and
 * Glance v1 are not supported.
 */
#include <stdio.h>

#include "catalog/paging.h"
#include "catalog/parse.h"
#include "catalog/web.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/stop.h"
#include "lib/str.h"

#define PAGE_LIMIT (16 * MIB)
#define PAGES_MAX 10000
#define PAGE_SIZE "200"
#define TOKEN_LIMIT 65536

static const struct value_limits limits = {.bytes = PAGE_LIMIT, .depth = 24, .nodes = 1000000};

static const char *text_of(const struct value *map, const char *key)
{
	const struct value *v = value_get(map, key);
	const char *text;

	return v && value_text(v, &text, NULL) == 0 ? text : NULL;
}

/* ---- images ------------------------------------------------------------------------------------ */

/* Glance's disk_format as imgconv's. NULL: none that imgconv reads. */
static const char *format_of(const char *disk_format)
{
	static const char *const same[] = {"raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx"};

	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		if (strcmp(disk_format, same[i]) == 0)
			return same[i];
	}
	/* An Amazon machine image is a bare partition; the kernel lies beside it. */
	return strcmp(disk_format, "ami") == 0 ? "raw" : NULL;
}

static int take_digest(const struct value *image, struct catalog_image *im, struct err *e)
{
	const char *algo = text_of(image, "os_hash_algo"), *hash = text_of(image, "os_hash_value"),
		   *md5 = text_of(image, "checksum");
	enum digest_kind kind;

	if (algo && hash && *hash && value_get(image, "os_hash_value")->kind != VALUE_NULL &&
	    digest_by_name(algo, &kind, NULL) == 0) {
		if (digest_text(kind, hash, &im->digest, NULL) < 0)
			return value_err(value_get(image, "os_hash_value"), e, EBADMSG,
					 "this is no %s digest", algo);
		return 0;
	}
	if (!md5 || value_get(image, "checksum")->kind != VALUE_STRING || !*md5)
		return 0;
	if (digest_text(DIGEST_MD5, md5, &im->digest, NULL) < 0)
		return value_err(value_get(image, "checksum"), e, EBADMSG, "this is no MD5 digest");
	return 0;
}

/* A text that may be null. */
static int take(const struct value *image, const char *key, char **ret, struct err *e)
{
	const struct value *v = value_get(image, key);

	return v && v->kind == VALUE_STRING ? image_set(ret, text_of(image, key), e) : 0;
}

static int take_number(const struct value *image, const char *key, uint64_t *ret, struct err *e)
{
	const struct value *v = value_get(image, key);

	return v && v->kind != VALUE_NULL ? value_u64(v, 0, INT64_MAX, ret, e) : 0;
}

static int take_delivery(const struct value *image, struct catalog_image *im, struct err *e)
{
	const char *disk = text_of(image, "disk_format"),
		   *container = text_of(image, "container_format");
	const char *format = disk ? format_of(disk) : NULL;

	if (container && strcmp(container, "bare") != 0 && strcmp(container, "ami") != 0 &&
	    strcmp(container, "compressed") != 0)
		im->why_not = str_format("its container is '%s'", container);
	else if (!format)
		im->why_not = str_format("its disk is of format '%s'", disk ? disk : "");
	if (im->why_not)
		return 0;
	im->delivery = DELIVERY_FILE;
	/* A container that is compressed: the digest is of what is sent. */
	return image_set(&im->format, format, e);
}

static int take_image(const struct value *image, const char *endpoint, image_fn *fn, void *ctx,
		      struct err *e)
{
	AUTO(catalog_image_release) struct catalog_image im = {0};
	const char *visibility = text_of(image, "visibility"),
		   *arch = text_of(image, "architecture");
	const struct {
		const char *key;
		char **ret;
	} texts[] = {
		{"id", &im.id},
		{"name", &im.name},
		{"os_distro", &im.os},
		{"os_version", &im.release},
		{"status", &im.state},
		{"owner", &im.owner},
		{"created_at", &im.creation_date},
		{"description", &im.description},
		{"hw_firmware_type", &im.boot_mode},
	};
	AUTO_BUF id = BUF_INIT;
	int rc = value_expect(image, VALUE_MAP, e);

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(texts); i++)
		rc = take(image, texts[i].key, texts[i].ret, e);
	if (rc < 0)
		return rc;
	if (!im.id)
		return value_err(image, e, EBADMSG, "an image without an id");
	if (httpc_percent_encode(im.id, strlen(im.id), false, &id) < 0)
		return err_nomem(e);
	im.url = str_format("%s/v2/images/%s/file", endpoint, buf_str(&id));
	if (!im.url)
		return err_nomem(e);
	im.is_public = visibility && strcmp(visibility, "public") == 0;
	if (!arch)
		arch = text_of(image, "hw_architecture");
	rc = image_set(&im.architecture, arch ? arch_name(arch) : NULL, e);
	if (rc == 0)
		rc = take_number(image, "size", &im.size, e);
	if (rc == 0)
		rc = take_number(image, "virtual_size", &im.virtual_size, e);
	if (rc == 0)
		rc = take_digest(image, &im, e);
	if (rc == 0)
		rc = take_delivery(image, &im, e);
	return rc < 0 ? rc : fn(ctx, &im);
}

int glance_images(const char *name, const void *json, size_t len, const char *endpoint,
		  image_fn *fn, void *ctx, char **ret_next, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	const struct value *list, *next;
	const char *text;
	int rc = json_parse(name, json, len, &limits, &root, e);

	if (rc < 0)
		return rc;
	list = value_get(root, "images");
	if (!list)
		return value_err(root, e, EBADMSG, "no 'images': this is no answer of Glance");
	rc = value_expect(list, VALUE_LIST, e);
	value_foreach (image, list) {
		if (rc != 0)
			break;
		rc = take_image(image, endpoint, fn, ctx, e);
	}
	next = value_get(root, "next");
	if (rc != 0 || !next || next->kind == VALUE_NULL)
		return rc;
	rc = value_string(next, &text, e);
	return rc < 0 ? rc : image_set(ret_next, text, e);
}

/* ---- Keystone ---------------------------------------------------------------------------------- */

static const char *setting(const char *configured, const char *variable)
{
	const char *v = getenv(variable);

	return configured ? configured : v && *v ? v : NULL;
}

/* The first line of a file. */
static int read_secret(const char *path, char **ret, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc = fs_read_file(path, TOKEN_LIMIT, &text, e);

	if (rc < 0)
		return rc;
	*ret = strndup(buf_str(&text), strcspn(buf_str(&text), "\r\n"));
	explicit_bzero(text.data, text.len);
	return *ret ? 0 : err_nomem(e);
}

static void write_domain(struct jsonw *w, const char *name)
{
	jsonw_object(w, "domain");
	jsonw_string(w, "name", name ? name : "Default");
	jsonw_close(w);
}

static int auth_body(const struct source *src, const char *user, const char *password,
		     struct buf *out, struct err *e)
{
	const char *project = setting(src->project, "OS_PROJECT_NAME");
	struct jsonw w;

	jsonw_begin(&w, out, false);
	jsonw_object(&w, NULL);
	jsonw_object(&w, "auth");
	jsonw_object(&w, "identity");
	jsonw_array(&w, "methods");
	jsonw_string(&w, NULL, "password");
	jsonw_close(&w);
	jsonw_object(&w, "password");
	jsonw_object(&w, "user");
	jsonw_string(&w, "name", user);
	write_domain(&w, setting(src->user_domain, "OS_USER_DOMAIN_NAME"));
	jsonw_string(&w, "password", password);
	jsonw_close(&w);
	jsonw_close(&w);
	jsonw_close(&w);
	if (project) {
		jsonw_object(&w, "scope");
		jsonw_object(&w, "project");
		jsonw_string(&w, "name", project);
		write_domain(&w, setting(src->project_domain, "OS_PROJECT_DOMAIN_NAME"));
		jsonw_close(&w);
		jsonw_close(&w);
	}
	jsonw_close(&w);
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

static bool is_public_endpoint(const struct value *endpoint, const char *region)
{
	const char *interface = text_of(endpoint, "interface"), *its = text_of(endpoint, "region");

	return interface && strcmp(interface, "public") == 0 &&
	       (!region || !its || strcmp(its, region) == 0);
}

int keystone_endpoint(const char *name, const void *json, size_t len, const char *region,
		      char **ret, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	const struct value *catalog;
	int rc = json_parse(name, json, len, &limits, &root, e);

	if (rc < 0)
		return rc;
	catalog = value_path(root, "token/catalog");
	value_foreach (service, catalog) {
		const char *type = text_of(service, "type");

		if (!type || strcmp(type, "image") != 0)
			continue;
		value_foreach (endpoint, value_get(service, "endpoints")) {
			if (is_public_endpoint(endpoint, region) && text_of(endpoint, "url"))
				return image_set(ret, text_of(endpoint, "url"), e);
		}
	}
	return err_set(e, ENOENT, "%s: no public endpoint of the image service%s%s", name,
		       region ? " in region " : "", region ? region : "");
}

/* Without a slash at its end, and without the version. */
static void trim_endpoint(char *url)
{
	size_t n = strlen(url);

	while (n && url[n - 1] == '/')
		url[--n] = '\0';
	if (n > 3 && strcmp(url + n - 3, "/v2") == 0)
		url[n - 3] = '\0';
}

static int ask_keystone(struct session *s, const char *auth_url, const char *user,
			const char *password, struct err *e)
{
	const struct source *src = s->source;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_BUF body = BUF_INIT;
	size_t n = strlen(auth_url);
	bool slash = auth_url[n - 1] == '/';
	bool v3 = str_has_suffix(auth_url, "/v3") || str_has_suffix(auth_url, "/v3/");
	AUTO_FREE char *url =
		str_format("%s%s%sauth/tokens", auth_url, slash ? "" : "/", v3 ? "" : "v3/");
	const struct httpc_header headers[] = {{"Content-Type", "application/json"}};
	struct web_request q = {
		.method = HTTPC_POST,
		.url = url,
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.max_body = 4 * MIB,
	};
	const char *token;
	int rc = url ? auth_body(src, user, password, &body, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	q.body = body.data;
	q.body_len = body.len;
	rc = web_send(s, s->http, &q, &r, NULL, e);
	explicit_bzero(body.data, body.len);
	if (rc < 0)
		return err_wrap(e, "asking Keystone for a token");
	token = httpc_header(&r, "X-Subject-Token");
	if (!token || strlen(token) > TOKEN_LIMIT)
		return err_set(e, EPROTO, "'%s' gave no token", url);
	rc = image_set(&s->token, token, e);
	if (rc == 0 && !s->endpoint)
		rc = keystone_endpoint(url, r.body.data, r.body.len,
				       setting(src->region, "OS_REGION_NAME"), &s->endpoint, e);
	return rc;
}

/* Fills the session's endpoint and, if there is one to be had, its token. */
static int open_glance(struct session *s, struct err *e)
{
	const struct source *src = s->source;
	const char *url = setting(src->url, "OS_IMAGE_ENDPOINT_OVERRIDE");
	const char *auth_url = setting(src->auth_url, "OS_AUTH_URL");
	const char *user = setting(src->username, "OS_USERNAME");
	const char *env_password = setting(NULL, "OS_PASSWORD"), *token = setting(NULL, "OS_TOKEN");
	AUTO_FREE char *password = NULL;
	int rc = 0;

	if (s->endpoint && s->token)
		return 0;
	if (!s->endpoint)
		rc = image_set(&s->endpoint, url, e);
	if (rc == 0 && !s->token && src->token_file)
		rc = read_secret(src->token_file, &s->token, e);
	else if (rc == 0 && !s->token && token)
		rc = image_set(&s->token, token, e);
	if (rc == 0 && src->password_file)
		rc = read_secret(src->password_file, &password, e);
	else if (rc == 0)
		rc = image_set(&password, env_password, e);
	if (rc == 0 && !s->token && auth_url && user && password)
		rc = ask_keystone(s, auth_url, user, password, e);
	if (password)
		explicit_bzero(password, strlen(password));
	if (rc < 0)
		return rc;
	if (!s->endpoint)
		return err_set(e, EINVAL,
			       "where Glance is, is not known: url= of the source, or auth-url=, "
			       "username= and password-file= (OS_AUTH_URL, OS_USERNAME, "
			       "OS_PASSWORD)");
	trim_endpoint(s->endpoint);
	return 0;
}

static int glance_authorize(struct session *s, struct buf *header, struct err *e)
{
	int rc = open_glance(s, e);

	if (rc == 0 && s->token && buf_addf(header, "X-Auth-Token: %s", s->token) < 0)
		rc = err_nomem(e);
	return rc;
}

/* ---- listing ------------------------------------------------------------------------------------ */

static int glance_list(struct session *s, const struct list_filter *f, image_fn *fn, void *ctx,
		       struct err *e)
{
	AUTO_FREE char *url = NULL;
	AUTO_BUF header = BUF_INIT;
	AUTO(paging_release) struct paging pages = {.most = PAGES_MAX};
	int rc = glance_authorize(s, &header, e);

	(void)f;
	if (rc < 0)
		return rc;
	url = str_format("%s/v2/images?limit=" PAGE_SIZE "&sort=created_at:desc", s->endpoint);
	if (!url)
		return err_nomem(e);
	for (;;) {
		AUTO_FREE char *next = NULL, *joined = NULL;
		AUTO_BUF text = BUF_INIT;

		rc = stop_check(e);
		if (rc == 0)
			rc = web_document(s, url, header.len ? buf_str(&header) : NULL, PAGE_LIMIT,
					  &text, e);
		if (rc == 0)
			rc = glance_images(url, text.data, text.len, s->endpoint, fn, ctx, &next,
					   e);
		if (rc != 0 || !next)
			return rc;
		/* Some servers give it whole, behind a proxy with another host: the path counts. */
		rc = web_join(url, next, &joined, e);
		if (rc == 0 && !web_same_origin(joined, url))
			rc = err_set(e, EPROTO, "'%s': its next page is on another server, '%s'",
				     url, joined);
		if (rc == 0)
			rc = paging_next(&pages, joined, false, e);
		if (rc == -EPROTO)
			err_wrap(e, "'%s'", url);
		if (rc < 0)
			return rc;
		free(url);
		url = STEAL(joined);
	}
}

const struct source_type source_glance = {
	.name = "glance",
	.summary = "OpenStack's image service",
	.keys = "url region auth-url username password-file project user-domain project-domain "
		"token-file",
	.max_age_s = 300,
	.list = glance_list,
	.authorize = glance_authorize,
};
