/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public parameters of SSM (2014-11-06), by which vendors tell their newest AMIs: GetParameter for one,
 * GetParametersByPath for all below a path.
 *
 * As a source: the AMIs of all parameters below `prefix`, with what DescribeImages tells of them; the
 * id of each is "ssm:" and the parameter's name, so that an import takes what it holds by then.
 */
#include <stdio.h>

#include "catalog/paging.h"
#include "catalog/parse.h"
#include "lib/json.h"
#include "lib/stop.h"
#include "lib/str.h"

#define PAGE_SIZE 10 /* the most that SSM gives */
#define PAGES_MAX 5000
#define BATCH 100 /* images to DescribeImages */
#define REPLY_LIMIT (4 * MIB)

static bool is_image_id(const char *id)
{
	return str_has_prefix(id, "ami-") || str_has_prefix(id, "emi-");
}

/* Sends body, which w is writing; *ret is a map. */
static int call(struct session *s, const char *target, struct jsonw *w, const struct buf *body,
		struct httpc_response *r, struct err *e)
{
	const struct httpc_header headers[] = {
		{"Content-Type", "application/x-amz-json-1.1"},
		{"X-Amz-Target", target},
	};
	struct aws_request req = {
		.method = HTTPC_POST,
		.service = "ssm",
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.max_body = REPLY_LIMIT,
		.note = session_note,
		.note_opaque = s,
	};
	int rc = jsonw_end(w, e);

	req.body = body->data;
	req.body_len = body->len;
	return rc < 0 ? rc : aws_send(s->aws, s->http, &req, r, NULL, e);
}

/* ---- one ------------------------------------------------------------------------------------- */

int ssm_parameter(struct session *s, const char *name, char **ret, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_BUF body = BUF_INIT;
	const struct value *v;
	const char *text;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &body, false);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "Name", name);
	jsonw_close(&w);
	rc = call(s, "AmazonSSM.GetParameter", &w, &body, &r, e);
	if (rc == 0)
		rc = json_parse("GetParameter", r.body.data, r.body.len, NULL, &root, e);
	if (rc < 0)
		return err_wrap(e, "the parameter '%s'", name);
	v = value_path(root, "Parameter/Value");
	rc = v ? value_string(v, &text, e) : err_set(e, EBADMSG, "GetParameter gave no value");
	if (rc == 0 && !is_image_id(text))
		rc = err_set(e, EINVAL, "the parameter '%s' is '%s', no AMI", name, text);
	return rc < 0 ? rc : image_set(ret, text, e);
}

/* ---- all below a path -------------------------------------------------------------------------- */

/* Others than AMIs (versions, descriptions) are passed over. */
static int take_parameter(const struct value *v, parameter_fn *fn, void *ctx, struct err *e)
{
	const struct value *name = value_get(v, "Name"), *value = value_get(v, "Value");
	const char *path = "", *text = "";
	int rc;

	if (!name || !value)
		return value_err(v, e, EBADMSG, "a parameter without Name or Value");
	rc = value_string(name, &path, e);
	if (rc == 0)
		rc = value_string(value, &text, e);
	if (rc < 0 || !is_image_id(text))
		return rc;
	return fn(ctx, path, text, e);
}

int ssm_page(const void *json, size_t len, parameter_fn *fn, void *ctx, char **ret_next,
	     struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	const struct value *list, *next;
	const char *token = NULL;
	int rc = json_parse("GetParametersByPath", json, len, NULL, &root, e);

	if (rc < 0)
		return rc;
	list = value_get(root, "Parameters");
	rc = list ? value_expect(list, VALUE_LIST, e)
		  : err_set(e, EBADMSG, "GetParametersByPath gave no parameters");
	if (rc < 0)
		return rc;
	value_foreach (v, list) {
		rc = take_parameter(v, fn, ctx, e);
		if (rc != 0)
			return rc;
	}
	next = value_get(root, "NextToken");
	if (next && next->kind != VALUE_NULL)
		rc = value_string(next, &token, e);
	return rc < 0 ? rc : image_set(ret_next, token, e);
}

struct parameter {
	char *name, *ami;
};

/* Parameters whose images are not described yet. */
struct batch {
	struct session *session;
	image_fn *fn;
	void *ctx;
	struct parameter items[BATCH];
	size_t n;
	int ended; /* what fn returned */
};

static void batch_clear(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->items[i].name);
		free(b->items[i].ami);
	}
	b->n = 0;
}
DEFINE_AUTO_STRUCT(struct batch, batch_clear);

