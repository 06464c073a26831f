/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Glance (Image API v2): a record is made, then its data are put. What OpenStack needs to boot the
 * image (firmware, buses, machine) goes along as properties. If the data do not arrive the record is
 * taken back.
 */
#include <stdio.h>

#include "catalog/export_image.h"
#include "catalog/facts.h"
#include "catalog/web.h"
#include "lib/log.h"
#include "lib/str.h"

static const char *glance_bus(const struct facts *f)
{
	if (strcmp(f->bus, "virtio-scsi") == 0)
		return "scsi";
	if (strcmp(f->bus, "sata") == 0 || strcmp(f->bus, "ide") == 0)
		return f->bus;
	return "virtio";
}

static int record_body(const struct export_source *x, const struct facts *f, struct buf *out,
		       struct err *e)
{
	const struct export_opts *o = x->opts;
	const char *bus = glance_bus(f);
	struct jsonw w;

	jsonw_begin(&w, out, false);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "name", o->dest ? o->dest : o->image);
	jsonw_string(&w, "disk_format", export_format(o));
	jsonw_string(&w, "container_format", "bare");
	jsonw_u64(&w, "min_disk", div_up(image_size(x->disks[0].im), GIB));
	if (o->description)
		jsonw_string(&w, "description", o->description);
	jsonw_string(&w, "architecture",
		     strcmp(x->architecture, "arm64") == 0 ? "aarch64" : x->architecture);
	if (x->uefi && !x->bios)
		jsonw_string(&w, "hw_firmware_type", "uefi");
	else if (x->bios)
		jsonw_string(&w, "hw_firmware_type", "bios");
	jsonw_string(&w, "hw_disk_bus", bus);
	if (strcmp(bus, "scsi") == 0)
		jsonw_string(&w, "hw_scsi_model", "virtio-scsi");
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

/* ---- talking to Glance ------------------------------------------------------------------------- */

/* What Glance itself says is wrong goes before what its status means. */
static int add_words(const struct httpc_response *r, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	const char *words;
	char before[sizeof(e->msg)];

	if (json_parse("error", r->body.data, r->body.len, NULL, &root, NULL) < 0)
		return -e->code;
	words = store_text(root, "message");
	if (!words)
		return -e->code;
	memcpy(before, e->msg, sizeof(before));
	return err_set(e, e->code, "%s: %s", before, words);
}

/* path: behind the endpoint. */
static int send_request(struct session *s, const char *secret, struct web_request *q,
			const char *path, struct httpc_response *r, struct err *e)
{
	AUTO_FREE char *url = str_format("%s%s", s->endpoint, path);
	int rc;

	if (!url)
		return err_nomem(e);
	q->url = url;
	q->secret = *secret ? secret : NULL;
	rc = web_send(s, s->http, q, r, NULL, e);
	q->url = NULL;
	return rc < 0 && r->status ? add_words(r, e) : rc;
}

static int make_record(struct session *s, const char *secret, const struct export_source *x,
		       char **ret_id, struct err *e)
{
	static const struct httpc_header type = {"Content-Type", "application/json"};
	AUTO(facts_release) struct facts facts = {0};
	AUTO(value_free) struct value *root = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_BUF body = BUF_INIT;
	struct web_request q = {.method = HTTPC_POST, .headers = &type, .n_headers = 1};
	const char *id;
	int rc = facts_read(x->store, x->opts->image, &facts, e);

	if (rc == 0)
		rc = record_body(x, &facts, &body, e);
	if (rc < 0)
		return rc;
	q.body = body.data;
	q.body_len = body.len;
	rc = send_request(s, secret, &q, "/v2/images", &r, e);
	if (rc == 0)
		rc = json_parse("Glance", r.body.data, r.body.len, NULL, &root, e);
	if (rc < 0)
		return rc;
	id = store_text(root, "id");
	/* It becomes part of a URL. */
	if (!id || strspn(id, "0123456789abcdefABCDEF-") != strlen(id) || !*id || strlen(id) > 64)
		return err_set(e, EBADMSG, "Glance tells no id of the new image");
	*ret_id = strdup(id);
	return *ret_id ? 0 : err_nomem(e);
}

static int put_data(struct session *s, const char *secret, const struct export_mapped *data,
		    const char *id, struct err *e)
{
	static const struct httpc_header type = {"Content-Type", "application/octet-stream"};
	AUTO_FREE char *path = str_format("/v2/images/%s/file", id);
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct web_request q = {.method = HTTPC_PUT,
				.headers = &type,
				.n_headers = 1,
				.body = data->data,
				.body_len = data->size};

	return path ? send_request(s, secret, &q, path, &r, e) : err_nomem(e);
}

static void take_back(struct session *s, const char *secret, const char *id)
{
	AUTO_FREE char *path = str_format("/v2/images/%s", id);
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct web_request q = {.method = HTTPC_DELETE};
	struct err why;

	if (path && send_request(s, secret, &q, path, &r, &why) < 0)
		log_warn("image '%s' stays in Glance without data: %s", id, why.msg);
}

static int run(struct session *s, const struct export_source *x, struct export_report *ret,
	       struct err *e)
{
	AUTO(export_mapped_release) struct export_mapped data = {0};
	AUTO_BUF secret = BUF_INIT;
	AUTO_FREE char *id = NULL;
	int rc = s->source->type->authorize(s, &secret, e);

	if (rc == 0)
		rc = export_map_image(x, &data, e);
	if (rc == 0)
		rc = make_record(s, buf_str(&secret), x, &id, e);
	if (rc < 0)
		return rc;
	log_info("sending %llu bytes to Glance", (unsigned long long)data.size);
	rc = put_data(s, buf_str(&secret), &data, id, e);
	if (rc < 0) {
		take_back(s, buf_str(&secret), id);
		return rc;
	}
	ret->sent = data.size;
	ret->image = STEAL(id);
	return 0;
}

const struct export_type export_glance = {
	.name = "glance",
	.options = "--format --compress --description --architecture",
	.run = run,
	.check = export_format_check,
	.cloud = &source_glance,
};
