/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenStack's metadata, after "Metadata" and "Config drives" of nova's user guide (2025-04-04) and
 * its schema of network_data.json. The same documents lie on a config drive (volume config-2) and
 * below http://169.254.169.254/.
 *
 *	openstack/latest/meta_data.json     uuid, hostname, name, launch_index, availability_zone,
 *	                                    project_id, meta {}, public_keys {}, keys [{name, type,
 *	                                    data}], files [{path, content_path}], random_seed,
 *	                                    admin_pass
 *	openstack/latest/network_data.json  context/dialect/openstack_network.h
 *	openstack/latest/user_data          any bytes
 *	openstack/latest/vendor_data.json   {"cloud-init": text}
 *	openstack/content/NNNN              the files
 *
 * Users, mounts, scripts and so on are in the vendor-data, as context/cloudconfig.h has it; so are
 * all files, where one has a mode or an owner.
 *
 * Not read: vendor_data2.json, devices, dedicated_cpus, network_config (a Debian interfaces file),
 * the layout of 2012 with meta.js.
 */
#include "context/dialect/openstack.h"

#include <stdio.h>

#include "context/cloudconfig.h"
#include "context/dialects.h"
#include "context/rules.h"
#include "lib/str.h"

#define BASE "openstack/latest/"

static const char *const fields[] = {
	"instance-id",
	"hostname",
	"launch-index",
	"availability-zone",
	"account-id",
	"tags",
	"ssh-keys",
	"default-user.password",
	"random-seed",
	"user-data",
	"vendor-data",
	"files.path",
	"files.mode",
	"files.owner",
	"files.append",
	"files.content",
	CLOUDCONFIG_FIELDS,
	"nics.mac",
	"nics.name",
	"nics.method",
	"nics.method6",
	"nics.addresses",
	"nics.gateway",
	"nics.gateway6",
	"nics.dns",
	"nics.search",
	"nics.routes",
	"nics.mtu",
	"nics.metric",
	"nics.metric6",
	"nics.vlan-id",
	"nics.vlan-parent",
	"nics.network-id",
	"nics.interface-id",
	NULL,
};

/* ---- reading --------------------------------------------------------------------------------- */

static int parse(const struct tree *docs, const char *name, struct value **ret, struct err *e)
{
	static const struct value_limits limits = {.bytes = 8 * MIB, .depth = 16, .nodes = 50000};
	struct http_slice s;

	if (!tree_leaf(docs, name, &s))
		return 0;
	return json_parse(name, s.p, s.len, &limits, ret, e);
}

static int read_keys(struct reading *r, const struct value *doc)
{
	int rc = 0;

	value_foreach (k, value_get(doc, "keys")) {
		const char *type = value_text_of(value_get(k, "type"));
		const char *data = value_text_of(value_get(k, "data"));

		if (data && (!type || !strcmp(type, "ssh")) && !rc)
			rc = reading_keys(r, "keys", data, strlen(data), &r->c->ssh_keys);
	}
	value_foreach (k, value_get(doc, "public_keys")) {
		const char *data = value_text_of(k);

		if (data && !rc)
			rc = reading_keys(r, "public_keys", data, strlen(data), &r->c->ssh_keys);
	}
	return rc;
}

static int read_meta(struct reading *r, const struct value *meta)
{
	int rc = 0;

	value_foreach (m, meta) {
		const char *s = value_text_of(m);
		struct err why = {0};

		if (rc || !s || reading_is_full(r, "meta", r->c->n_tags))
			continue;
		if (context_check_token(m->key, &why) || context_check_text(s, &why))
			rc = reading_note(r, "meta: '%s' %s", m->key, why.msg);
		else
			rc = context_add_tag(r->c, m->key, s);
	}
	return rc;
}

/* "/content/0000", which lies below openstack/. */
static int read_file(struct reading *r, const struct tree *docs, const struct value *v)
{
	const char *path = value_text_of(value_get(v, "path"));
	const char *content = value_text_of(value_get(v, "content_path"));
	AUTO_FREE char *at = NULL;
	struct context_file *f;
	struct http_slice s;
	struct err why = {0};

	if (!path || !content)
		return reading_note(r, "files: one without path or content_path");
	if (context_check_path(path, &why))
		return reading_note(r, "files: '%s' %s", path, why.msg);
	at = str_format("openstack/%s", content + strspn(content, "/"));
	if (!at)
		return -ENOMEM;
	if (!tree_leaf(docs, at, &s))
		return reading_note(r, "files: '%s' is not there", content);
	if (reading_files_full(r, s.len))
		return 0;
	f = context_add_file(r->c);
	if (!f || context_set(&f->path, path))
		return -ENOMEM;
	return buf_add(&f->content, s.p, s.len);
}

static int read_random_seed(struct reading *r, const struct value *v)
{
	const char *s = value_text_of(v);
	struct err why = {0};

	if (!s || !base64_decode(s, strlen(s), &r->c->random_seed, &why))
		return 0;
	return why.code == ENOMEM ? -ENOMEM : reading_note(r, "random_seed: %s", why.msg);
}

