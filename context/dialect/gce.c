/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Google Compute Engine's metadata, after "Predefined metadata keys" of Compute Engine's
 * documentation (2024), as the one JSON document that "/computeMetadata/v1/?recursive=true" answers:
 *
 *	instance: attributes {}, hostname, name, id, image, machineType, zone, tags [],
 *	          scheduling {preemptible}, networkInterfaces [{mac, ip, subnetmask, gateway, mtu,
 *	          dnsServers [], ipAliases [], ipv6 [], gatewayIpv6, network,
 *	          accessConfigs [{externalIp}]}]
 *	project:  projectId, attributes {}
 *
 *	attributes ssh-keys ("user:key" lines), user-data, user-data-encoding, startup-script have
 *	places in the model; the others are tags
 *
 * What is not there has the values that it has on a machine on which nothing happens. A NIC asks
 * for a lease, as all do there.
 *
 * Not read: guest attributes, service accounts, disks, maintenance events.
 */
#include "context/dialect/gce.h"

#include <stdio.h>

#include "context/netconfig.h"
#include "context/rules.h"
#include "lib/json.h"
#include "lib/str.h"

#define STARTUP "startup-script"

static const char *const fields[] = {
	"instance-id",       "hostname",   "ami-id",          "instance-type",
	"availability-zone", "account-id", "security-groups", "ssh-keys",
	"user-data",         "tags",       "nics.mac",        "nics.gateway",
	"nics.gateway6",     "nics.dns",   "nics.mtu",        "nics.public-ipv4",
	"nics.network-id",   NULL,
};

static const char *const reserved[] = {
	"ssh-keys", "sshKeys", "user-data", "user-data-encoding", STARTUP,
};

