/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Glance (Image API v2): a record is made, then its data are put. What OpenStack needs to boot the
 * image (firmware, buses, machine) goes along as properties. If the data do not arrive the record is
 * taken back.
 */
#include <stdio.h>

#include "catalog/export_image.h"
#include "catalog/facts.h"
#include "lib/log.h"
#include "lib/openstack.h"
#include "lib/str.h"

/* What Glance calls our formats. */
static const char *disk_format(const char *format)
{
	return strcmp(format, "vhd") == 0 ? "vhd" : format;
}

static int check(const struct export_opts *o, struct err *e)
{
	if (o->boot_mode || o->parent || o->bundle || o->ec2_cert || o->user || o->acl)
		return err_set(e, EINVAL, "Glance takes --format, --compress and --architecture");
	return export_format_check(o, e);
}

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
	jsonw_string(&w, "disk_format", disk_format(export_format(o)));
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

static int make_record(struct openstack *o, const struct export_source *x, char **ret_id,
		       struct err *e)
{
	AUTO(facts_release) struct facts facts = {0};
	AUTO(value_free) struct value *root = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_BUF body = BUF_INIT;
	struct openstack_request q = {.method = HTTPC_POST,
				      .path = "/v2/images",
				      .type = "application/json",
				      .once = true};
	const char *id;
	int rc = facts_read(x->store, x->opts->image, &facts, e);

	if (rc == 0)
		rc = record_body(x, &facts, &body, e);
	if (rc < 0)
		return rc;
	q.body = body.data;
	q.body_len = body.len;
	rc = openstack_send(o, &q, &r, e);
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

static int put_data(struct openstack *o, const struct export_mapped *data, const char *id,
		    struct err *e)
{
	AUTO_FREE char *path = str_format("/v2/images/%s/file", id);
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	const struct openstack_request q = {.method = HTTPC_PUT,
					    .path = path,
					    .type = "application/octet-stream",
					    .body = data->data,
					    .body_len = data->size};

	return path ? openstack_send(o, &q, &r, e) : err_nomem(e);
}

static void take_back(struct openstack *o, const char *id)
{
	AUTO_FREE char *path = str_format("/v2/images/%s", id);
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct openstack_request q = {.method = HTTPC_DELETE, .path = path, .once = true};
	struct err why;

	if (path && openstack_send(o, &q, &r, &why) < 0)
		log_warn("image '%s' stays in Glance without data: %s", id, why.msg);
}

static int run(struct session *s, const struct export_source *x, struct export_report *ret,
	       struct err *e)
{
	AUTO(openstack_free) struct openstack *o = NULL;
	AUTO(export_mapped_release) struct export_mapped data = {0};
	AUTO_FREE char *id = NULL;
	int rc = openstack_open("image", &o, e);

	(void)s;
	if (rc == 0)
		rc = export_map_image(x, &data, e);
	if (rc == 0)
		rc = make_record(o, x, &id, e);
	if (rc < 0)
		return rc;
	log_info("sending %llu bytes to Glance", (unsigned long long)data.size);
	rc = put_data(o, &data, id, e);
	if (rc < 0) {
		take_back(o, id);
		return rc;
	}
	ret->sent = data.size;
	ret->image = STEAL(id);
	return 0;
}

const struct export_type export_glance = {
	.name = "glance",
	.run = run,
	.check = check,
};