static int read_meta_data(struct reading *r, const struct tree *docs, const struct value *doc)
{
	struct context *c = r->c;
	int rc = reading_value(r, value_get(doc, "uuid"), context_check_instance_id,
			       &c->instance_id);

	rc = rc ? rc : reading_hostname(r, value_text_of(value_get(doc, "hostname")));
	rc = rc ? rc : reading_hostname(r, value_text_of(value_get(doc, "name")));
	rc = rc ? rc
		: reading_u32(r, value_get(doc, "launch_index"), 0, UINT32_MAX, &c->launch_index);
	rc = rc ? rc
		: reading_value(r, value_get(doc, "availability_zone"), context_check_token,
				&c->availability_zone);
	rc = rc ? rc
		: reading_value(r, value_get(doc, "project_id"), context_check_token,
				&c->account_id);
	rc = rc ? rc
		: reading_value(r, value_get(doc, "admin_pass"), context_check_password,
				&c->default_user.password);
	rc = rc ? rc : read_meta(r, value_get(doc, "meta"));
	rc = rc ? rc : read_keys(r, doc);
	rc = rc ? rc : read_random_seed(r, value_get(doc, "random_seed"));
	value_foreach (f, value_get(doc, "files")) {
		if (!rc)
			rc = read_file(r, docs, f);
	}
	return rc;
}

/* What is for cloud-init: the document itself as text, or under a key. */
static int read_vendor_data(struct reading *r, const struct value *doc)
{
	const struct value *v = doc && doc->kind == VALUE_MAP ? value_get(doc, "cloud-init") : doc;
	const void *data;
	size_t len;

	if (!v || v->kind != VALUE_STRING || value_bytes(v, &data, &len, NULL))
		return 0;
	return cloudconfig_read(r, data, len);
}

static int read_user_data(struct reading *r, const struct tree *docs)
{
	struct http_slice s;

	if (!tree_leaf(docs, BASE "user_data", &s) || !s.len)
		return 0;
	r->c->has_user_data = true;
	return buf_add(&r->c->user_data, s.p, s.len);
}

struct documents {
	struct value *meta, *network, *vendor;
};

static void documents_release(struct documents *d)
{
	if (d->meta)
		value_free(d->meta);
	if (d->network)
		value_free(d->network);
	if (d->vendor)
		value_free(d->vendor);
}
DEFINE_AUTO_STRUCT(struct documents, documents_release);

static int fill(struct reading *r, const struct tree *docs, const struct documents *d)
{
	int rc;

	r->where = "meta_data.json";
	rc = read_meta_data(r, docs, d->meta);
	r->where = "network_data.json";
	rc = rc ? rc : openstack_read_network(r, d->network);
	r->where = "vendor_data.json";
	rc = rc ? rc : read_vendor_data(r, d->vendor);
	return rc ? rc : read_user_data(r, docs);
}

static int read_openstack(const struct tree *docs, const char *source, struct strlist *notes,
			  struct context **ret, struct err *e)
{
	AUTO(context_free) struct context *c = NULL;
	AUTO(documents_release) struct documents d = {0};
	struct reading r = {.notes = notes};
	int rc = parse(docs, BASE "meta_data.json", &d.meta, e);