static bool is_reserved(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (!strcmp(key, reserved[i]))
			return true;
	return false;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What is behind the last '/': "projects/1/zones/europe-west1-b". */
static const char *last_part(const struct value *v)
{
	const char *s = value_text_of(v);
	const char *slash = s ? strrchr(s, '/') : NULL;

	return slash ? slash + 1 : s;
}

/* "user:key" lines; whose they are is not kept. */
static int read_keys(struct reading *r, const struct value *v)
{
	const char *text = value_text_of(v);
	AUTO_FREE char *copy = text ? strdup(text) : NULL;
	char *save = NULL;
	int rc = 0;

	if (text && !copy)
		return -ENOMEM;
	for (char *line = copy ? strtok_r(copy, "\r\n", &save) : NULL; line && !rc;
	     line = strtok_r(NULL, "\r\n", &save)) {
		const char *colon = strchr(line, ':');
		const char *key = colon ? colon + 1 : line;

		rc = reading_keys(r, "ssh-keys", key, strlen(key), &r->c->ssh_keys);
	}
	return rc;
}

static int read_user_data(struct reading *r, const struct value *attributes)
{
	const char *data = value_text_of(value_get(attributes, "user-data"));
	const char *encoding = value_text_of(value_get(attributes, "user-data-encoding"));
	struct context *c = r->c;
	struct err why = {0};

	if (!data)
		return 0;
	c->has_user_data = true;
	if (!encoding || strcmp(encoding, "base64") != 0)
		return buf_adds(&c->user_data, data);
	if (!base64_decode(data, strlen(data), &c->user_data, &why))
		return 0;
	c->has_user_data = false;
	return why.code == ENOMEM ? -ENOMEM : reading_note(r, "user-data: %s", why.msg);
}

static int read_attributes(struct reading *r, const struct value *v)
{
	const char *script = value_text_of(value_get(v, STARTUP));
	int rc = read_keys(r, value_get(v, "ssh-keys"));

	rc = rc ? rc : read_keys(r, value_get(v, "sshKeys"));
	rc = rc ? rc : read_user_data(r, v);
	if (!rc && script) {
		struct context_script *s = context_add_script(r->c);

		rc = !s || context_set(&s->name, STARTUP) || buf_adds(&s->content, script) ? -ENOMEM
											   : 0;
	}
	value_foreach (item, v) {
		const char *s = value_text_of(item);

		if (rc || !s || is_reserved(item->key) ||
		    reading_is_full(r, "attributes", r->c->n_tags))
			continue;
		if (context_check_token(item->key, NULL) || context_check_text(s, NULL))
			rc = reading_note(r, "the attribute '%s' is no text", item->key);
		else
			rc = context_add_tag(r->c, item->key, s);
	}
	return rc;
}

static int read_nic(struct reading *r, const struct value *v)
{
	struct nic *n;
	int rc = reading_nic(r, &n);

	if (!n)
		return rc;
	n->method = NIC_DHCP;
	rc = reading_mac(r, value_text_of(value_get(v, "mac")), n);
	rc = rc ? rc
		: netconfig_add_address(r, n, value_text_of(value_get(v, "ip")),
					value_text_of(value_get(v, "subnetmask")));
	value_foreach (alias, value_get(v, "ipAliases")) {
		rc = rc ? rc : netconfig_add_address(r, n, value_text_of(alias), "32");
	}
	value_foreach (address, value_get(v, "ipv6")) {
		n->method6 = NIC_DHCP;
		rc = rc ? rc : netconfig_add_address(r, n, value_text_of(address), NULL);
	}
	rc = rc ? rc : netconfig_set_gateway(r, n, value_text_of(value_get(v, "gateway")));
	rc = rc ? rc : netconfig_set_gateway(r, n, value_text_of(value_get(v, "gatewayIpv6")));
	rc = rc ? rc : reading_list(r, value_get(v, "dnsServers"), context_check_ip, &n->dns);
	if (!rc && value_get(v, "mtu"))
		rc = reading_u32(r, value_get(v, "mtu"), 68, 65535, &n->mtu);
	rc = rc ? rc
		: reading_value(r, value_get(v, "network"), context_check_token, &n->network_id);
	return rc ? rc
		  : reading_text(r, "externalIp",
				 value_text_of(value_path(v, "accessConfigs/0/externalIp")),
				 context_check_ipv4, &n->public_ipv4);
}

static int fill(struct reading *r, const struct value *doc)
{
	const struct value *in = value_get(doc, "instance");
	struct context *c = r->c;
	int rc = reading_value(r, value_get(in, "id"), context_check_instance_id, &c->instance_id);

	rc = rc ? rc : reading_hostname(r, value_text_of(value_get(in, "hostname")));
	rc = rc ? rc : reading_value(r, value_get(in, "image"), context_check_token, &c->ami_id);
	rc = rc ? rc
		: reading_text(r, "machineType", last_part(value_get(in, "machineType")),
			       context_check_token, &c->instance_type);
	rc = rc ? rc
		: reading_text(r, "zone", last_part(value_get(in, "zone")), context_check_token,
			       &c->availability_zone);
	rc = rc ? rc
		: reading_value(r, value_path(doc, "project/projectId"), context_check_token,
				&c->account_id);
	rc = rc ? rc
		: reading_list(r, value_get(in, "tags"), context_check_token, &c->security_groups);
	rc = rc ? rc : read_attributes(r, value_get(in, "attributes"));
	rc = rc ? rc : read_keys(r, value_path(doc, "project/attributes/ssh-keys"));
	value_foreach (n, value_get(in, "networkInterfaces")) {
		rc = rc ? rc : read_nic(r, n);
	}
	return rc;
}

static int read_gce(const struct tree *docs, const char *source, struct strlist *notes,
		    struct context **ret, struct err *e)
{
	static const struct value_limits limits = {.bytes = 8 * MIB, .depth = 16, .nodes = 50000};
	AUTO(context_free) struct context *c = NULL;
	AUTO(value_free) struct value *doc = NULL;
	struct reading r = {.notes = notes};
	struct http_slice s;
	int rc;

	if (!tree_leaf(docs, GCE_FILE, &s))
		return err_set(e, ENOENT, "there is no '" GCE_FILE "'");
	rc = json_parse(GCE_FILE, s.p, s.len, &limits, &doc, e);
	rc = rc ? rc : value_expect(doc, VALUE_MAP, e);
	rc = rc ? rc : context_new(&c, e);
	if (rc)
		return rc;
	r.c = c;
	if (context_set(&c->source, source) || fill(&r, doc))
		return err_nomem(e);
	*ret = STEAL(c);
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put(struct jsonw *w, const char *key, const char *s)
{
	jsonw_string(w, key, s ? s : "");
}

/* "projects/PROJECT/KIND/NAME". */
static void put_path(struct jsonw *w, const char *key, const struct context *c, const char *kind,
		     const char *name)
{
	AUTO_FREE char *path = str_format("projects/%s/%s/%s", c->account_id ? c->account_id : "0",
					  kind, name ? name : "");

	if (!path)
		w->rc = -ENOMEM;
	else
		jsonw_string(w, key, name ? path : "");
}

static void put_keys(struct jsonw *w, const struct context *c)
{
	const char *user = c->default_user.name ? c->default_user.name : "cloudinit";
	AUTO_BUF lines = BUF_INIT;

	for (size_t i = 0; i < c->ssh_keys.n; i++)
		if (buf_addf(&lines, "%s%s:%s", i ? "\n" : "", user, c->ssh_keys.v[i]))
			w->rc = -ENOMEM;
	if (lines.len)
		jsonw_string(w, "ssh-keys", lines.data);
}

static void put_user_data(struct jsonw *w, const struct context *c)
{
	AUTO_BUF coded = BUF_INIT;

	if (!c->has_user_data)
		return;
	if (utf8_valid(buf_str(&c->user_data), c->user_data.len)) {
		jsonw_string_n(w, "user-data", buf_str(&c->user_data), c->user_data.len);
		return;
	}
	if (base64_encode(c->user_data.data, c->user_data.len, &coded))
		w->rc = -ENOMEM;
	jsonw_string(w, "user-data", buf_str(&coded));
	jsonw_string(w, "user-data-encoding", "base64");
}

static void put_attributes(struct jsonw *w, const struct context *c)
{
	jsonw_object(w, "attributes");
	put_keys(w, c);
	put_user_data(w, c);
	for (size_t i = 0; i < c->n_scripts; i++) {
		const struct context_script *s = &c->scripts[i];

		if (!strcmp(s->name, STARTUP) && utf8_valid(buf_str(&s->content), s->content.len)) {
			jsonw_string_n(w, STARTUP, buf_str(&s->content), s->content.len);
			break;
		}
	}
	for (size_t i = 0; i < c->n_tags; i++)
		if (!is_reserved(c->tags[i].key) &&
		    pairs_get(c->tags, c->n_tags, c->tags[i].key) == c->tags[i].value)
			jsonw_string(w, c->tags[i].key, c->tags[i].value);
	jsonw_close(w);
}

/* The first IPv4 address is the NIC's own, further ones are aliases. */
static void put_addresses(struct jsonw *w, const struct nic *n)
{
	bool own = false;
	char text[46];

	for (int pass = 0; pass < 3; pass++) { /* ip, ipAliases, ipv6 */
		if (pass)
			jsonw_array(w, pass == 1 ? "ipAliases" : "ipv6");
		own = false;
		for (size_t i = 0; i < n->addresses.n; i++) {
			struct ip_prefix ip;
			bool first;

			if (context_parse_ip(n->addresses.v[i], &ip, NULL))
				continue;
			context_format_ip(&ip, text);
			first = !own && !strchr(text, ':');
			own |= first;
			if (strchr(text, ':')) {
				if (pass == 2)
					jsonw_string(w, NULL, text);
			} else if (first && !pass) {
				jsonw_string(w, "ip", text);
				netconfig_mask(ip.prefix, false, text);
				jsonw_string(w, "subnetmask", text);
			} else if (!first && pass == 1) {
				jsonw_string(w, NULL, n->addresses.v[i]);
			}
		}
		if (pass)
			jsonw_close(w);
	}
}

static void put_nic(struct jsonw *w, const struct nic *n)
{
	jsonw_object(w, NULL);
	jsonw_array(w, "accessConfigs");
	if (n->public_ipv4) {
		jsonw_object(w, NULL);
		jsonw_string(w, "externalIp", n->public_ipv4);
		jsonw_string(w, "type", "ONE_TO_ONE_NAT");
		jsonw_close(w);
	}
	jsonw_close(w);
	jsonw_array(w, "dnsServers");
	for (size_t i = 0; i < n->dns.n; i++)
		jsonw_string(w, NULL, n->dns.v[i]);
	jsonw_close(w);
	put(w, "gateway", n->gateway);
	if (n->gateway6)
		jsonw_string(w, "gatewayIpv6", n->gateway6);
	put_addresses(w, n);
	put(w, "mac", n->mac);
	if (n->mtu)
		jsonw_u64(w, "mtu", n->mtu);
	put(w, "network", n->network_id);
	jsonw_close(w);
}

static void put_instance(struct jsonw *w, const struct context *c)
{
	bool spot = c->life_cycle && !strcmp(c->life_cycle, "spot");

	jsonw_object(w, "instance");
	put_attributes(w, c);
	put(w, "description", NULL);
	put(w, "hostname", c->hostname);
	put(w, "id", c->instance_id);
	put(w, "image", c->ami_id);
	put_path(w, "machineType", c, "machineTypes", c->instance_type);
	put(w, "maintenanceEvent", "NONE");
	jsonw_string_n(w, "name", c->hostname ? c->hostname : "",
		       c->hostname ? strcspn(c->hostname, ".") : 0);
	jsonw_array(w, "networkInterfaces");
	for (size_t i = 0; i < c->n_nics; i++)
		if (c->nics[i].mac[0])
			put_nic(w, &c->nics[i]);
	jsonw_close(w);
	put(w, "preempted", c->spot.time ? "TRUE" : "FALSE");
	jsonw_object(w, "scheduling");
	put(w, "automaticRestart", spot ? "FALSE" : "TRUE");
	put(w, "onHostMaintenance", spot ? "TERMINATE" : "MIGRATE");
	put(w, "preemptible", spot ? "TRUE" : "FALSE");
	jsonw_close(w);
	jsonw_object(w, "serviceAccounts");
	jsonw_close(w);
	jsonw_array(w, "tags");
	for (size_t i = 0; i < c->security_groups.n; i++)
		jsonw_string(w, NULL, c->security_groups.v[i]);
	jsonw_close(w);
	put_path(w, "zone", c, "zones", c->availability_zone);
	jsonw_close(w);
}

int gce_write_json(const struct context *c, struct buf *out, struct err *e)
{
	struct jsonw w;

	jsonw_begin(&w, out, false);
	jsonw_object(&w, NULL);
	put_instance(&w, c);
	jsonw_object(&w, "project");
	jsonw_object(&w, "attributes");
	jsonw_close(&w);
	put(&w, "numericProjectId", "0");
	put(&w, "projectId", c->account_id);
	jsonw_close(&w);
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

static int write_gce(const struct context *c, struct tree *docs, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	int rc = gce_write_json(c, &out, e);

	return rc ? rc : tree_add(docs, 0, GCE_FILE, out.data, out.len, e);
}

const struct context_dialect dialect_gce = {
	.name = "gce",
	.mark = GCE_FILE,
	.read = read_gce,
	.write = write_gce,
	.fields = fields,
};
