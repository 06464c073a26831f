/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest that `catalog run` starts is told about itself: an instance file of
 * metadata-server, written as JSON, which is YAML too.
 */
#include <stdio.h>
#include <sys/random.h>

#include "catalog/run.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/str.h"
#include "lib/yaml.h"

#define KEY_LIMIT (64u << 10)
#define USER_DATA_LIMIT (1u << 20)

/* The guest's place in QEMU's user networks; see qemu.c. */
struct place {
	const char *mac, *address, *gateway, *dns;
};

static const struct place *find_place(enum run_metadata m)
{
	static const struct place imds = {"02:00:a9:fe:0a:0a", "169.254.10.10/16", "169.254.0.2",
					  "169.254.0.3"};
	static const struct place usual = {"02:00:0a:00:02:0f", "10.0.2.15/24", "10.0.2.2",
					   "10.0.2.3"};

	return m == RUN_IMDS ? &imds : &usual;
}

static const char *text_at(const struct value *v, const char *path)
{
	const struct value *m = value_path(v, path);
	const char *s;

	return m && value_text(m, &s, NULL) == 0 ? s : NULL;
}

/* One key a line; comments and empty lines are left out. */
static int add_keys(struct jsonw *w, const char *path, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	const char *p;
	size_t found = 0;
	int rc = fs_read_file(path, KEY_LIMIT, &text, e);

	if (rc < 0)
		return rc;
	for (p = buf_str(&text); *p;) {
		size_t n = strcspn(p, "\r\n");

		if (n && *p != '#') {
			if (str_has_prefix(p, "-----BEGIN"))
				return err_set(e, EINVAL, "'%s' is a private key, not a public one",
					       path);
			jsonw_string_n(w, NULL, p, n);
			found++;
		}
		p += n + strspn(p + n, "\r\n");
	}
	return found ? 0 : err_set(e, EINVAL, "'%s' holds no public key", path);
}

static int add_user_data(struct jsonw *w, const char *path, struct err *e)
{
	AUTO_BUF data = BUF_INIT, coded = BUF_INIT;
	int rc = fs_read_file(path, USER_DATA_LIMIT, &data, e);

	if (rc < 0)
		return rc;
	if (utf8_valid(buf_str(&data), data.len)) {
		jsonw_string_n(w, "user-data", buf_str(&data), data.len);
		return 0;
	}
	if (base64_encode(data.data, data.len, &coded) < 0)
		return err_nomem(e);
	jsonw_string(w, "user-data-base64", buf_str(&coded));
	return 0;
}

static void add_nic(struct jsonw *w, enum run_metadata metadata)
{
	const struct place *place = find_place(metadata);

	jsonw_array(w, "nics");
	jsonw_object(w, NULL);
	jsonw_string(w, "mac", place->mac);
	jsonw_array(w, "addresses");
	jsonw_string(w, NULL, place->address);
	jsonw_close(w);
	jsonw_string(w, "gateway", place->gateway);
	jsonw_array(w, "dns");
	jsonw_string(w, NULL, place->dns);
	jsonw_close(w);
	jsonw_close(w);
	jsonw_close(w);
}

static int add_all(struct jsonw *w, const struct run_opts *o, const struct value *record,
		   struct err *e)
{
	uint8_t id[9];
	char hex[19], instance_id[24];
	const char *ami = text_at(record, "source/id"),
		   *arch = text_at(record, "source/architecture");
	int rc = 0;

	/* Each run is a clone, and so an instance of its own. */
	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return err_errno(e, errno, "reading random bytes");
	hex_encode(id, sizeof(id), hex);
	snprintf(instance_id, sizeof(instance_id), "i-%.17s", hex);
	jsonw_string(w, "instance-id", instance_id);
	jsonw_string(w, "hostname", o->hostname ? o->hostname : "acclimate");
	if (ami)
		jsonw_string(w, "ami-id", ami);
	if (arch)
		jsonw_string(w, "architecture", arch);
	jsonw_string(w, "region", "local-1");
	jsonw_string(w, "availability-zone", "local-1a");
	jsonw_array(w, "ssh-keys");
	for (size_t i = 0; rc == 0 && i < o->n_ssh_keys; i++)
		rc = add_keys(w, o->ssh_keys[i], e);
	jsonw_close(w);
	add_nic(w, o->metadata);
	if (rc == 0 && o->user_data)
		rc = add_user_data(w, o->user_data, e);
	return rc;
}

int instance_write(const struct run_opts *o, const struct value *record, const char *dir,
		   struct err *e)
{
	AUTO_FREE char *path = path_join(dir, "instance.yaml");
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	int rc;

	if (!path)
		return err_nomem(e);
	if (o->instance) {
		rc = fs_read_file(o->instance, 4 * MIB, &text, e);
		return rc < 0 ? rc : fs_write_file(path, text.data, text.len, 0600, e);
	}
	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	rc = add_all(&w, o, record, e);
	if (rc < 0)
		return rc;
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc < 0 ? rc : fs_write_file(path, text.data, text.len, 0600, e);
}

int instance_mac(const char *path, char ret[18], struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	const char *mac;
	int rc = yaml_load(path, NULL, &root, e);

	if (rc < 0)
		return rc;
	mac = text_at(root, "nics/0/mac");
	if (!mac || strlen(mac) != 17 || strspn(mac, "0123456789abcdefABCDEF:") != 17)
		return err_set(e, EBADMSG, "'%s': its first NIC has no MAC address", path);
	memcpy(ret, mac, 18);
	return 0;
}