	if (!rc && !d.meta)
		rc = err_set(e, ENOENT, "there is no '" BASE "meta_data.json'");
	rc = rc ? rc : value_expect(d.meta, VALUE_MAP, e);
	rc = rc ? rc : parse(docs, BASE "network_data.json", &d.network, e);
	rc = rc ? rc : parse(docs, BASE "vendor_data.json", &d.vendor, e);
	rc = rc ? rc : context_new(&c, e);
	if (rc)
		return rc;
	r.c = c;
	if (context_set(&c->source, source) || fill(&r, docs, &d))
		return err_nomem(e);
	*ret = STEAL(c);
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put(struct jsonw *w, const char *key, const char *s)
{
	if (s)
		jsonw_string(w, key, s);
}

static void put_keys(struct jsonw *w, const struct strlist *keys)
{
	char name[32];

	if (!keys->n)
		return;
	jsonw_object(w, "public_keys");
	for (size_t i = 0; i < keys->n; i++) {
		snprintf(name, sizeof(name), "key-%zu", i);
		jsonw_string(w, name, keys->v[i]);
	}
	jsonw_close(w);
	jsonw_array(w, "keys");
	for (size_t i = 0; i < keys->n; i++) {
		snprintf(name, sizeof(name), "key-%zu", i);
		jsonw_object(w, NULL);
		jsonw_string(w, "name", name);
		jsonw_string(w, "type", "ssh");
		jsonw_string(w, "data", keys->v[i]);
		jsonw_close(w);
	}
	jsonw_close(w);
}

/* Files of meta_data.json have a path and a content. */
static bool files_need_more(const struct context *c)
{
	for (size_t i = 0; i < c->n_files; i++) {
		const struct context_file *f = &c->files[i];

		if (f->path && (f->mode || f->owner || f->append != CHOICE_OPEN))
			return true;
	}
	return false;
}

static void put_files(struct jsonw *w, const struct context *c)
{
	char at[32];
	size_t n = 0;

	for (size_t i = 0; i < c->n_files; i++) {
		if (!c->files[i].path)
			continue;
		if (!n)
			jsonw_array(w, "files");
		snprintf(at, sizeof(at), "/content/%04zu", n++);
		jsonw_object(w, NULL);
		jsonw_string(w, "path", c->files[i].path);
		jsonw_string(w, "content_path", at);
		jsonw_close(w);
	}
	if (n)
		jsonw_close(w);
}

static int write_meta_data(const struct context *c, bool drive, struct buf *out, struct err *e)
{
	AUTO_BUF seed = BUF_INIT;
	struct jsonw w;

	if (base64_encode(c->random_seed.data, c->random_seed.len, &seed))
		return err_nomem(e);
	jsonw_begin(&w, out, true);
	jsonw_object(&w, NULL);
	put(&w, "uuid", c->instance_id);
	if (c->hostname) {
		jsonw_string(&w, "hostname", c->hostname);
		jsonw_string_n(&w, "name", c->hostname, strcspn(c->hostname, "."));
	}
	jsonw_u64(&w, "launch_index", c->launch_index);
	put(&w, "availability_zone", c->availability_zone);
	put(&w, "project_id", c->account_id);
	if (drive)
		put(&w, "admin_pass", c->default_user.password);
	if (c->n_tags)
		jsonw_object(&w, "meta");
	for (size_t i = 0; i < c->n_tags; i++)
		if (pairs_get(c->tags, c->n_tags, c->tags[i].key) == c->tags[i].value)
			jsonw_string(&w, c->tags[i].key, c->tags[i].value);
	if (c->n_tags)
		jsonw_close(&w);
	put_keys(&w, &c->ssh_keys);
	if (!files_need_more(c))
		put_files(&w, c);
	if (seed.len)
		jsonw_string(&w, "random_seed", seed.data);
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

static int write_vendor_data(const struct context *c, struct tree *docs, bool drive, struct err *e)
{
	struct cloudconfig_scope scope = {.secrets = drive, .files = files_need_more(c)};
	AUTO_BUF data = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	bool has = false;
	struct jsonw w;
	int rc = cloudconfig_write(c, scope, &data, &has, e);

	if (rc || !has)
		return rc;
	if (!utf8_valid(buf_str(&data), data.len))
		return err_set(e, EINVAL, "vendor-data is not text, and vendor_data.json is JSON");
	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string_n(&w, "cloud-init", buf_str(&data), data.len);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc ? rc : tree_add(docs, 20131017, BASE "vendor_data.json", out.data, out.len, e);
}

static int write_files(const struct context *c, struct tree *docs, struct err *e)
{
	char at[48];
	size_t n = 0;
	int rc = 0;

	if (files_need_more(c))
		return 0;
	for (size_t i = 0; i < c->n_files && !rc; i++) {
		if (!c->files[i].path)
			continue;
		snprintf(at, sizeof(at), "openstack/content/%04zu", n++);
		rc = tree_add(docs, 0, at, buf_str(&c->files[i].content), c->files[i].content.len,
			      e);
	}
	return rc;
}

int openstack_write_docs(const struct context *c, struct tree *docs, bool drive, struct err *e)
{
	AUTO_BUF meta = BUF_INIT;
	AUTO_BUF network = BUF_INIT;
	int rc;

	if (!c->instance_id)
		return err_set(e, EINVAL, "OpenStack's metadata need an instance-id");
	rc = write_meta_data(c, drive, &meta, e);
	rc = rc ? rc : tree_add(docs, 0, BASE "meta_data.json", meta.data, meta.len, e);
	if (!rc && c->has_user_data && c->user_data.len)
		rc = tree_add(docs, 0, BASE "user_data", c->user_data.data, c->user_data.len, e);
	rc = rc ? rc : write_vendor_data(c, docs, drive, e);
	rc = rc ? rc : write_files(c, docs, e);
	if (rc || !c->n_nics)
		return rc;
	rc = openstack_write_network(c, &network, e);
	return rc ? rc
		  : tree_add(docs, 20151015, BASE "network_data.json", network.data, network.len,
			     e);
}

static int write_openstack(const struct context *c, struct tree *docs, struct err *e)
{
	return openstack_write_docs(c, docs, true, e);
}

const struct context_dialect dialect_openstack = {
	.name = "openstack",
	.image = "config-drive",
	.volume_id = "config-2",
	.mark = BASE "meta_data.json",
	.read = read_openstack,
	.write = write_openstack,
	.fields = fields,
};
