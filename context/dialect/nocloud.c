/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NoCloud, after "NoCloud" of cloud-init's documentation (24.1): four documents on a volume CIDATA,
 * in a folder, or below an address.
 *
 *	meta-data        YAML: instance-id, local-hostname, public-keys (a list, or a map of names
 *	                 and keys); cloud-init keeps what else is there, so the facts of the model
 *	                 go there under their names (metadata-server.yaml(5)), but no secrets
 *	user-data        any bytes; there even if empty, since without it nothing is taken
 *	vendor-data      the same, where there is one; users, mounts, files, scripts go there, as
 *	                 context/cloudconfig.h has it
 *	network-config   YAML: context/netconfig.h
 *
 * Not read: seedfrom, network-interfaces.
 */
#include "context/dialect/nocloud.h"
#include "context/bind.h"
#include "context/cloudconfig.h"
#include "context/netconfig.h"
#include "lib/yaml.h"

/* Rows that meta-data has under their own names. */
#define FACTS                                                                                      \
	"public-hostname", "ami-id", "instance-type", "architecture", "region",                    \
		"availability-zone", "availability-zone-id", "placement-group", "host-id",         \
		"partition-number", "reservation-id", "account-id", "kernel-id", "ramdisk-id",     \
		"ancestor-ami-ids", "product-codes", "services-domain", "services-partition",      \
		"system", "life-cycle", "target-lifecycle-state", "monitoring", "launch-index",    \
		"launch-time", "security-groups", "tags", "block-devices", "cluster", "extra"

static const char *const facts[] = {FACTS};

static const char *const fields[] = {
	"instance-id",
	"hostname",
	"ssh-keys",
	"user-data",
	"vendor-data",
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
	"default-user.password",
	"random-seed",
	"files.path",
	"files.mode",
	"files.owner",
	"files.append",
	"files.content",
	CLOUDCONFIG_FIELDS,
	FACTS,
	NULL,
};

/* ---- reading --------------------------------------------------------------------------------- */

static int parse(const struct tree *docs, const char *name, struct value **ret, struct err *e)
{
	static const struct value_limits limits = {.bytes = 4 * MIB, .depth = 16, .nodes = 50000};
	struct http_slice s;

	if (!tree_leaf(docs, name, &s))
		return 0;
	return yaml_parse(name, s.p, s.len, &limits, ret, e);
}

/* A list of keys, a text with one in each line, or a map of names and either. */
static int read_keys(struct reading *r, const struct value *v)
{
	const char *s = value_text_of(v);
	int rc = s ? reading_keys(r, "public-keys", s, strlen(s), &r->c->ssh_keys) : 0;

	value_foreach (item, v) {
		rc = read_keys(r, item);
		if (rc)
			break;
	}
	return rc;
}

static int read_meta_data(struct reading *r, const struct value *doc)
{
	const char *hostname = value_text_of(value_get(doc, "local-hostname"));
	int rc = reading_value(r, value_get(doc, "instance-id"), context_check_instance_id,
			       &r->c->instance_id);

	if (!hostname)
		hostname = value_text_of(value_get(doc, "hostname"));
	rc = rc ? rc : reading_hostname(r, hostname);
	rc = rc ? rc : read_keys(r, value_get(doc, "public-keys"));
	for (size_t i = 0; i < ARRAY_SIZE(facts) && !rc; i++)
		rc = reading_member(r, value_get(doc, facts[i]), facts[i]);
	return rc;
}

static int take_bytes(const struct tree *docs, const char *name, struct buf *at, bool *has)
{
	struct http_slice s;

	if (!tree_leaf(docs, name, &s) || !s.len)
		return 0;
	*has = true;
	return buf_add(at, s.p, s.len);
}

