/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What OpenStack's Glance takes: a QCOW2, and beside it NAME.json, the body of the request that
 * makes the image's record (POST /v2/images), with the properties that Nova reads: on which bus the
 * disk is, which firmware. They come from looking into the image; --property overrules them.
 */
#include <inttypes.h>
#include <stdio.h>

#include "bundle/format.h"
#include "lib/json.h"
#include "lib/str.h"

static const char *disk_bus(enum boot_bus bus)
{
	switch (bus) {
	case BOOT_BUS_VIRTIO_SCSI:
		return "scsi";
	case BOOT_BUS_SATA:
		return "sata";
	case BOOT_BUS_IDE:
		return "ide";
	default:
		return "virtio";
	}
}

/* True if the user gave the property himself. */
static bool is_given(const struct make_args *a, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < a->n_properties; i++) {
		if (!strncmp(a->properties[i], key, len) && a->properties[i][len] == '=')
			return true;
	}
	return false;
}

/* Glance takes these as numbers alone. */
static bool is_number(const char *property)
{
	return str_has_prefix(property, "min_disk=") || str_has_prefix(property, "min_ram=");
}

static int prepare(struct make *m, struct err *e)
{
	int rc = make_check_properties(m, e);
	uint64_t n;

	for (size_t i = 0; rc == 0 && i < m->a->n_properties; i++) {
		const char *p = m->a->properties[i];

		if (is_number(p) && str_to_u64(strchr(p, '=') + 1, 0, INT32_MAX, &n, e) < 0)
			rc = err_wrap(e, "property '%s'", p);
	}
	return rc;
}

static void put(struct jsonw *w, const struct make_args *a, const char *key, const char *value)
{
	if (value && !is_given(a, key))
		jsonw_string(w, key, value);
}

static int properties(struct make *m, const struct machine *machine, struct buf *out, struct err *e)
{
	const struct make_args *a = m->a;
	struct jsonw w;

	jsonw_begin(&w, out, true);
	jsonw_object(&w, NULL);
	put(&w, a, "name", a->name);
	put(&w, a, "disk_format", "qcow2");
	put(&w, a, "container_format", "bare");
	if (!is_given(a, "min_disk"))
		jsonw_u64(&w, "min_disk", div_up(make_disk_size(&m->disks[0]), GIB));
	if (a->memory && !is_given(a, "min_ram"))
		jsonw_u64(&w, "min_ram", a->memory / MIB);
	put(&w, a, "architecture", a->architecture ? a->architecture : machine->architecture);
	put(&w, a, "hw_disk_bus", disk_bus(machine->bus));
	if (machine->bus == BOOT_BUS_VIRTIO_SCSI)
		put(&w, a, "hw_scsi_model", "virtio-scsi");
	put(&w, a, "hw_vif_model", machine->has_virtio_net ? "virtio" : "e1000");
	put(&w, a, "hw_firmware_type", machine->needs_uefi ? "uefi" : "bios");
	for (size_t i = 0; i < a->n_properties; i++) {
		const char *equals = strchr(a->properties[i], '=');
		AUTO_FREE char *key =
			strndup(a->properties[i], (size_t)(equals - a->properties[i]));

		uint64_t n = 0;

		if (!key)
			return err_nomem(e);
		if (is_number(a->properties[i]) && str_to_u64(equals + 1, 0, INT32_MAX, &n, e) == 0)
			jsonw_u64(&w, key, n);
		else
			jsonw_string(&w, key, equals + 1);
	}
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

static int run(struct make *m, struct err *e)
{
	AUTO(machine_release) struct machine machine = {0};
	struct image_create_opts o = {.compression = m->a->compress ? IMAGE_COMPRESS_ZLIB
								    : IMAGE_COMPRESS_NONE};
	AUTO_BUF json = BUF_INIT;
	int rc = make_copy(m, "qcow2", &o, &machine, e);

	if (rc == 0)
		rc = properties(m, &machine, &json, e);
	return rc < 0 ? rc : make_text(m, ".json", json.data, json.len, e);
}

const struct bundle_format bundle_format_openstack = {
	.name = "openstack",
	.summary = "QCOW2 and the properties of its record in Glance",
	.most_images = 1,
	.prepare = prepare,
	.run = run,
};