static int tell_image(struct batch *b, const struct parameter *p, const struct xml_node *item,
		      struct err *e)
{
	AUTO(catalog_image_release) struct catalog_image im = {0};
	int rc = ec2_image(item, &im, e);

	if (rc < 0)
		return rc;
	free(STEAL(im.words));
	im.words = STEAL(im.id);
	im.id = str_format(SSM_ID_PREFIX "%s", p->name);
	if (!im.id)
		return err_nomem(e);
	b->ended = b->fn(b->ctx, &im);
	return b->ended;
}

/* Two parameters may hold one image. */
static int tell_parameters(struct batch *b, const struct xml_node *item, struct err *e)
{
	const char *id = xml_child_text(item, "imageId", "");
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < b->n; i++) {
		if (strcmp(b->items[i].ami, id) == 0)
			rc = tell_image(b, &b->items[i], item, e);
	}
	return rc;
}

/* A filter, not ids: an image that is gone is then no error. */
static int describe(struct batch *b, struct err *e)
{
	AUTO(xml_free) struct xml_node *root = NULL;
	char names[BATCH][40];
	struct aws_param params[BATCH + 1] = {{"Filter.1.Name", "image-id"}};
	const struct xml_node *set;
	int rc;

	if (!b->n)
		return 0;
	for (size_t i = 0; i < b->n; i++) {
		snprintf(names[i], sizeof(names[i]), "Filter.1.Value.%zu", i + 1);
		params[i + 1] = (struct aws_param){names[i], b->items[i].ami};
	}
	rc = aws_ec2(b->session->aws, b->session->http, "DescribeImages", params, b->n + 1, &root,
		     NULL, e);
	if (rc < 0)
		return err_wrap(e, "describing the images of parameters");
	set = xml_child(root, "imagesSet");
	for (const struct xml_node *i = xml_child(set, "item"); i && rc == 0;
	     i = xml_next(i, "item"))
		rc = tell_parameters(b, i, e);
	batch_clear(b);
	return rc;
}

static int take(void *ctx, const char *name, const char *ami, struct err *e)
{
	struct batch *b = ctx;
	struct parameter *p = &b->items[b->n];

	*p = (struct parameter){strdup(name), strdup(ami)};
	b->n++;
	if (!p->name || !p->ami)
		return err_nomem(e);
	return b->n == BATCH ? describe(b, e) : 0;
}

static int ask_page(struct session *s, const char *path, const char *token,
		    struct httpc_response *r, struct err *e)
{
	AUTO_BUF body = BUF_INIT;
	struct jsonw w;

	jsonw_begin(&w, &body, false);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "Path", path);
	jsonw_bool(&w, "Recursive", true);
	jsonw_u64(&w, "MaxResults", PAGE_SIZE);
	if (token)
		jsonw_string(&w, "NextToken", token);
	jsonw_close(&w);
	return call(s, "AmazonSSM.GetParametersByPath", &w, &body, r, e);
}

static int ssm_list(struct session *s, const struct list_filter *f, image_fn *fn, void *ctx,
		    struct err *e)
{
	const char *path = s->source->prefix;
	AUTO(batch_clear) struct batch b = {.session = s, .fn = fn, .ctx = ctx};
	AUTO(paging_release) struct paging pages = {.most = PAGES_MAX};
	AUTO_FREE char *token = NULL;

	(void)f;
	if (!path || *path != '/')
		return err_set(e, EINVAL, "the source names no path of parameters (prefix=/...)");
	for (;;) {
		AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
		AUTO_FREE char *next = NULL;
		int rc = stop_check(e);

		if (rc == 0)
			rc = ask_page(s, path, token, &r, e);
		if (rc == 0)
			rc = ssm_page(r.body.data, r.body.len, take, &b, &next, e);
		if (rc == 0 && !next)
			return describe(&b, e);
		if (rc == 0)
			rc = paging_next(&pages, next, false, e);
		if (rc < 0)
			return err_wrap(e, "listing the parameters below '%s'", path);
		if (rc != 0)
			return rc;
		free(token);
		token = STEAL(next);
	}
}

static int ssm_find(struct session *s, const char *id, struct catalog_image *ret, struct err *e)
{
	return source_ec2.find(s, id, ret, e);
}

const struct source_type source_ssm = {
	.name = "ssm",
	.summary = "AMIs that parameters of SSM tell: a vendor's newest",
	.keys = "prefix region endpoint-url profile",
	.aws = true,
	.find = ssm_find,
	.list = ssm_list,
};