static int fill(struct reading *r, const struct tree *docs, const struct value *meta,
		const struct value *network)
{
	struct context *c = r->c;
	struct http_slice vendor;
	int rc;

	r->where = "meta-data";
	rc = read_meta_data(r, meta);
	rc = rc ? rc : take_bytes(docs, "user-data", &c->user_data, &c->has_user_data);
	if (!rc && tree_leaf(docs, "vendor-data", &vendor) && vendor.len)
		rc = cloudconfig_read(r, vendor.p, vendor.len);
	r->where = "network-config";
	return rc || !network ? rc : netconfig_read(r, network);
}

static int read_nocloud(const struct tree *docs, const char *source, struct strlist *notes,
			struct context **ret, struct err *e)
{
	AUTO(context_free) struct context *c = NULL;
	AUTO(value_free) struct value *meta = NULL;
	AUTO(value_free) struct value *network = NULL;
	struct reading r = {.notes = notes};
	struct http_slice mark;
	int rc;

	if (!tree_leaf(docs, "meta-data", &mark))
		return err_set(e, ENOENT, "there is no 'meta-data'");
	rc = parse(docs, "meta-data", &meta, e);
	rc = rc ? rc : parse(docs, "network-config", &network, e);
	if (!rc && meta && meta->kind != VALUE_MAP && meta->kind != VALUE_NULL)
		rc = value_err(meta, e, EBADMSG, "is not a map");
	rc = rc ? rc : context_new(&c, e);
	if (rc)
		return rc;
	r.c = c;
	if (context_set(&c->source, source) || fill(&r, docs, meta, network))
		return err_nomem(e);
	*ret = STEAL(c);
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* What people put into a context for their own programs may be a secret. */
static bool is_private(const char *fact)
{
	return !strcmp(fact, "extra") || !strcmp(fact, "cluster");
}

static int write_meta_data(const struct context *c, bool image, struct buf *out, struct err *e)
{
	struct jsonw w;

	jsonw_begin(&w, out, true);
	jsonw_object(&w, NULL);
	if (c->instance_id)
		jsonw_string(&w, "instance-id", c->instance_id);
	if (c->hostname)
		jsonw_string(&w, "local-hostname", c->hostname);
	if (c->ssh_keys.n)
		jsonw_array(&w, "public-keys");
	for (size_t i = 0; i < c->ssh_keys.n; i++)
		jsonw_string(&w, NULL, c->ssh_keys.v[i]);
	if (c->ssh_keys.n)
		jsonw_close(&w);
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
		const struct context_field *f = context_field(context_fields, facts[i]);

		if (context_field_given(f, c) && (image || !is_private(facts[i])))
			bind_write_field(&w, f, c);
	}
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

int nocloud_write_docs(const struct context *c, struct tree *docs, bool image, struct err *e)
{
	struct cloudconfig_scope scope = {
		.secrets = image, .password = true, .seed = true, .files = true};
	AUTO_BUF meta = BUF_INIT;
	AUTO_BUF network = BUF_INIT;
	AUTO_BUF vendor = BUF_INIT;
	bool has_vendor = false;
	int rc = write_meta_data(c, image, &meta, e);

	rc = rc ? rc : tree_add(docs, 0, "meta-data", meta.data, meta.len, e);
	rc = rc ? rc : tree_add(docs, 0, "user-data", buf_str(&c->user_data), c->user_data.len, e);
	rc = rc ? rc : cloudconfig_write(c, scope, &vendor, &has_vendor, e);
	if (!rc && has_vendor)
		rc = tree_add(docs, 0, "vendor-data", buf_str(&vendor), vendor.len, e);
	if (rc || !netconfig_has_nics(c))
		return rc;
	rc = netconfig_write(c, false, &network, e);
	return rc ? rc : tree_add(docs, 0, "network-config", network.data, network.len, e);
}

static int write_nocloud(const struct context *c, struct tree *docs, struct err *e)
{
	return nocloud_write_docs(c, docs, true, e);
}

const struct context_dialect dialect_nocloud = {
	.name = "nocloud",
	.image = "nocloud",
	.volume_id = "cidata",
	.mark = "meta-data",
	.read = read_nocloud,
	.write = write_nocloud,
	.fields = fields,
};
